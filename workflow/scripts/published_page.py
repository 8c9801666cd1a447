from script_job import job
from snakesteer.reports.published import page, read_series
from snakesteer.storage.files import write_text

with job(snakemake):
    series = read_series(snakemake.input)
    write_text(snakemake.output[0], page(series, snakemake.params.source, snakemake.params.commit))
