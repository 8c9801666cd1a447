from snakesteer.artefacts import write_text
from snakesteer.job import job
from snakesteer.published.page import page, read_series

with job(snakemake):
    series = read_series(snakemake.input)
    write_text(snakemake.output[0], page(series, snakemake.params.source, snakemake.params.commit))
