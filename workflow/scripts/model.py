from script_job import job, repository
from snakesteer.hub.fetch import fetch_model
from snakesteer.hub.manifest import locate, manifest
from snakesteer.storage.files import write_json

with job(snakemake, "models"):
    settings = snakemake.params.settings
    source, named = settings["source"], settings.get("adapter")
    adapter = locate(named, repository(snakemake)) if named else None
    if "revision" in settings:
        made = fetch_model(source, settings["revision"], settings["layers"], adapter)
    else:
        made = manifest(locate(source, repository(snakemake)), source, adapter=adapter)
    write_json(snakemake.output[0], {**made, "adapter": named})
