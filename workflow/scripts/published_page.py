from pathlib import Path

from snakesteer.artefacts import read_provenance, read_table, write_text
from snakesteer.job import job
from snakesteer.published.page import Series, page

with job(snakemake):
    series = []
    for path in snakemake.input:
        origin = read_provenance(path)
        rows = read_table(path).num_rows
        series.append(Series(Path(path).stem, rows, origin["blobs"], origin["missing"]))
    write_text(snakemake.output[0], page(series, snakemake.params.source))
