import json

from snakesteer.artefacts import write_text
from snakesteer.job import job
from snakesteer.usage_page import page, usage

with job(snakemake):
    jobs = [json.loads(param) for param in snakemake.params if param.startswith("{")]
    used = usage(jobs)
    write_text(snakemake.output.table, used.to_csv(index=False, lineterminator="\n"))
    write_text(snakemake.output.page, page(used))
