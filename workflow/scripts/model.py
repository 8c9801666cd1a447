from snakesteer.artefacts import write_json
from snakesteer.hub import fetch_model
from snakesteer.job import job, repository
from snakesteer.manifest import locate, manifest

with job(snakemake, "models"):
    settings = snakemake.params.settings
    if "revision" in settings:
        made = fetch_model(**settings)
    else:
        source = settings["source"]
        made = manifest(locate(source, repository(snakemake)), source=source)
    write_json(snakemake.output[0], made)
