from snakesteer.artefacts import read_json, write_text
from snakesteer.job import job
from snakesteer.usage_page import page, usage

with job(snakemake):
    used = usage(read_json(snakemake.params.listed)["usage"])
    write_text(snakemake.output.table, used.to_csv(index=False, lineterminator="\n"))
    write_text(snakemake.output.page, page(used))
