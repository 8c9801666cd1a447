import sys
from pathlib import Path

from script_job import job
from snakesteer.hub.http import is_address
from snakesteer.papers.source import download
from snakesteer.storage.files import write_json

with job(snakemake):
    settings = snakemake.params.settings
    files = settings["files"]
    if is_address(settings["source"]):
        folder = Path(snakemake.params.folder)
        files = download(settings["source"], settings["listing"], files, folder)
    for entry in files.values():
        if "missing" in entry:
            print(f"Skipped: {entry['missing']}.", file=sys.stderr)
    write_json(snakemake.output[0], files)
