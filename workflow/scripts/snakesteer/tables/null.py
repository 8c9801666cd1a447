"""Effects against those of a control that was drawn several times, as a null distribution.

The draws of a control are as good as the vector itself where that does nothing particular. So the
place of its effect among all of them is a test that assumes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.student_t import t_quantile
from snakesteer.tables.draws import DRAW
from snakesteer.tables.paired import INDEPENDENT, PAIRED
from snakesteer.tables.slopes import ALL, kinds_of, mean_over

ALPHA = 0.05
SLOPE = "slope"
TEST = "rank among draws, two-sided"
COLUMNS = [
    "sweep",
    "quantity",
    "vector",
    "layer",
    "coefficient",
    "source",
    "control",
    "effect",
    "draws",
    "band_mean",
    "band_low",
    "band_high",
    "difference",
    "difference_low",
    "difference_high",
    "interval",
    "rank",
    "p",
    "p_holm",
    "p_bh",
    "tests",
    "test",
]
_SOURCES = ("corpus", "behaviour", "source")
_PLACE = ["layer", "source", "coefficient", "source_layer", "source_position", "category"]
_SLOPE_PLACE = ["layer", "behaviour", "source_layer", "source_position"]


@dataclass(frozen=True)
class NullJob:
    """The effects of a sweep, of a `column` of its table, against `controls` by vector."""

    sweep: str
    column: str
    controls: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Slopes:
    """The slopes of items and their summaries, as `tables.slopes` makes them."""

    items: pd.DataFrame
    summaries: pd.DataFrame


def against_control(
    job: NullJob, tables: Sequence[pd.DataFrame], slopes: Slopes | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Every effect of a sweep with the band of its control (columns `COLUMNS`), and a sentence for
    each that has none.

    An effect is a mean slope, or the change of a column from the unsteered model at a coefficient.
    `band_mean` is the mean of the draws' effects, `band_low` and `band_high` their range. The
    `difference` is from that mean; its 95 % interval has the half-widths over the items and over
    the draws (Student's) added in squares. Over items it is that of the effect less the draws'
    mean, question by question (`paired`), or that of the effect alone (`independent`).

    `rank` is the place among the n draws and the effect, 1 for the greatest. As extreme are those
    as far from the mean of all n + 1, which p counts: (1 + draws as extreme)/(n + 1). It is given
    where it can be `ALPHA`, that is from 19 draws on. All rows of a quantity with a p are one
    family of `tests`, corrected by Holm (1979) and by Benjamini and Hochberg (1995); Holm's is
    given where 1/(n + 1) times the number of tests can be `ALPHA`.

    `tables` are those of the sweep and of its controls. Raises StudyError where no effect has draws
    at its layer and coefficient.

    Columns, a row for each effect and control:
        sweep
        quantity (text): `slope` for the mean slope of the questions, else the column of the sweep's
            table.
        vector, layer
        coefficient (number): The coefficient of the effect. Empty for slopes.
        source
        control (text): The control that is drawn several times.
        effect (number): The mean slope, or the column's value minus the unsteered one.
        draws (whole number): Draws of the control.
        band_mean, band_low, band_high (number): Mean, least and greatest effect of the draws.
        difference, difference_low, difference_high (number): `effect` minus `band_mean`, with an
            interval that covers both the items and the draws. The ends are empty where the effect
            has no interval.
        interval (text): `paired` if the interval compares question by question, else `independent`.
        rank (whole number): Place of the effect among itself and the draws, 1 for the greatest.
        p (number): Two-sided p-value of that rank. Empty with fewer than 19 draws.
        p_holm, p_bh (number): `p` corrected by Holm, and by Benjamini and Hochberg. `p_holm` is
            empty where the number of draws cannot reach 0.05.
        tests (whole number): Tests in the family of the correction, 0 without a p.
        test (text): The name of the test. Empty text without a p.
        source_layer, source_position, category
    """
    found: list[dict[str, object]] = []
    left_out: list[str] = []
    if slopes is not None:
        rows, without = _of_slopes(job, slopes)
        found, left_out = found + rows, left_out + without
    rows, without = _of_column(job, pd.concat(tables, ignore_index=True))
    found, left_out = found + rows, left_out + without
    if not found:
        raise StudyError(
            f"the controls of sweeps.{job.sweep} have no layer, coefficient and source in common "
            "with it; give them those of the sweep."
        )
    table = corrected(pd.DataFrame(found))
    further = [name for name in _PLACE if name in table and name not in COLUMNS]
    return table[[*COLUMNS, *further]], list(dict.fromkeys(left_out))


