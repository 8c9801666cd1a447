"""The rule that compares vectors at equal KL: for each the layer, position and side of 0 with the
best score where its curve reaches that KL, and the coefficient that does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.sweeps.candidates import CURVE, Score, placed, read_at, validated

RULE = (
    "For every vector of {table}: at each layer and position that it is read at, and on either "
    "side of 0, the coefficient at which the curve, from 0 on, first reaches a KL divergence of "
    "{kl:g} ({dose}), interpolated linearly in the root of the KL between its two neighbours, and "
    "the {column} there, interpolated likewise. Of these the one with the {best} {column}; ties "
    "to the lower layer, then to the later position, then to the positive side."
)


def reached(axis: np.ndarray, values: np.ndarray, at: float) -> np.ndarray:
    """Values [n_columns] where an `axis` [n_points] first comes to `at` from below, interpolated
    linearly; NaN if it does not. `values` are [n_points, n_columns]."""
    for i in range(len(axis) - 1):
        if axis[i] <= at <= axis[i + 1]:
            weight = (at - axis[i]) / (axis[i + 1] - axis[i]) if axis[i + 1] > axis[i] else 0.0
            if weight == 1.0:
                return np.asarray(values[i + 1])
            return np.asarray((1 - weight) * values[i] + weight * values[i + 1])
    return np.full(values.shape[1], np.nan)


def at_equal_kl(
    tables: Mapping[str, pd.DataFrame], best: Score, lowest: bool, dose: Score, kl: float
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What is chosen for each vector, and all curves that it is chosen from.

    `tables` have the rows of measures by name: those of the score that is `best`, the `lowest` or
    else the highest, and of the divergence `dose`, of the same sweep. A curve goes from 0 to one
    side. The root of the KL grows with the coefficient near 0, so that is what is interpolated in.

    Returns a table of all curves, and the choice, ready for JSON.

    Columns of curves, a row for each vector, layer, position and side of 0:
        sweep (as tables)
        vector (as tables)
        layer (whole number): The layer, from 0, that the vector is read at.
        position (whole number): The position that the vector is read at; -1 is the last token.
            Empty for a vector of one position.
        side (whole number): 1 for positive coefficients, -1 for negative ones.
        coefficient (number): The coefficient that reaches the KL, interpolated. Empty if the curve
            does not reach it.
        best (number): The score that decides, interpolated at that coefficient.
        chosen (true or false): Whether this curve is chosen for its vector.

    Keys of choice:
        rule (text): The rule in words.
        kl (number): The KL that vectors are compared at, in nats per token.
        each (list): For each vector its `vector`, `layer`, `position`, `coefficient` and the
            `score` there.
        curves (whole number): Curves in all.
        unreached (whole number): Curves that do not reach the KL.

    Raises StudyError for tables of other splits than validation, and for a vector whose curves do
    not reach the KL.
    """
    points = _points(best, tables[best.table], "best")
    points = points.merge(_points(dose, tables[dose.table], "kl"), on=[*CURVE, "coefficient"])
    points = points[points["kl"].notna()]
    rows = []
    for curve, own in points.groupby(CURVE, sort=False, dropna=False):
        for side in (1, -1):
            beyond = own[own["coefficient"] * side >= 0]
            beyond = beyond.iloc[np.argsort(beyond["coefficient"].abs(), kind="stable")]
            values = beyond[["coefficient", "best"]].to_numpy(dtype=float)
            if np.any(values[:, 0]):
                roots = np.sqrt(np.maximum(beyond["kl"].to_numpy(dtype=float), 0))  # of rounding
                coefficient, score = reached(roots, values, float(np.sqrt(kl)))
                at = {"side": side, "coefficient": coefficient, "best": score}
                rows.append(dict(zip(CURVE, curve, strict=True)) | at)
    if not rows:
        raise StudyError(
            f"{best.table} and {dose.table} have no steered point in common; give the sweep other "
            "coefficients than 0."
        )
    curves = pd.DataFrame(rows)
    taken = [
        _taken(str(vector), own, kl, lowest) for vector, own in curves.groupby("vector", sort=False)
    ]
    curves["chosen"] = curves.index.isin(taken)
    each = []
    for row in curves.loc[taken].to_dict("records"):
        position = None if pd.isna(row["position"]) else int(row["position"])
        of = {"vector": row["vector"], "layer": int(row["layer"]), "position": position}
        of |= {"coefficient": float(f"{row['coefficient']:.12g}"), "score": float(row["best"])}
        each.append(of)
    rule = RULE.format(
        table=best.table,
        kl=kl,
        dose=dose.named,
        column=best.column,
        best="lowest" if lowest else "highest",
    )
    unreached = int(curves["coefficient"].isna().sum())
    return curves.astype({"position": "Int64"}), {
        "rule": rule,
        "kl": kl,
        "each": each,
        "curves": len(curves),
        "unreached": unreached,
    }


def _points(score: Score, table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The values of a score along each curve, with the unsteered model's where 0 is that: columns
    `CURVE`, `coefficient`, and `column`."""
    validated(score.table, table)
    found = placed(score.table, table[table["coefficient"].notna()], score)
    twice = found[found.duplicated([*CURVE, "coefficient"])]
    if not twice.empty:
        raise StudyError(
            f"{score.table} has several rows of {read_at(twice.iloc[0])}; name one corpus or "
            "behaviour as `source`."
        )
    return found.rename(columns={"value": column})


def _taken(vector: str, curves: pd.DataFrame, kl: float, lowest: bool) -> Any:
    """The index of the curve that is chosen for a vector."""
    there = curves[curves["coefficient"].notna() & curves["best"].notna()]
    if there.empty:
        raise StudyError(
            f"vectors.{vector} reaches a KL of {kl:g} at none of its layers; give the sweep larger "
            "coefficients, or the choice a smaller kl."
        )
    position = there["position"].fillna(0)
    ordered = there.assign(later=-position, sign=-there["side"]).sort_values(
        ["layer", "later", "sign"], kind="stable"
    )
    return ordered["best"].idxmin() if lowest else ordered["best"].idxmax()
