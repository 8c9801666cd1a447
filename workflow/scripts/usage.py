from script_job import job
from snakesteer.reports.usage import page, usage
from snakesteer.storage.files import read_json, write_text

with job(snakemake):
    used = usage(read_json(snakemake.params.listed)["usage"])
    write_text(snakemake.output.table, used.to_csv(index=False, lineterminator="\n"))
    write_text(snakemake.output.page, page(used))
