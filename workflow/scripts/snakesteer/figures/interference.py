"""What each vector does to everything that is measured, as a matrix of changes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import layer_order
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.quantities import quantity, vector_names
from snakesteer.figures.style import ink_on, label, layers_said, signed
from snakesteer.tables.difference_intervals import square_and_add
from snakesteer.tables.draws import DRAWS

_VECTOR = ["sweep", "vector", "read_at"]
_UNMEASURED = "#DCDCDC"
_MARK = "*"
_FRAME: dict[str, Any] = {"fill": False, "edgecolor": "black", "linewidth": 1.3}
# Inches: a cell's width and height, a letter of a name, all that stands beside the cells, and above
# and below them.
_CELL, _ROW, _LETTER, _BESIDE, _ABOVE = 0.48, 0.3, 0.065, 0.9, 1.3
_NARROWEST, _FEWEST = 3.6, 4  # inches, rows
_TITLE = 15  # letters of the title an inch
_LINE = 24  # letters of a name, from which on it takes another line


def draw(inputs: Inputs, settings: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Vectors down, corpora or behaviours across; a cell has the change from the unsteered value.

    Changes whose interval (`square_and_add`) excludes 0 carry a mark; those of a mean of draws
    never do. A vector's own behaviour is framed; cells without a value are grey. Settings: `shown`
    (of each sweep its `table`, `column`, `source` and `label`), `coefficient`, `layer` (a number;
    the only one of the sweeps if left out), `own` (the behaviour of each vector that is of one),
    `titles` (of sweeps by name). Where `inputs` have a choice, coefficient and layer are its own.

    Columns, a row for each cell:
        sweep, vector, layer, coefficient
        read_at, source, value, low, high, draw, draws (as figures.quantities.quantity)
        value_unsteered, low_unsteered, high_unsteered (number): The value of the unsteered model,
            with its interval.
        change, change_low, change_high (number): `value` minus `value_unsteered`, with its
            interval.
        marked (true or false): Whether that interval excludes 0. False for means of draws.
    """
    shown = settings["shown"]
    points = pd.concat([quantity(inputs, each) for each in shown], ignore_index=True)
    if inputs.chosen is not None:
        settings = {**settings, **_chosen(points, inputs.chosen["chosen"])}
    layer = _layer(points, settings)
    points = points[points["layer"] == layer]
    changes = _changes(points, settings)
    vectors = list(points[_VECTOR].drop_duplicates().itertuples(index=False, name=None))
    sources = list(dict.fromkeys(points["source"]))
    matrix = np.full((len(vectors), len(sources)), np.nan)
    for cell in changes.to_dict("records"):
        row = vectors.index((cell["sweep"], cell["vector"], cell["read_at"]))
        matrix[row, sources.index(cell["source"])] = cell["change"]

    down = [textwrap.fill(name, _LINE) for name in vector_names(vectors, settings)]
    across = [textwrap.fill(label(source, settings), _LINE) for source in sources]
    width = max(_NARROWEST, _CELL * len(sources) + _LETTER * _longest(down) + _BESIDE)
    height = _ROW * max(len(vectors), _FEWEST) + 0.7 * _LETTER * _longest(across) + _ABOVE
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    largest = float(np.nanmax(np.abs(matrix))) or 1.0
    seaborn.heatmap(
        matrix,
        ax=axes,
        cmap="RdBu",
        vmin=-largest,
        vmax=largest,
        cbar=False,
        linewidths=0.6,
        linecolor="white",
    )
    axes.set_facecolor(_UNMEASURED)
    axes.grid(False)
    axes.tick_params(length=0, pad=2, labelsize=6.5)
    axes.set_xticks(
        np.arange(len(sources)) + 0.5, across, rotation=45, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(np.arange(len(vectors)) + 0.5, down, rotation=0)
    axes.set(xlabel="Measured on", ylabel="Steered with")
    said = [
        f"{shown[0]['label']}: change from unsteered",
        f"Layer {layers_said(layer)}, coefficient {signed(settings['coefficient'])}",
    ]
    lines = [textwrap.fill(line, int(_TITLE * width)) for line in said]
    axes.set_title("\n".join(lines), fontsize=7.5)
    framed = _draw_cells(axes, changes, vectors, sources, largest, settings.get("own", {}))
    bar = figure.colorbar(axes.collections[0], ax=axes, shrink=0.9, aspect=18, format=_tick)
    bar.outline.set_visible(False)
    handles: list[Artist] = []
    if changes["marked"].any():
        star = Line2D([], [], linestyle="none", marker=(5, 2, 0), markeredgecolor="black")
        star.set_label("interval of the change excludes 0")
        handles.append(star)
    if framed:
        handles.append(Patch(label="the vector's own behaviour", **_FRAME))
    if np.isnan(matrix).any():
        handles.append(Patch(label="no value", facecolor=_UNMEASURED))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if width < 5 else 3)
    if title := settings.get("title"):
        figure.suptitle(title)
    return figure, changes


