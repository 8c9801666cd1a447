import csv
import io
import json
from pathlib import Path

from snakesteer.artefacts import write_text
from snakesteer.job import job

with job(snakemake):
    columns = ["stage", "name", "key", "path", "settings", "size"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    rows = [json.loads(param) for param in snakemake.params if param.startswith("{")]
    for row in rows:
        writer.writerow({**row, "size": Path(row["path"]).stat().st_size})
    write_text(snakemake.output[0], text.getvalue())
