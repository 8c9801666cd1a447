"""What the tables of a study say, in sentences: where each vector changes most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from snakesteer.figures.inputs import Inputs
from snakesteer.figures.quantities import quantity, table_of
from snakesteer.figures.style import label, layers_said, signed
from snakesteer.tables.categories import ALL, CATEGORY, MEAN

POINT = ["layer", "read_at", "variant", "coefficient"]
CURVE = ["layer", "read_at", "variant"]
NAMED = 3  # further corpora or behaviours that a sentence names one by one


@dataclass(frozen=True)
class Measured:
    """A column of a table, with all that is said of it.

    `points` are rows as `points_of` has them. `own` are the corpora or behaviours that vectors are
    made of, by vector; `labels` the titles of names. With `relative` what matters of two corpora is
    how far they part, as a skill that is removed leaves others alone. A `distance` from the
    unsteered model is above 0 whatever is done.
    """

    table: str
    title: str
    points: pd.DataFrame
    own: Mapping[str, str]
    labels: Mapping[str, str]
    relative: bool = False
    distance: bool = False


@dataclass(frozen=True)
class Finding:
    """A sentence about one vector in one table.

    `changed` says whether the interval of neither the steered nor the unsteered value holds the
    other value; None where one of them has no interval, and of a distance. `control` is a sentence
    on the vector's controls at the same point, "" where there are none. `curve` are its rows at
    that layer.
    """

    table: str
    sentence: str
    changed: bool | None
    control: str
    curve: pd.DataFrame


def points_of(inputs: Inputs, table: str, column: str) -> pd.DataFrame:
    """The points of a column as `quantities.quantity` has them, with the `role` of a corpus, and
    the `variant` of combined vectors: how they were combined, and whether they were added. Of a
    table by category alone they are the means over categories."""
    held = table_of(inputs, table)
    alone = CATEGORY in held and (held[CATEGORY] != ALL).all()
    points = quantity(
        inputs, {"table": table, "column": column, "category": MEAN if alone else None}
    )
    rows = held.loc[points.index]
    variant = pd.Series("", index=points.index)
    if "combine" in rows:
        combined = rows["combine"] != ""
        weighted = rows["weighted"].map({True: ", weighted", False: ""})
        direction = rows["direction"].map(lambda way: f", {way}ed" if way else "")
        said = rows["combine"] + weighted + direction
        variant = said.where(combined, "")
    return points.assign(variant=variant, role=rows.get("role", ""))


def findings(
    measured: Measured, controls: Mapping[str, str], others: pd.DataFrame
) -> Iterator[Finding]:
    """A finding for each vector of a table that is no control, on its own texts if it has some.

    `controls` are the vectors that are controls, with what each is a control of. `others` are the
    points of the same column in all tables, in which controls are looked up: the first one counts.
    """
    for vector, points in measured.points.groupby("vector", sort=False):
        if vector in controls:
            continue
        own = measured.own.get(str(vector))
        points = with_unsteered(points)
        compared = points[points["source"] == own] if (points["source"] == own).any() else points
        compared = compared[~compared["unsteered"]].dropna(subset=["change"])
        if compared.empty:
            continue
        parted = measured.relative and set(compared["role"]) == {"target", "other"}
        if parted:
            lost = compared["change"].where(compared["role"] == "target")
            spared = compared["change"].where(compared["role"] == "other")
            gaps = compared.assign(lost=lost, spared=spared).groupby(POINT, sort=False)
            apart = gaps["spared"].mean() - gaps["lost"].mean()
            widest = dict(zip(POINT, apart.idxmax(), strict=True))
            here = _at(compared[compared["role"] == "target"], widest, POINT)
            steered, number = here.iloc[0], len(apart)
        else:
            steered, number = compared.loc[compared["change"].abs().idxmax()], len(compared)
        said = [_value(measured, str(vector), steered), *_elsewhere(measured, points, steered)]
        if number > 1 and steered["change"]:
            most = "the texts differ most" if parted else "it changes most"
            said.append(f"Of {number} measured points, {most} here.")
        yield Finding(
            measured.table,
            " ".join(said),
            None if measured.distance else _differ(steered),
            _controlled(measured, str(vector), steered, controls, others),
            _at(points, steered, [*CURVE, "source"]),
        )


def with_unsteered(points: pd.DataFrame) -> pd.DataFrame:
    """The points with the unsteered value of the same curve and source (`from`, `from_low`,
    `from_high`), and the `change` from it."""
    named = {"value": "from", "low": "from_low", "high": "from_high"}
    key = ["sweep", "source", "layer", "read_at"]
    unsteered = points[points["unsteered"]].rename(columns=named).drop_duplicates(key)
    joined = points.merge(unsteered[[*key, *named.values()]], on=key, how="left")
    return joined.assign(change=joined["value"] - joined["from"])


def shown(value: float) -> str:
    """A number with three digits that count, or all before its point, its minus as typeset."""
    if math.isnan(value):
        return "none"
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return digits.replace("-", "−")


def with_interval(value: float, low: float, high: float) -> str:
    """A value with its interval, if it has one."""
    known = not (math.isnan(low) or math.isnan(high) or low == high)
    return shown(value) + (f" [{shown(low)}, {shown(high)}]" if known else "")


def _value(measured: Measured, vector: str, steered: Mapping[str, Any]) -> str:
    place = [label(vector, {"labels": measured.labels})]
    if steered["layer"]:
        several = "s" if "+" in steered["layer"] else ""
        place.append(f"layer{several} {layers_said(steered['layer'])}")
    place += [said for said in (steered["read_at"], steered["variant"]) if said]
    place.append(f"coefficient {signed(steered['coefficient'])}")
    after = with_interval(steered["value"], steered["low"], steered["high"])
    before = with_interval(steered["from"], steered["from_low"], steered["from_high"])
    source = label(steered["source"], {"labels": measured.labels})
    return f"{', '.join(place)}: {measured.title} on {source} is {after}; unsteered it is {before}."


def _elsewhere(
    measured: Measured, points: pd.DataFrame, steered: Mapping[str, Any]
) -> Iterator[str]:
    """What is measured at the same point on other texts."""
    here = _at(points, steered, POINT)
    here = here[here["source"] != steered["source"]].dropna(subset=["change"])
    if here.empty:
        return
    if len(here) > NAMED:
        ends = " to ".join(signed_change(end(here["change"])) for end in (min, max))
        yield f"On {len(here)} others it changes by {ends}."
        return
    for row in here.to_dict("records"):
        source = label(row["source"], {"labels": measured.labels})
        after = with_interval(row["value"], row["low"], row["high"])
        yield f"On {source} it changes from {shown(row['from'])} to {after}."


def _controlled(
    measured: Measured,
    vector: str,
    steered: Mapping[str, Any],
    controls: Mapping[str, str],
    others: pd.DataFrame,
) -> str:
    """What the controls of a vector do at the same point and on the same texts."""
    said = []
    for name, of in controls.items():
        if of != vector:
            continue
        there = others[others["vector"] == name]
        there = _at(there, steered, [*POINT, "source"])
        for row in there.head(1).to_dict("records"):
            title = label(name, {"labels": measured.labels})
            draws = row.get("draws", math.nan)
            if not math.isnan(draws):
                ends = f"{shown(row['low'])} to {shown(row['high'])}"
                said.append(f"{title} ({draws:g} draws): {shown(row['value'])}, range {ends}.")
            else:
                value = with_interval(row["value"], row["low"], row["high"])
                said.append(f"{title}: {value}.")
    return " ".join(said)


def signed_change(value: float) -> str:
    """A change with its sign."""
    return ("+" if value > 0 else "") + shown(value)


def _differ(steered: Mapping[str, Any]) -> bool | None:
    ends = [steered[name] for name in ("low", "high", "from_low", "from_high")]
    if any(map(math.isnan, ends)):
        return None
    low, high, from_low, from_high = ends
    apart = not low <= steered["from"] <= high
    return apart and not from_low <= steered["value"] <= from_high


def _at(points: pd.DataFrame, steered: Mapping[str, Any], names: list[str]) -> pd.DataFrame:
    """The points at which all of these are the same."""
    same = pd.Series(True, index=points.index)
    for name in names:
        same &= points[name] == steered[name]
    return points[same]
