"""What a figure's caption in the report says: its entry's words, and what the settings decide.

A table of published results may hold nothing. What would be drawn from it is not spoken of.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from snakesteer.study import schema
from snakesteer.study.figures import WithIntervals


def caption(study: schema.Study, name: str, tables: Sequence[str] = ()) -> str:
    """The caption of a figure: the entry's, what controls, lines and dots are, the layers of
    vectors that have each their own, whether columns may have ended, and what intervals are over.

    `tables` are the paths of the tables it is drawn from. Those that do not exist yet count as
    full.
    """
    figure = study.figures[name]
    absent = {Path(path).stem for path in tables if _is_empty(path, figure)}
    if tables and not {Path(path).stem for path in _main(figure, tables)} - absent:
        return "Not drawn: published results are absent."
    said = [figure.caption or "", *_beside(figure, absent)]
    if isinstance(figure, schema.SimultaneousFigure):
        said.append(f"Layers: {_own_layers(study.tabled[figure.sweep])}.")
        if figure.tax not in absent:
            said += _other_model(study, figure)
    if isinstance(figure, schema.HeatmapFigure) and _ends(study.tabled[figure.sweep]):
        said.append("The cell at which a column ended is marked.")
    if isinstance(figure, WithIntervals):
        over = _over(figure, absent)
        said.append(f"Intervals (95 %): over {over}.")
        if "documents" in over:
            said.append("The number of documents stands below the figure.")
    return " ".join(filter(None, said))


def _is_empty(path: str, figure: schema.AnyFigure) -> bool:
    """Whether a table holds nothing that the figure draws."""
    try:
        if isinstance(figure, schema.HeatmapFigure) and figure.direction:
            directions = pq.read_table(path, columns=["direction"], partitioning=None)
            return figure.direction not in directions["direction"].to_pylist()
        return bool(pq.read_metadata(path).num_rows == 0)
    except (OSError, pa.ArrowException):  # not made yet, or damaged, which another job says
        return False


def _main(figure: schema.AnyFigure, tables: Sequence[str]) -> Sequence[str]:
    """The tables without which the figure is not drawn: the first, or any of several alike."""
    alike = isinstance(figure, schema.TradeoffFigure | schema.DistributionsFigure)
    return tables if alike else tables[:1]


def _beside(figure: schema.AnyFigure, absent: Collection[str]) -> list[str]:
    """What is drawn beside the figure's own sweep."""
    match figure:
        case schema.TradeoffFigure():
            controls = [name for name in figure.controls if name not in absent]
            return [f"Grey: the control{'s' if len(controls) > 1 else ''}."] if controls else []
        case schema.CombinedFigure() if figure.single not in absent:
            return ["Lines give single steering."]
        case schema.SimultaneousFigure(tax=str()) if figure.tax not in absent:
            return ["Dotted: next-token accuracy on ordinary documents, the alignment tax."]
    return []


def _ends(grid: schema.Sweep | schema.PublishedSweep) -> bool:
    return not isinstance(grid, schema.GridSweep) or bool(grid.stopping)


def _own_layers(sweep: schema.Sweep | schema.PublishedSweep) -> str:
    assert isinstance(sweep, schema.SimultaneousSweep | schema.PublishedSimultaneous)
    if isinstance(sweep, schema.PublishedSimultaneous):
        return ", ".join(map(str, sweep.layers))
    return ", ".join(
        f"{' and '.join(map(str, given if isinstance(given, list) else [given]))} ({vector})"
        for vector, given in sweep.inject.items()
    )


def _other_model(study: schema.Study, figure: schema.SimultaneousFigure) -> list[str]:
    models = [
        getattr(study.tabled[name], "model", None) for name in (figure.sweep, figure.tax) if name
    ]
    if None in models or len(set(models)) == 1:
        return []
    return [f"The questions are put to {models[0]}, the alignment tax is that of {models[1]}."]


def _over(figure: WithIntervals, absent: Collection[str]) -> str:
    match figure:
        case schema.TradeoffFigure():
            items = "documents (bootstrap, paired wherever coefficients share their documents)"
        case schema.SimultaneousFigure(tax=str()) if figure.tax not in absent:
            items = "questions (Wilson), those of the alignment tax over documents (bootstrap)"
        case _:
            items = "questions (Wilson)"
    vectors = "resamples of the vectors"
    both = f"{items} and over {vectors}, half-widths added in squares"
    return {"items": items, "vectors": vectors, "both": both}[figure.intervals]
