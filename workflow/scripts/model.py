from snakesteer.artefacts import write_json
from snakesteer.job import job
from snakesteer.manifest import locate, manifest

with job(snakemake, "models"):
    source = snakemake.params.settings["source"]
    write_json(
        snakemake.output[0], manifest(locate(source, snakemake.params.repository), source=source)
    )
