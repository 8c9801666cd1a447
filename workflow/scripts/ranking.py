from dataclasses import replace

import pyarrow as pa

from script_job import job
from snakesteer.core.records import read
from snakesteer.storage.files import read_json, read_table, write_table
from snakesteer.storage.provenance import provenance
from snakesteer.tables.job import of_chosen
from snakesteer.tables.ranking import RankingJob, ranking

with job(snakemake, "rankings"):
    asked = read(RankingJob, snakemake.params.settings)
    paths = iter(snakemake.input.sweeps)
    raw = [[read_table(next(paths)).to_pandas() for _ in table.jobs] for table in asked.tables]
    choices = map(read_json, snakemake.input.get("candidates", []))
    found = ranking(replace(asked, tables=of_chosen(asked.tables, choices)), raw)
    for name in ("arms", "pairs", "vectors"):
        table = pa.Table.from_pandas(getattr(found, name), preserve_index=False)
        write_table(snakemake.output[name], table, provenance(snakemake))
