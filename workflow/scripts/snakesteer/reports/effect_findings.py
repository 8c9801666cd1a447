"""What the tables of effects say, in sentences: of slopes of questions, and of controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from snakesteer.figures.style import label, layers_said, signed
from snakesteer.reports.findings import shown, signed_change, with_interval
from snakesteer.tables.draws import DRAW
from snakesteer.tables.null import ALPHA, SLOPE
from snakesteer.tables.slopes import ALL


def of_slopes(rows: pd.DataFrame, labels: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each vector, layer and behaviour of a table of slopes, without controls."""
    own = rows[rows["by"] == ALL]
    if DRAW in own:
        own = own[own[DRAW].isna()]
    for row in own.to_dict("records"):
        if math.isnan(row["mean"]):
            behaviour = label(row["behaviour"], {"labels": labels})
            yield (
                f"{_vector(row, labels)}: no slope on {behaviour}, as a slope needs two "
                "coefficients."
            )
            continue
        said = [
            f"{_vector(row, labels)}: the propensity of a question on "
            f"{label(row['behaviour'], {'labels': labels})} changes by "
            f"{_with_interval(row, 'mean')} per unit of the coefficient.",
            f"{_percent(row['anti_share'])} of {row['items']} questions "
            f"[{_percent(row['anti_share_low'])}, {_percent(row['anti_share_high'])}] move the "
            "wrong way.",
        ]
        if not math.isnan(row["reliability"]):
            said.append(f"Reliability (split-half over coefficients): {shown(row['reliability'])}.")
        yield " ".join(said)


def of_controls(rows: pd.DataFrame, column: str, labels: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each vector and source of a table of controls: on its slope, where there is
    one, else on its largest difference from the draws."""
    for _, own in rows.groupby(["vector", "source", "control"], sort=False):
        slopes = own[own["quantity"] == SLOPE]
        shown_of = slopes if len(slopes) else own
        row = shown_of.loc[shown_of["difference"].abs().idxmax()].to_dict()
        slope = row["quantity"] == SLOPE
        what = "slope" if slope else column
        at = "" if slope else f", coefficient {signed(row['coefficient'])}"
        said = [
            f"{_vector(row, labels)}{at}, on {label(row['source'], {'labels': labels})}: {what} "
            f"{signed_change(row['effect'])}, which is {_with_interval(row, 'difference')} from "
            f"the mean of {row['draws']} draws of {label(row['control'], {'labels': labels})} "
            f"(range {shown(row['band_low'])} to {shown(row['band_high'])})."
        ]
        if len(shown_of) > 1:
            said.append(f"This is the largest difference of {len(shown_of)} such effects.")
        yield " ".join([*said, _test(row)])


def _test(row: Mapping[str, Any]) -> str:
    if math.isnan(row["p"]):
        return f"Too few draws for a test at {ALPHA:g}."
    corrected = [
        f"{name} {shown(row[of])}"
        for of, name in (("p_holm", "Holm"), ("p_bh", "Benjamini-Hochberg"))
        if not math.isnan(row[of])
    ]
    after = f"; corrected for {row['tests']} tests: {', '.join(corrected)}" if corrected else ""
    return f"Rank {row['rank']:g} of {row['draws'] + 1}, p = {shown(row['p'])}{after}."


def _vector(row: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    several = "s" if "+" in row["layer"] else ""
    vector = label(row["vector"], {"labels": labels})
    return f"{vector}, layer{several} {layers_said(row['layer'])}"


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    sign = "+" if row[name] > 0 else ""
    return sign + with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
