from script_job import job
from snakesteer.storage.files import read_provenance, write_tensors
from snakesteer.storage.provenance import derived
from snakesteer.vectors.samples import Samples, mean

with job(snakemake, "activations"):
    (path,) = snakemake.input.activations
    origin = read_provenance(path)
    found = mean(Samples(path), "activations")
    write_tensors(snakemake.output[0], {"mean": found}, derived(snakemake, [origin]))
