import pyarrow as pa

from script_job import job
from snakesteer.core import plugins
from snakesteer.storage.files import read_json, read_table, write_table
from snakesteer.storage.provenance import provenance
from snakesteer.sweeps.job import injections_of
from snakesteer.sweeps.unqualified import unqualified

with job(snakemake):
    settings = snakemake.params.settings
    raw, resampled = (
        [read_table(path).to_pandas() for path in snakemake.input.get(role, [])]
        for role in ("sweeps", "resampled")
    )
    table = plugins.load("tables", settings["measure"]).table(settings, raw, resampled)
    described = provenance(snakemake)
    if "choice" in snakemake.input.keys():
        layers = {injected.layer for one in injections_of(settings) for injected in one}
        described["unqualified"] = unqualified(read_json(snakemake.input.choice[0]), layers)
    write_table(snakemake.output[0], pa.Table.from_pandas(table, preserve_index=False), described)
