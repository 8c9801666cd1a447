import torch

from snakesteer import models, samples
from snakesteer.artefacts import read_json, write_table
from snakesteer.engine import injection
from snakesteer.job import job
from snakesteer.manifest import locate
from snakesteer.provenance import provenance, read_vectors

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    vectors = read_vectors([settings["vector"]], snakemake.input.vectors, manifest)
    model = models.load(
        locate(manifest["source"], snakemake.params.repository),
        manifest,
        dtype=settings["dtype"],
        attention=settings["attention"],
    )
    layer = settings["layer"]
    table = samples.run(
        model,
        {name: injection(model, ((layer, vector[layer]),)) for name, vector in vectors.items()},
        settings["coefficients"],
        settings["prompts"],
        tokens=settings["tokens"],
    )
    write_table(snakemake.output[0], table, provenance(snakemake, manifest, model.device.type))
