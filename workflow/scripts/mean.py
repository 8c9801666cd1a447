from script_job import job
from snakesteer.storage.files import read_provenance, write_tensors
from snakesteer.storage.provenance import derived
from snakesteer.vectors.positions import described
from snakesteer.vectors.samples import Samples, mean

with job(snakemake, "activations"):
    (path,) = snakemake.input.activations
    samples = Samples(path)
    provenance = derived(snakemake, [read_provenance(path)]) | described({"of": [samples]})
    write_tensors(snakemake.output[0], {"mean": mean(samples, "activations")}, provenance)
