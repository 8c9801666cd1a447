import csv
import io
from pathlib import Path

from snakesteer.artefacts import write_text
from snakesteer.job import job

with job(snakemake):
    columns = ["stage", "name", "key", "path", "settings", "size"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in snakemake.params.rows:
        writer.writerow({**row, "size": Path(row["path"]).stat().st_size})
    write_text(snakemake.output[0], text.getvalue())
