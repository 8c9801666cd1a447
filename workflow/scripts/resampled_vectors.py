from script_job import job
from snakesteer.storage.files import read_provenance, write_tensors
from snakesteer.storage.provenance import derived
from snakesteer.vectors import resampling

with job(snakemake, "vectors"):
    origins = [read_provenance(path) for path in snakemake.input]
    provenance = derived(snakemake, origins)
    vectors = resampling.resampled(snakemake.params.settings, dict(snakemake.input.items()))
    write_tensors(snakemake.output[0], {"vectors": vectors}, provenance)
