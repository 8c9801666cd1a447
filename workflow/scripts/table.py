import pyarrow as pa

from script_job import job
from snakesteer.storage.files import read_json, read_table, write_table
from snakesteer.storage.provenance import provenance
from snakesteer.sweeps.unqualified import unqualified
from snakesteer.tables.next_token import Curve, skill_table
from snakesteer.tables.two_choice import behaviour_table
from snakesteer.tables.two_choice_parts import behaviour_parts

with job(snakemake):
    settings = snakemake.params.settings
    raw, resampled = (
        [read_table(path).to_pandas() for path in snakemake.input.get(role, [])]
        for role in ("sweeps", "resampled")
    )
    tables = list(zip(raw, resampled or [None] * len(raw), strict=True))
    if settings["kind"] == "skill":
        curves = [
            Curve(**curve, raw=table, resampled=again)
            for curve, (table, again) in zip(settings["curves"], tables, strict=True)
        ]
        table = skill_table(settings["sweep"], settings["target"], curves, **settings["statistics"])
    else:
        parts = [
            part
            for described, (table, again) in zip(settings["jobs"], tables, strict=True)
            for part in behaviour_parts(described, settings, table, again)
        ]
        table = behaviour_table(settings["sweep"], parts, settings["collapse"])
    described = provenance(snakemake)
    if "choice" in snakemake.input.keys():
        layers = {job["layer"] for job in settings["jobs"]}
        described["unqualified"] = unqualified(read_json(snakemake.input.choice[0]), layers)
    write_table(snakemake.output[0], pa.Table.from_pandas(table, preserve_index=False), described)