def place_among(effect: float, draws: np.ndarray) -> tuple[int, float]:
    """The rank of an effect among it and the draws, 1 for the greatest, and its two-sided p.

    Draws count as extreme if they are at least as far from the mean of all n + 1 as the effect is.
    So under exchangeability p is at most a given share no more often than that share (Phipson and
    Smyth 2010). NaN where the number of draws does not let it be `ALPHA`, or one of the effects is
    not known.
    """
    together = np.append(draws, effect)
    apart = np.abs(together - together.mean())
    tied = np.isclose(apart[:-1], apart[-1], rtol=1e-9, atol=1e-12)
    extreme = int(((apart[:-1] > apart[-1]) | tied).sum())
    rank = 1 + int((draws > effect).sum())
    enough = 1 / len(together) <= ALPHA and not np.isnan(together).any()
    return rank, (1 + extreme) / len(together) if enough else float("nan")


def holm(p: np.ndarray) -> np.ndarray:
    """p-values adjusted by Holm's step-down method (1979), [n]."""
    order = np.argsort(p)
    stepped = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """p-values adjusted by the step-up method of Benjamini and Hochberg (1995), [n]."""
    order = np.argsort(p)
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1)
    return adjusted


def corrected(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `p_holm`, `p_bh`, `tests` and `test`, quantity by quantity."""
    table = table.assign(p_holm=np.nan, p_bh=np.nan, tests=0, test="")
    for _, rows in table.groupby("quantity", sort=False):
        tested = rows[rows["p"].notna()]
        if tested.empty:
            continue
        p, where = tested["p"].to_numpy(), tested.index
        table.loc[where, "p_bh"] = benjamini_hochberg(p)
        if len(tested) / (1 + tested["draws"].max()) <= ALPHA:
            table.loc[where, "p_holm"] = holm(p)
        table.loc[where, "tests"] = len(tested)
        table.loc[where, "test"] = TEST
    return table


def _row(
    effect: float, draws: np.ndarray, difference: tuple[float, float, float], interval: str
) -> dict[str, object]:
    """What is told of an effect; `difference` from the draws' mean has its interval over items."""
    value, low, high = difference
    half = t_quantile(len(draws) - 1) * draws.std(ddof=1) / np.sqrt(len(draws))
    rank, p = place_among(effect, draws)
    return {
        "effect": effect,
        "draws": len(draws),
        "band_mean": draws.mean(),
        "band_low": draws.min(),
        "band_high": draws.max(),
        "difference": value,
        "difference_low": value - np.hypot(value - low, half),
        "difference_high": value + np.hypot(high - value, half),
        "interval": interval,
        "rank": rank,
        "p": p,
    }


def _of_slopes(job: NullJob, slopes: Slopes) -> tuple[list[dict[str, object]], list[str]]:
    place = [name for name in _SLOPE_PLACE if name in slopes.items]
    whole = slopes.summaries[slopes.summaries["by"] == ALL]
    drawn, items = _by_place(_drawn(whole), place), _by_place(_drawn(slopes.items), place)
    of_own = _by_place(_own(slopes.items, job), place)
    found, left_out = [], []
    for own in _own(whole, job).to_dict("records"):
        here = {name: own[name] for name in place}
        if np.isnan(own["mean"]):
            left_out.append(
                f"{own['vector']} has no slope at layer {own['layer']} on {own['behaviour']}, as "
                "a slope needs two coefficients"
            )
            continue
        for control in job.controls[own["vector"]]:
            draws = drawn.get(_key(control, here.values()))
            if draws is None or len(draws) < 2:
                continue  # its column has no band either, which is told
            if set(draws["coefficients"]) != {own["coefficients"]}:
                left_out.append(
                    f"the slope of {own['vector']} at layer {own['layer']} on {own['behaviour']} "
                    f"covers other coefficients than {control}, whose curves ended elsewhere"
                )
                continue
            mine = of_own[_key(own["vector"], here.values())].set_index("question")
            theirs = items[_key(control, here.values())].groupby("question")["slope"].mean()
            apart = (mine["slope"] - theirs.reindex(mine.index)).to_numpy()
            difference = mean_over(apart, kinds_of(mine) if own["balanced"] else None)
            row = here | _row(own["mean"], draws["mean"].to_numpy(), difference, PAIRED)
            row |= {"sweep": job.sweep, "quantity": SLOPE, "vector": own["vector"]}
            row |= {"control": control, "coefficient": np.nan, "source": row.pop("behaviour")}
            found.append(row)
    return found, left_out


def _of_column(job: NullJob, table: pd.DataFrame) -> tuple[list[dict[str, object]], list[str]]:
    (name,) = (name for name in _SOURCES if name in table)
    values = table.rename(columns={name: "source"} if name != "source" else {})
    values = values.assign(effect=_changes(values, job.column))
    place = [name for name in _PLACE if name in values]
    steered = values[~values["unsteered"].astype(bool) & values["effect"].notna()]
    drawn = _by_place(_drawn(steered), place)
    found: list[dict[str, object]] = []
    without: dict[tuple[str, str], list[str]] = {}
    for own in _own(steered, job).to_dict("records"):
        here = {name: own[name] for name in place}
        for control in job.controls[own["vector"]]:
            draws = drawn.get(_key(control, here.values()))
            if draws is None or len(draws) < 2:
                without.setdefault((own["vector"], control), []).append(own["layer"])
                continue
            effects = draws["effect"].to_numpy(dtype=float)
            difference = own["effect"] - effects.mean()
            low, high = (own.get(f"{job.column}{end}", np.nan) for end in ("_low", "_high"))
            ends = (low - own[job.column] + difference, high - own[job.column] + difference)
            row = here | _row(own["effect"], effects, (difference, *ends), INDEPENDENT)
            row |= {"sweep": job.sweep, "quantity": job.column, "vector": own["vector"]}
            found.append(row | {"control": control})
    left_out = []
    for (vector, control), layers in without.items():
        named = ", ".join(dict.fromkeys(layers))
        left_out.append(
            f"{len(layers)} effects of {vector} have no band (layers {named}), as {control} has "
            "fewer than two draws there"
        )
    return found, left_out


def _changes(values: pd.DataFrame, column: str) -> pd.Series:
    """The change of a column from the unsteered model's, by row, [n_rows]."""
    curve = ["sweep", "vector", *(name for name in (*_PLACE, DRAW) if name in values)]
    curve.remove("coefficient")
    groups = values[values["unsteered"].astype(bool)].groupby(curve, dropna=False)[column].first()
    unsteered = values[curve].merge(
        groups.rename("unsteered_value").reset_index(), on=curve, how="left"
    )
    return pd.Series(
        values[column].to_numpy(dtype=float) - unsteered["unsteered_value"].to_numpy(dtype=float),
        index=values.index,
    )


def _own(rows: pd.DataFrame, job: NullJob) -> pd.DataFrame:
    """The rows of the sweep's vectors that have a control."""
    return rows[(rows["sweep"] == job.sweep) & rows["vector"].isin(list(job.controls))]


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of single draws."""
    return rows[rows[DRAW].notna()] if DRAW in rows else rows[:0]


def _by_place(rows: pd.DataFrame, place: Sequence[str]) -> dict[tuple[object, ...], pd.DataFrame]:
    """The rows by vector and place."""
    groups = rows.groupby(["vector", *place], sort=False, dropna=False)
    return {_key(key[0], key[1:]): own for key, own in groups}


def _key(vector: object, place: Iterable[object]) -> tuple[object, ...]:
    """A vector and a place, in which missing values are alike."""
    return (vector, *(None if pd.isna(value) else value for value in place))
