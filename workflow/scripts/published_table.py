import sys
from pathlib import Path

import pyarrow as pa

from snakesteer.artefacts import write_table
from snakesteer.job import job
from snakesteer.provenance import provenance
from snakesteer.published.source import gathered
from snakesteer.published.tables import paths_of, published_table

with job(snakemake):
    settings = snakemake.params.settings
    (listing,) = snakemake.input.source
    folder = Path(snakemake.params.folder)
    contents, origin = gathered(Path(listing), folder, paths_of(settings).values())
    table, unusable = published_table(settings, contents)
    origin["missing"] |= unusable
    for reason in origin["missing"].values():
        print(f"Left out of {settings['sweep']}: {reason}.", file=sys.stderr)
    write_table(
        snakemake.output[0],
        pa.Table.from_pandas(table, preserve_index=False),
        provenance(snakemake) | origin,
    )
