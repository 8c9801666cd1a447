import numpy as np

from snakesteer import resampling
from snakesteer.artefacts import read_provenance, read_rows, read_shape, write_tensors
from snakesteer.job import job
from snakesteer.provenance import derived

with job(snakemake, "vectors"):
    settings = snakemake.params.settings
    provenance = derived(snakemake, [read_provenance(path) for path in snakemake.input])
    draw = resampling.generator(settings["seed"], settings["vector"])

    def means(path, *tensors):
        n_samples = read_shape(path, tensors[0])[0]
        drawn = resampling.times_drawn(draw, n_samples, settings["resamples"])
        return [resampling.means(read_rows(path, tensor), drawn) for tensor in tensors]

    if "contrast" in snakemake.input.keys():
        matching, other = means(snakemake.input.contrast[0], "matching", "not_matching")
        vectors = (matching - other).astype(np.float32)
    else:
        add, subtract = (
            [means(path, "activations")[0] for path in snakemake.input.get(role, [])]
            for role in ("add", "subtract")
        )
        vectors = resampling.skill(add, subtract, settings)
    write_tensors(snakemake.output[0], {"vectors": vectors}, provenance)
