"""The candidate direction that the authors chose, and those that their rule had left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.papers.candidates import PLACE, SCORES, places, read_candidates, read_part
from snakesteer.papers.source import read_results

COLUMNS = ["sweep", "vector", "layer", "source_position", *SCORES, "chosen"]
_KEYS = {"position": "pos", "layer": "layer"}


def read(settings: Mapping[str, Any], part: str, path: str, content: bytes) -> pd.DataFrame:
    """The rows of one of the three files: the candidate `chosen`, those `left`, or all."""
    if part == "chosen":
        return pd.DataFrame([read_chosen(path, content)], columns=[*PLACE])
    if part == "left":
        return read_part(path, content)
    return read_candidates(path, content, settings["positions"], settings["layers"])


def table(settings: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The candidates left, best first, of which one is `chosen` (columns `COLUMNS`).

    Without one of the files there are no rows. Raises StudyError if the files differ.

    Columns, a row for each published candidate that was left:
        sweep, vector
        layer (text): The layer, from 0, that the direction is read at.
        source_position (whole number): The position that it is read at; -1 is the last token.
        refusal_score, steering_score, kl_div_score (number): The three published scores.
        chosen (true or false): Whether this candidate was chosen.
    """
    files = settings["files"]
    if not rows.keys() >= set(files.values()):
        return pd.DataFrame(columns=COLUMNS)
    left, path = rows[files["left"]], files["left"]
    check_left(path, left, rows[files["candidates"]])
    (chosen,) = places(rows[files["chosen"]])
    return chosen_table(settings["sweep"], settings["vector"], path, chosen, left)


def read_chosen(path: str, content: bytes) -> tuple[int, int]:
    """The position (from the end) and layer (0-based) that were chosen.

    Raises StudyError for other keys or values.
    """
    held = read_results(path, content)
    if set(held) != set(_KEYS.values()) or any(type(value) is not int for value in held.values()):
        raise StudyError(f"{path} holds {held}; whole numbers pos and layer were expected")
    position, layer = (held[key] for key in _KEYS.values())
    return position, layer


def check_left(path: str, left: pd.DataFrame, candidates: pd.DataFrame) -> None:
    """Raises StudyError if a row of the file `path` is not among the candidates, or has other
    scores there."""
    grid = candidates.set_index(list(PLACE))
    for (position, layer), row in zip(places(left), left.to_dict("records"), strict=True):
        place = f"position {position}, layer {layer}"
        if (position, layer) not in grid.index:
            raise StudyError(f"{path} has {place}, which the grid lacks; get both files again.")
        for name in SCORES:
            if row[name] != (value := grid.at[(position, layer), name]):
                raise StudyError(
                    f"{path} has {name} {row[name]} at {place}, and the grid {value}; get both "
                    "files again."
                )


def chosen_table(
    sweep: str, vector: str, path: str, chosen: tuple[int, int], left: pd.DataFrame
) -> pd.DataFrame:
    """A row for each candidate left (columns `COLUMNS`), of which one is `chosen`.

    `path` is the file of the rows left. Raises StudyError if the chosen one is not among them.
    """
    if chosen not in places(left):
        raise StudyError(
            f"{path} lacks the chosen position {chosen[0]}, layer {chosen[1]}; get both files "
            "again."
        )
    return left.rename(columns={"position": "source_position"}).assign(
        sweep=sweep,
        vector=vector,
        layer=left["layer"].astype(str),
        chosen=[place == chosen for place in places(left)],
    )[COLUMNS]
