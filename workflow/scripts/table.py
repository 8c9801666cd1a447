import pyarrow as pa

from script_job import job
from snakesteer.core import plugins
from snakesteer.core.records import read
from snakesteer.storage.files import read_json, read_table, write_table
from snakesteer.storage.provenance import provenance
from snakesteer.sweeps.unqualified import unqualified
from snakesteer.tables.categories import by_category
from snakesteer.tables.job import TableJob

with job(snakemake):
    plugin = plugins.load("tables", snakemake.params.settings["measure"])
    asked = read(getattr(plugin, "Job", TableJob), snakemake.params.settings)
    raw, resampled = (
        [read_table(path).to_pandas() for path in snakemake.input.get(role, [])]
        for role in ("sweeps", "resampled")
    )
    if asked.choices:
        chosen = map(read_json, snakemake.input.candidates)
        asked = asked.of_chosen(dict(zip(asked.choices, chosen, strict=True)))
    if asked.by_category:
        questions = [read_table(path).to_pandas() for path in snakemake.input.questions]
        asked_of = dict(zip(asked.by_category, questions, strict=True))
        raw = [by_category(rows, asked_of) for rows in raw]
        resampled = [by_category(rows, asked_of) for rows in resampled]
    table = plugin.table(asked, raw, resampled)
    described = provenance(snakemake)
    if "choice" in snakemake.input.keys():
        choice = read_json(snakemake.input.choice[0])
        described["unqualified"] = unqualified(choice, asked.layers)
    write_table(snakemake.output[0], pa.Table.from_pandas(table, preserve_index=False), described)
