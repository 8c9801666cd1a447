"""Texts beside the points of curves: as many as can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

# Where a text may stand beside its point, in points (1/72 inch), in order of preference.
_PLACES = [(x, y) for x in (2.5, -2.5) for y in (-1, 1)]
_STEP = 1.5  # pixels between the spots at which a line is looked for


@dataclass(frozen=True)
class Numbered:
    """A curve's points [n, 2] in data units, the text of each, and its colour."""

    points: np.ndarray
    texts: Sequence[str]
    colour: str


def write_beside(axes: Axes, curves: Sequence[Numbered], lines: Sequence[np.ndarray]) -> None:
    """Write texts beside their points, except where one would cover a line or another text.

    `lines` are all that must stay visible, each [n, 2] in data units, the curves' own among them.
    The limits of the axes must be final.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # lays the figure out, so that data have their pixels
    spots = np.concatenate([_spots(axes.transData.transform(line)) for line in lines])
    written: list[Bbox] = []
    for curve in curves:
        ink = seaborn.set_hls_values(curve.colour, l=0.28)
        for point, text in zip(curve.points, curve.texts, strict=True):
            if not axes.viewLim.contains(*point):
                continue
            for x, y in _PLACES:
                beside = axes.annotate(
                    text,
                    point,
                    (x, y),
                    textcoords="offset points",
                    ha="left" if x > 0 else "right",
                    va="bottom" if y > 0 else "top",
                    fontsize=5,
                    color=ink,
                    in_layout=False,
                )
                box = beside.get_window_extent()
                within = axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1)
                if within and not box.count_contains(spots) and not box.count_overlaps(written):
                    written.append(box.padded(1))
                    break
                beside.remove()


def _spots(line: np.ndarray) -> np.ndarray:
    """Spots [n, 2] along a line [m, 2] of pixels; none where it is not finite."""
    pieces = []
    for start, end in zip(line[:-1], line[1:], strict=True):
        length = np.hypot(*(end - start))
        if np.isfinite(length):
            share = np.linspace(0, 1, 2 + int(length / _STEP))[:, None]
            pieces.append(start + share * (end - start))
    return np.concatenate(pieces or [np.empty((0, 2))])
