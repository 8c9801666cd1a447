import shutil

from script_job import job
from snakesteer.reports.samples import page
from snakesteer.storage.files import read_table, write_text

with job(snakemake):
    shutil.copyfile(snakemake.input[0], snakemake.output.table)
    table = read_table(snakemake.input[0])
    write_text(snakemake.output.page, page(table, snakemake.params.title, snakemake.params.said))
