from script_job import job
from snakesteer.storage.files import read_provenance, read_tensors, write_tensors
from snakesteer.storage.provenance import derived
from snakesteer.vectors import methods

with job(snakemake, "vectors"):
    settings = snakemake.params.settings
    origins = [read_provenance(path) for path in snakemake.input]
    provenance = derived(snakemake, origins)
    if settings["method"] == "contrast":
        pairs = read_tensors(snakemake.input.contrast[0])
        vector = methods.contrast(pairs["matching"], pairs["not_matching"])
    else:
        vector = methods.skill(
            [read_tensors(path)["mean"] for path in snakemake.input.get("add", [])],
            [read_tensors(path)["mean"] for path in snakemake.input.get("subtract", [])],
            permute=settings.get("permute"),
            seed=settings.get("seed", 0),
            dtype=settings["dtype"],
        )
    write_tensors(snakemake.output[0], {"vector": vector}, provenance)
