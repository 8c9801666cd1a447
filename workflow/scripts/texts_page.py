from script_job import job
from snakesteer.core.records import read
from snakesteer.reports.samples import texts_page
from snakesteer.storage.files import read_table, write_text
from snakesteer.tables.continuation import Job

with job(snakemake):
    raw = [read_table(path).to_pandas() for path in snakemake.input]
    asked = read(Job, snakemake.params.settings)
    made = texts_page(asked, raw, snakemake.params.title, snakemake.params.said)
    write_text(snakemake.output[0], made)
