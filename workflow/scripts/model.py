from snakesteer.artefacts import write_json
from snakesteer.hub import fetch_model
from snakesteer.job import job, repository
from snakesteer.manifest import locate, manifest

with job(snakemake, "models"):
    settings = snakemake.params.settings
    source = settings["source"]
    if "revision" in settings:
        of_entry = (settings["revision"], settings["layers"], settings["context"])
        made = fetch_model(source, *of_entry)
    else:
        made = manifest(locate(source, repository(snakemake)), source=source)
    write_json(snakemake.output[0], made)
