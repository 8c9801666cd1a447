from snakesteer.artefacts import read_provenance, read_tensors, write_tensors
from snakesteer.job import job
from snakesteer.provenance import derived
from snakesteer.vectors import mean

with job(snakemake, "activations"):
    (path,) = snakemake.input.activations
    activations = read_tensors(path)["activations"]
    origin = read_provenance(path)
    write_tensors(snakemake.output[0], {"mean": mean(activations)}, derived(snakemake, [origin]))
