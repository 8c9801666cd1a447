"""From the tables of a run to those that the repository ships."""

from __future__ import annotations

from pathlib import Path

from snakesteer.storage.files import read_provenance, write_bytes


def ship(made: Path, shipped: Path) -> list[str]:
    """Copy the tables in the folder `made` into the folder `shipped`.

    A shipped table stays if the new one leaves out files that it was made from. Returns a sentence
    on each that stays.
    """
    kept = []
    for path in sorted(made.glob("*.parquet")):
        place = shipped / path.name
        held = read_provenance(place) if place.is_file() else {"blobs": {}, "missing": {}}
        used = held["blobs"].keys() - held["missing"].keys()
        if lost := sorted(used & read_provenance(path)["missing"].keys()):
            kept.append(f"{place} was kept: the new table lacks {', '.join(lost)}.")
        else:
            write_bytes(place, path.read_bytes())
    return kept
