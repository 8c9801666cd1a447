import sys
from pathlib import Path

import pyarrow as pa

from script_job import job
from snakesteer.papers.source import gathered
from snakesteer.papers.tables import paths_of, published_table
from snakesteer.storage.files import write_table
from snakesteer.storage.provenance import provenance

with job(snakemake):
    settings = snakemake.params.settings
    (listing,) = snakemake.input.source
    folder = Path(snakemake.params.folder)
    contents, origin = gathered(Path(listing), folder, paths_of(settings).values())
    table, unusable = published_table(settings, contents)
    origin["missing"] |= unusable
    for reason in origin["missing"].values():
        print(f"Skipped in {settings['sweep']}: {reason}.", file=sys.stderr)
    write_table(
        snakemake.output[0],
        pa.Table.from_pandas(table, preserve_index=False),
        provenance(snakemake) | origin | snakemake.params.licence,
    )
