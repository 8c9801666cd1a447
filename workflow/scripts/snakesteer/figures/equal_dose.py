"""Any measure at equal KL: a row for each curve, with a point for each KL on either side of 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from snakesteer.core.labels import layer_order
from snakesteer.figures.doses import check_some, with_doses, with_doses_of_draws
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.quantities import CURVE, curve_names
from snakesteer.figures.rows import draw_rows
from snakesteer.figures.style import ordered_layers
from snakesteer.tables.dose import at_kl, over_draws
from snakesteer.tables.draws import DRAW, draws_column

_CURVE = ["sweep", *CURVE, "source"]


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Rows are vectors and layers, points of KLs, those of negative coefficients first, below the
    unsteered model's; error bars are 95 % intervals, of what was drawn several times the range. A
    panel for each corpus or behaviour.

    Values are interpolated along each curve (`tables.dose.at_kl`); each draw is taken at its own
    KL. The numbers have the KL `at`, with the sign of the `coefficient` at which the curve comes to
    it. Settings: `shown` (of each sweep its `table`, `column`, `source` and `label`), `dose` (as
    `doses.with_doses` takes it), `at` (KLs in nats), `layers` (labels), `controls` (names of
    sweeps), `titles` (of sweeps by name).

    Columns, a row for each curve and dose:
        sweep, vector, layer
        read_at, source (as figures.quantities.quantity)
        coefficient (number): The coefficient at which the curve reaches the KL, interpolated. Empty
            where it does not.
        value, low, high (number): The value there, interpolated, with its interval. In a mean of
            draws, the range of the draws.
        share (number, only where a share is known): Length of what is injected there, as a share of
            the mean length of the activations.
        draws
        at (number): The KL in nats, with the sign of the coefficients. 0 for the unsteered model.
        first_step (true or false): Whether the KL lies below that of the coefficient nearest to 0.
        unsteered
    """
    shown, dose = settings["shown"], settings["dose"]
    points = pd.concat([with_doses(inputs, each, dose) for each in shown], ignore_index=True)
    points = points[points["layer"].isin(ordered_layers(points, settings))]
    check_some(points, dose)
    drawn = [with_doses_of_draws(inputs, each, dose) for each in shown]
    draws = pd.concat([points[:0], *drawn], ignore_index=True)
    found = []
    for key, own in points.groupby(_CURVE, sort=False):
        of_draws = draws[(draws[_CURVE] == list(key)).all(axis=1)]
        found.append(_at_doses(own, of_draws, settings["at"]))
    numbers = pd.concat(found, ignore_index=True)
    rows = _rows(numbers, settings)
    return draw_rows(rows, "at", _named, settings), numbers


def _named(at: float) -> str:
    return f"KL {abs(at):g}, coefficient {'>' if at > 0 else '<'} 0"


def _at_doses(own: pd.DataFrame, draws: pd.DataFrame, doses: Sequence[float]) -> pd.DataFrame:
    """The unsteered value of a curve, and those at the doses; of `draws` where there are some."""
    columns = [name for name in ("value", "low", "high", "share") if name in own]
    unsteered = own.loc[own["unsteered"], ["coefficient", *columns, *draws_column(own)]]
    if draws.empty:
        reached = at_kl(own, doses, columns)
    else:
        each = [at_kl(draw, doses, columns) for _, draw in draws.groupby(DRAW, sort=False)]
        reached = over_draws(pd.concat(each, ignore_index=True))
    unsteered = unsteered.assign(at=0.0, first_step=False)
    told = pd.concat([unsteered, reached], ignore_index=True)
    about = own[_CURVE].iloc[[0] * len(told)].reset_index(drop=True)
    return pd.concat([about, told], axis=1).assign(unsteered=told["at"] == 0)


def _rows(numbers: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The numbers with the name of their row, by depth; each behaviour that is asked under a vector
    of its own has a row in place of a panel."""
    key = ["sweep", *CURVE]
    curves = numbers[key].drop_duplicates()
    depth = curves["layer"].map(layer_order)
    curves = curves.assign(depth=depth).sort_values("depth", kind="stable")[key]
    titles = {**settings.get("labels", {}), **settings.get("titles", {})}
    curves["row"] = curve_names(curves, dict(settings) | {"labels": titles})
    rows = curves.merge(numbers, on=key)
    own = numbers.groupby("vector")["source"].nunique().eq(1).all()
    return rows.assign(source="") if own and numbers["source"].nunique() > 1 else rows
