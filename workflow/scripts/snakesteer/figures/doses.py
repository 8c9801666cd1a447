"""How strongly points steer, beside what is measured there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.quantities import quantity, table_of
from snakesteer.tables.dose import KL, POINT, shares, with_kl
from snakesteer.tables.draws import DRAW

_READ_AT = ("source_layer", "source_position")


def with_doses(inputs: Inputs, shown: Mapping[str, Any], dose: Mapping[str, Any]) -> pd.DataFrame:
    """What `quantity` gives, with the point's `dose`, which has the sign of the coefficient, and
    what is known of its size: `share`, and `kl` with its interval, `kl_low` and `kl_high`.

    `dose` has its `axis`, `share` or `kl`, the tables whose points have a `share`, and by table the
    tables of their `kl`, of one `source` or None for the only one. NaN stands for what is not
    known.

    Columns:
        share (number, only with a `dose`): Length of what is injected as a share of the mean length
            of the activations there. Empty where that is unknown.
        kl, kl_low, kl_high (number, only with a `dose` in KL): KL divergence at the point, in nats,
            with its interval. Empty where it was not measured.
        dose (number, only with a `dose`): `share` or `kl`, with the sign of the coefficient.
    """
    points = quantity(inputs, shown)
    if dose["share"]:
        points["share"] = (
            _shares(inputs, shown, points) if shown["table"] in dose["share"] else np.nan
        )
    if dose["axis"] == "kl":
        points = with_kl(points, _divergences(inputs, dose, shown["table"]))
    points["dose"] = np.sign(points["coefficient"]) * points[dose["axis"]]
    return points


def with_doses_of_draws(
    inputs: Inputs, shown: Mapping[str, Any], dose: Mapping[str, Any]
) -> pd.DataFrame:
    """What `with_doses` gives of single draws, each with its own KL; no rows if there are none."""
    held = {name for table in inputs.drawn for name in table["sweep"].unique()}
    if shown["table"] not in held:
        return pd.DataFrame()
    kl = {table: [name for name in names if name in held] for table, names in dose["kl"].items()}
    return with_doses(replace(inputs, tables=inputs.drawn), shown, {**dose, "kl": kl})


def _shares(inputs: Inputs, shown: Mapping[str, Any], points: pd.DataFrame) -> np.ndarray:
    if inputs.vectors is None:
        raise NothingToDraw("this figure draws shares, but was given no vectors in numbers.")
    rows = table_of(inputs, shown["table"]).loc[points.index]
    taken = points.assign(**{name: rows.get(name, np.nan) for name in _READ_AT})
    return shares(taken, inputs.vectors)


def _divergences(inputs: Inputs, dose: Mapping[str, Any], table: str) -> pd.DataFrame:
    """The KL of all that a table injects, by point and draw."""
    found = []
    for name in dose["kl"][table]:
        rows = quantity(inputs, {"table": name, "column": "kl", "source": dose["source"]})
        found.append(rows.rename(columns=dict(zip(("value", "low", "high"), KL, strict=True))))
    rows = pd.concat(found, ignore_index=True)
    return rows[[*POINT, *([DRAW] if DRAW in rows else []), *KL]]


def check_some(points: pd.DataFrame, dose: Mapping[str, Any]) -> None:
    """Raise StudyError where no point but the unsteered ones has a dose."""
    if points.loc[~points["unsteered"], "dose"].isna().all():
        tables = sorted({name for names in dose.get("kl", {}).values() for name in names})
        raise StudyError(
            f"a figure's dose is the {dose['axis']}, which none of its points has"
            + (f" in {' and '.join(f'sweeps.{name}' for name in tables)}" if tables else "")
            + "; measure it at their vectors, layers and coefficients."
        )


def axis_label(points: pd.DataFrame, dose: Mapping[str, Any]) -> str:
    """What stands below an axis of doses."""
    signed = (points["dose"] < 0).any()
    return f"{dose['label']}{', signed as the coefficient' if signed else ''}"
