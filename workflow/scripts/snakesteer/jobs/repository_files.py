"""Files of a repository among a job's inputs: where they lie, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snakesteer.core.notes import note
from snakesteer.storage.files import read_json


def located(snakemake: Any, paths: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a job's settings have beside those of the study, and its provenance: the input files by
    their paths in the repository (`located`), and what is known of each (`repository`).

    Both are empty for a job that reads none. What was not verified is noted in the log.
    """
    files = snakemake.input.get("files", [])
    if not files:
        return {}, {}
    origins = [read_json(origin) for origin in snakemake.input.origins]
    for origin in origins:
        if "unverified" in origin:
            note(f"{origin['unverified']}.")
    return {"located": dict(zip(paths, files, strict=True))}, {"repository": origins}
