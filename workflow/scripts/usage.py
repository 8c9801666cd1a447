from snakesteer.artefacts import write_text
from snakesteer.job import job
from snakesteer.listed import unpacked
from snakesteer.usage_page import page, usage

with job(snakemake):
    used = usage(unpacked(snakemake.params))
    write_text(snakemake.output.table, used.to_csv(index=False, lineterminator="\n"))
    write_text(snakemake.output.page, page(used))
