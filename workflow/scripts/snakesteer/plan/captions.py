"""What a figure's caption in the report says: its entry's words, and what the settings decide.

A table of published results may hold nothing. What would be drawn from it is not spoken of.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from snakesteer.core import missing
from snakesteer.study.figures import Figure, WithDose, WithIntervals
from snakesteer.study.schema import Study
from snakesteer.study.tables import Table
from snakesteer.tables import dose

_WITHOUT_ITEMS = "Published means come without their items, so they have no intervals."


def caption(study: Study, name: str, tables: Sequence[str] = ()) -> str:
    """The caption of a figure: the entry's, what settings decide (`Figure.said`), and what
    intervals are over.

    `tables` are the paths of the tables it is drawn from. Those that do not exist yet count as
    full. How many doses are not known is said once the figure is drawn.
    """
    figure = study.figures[name]
    absent = {Path(path).stem for path in tables if _is_empty(path, figure)}
    needed = tables if figure.any_table else tables[:1]
    if tables and absent.issuperset(Path(path).stem for path in needed):
        return "Not drawn: published results are absent."
    said = [figure.caption or "", *_designs(study, figure), *figure.said(study, absent)]
    said += figure.drawn_several(study, absent)
    if isinstance(figure, WithDose) and figure.dose != "coefficient":
        said += _doses_left_out(name, tables)
    if isinstance(figure, WithIntervals):
        items, vectors = figure.items(absent), "resamples of the vectors"
        over = {
            "items": items,
            "vectors": vectors,
            "both": f"{items} and over {vectors}, half-widths added in squares",
        }[figure.intervals]
        without = [name for name in figure.drawn if not _has_intervals(study, name)]
        if without == figure.drawn:
            return " ".join(filter(None, [*said, _WITHOUT_ITEMS]))
        said.append(f"Intervals (95 %) are over {over}.")
        if without:
            said.append(_WITHOUT_ITEMS)
        if "documents" in over:
            said.append("The number of documents is given below the figure.")
    return " ".join(filter(None, said))


def _doses_left_out(name: str, tables: Sequence[str]) -> list[str]:
    """What the figure, if it is drawn, leaves out; its numbers lie beside the tables' folder.
    Nothing where they cannot be read."""
    if not tables or missing.packages():
        return []
    numbers = Path(tables[0]).parent.parent / "figures" / f"{name}.csv"
    return dose.told(pd.read_csv(numbers)) if numbers.is_file() else []


def _has_intervals(study: Study, name: str) -> bool:
    """Whether a table has intervals of what it tells."""
    table = study.table(name)
    return isinstance(table, Table) or table.INTERVALS


def _designs(study: Study, figure: Figure) -> list[str]:
    """How the figure's own sweeps steer, where that is not by addition to all outputs."""
    said: dict[str, None] = {}
    for name in figure.own:
        table = study.table(name)
        if isinstance(table, Table):
            said |= dict.fromkeys(table.sweep.inject.said)
    return list(said)


def _is_empty(path: str, figure: Figure) -> bool:
    """Whether a table has nothing that the figure draws; False where it cannot be read here."""
    if "pyarrow" in missing.packages():
        return False
    try:
        for column, value in figure.rows().items():
            held = pq.read_table(path, columns=[column], partitioning=None)
            if value not in held[column].to_pylist():
                return True
        return bool(pq.read_metadata(path).num_rows == 0)
    except (OSError, pa.ArrowException):  # not made yet, or damaged, which another job says
        return False
