import pyarrow as pa

from script_job import job
from snakesteer.core.notes import note
from snakesteer.core.records import read
from snakesteer.storage.files import read_table, write_table
from snakesteer.storage.provenance import provenance
from snakesteer.tables.null import NullJob, Slopes, against_control

with job(snakemake, "effects"):
    asked = read(NullJob, snakemake.params.settings)
    tables = [read_table(path).to_pandas() for path in snakemake.input.tables]
    slopes = [read_table(path).to_pandas() for path in snakemake.input.get("effects", [])]
    found, left_out = against_control(asked, tables, Slopes(*slopes) if slopes else None)
    for sentence in left_out:
        note(f"effects.{snakemake.wildcards.name}: {sentence}.")
    table = pa.Table.from_pandas(found, preserve_index=False)
    write_table(snakemake.output[0], table, provenance(snakemake) | {"left_out": left_out})
