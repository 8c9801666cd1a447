import sys
from pathlib import Path

from snakesteer.artefacts import read_json, write_tensors
from snakesteer.errors import StudyError
from snakesteer.job import job
from snakesteer.provenance import provenance
from snakesteer.published.source import read
from snakesteer.published.vectors import read_activations

with job(snakemake):
    settings = snakemake.params.settings
    path, files = settings["file"], read_json(snakemake.input.source[0])
    tensors, notes, missing = {}, {}, {}
    try:
        content = read(files, Path(snakemake.params.folder), path)
        tensors[settings["role"]], notes = read_activations(path, content)
    except StudyError as error:
        missing[path] = str(error)
        print(f"Left out: {error}.", file=sys.stderr)
    blobs = {path: files[path]["blob"]} if "blob" in files[path] else {}
    write_tensors(
        snakemake.output[0],
        tensors,
        provenance(snakemake) | {"notes": notes, "missing": missing, "blobs": blobs},
    )
