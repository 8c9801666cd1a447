from dataclasses import replace

import pyarrow as pa

from script_job import job
from snakesteer.core.records import read
from snakesteer.storage.files import read_json, read_table, write_table
from snakesteer.storage.provenance import provenance
from snakesteer.tables.job import of_chosen
from snakesteer.tables.slopes import EffectsJob, effects

with job(snakemake, "effects"):
    asked = read(EffectsJob, snakemake.params.settings)
    paths = iter(snakemake.input.sweeps)
    raw = [[read_table(next(paths)).to_pandas() for _ in table.jobs] for table in asked.tables]
    questions = [read_table(path).to_pandas() for path in snakemake.input.questions]
    choices = map(read_json, snakemake.input.get("candidates", []))
    asked = replace(asked, tables=of_chosen(asked.tables, choices))
    found = effects(asked, raw, questions)
    for name in ("items", "slopes"):
        table = pa.Table.from_pandas(getattr(found, name), preserve_index=False)
        write_table(snakemake.output[f"of_{name}"], table, provenance(snakemake))