def _chosen(points: pd.DataFrame, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The coefficient of a choice, and its layer unless all vectors are injected in one place."""
    at = {"coefficient": chosen["coefficient"]}
    return at | ({"layer": chosen["layer"]} if points["layer"].nunique() > 1 else {})


def _layer(points: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    """The label of the layers to draw; StudyError if there are none, or it is not said which."""
    held = sorted(set(points["layer"]), key=layer_order)
    given = settings.get("layer")
    wanted = held if given is None else [layer for layer in held if layer == str(given)]
    if len(wanted) != 1:
        said = "no layer" if given is None else f"layer {given}"
        raise StudyError(
            f"a figure of interference names {said}, but its sweeps have {', '.join(held)}; name "
            "one of these."
        )
    return wanted[0]


def _changes(points: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each vector and source: its `value` and the `unsteered` one, the `change`, its
    interval, and whether it is `marked`."""
    cell = [*_VECTOR, "layer", "source"]
    numbers = ["value", "low", "high"]
    coefficient = settings["coefficient"]
    at = points[~points["unsteered"] & (points["coefficient"] == coefficient)]
    if at.empty:
        held = points.loc[~points["unsteered"], "coefficient"].unique()
        raise StudyError(
            f"a figure of interference names the coefficient {coefficient:g}, but its sweeps "
            f"have {', '.join(f'{value:g}' for value in sorted(held)) or 'none'}; name one of "
            "these."
        )
    without = points.loc[points["unsteered"], [*cell, *numbers]]
    both = at.drop(columns="unsteered").merge(without, on=cell, suffixes=("", "_unsteered"))
    change, low, high = square_and_add(
        (both["value"], both["low"], both["high"]),
        (both["value_unsteered"], both["low_unsteered"], both["high_unsteered"]),
    )
    single = both[DRAWS].isna() if DRAWS in both else True
    marked = ((low > 0) | (high < 0)) & single
    return both.assign(change=change, change_low=low, change_high=high, marked=marked)


def _longest(names: list[str]) -> int:
    """The letters of the longest line of all names."""
    return max(len(line) for line in "\n".join(names).split("\n"))


def _draw_cells(
    axes: Axes,
    changes: pd.DataFrame,
    vectors: list[tuple[str, str, str]],
    sources: list[str],
    largest: float,
    own: Mapping[str, str],
) -> bool:
    """Write the changes into their cells, and frame those of vectors' own behaviours; whether there
    are such."""
    places = max(0, 2 - math.ceil(math.log10(largest)))
    for cell in changes[changes["change"].notna()].to_dict("records"):
        row = vectors.index((cell["sweep"], cell["vector"], cell["read_at"]))
        axes.text(
            sources.index(cell["source"]) + 0.5,
            row + 0.5,
            _written(cell["change"], places) + _MARK * cell["marked"],
            ha="center",
            va="center_baseline",
            fontsize=6,
            color=ink_on(axes.collections[0].to_rgba(cell["change"])),
            fontweight="bold" if cell["marked"] else "normal",
        )
    framed = False
    for row, (_, vector, _) in enumerate(vectors):
        if own.get(vector) in sources:
            corner = (sources.index(own[vector]), row)
            axes.add_patch(Rectangle(corner, 1, 1, clip_on=False, zorder=4, **_FRAME))
            framed = True
    return framed


def _written(change: float, places: int) -> str:
    """A change with its sign, to so many places."""
    written = f"{change:+.{places}f}"
    return written.replace("-", "−") if float(written) else written[1:]


def _tick(value: float, _: int) -> str:
    return signed(round(value, 9))
