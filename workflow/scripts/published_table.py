import sys
from pathlib import Path

import pyarrow as pa

from snakesteer.artefacts import read_json, write_table
from snakesteer.job import job
from snakesteer.provenance import provenance
from snakesteer.published.tables import paths_of, published_table

with job(snakemake):
    settings = snakemake.params.settings
    files = read_json(snakemake.input.source[0])
    table, missing = published_table(settings, files, Path(snakemake.params.folder))
    for reason in missing.values():
        print(f"Left out of {settings['sweep']}: {reason}.", file=sys.stderr)
    blobs = {
        path: files[path]["blob"]
        for path in paths_of(settings).values()
        if "blob" in files.get(path, {})
    }
    write_table(
        snakemake.output[0],
        pa.Table.from_pandas(table, preserve_index=False),
        provenance(snakemake) | {"missing": missing, "blobs": blobs},
    )
