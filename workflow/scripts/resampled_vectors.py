from snakesteer import resampling
from snakesteer.artefacts import read_provenance, write_tensors
from snakesteer.job import job
from snakesteer.provenance import derived

with job(snakemake, "vectors"):
    origins = [read_provenance(path) for path in snakemake.input]
    provenance = derived(snakemake, origins)
    vectors = resampling.resampled(snakemake.params.settings, dict(snakemake.input.items()))
    write_tensors(snakemake.output[0], {"vectors": vectors}, provenance)
