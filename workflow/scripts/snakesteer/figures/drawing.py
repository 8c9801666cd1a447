"""From inputs and settings to the files of a figure, by the plugin of its kind.

Every kind understands the settings `title` (a heading, none by default) and `labels` (display
names of corpora, behaviours and vectors, by name); its own settings are in its docstring.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["MPLBACKEND"] = "agg"  # before matplotlib reads what a notebook may have set

import pandas as pd

from snakesteer.core import plugins
from snakesteer.figures.absent import absent, left_out
from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.style import save_figure, themed
from snakesteer.tables import dose, judged


def draw_figure(kind: str, inputs: Inputs, settings: Mapping[str, Any], stem: str | Path) -> None:
    """Draw a figure and write `<stem>.pdf`, `<stem>.png` and `<stem>.csv`.

    `kind` is a plugin's name; the settings of each are in its docstring, and those that are None
    count as left out. Raises StudyError for inputs that lack what the figure draws, unless
    published results are absent: then the figure says which and why, below what is drawn of it.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    with themed(given):
        try:
            figure, numbers = plugins.load("figures", kind).draw(inputs, given)
            notes = [*notes_of(inputs, given), *dose.told(numbers)]
        except NothingToDraw:
            if not inputs.absent:
                raise
            figure, numbers = absent(inputs.absent)
            notes = []
        save_figure(figure, numbers, stem, notes)


def notes_of(inputs: Inputs, settings: Mapping[str, Any]) -> list[str]:
    """What stands below a figure: how far people agree with a judge, how many documents the
    bootstrap's intervals are over, what published results it lacks, and where a multiplier was
    chosen though none qualified.
    """
    notes = [*left_out(inputs.absent), *inputs.unqualified]
    documents = pd.Series(dtype=int)
    if inputs.skill is not None and settings.get("intervals") != "vectors":
        documents = inputs.skill["documents"].dropna().astype(int)  # published losses say none
    if len(documents):
        least, most = documents.agg(["min", "max"])
        number = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        of = "of next_token" if {"shown", "x"} & settings.keys() else "of an accuracy"
        notes.insert(0, f"Each 95 % interval {of} is over {number} documents.")
    return [*_agreements(inputs, settings), *notes]


def _agreements(inputs: Inputs, settings: Mapping[str, Any]) -> list[str]:
    """How far people agree with the judges whose ratings are drawn."""
    shown = [*settings.get("shown", ()), *(settings[axis] for axis in "xy" if axis in settings)]
    notes = []
    for each in shown:
        for table in inputs.tables:
            rows = table[table["sweep"] == each["table"]]
            if len(rows) and "judged" in each:
                texts = f"texts of {each['table']}"
                notes.append(judged.said(each["judged"], rows.iloc[0].to_dict(), texts))
    return list(dict.fromkeys(notes))
