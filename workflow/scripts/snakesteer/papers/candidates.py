"""The authors' grid of candidate directions as tables of first tokens and of divergence.

A file has a row for each position and layer that a direction was read at, with three scores of it
(Arditi et al. 2024, "Refusal in Language Models Is Mediated by a Single Direction"). None of them
has an interval: the scores of single prompts were not published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import layer_label
from snakesteer.papers.source import read_list
from snakesteer.tables import divergence, first_token

Score = Literal["refusal_score", "steering_score", "kl_div_score"]

PLACE = ("position", "layer")
REFUSAL, STEERING, KL = SCORES = ("refusal_score", "steering_score", "kl_div_score")
LARGEST = 1e300  # below which a score must be
_NAMED = 3  # candidates that a sentence names


def read(settings: Mapping[str, Any], part: str, path: str, content: bytes) -> pd.DataFrame:
    """The candidates of the file, as `read_candidates` has them."""
    return read_candidates(path, content, settings["positions"], settings["layers"])


def table(settings: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The table of a sweep; see `candidate_table`. Without a file it has no rows.

    Columns, a row for each published candidate:
        * (as tables.first_token.table, only in a table of `refusal_score` or `steering_score`)
        * (as tables.divergence.table, only in a table of `kl_div_score`)
    """
    nothing = pd.DataFrame(columns=[*PLACE, *SCORES])
    found = next(iter(rows.values()), nothing)
    sweep, vector, source = (settings[name] for name in ("sweep", "vector", "source"))
    return candidate_table(sweep, vector, source, settings["score"], found)


def read_candidates(path: str, content: bytes, positions: int, layers: int) -> pd.DataFrame:
    """The rows of a file: `PLACE` and `SCORES`, in the order that they have there.

    `position` counts from the end, -1 is the last token; `layer` is the block, 0-based, whose input
    the direction is. A score may be NaN. Raises StudyError unless there is one row for each of the
    last `positions` positions and each of `layers` layers.
    """
    found = read_part(path, content)
    expected = [(at - positions, layer) for at in range(positions) for layer in range(layers)]
    held = set(places(found))
    if beyond := sorted(held - set(expected)):
        raise StudyError(
            f"{path} has {_listed(beyond)}, beyond the last {positions} positions and {layers} "
            "layers of the study's entry"
        )
    if missing := [place for place in expected if place not in held]:
        raise StudyError(f"{path} lacks {len(missing)} of {len(expected)} rows: {_listed(missing)}")
    return found


def read_part(path: str, content: bytes) -> pd.DataFrame:
    """The rows of a file that has some of the candidates, as `read_candidates` has them all.

    Raises StudyError for a row that is there twice, has other keys, or holds no such numbers.
    """
    rows = read_list(path, content)
    for number, row in enumerate(rows):
        _check(f"{path}, row {number}", row)
    found = pd.DataFrame(rows, columns=[*PLACE, *SCORES])
    if twice := sorted(set(places(found[found.duplicated(list(PLACE))]))):
        raise StudyError(f"{path} has {_listed(twice)} twice")
    return found.astype(dict.fromkeys(SCORES, float))


def _check(place: str, row: Any) -> None:
    keys = set(row) if isinstance(row, Mapping) else set()
    if keys != {*PLACE, *SCORES}:
        held = ", ".join(sorted(map(str, keys))) or f"a {type(row).__name__}"
        raise StudyError(f"{place} has {held}; {', '.join([*PLACE, *SCORES])} were expected")
    if type(row["position"]) is not int or row["position"] >= 0:
        raise StudyError(f"{place}.position is {row['position']!r}; a number below 0 was expected")
    if type(row["layer"]) is not int or row["layer"] < 0:
        raise StudyError(f"{place}.layer is {row['layer']!r}; a whole number was expected")
    for name in SCORES:
        value = row[name]
        unknown = value != value  # NaN, also beside whole numbers that no float holds
        if type(value) not in (int, float) or not (unknown or abs(value) < LARGEST):
            raise StudyError(f"{place}.{name} is {value!r}; a number or NaN was expected")


def places(found: pd.DataFrame) -> list[tuple[int, int]]:
    """The position and layer of each row."""
    return list(found[list(PLACE)].itertuples(index=False, name=None))


def _listed(some: Sequence[tuple[int, int]]) -> str:
    named = [f"position {position}, layer {layer}" for position, layer in some[:_NAMED]]
    return "; ".join(named) + (" …" if len(some) > _NAMED else "")


def candidate_table(
    sweep: str, vector: str, source: str, score: Score, found: pd.DataFrame
) -> pd.DataFrame:
    """A row per candidate, at coefficient 1: of one score the columns of its measure's table.

    `refusal_score` and `kl_div_score` are of the component taken out at all layers, so `layer` is
    their label and `source_layer` the one that the direction was read at. `steering_score` is of
    the direction added at that layer alone. How many prompts `samples` were is not published.
    """
    made = found[list(PLACE)].rename(columns={"position": "source_position"})
    made = made.rename(columns={"layer": "source_layer"})
    made = made.assign(
        sweep=sweep,
        vector=vector,
        layer=layer_label(set(found["layer"])),
        coefficient=1.0,
        source=source,
        samples=np.nan,
        unsteered=False,
    )
    if score == STEERING:
        made = made.assign(layer=made["source_layer"].astype(str)).drop(columns="source_layer")
    value, columns = (
        ("kl", divergence.COLUMNS) if score == KL else ("log_odds", first_token.COLUMNS)
    )
    made[value] = found[score]
    made = made.assign(**{name: np.nan for name in columns if name not in made})
    return made[[*columns, *(name for name in made if name not in columns)]]
