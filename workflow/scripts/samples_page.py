import shutil

from snakesteer.artefacts import read_table, write_text
from snakesteer.job import job
from snakesteer.samples_page import page

with job(snakemake):
    shutil.copyfile(snakemake.input[0], snakemake.output.table)
    table = read_table(snakemake.input[0])
    write_text(snakemake.output.page, page(table, snakemake.params.title))
