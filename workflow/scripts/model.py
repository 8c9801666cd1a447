from pathlib import Path

from script_job import job, repository
from snakesteer.hub.converted import of_gguf
from snakesteer.hub.fetch import fetch_model
from snakesteer.hub.manifest import locate, manifest
from snakesteer.storage.files import write_json

with job(snakemake, "models"):
    settings = snakemake.params.settings
    source, named = settings["source"], settings.get("adapter")
    adapter = locate(named, repository(snakemake)) if named else None
    if snakemake.input.keys():
        made = of_gguf(
            Path(snakemake.input.converted[0]).parent, source, settings["layers"], adapter
        )
    elif "revision" in settings:
        made = fetch_model(source, settings["revision"], settings["layers"], adapter)
    else:
        made = manifest(locate(source, repository(snakemake)), source, adapter=adapter)
    write_json(snakemake.output[0], {**made, "adapter": named})
