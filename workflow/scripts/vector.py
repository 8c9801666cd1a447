from script_job import job
from snakesteer.core import plugins
from snakesteer.storage.files import read_provenance, write_tensors
from snakesteer.storage.provenance import derived
from snakesteer.vectors.positions import at_each, described
from snakesteer.vectors.samples import of_files

with job(snakemake, "vectors"):
    settings = snakemake.params.settings
    samples = of_files(dict(snakemake.input.items()))
    provenance = derived(snakemake, [read_provenance(path) for path in snakemake.input])
    method = plugins.load("vectors", settings["method"])
    vector = at_each(method.fit, samples, settings)
    write_tensors(snakemake.output[0], {"vector": vector}, provenance | described(samples))
