import sys
from pathlib import Path
from typing import Any

from script_job import job
from snakesteer.core.errors import StudyError
from snakesteer.papers.source import gathered
from snakesteer.papers.vectors import read_activations
from snakesteer.storage.files import write_tensors
from snakesteer.storage.provenance import provenance

with job(snakemake):
    settings = snakemake.params.settings
    (listing,) = snakemake.input.source
    folder = Path(snakemake.params.folder)
    contents, origin = gathered(Path(listing), folder, [settings["file"]])
    tensors: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    for path, content in contents.items():
        try:
            tensors[settings["role"]], notes = read_activations(path, content)
        except StudyError as error:
            origin["missing"][path] = str(error)
    for reason in origin["missing"].values():
        print(f"Skipped: {reason}.", file=sys.stderr)
    write_tensors(snakemake.output[0], tensors, provenance(snakemake) | origin | {"notes": notes})
