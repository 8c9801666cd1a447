"""How strongly points steer, on axes that are comparable between vectors, and measures at equal KL.

A dose has no sign of its own; on an axis it has that of the coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import layer_order
from snakesteer.sweeps.matched import reached
from snakesteer.tables.draws import DRAW, DRAWS

POINT = ["vector", "layer", "read_at", "coefficient"]
KL = ["kl", "kl_low", "kl_high"]


def shares(points: pd.DataFrame, described: pd.DataFrame) -> np.ndarray:
    """The share [n_points]: the size of the coefficient, times the length of the injected vector,
    over the mean length of the activations behind it at the injected layer.

    Of several layers steered together it is the mean of theirs, and NaN where the vector is made of
    no activations. `points` have `vector`, `layer` (a label), `coefficient`, and the `source_layer`
    and `source_position` that the vector is taken at (NaN where it is the injected layer, or the
    one position). `described` are the vectors in numbers: `vector`, `layer`, `norm`,
    `activation_norm`, and of several positions `position`.
    """
    lengths: dict[tuple[str, int | None, int], tuple[float, float]] = {}
    for row in described.to_dict("records"):
        place = row["vector"], _number(row.get("position")), int(row["layer"])
        lengths[place] = row["norm"], row["activation_norm"]
    unknown = np.nan, np.nan
    found = []
    for row in points.to_dict("records"):
        vector, position = row["vector"], _number(row["source_position"])
        source = _number(row["source_layer"])
        of_layers = []
        for layer in layer_order(row["layer"]):
            taken = layer if source is None else source
            norm, _ = lengths.get((vector, position, taken), unknown)
            _, activations = lengths.get((vector, position, layer), unknown)
            of_layers.append(norm / activations if activations else np.nan)
        found.append(abs(row["coefficient"]) * np.mean(of_layers))
    return np.array(found, dtype=float)


def _number(value: float | None) -> int | None:
    return None if value is None or np.isnan(value) else int(value)


def with_kl(points: pd.DataFrame, divergences: pd.DataFrame) -> pd.DataFrame:
    """Points with the columns `KL` of `divergences` at the same vector, layer, place that it is
    read at, and coefficient; of single draws at the same draw. NaN where there is none; the
    unsteered model has 0.

    Raises StudyError where `divergences` have several of a point.
    """
    point = [*POINT, *([DRAW] if DRAW in points else [])]
    twice = divergences[divergences.duplicated(point)]
    if not twice.empty:
        one = twice.iloc[0]
        raise StudyError(
            f"the KL of {one['vector']} at layer {one['layer']}, coefficient "
            f"{one['coefficient']:g}, is there more than once; name one table of it, and a source."
        )
    found = points.merge(divergences[[*point, *KL]], on=point, how="left")
    found.loc[found["unsteered"], KL] = 0.0
    return found.set_index(points.index)


def at_kl(curve: pd.DataFrame, doses: Sequence[float], columns: Sequence[str]) -> pd.DataFrame:
    """One curve at these KLs: a row for each, on either side of 0 that it goes to.

    The rows of `curve` have `coefficient`, `kl` and `columns`. All except `kl` are interpolated,
    linearly in KL, between the two neighbouring coefficients where the curve, followed from 0,
    first reaches the KL. Where it does not, they are NaN: nothing is extrapolated. `at` has the
    sign of the coefficients. `first_step` is whether the KL is below that of the coefficient
    nearest to 0. There KL grows as the square of the coefficient, so the value can be too close to
    the unsteered one.
    """
    known = curve[curve["kl"].notna()]
    columns = ["coefficient", *columns]
    rows = []
    for sign in (-1.0, 1.0):
        side = known[known["coefficient"] * sign >= 0]
        side = side.assign(size=side["coefficient"].abs()).sort_values("size", kind="stable")
        if not (side["size"] > 0).any():
            continue
        for dose in doses:
            kl, values = side["kl"].to_numpy(), side[columns].to_numpy(dtype=float)
            found = dict(zip(columns, reached(kl, values, dose), strict=True))
            rows.append({"at": sign * dose, **found, "first_step": bool(dose < kl[1])})
    return pd.DataFrame(rows, columns=["at", *columns, "first_step"])


def over_draws(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `at_kl` for several draws, one for each `at`: the mean over the draws that reach
    it, their range in `low` and `high`, and their number in `draws`."""
    alike = rows.groupby("at", sort=False)
    values = alike["value"]
    others = [name for name in ("share",) if name in rows]
    means = alike[["coefficient", "value", *others]].mean()
    means = means.assign(low=values.min(), high=values.max(), **{DRAWS: values.count()})
    means["first_step"] = alike["first_step"].any()
    return means.reset_index()


def told(numbers: pd.DataFrame) -> list[str]:
    """What is missing in a figure's numbers: how many points have no dose; or at equal KL, how many
    places are empty, and how many are nearer to 0 than any coefficient. Other figures have neither.
    """
    if "first_step" in numbers:
        places = numbers[~numbers["unsteered"]]
        empty = _counted(
            places["coefficient"].isna(),
            "places",
            "are empty, as the curve does not reach that KL",
        )
        why = (
            "lie before the first coefficient, where interpolation in KL is inaccurate; add "
            "smaller coefficients"
        )
        return [*empty, *_counted(places["first_step"], "places", why)]
    if "dose" in numbers:
        why = f"are not drawn, as their {'KL' if 'kl' in numbers else 'share'} is not known"
        return _counted(numbers["dose"].isna(), "points", why)
    return []


def _counted(which: pd.Series, what: str, why: str) -> list[str]:
    return [f"{which.sum()} of {len(which)} {what} {why}."] if which.any() else []
