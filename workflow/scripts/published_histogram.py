import pandas as pd
import pyarrow as pa

from script_job import job
from snakesteer.storage.files import read_provenance, read_tensors, write_table
from snakesteer.storage.provenance import provenance
from snakesteer.tables.histograms import HISTOGRAM_COLUMNS, histogram

with job(snakemake):
    settings = snakemake.params.settings
    (path,) = snakemake.input.vector
    origin = read_provenance(path)
    table = pd.DataFrame(columns=HISTOGRAM_COLUMNS)
    for array in read_tensors(path).values():
        table = histogram(settings["name"], array, settings["layers"], settings["bins"])
    write_table(
        snakemake.output[0],
        pa.Table.from_pandas(table, preserve_index=False),
        provenance(snakemake)
        | {key: origin[key] for key in ("missing", "unverified", "blobs", "notes")}
        | snakemake.params.licence,
    )
