"""What the first page of a study shows, gathered from its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.figures.inputs import NothingToDraw, read_inputs
from snakesteer.figures.style import label
from snakesteer.reports import front_page
from snakesteer.reports.effect_findings import of_controls, of_slopes
from snakesteer.reports.findings import Measured, findings, points_of
from snakesteer.reports.front_page import Effects, Found, FrontPage, Shown
from snakesteer.reports.ranking_findings import of_ranking
from snakesteer.storage.files import read_json, read_table, read_tensors


@dataclass(frozen=True)
class Files:
    """The paths of the files that the page is made from, by what they are."""

    usage: str
    tables: Sequence[str] = ()
    samples: Sequence[str] = ()
    slopes: Sequence[str] = ()
    controls: Sequence[str] = ()
    rankings: Sequence[str] = ()
    pairs: Sequence[str] = ()
    figures: Sequence[str] = ()
    vectors: Sequence[str] = ()
    scorecards: Sequence[str] = ()


def front(
    asked: Mapping[str, Any], files: Files, captions: Mapping[str, str], notes: Sequence[str]
) -> FrontPage:
    """The page; `asked` is what `plan.front_page.contents` says of the study."""
    measured, own_tables = _measured(asked, files)
    choices = {name: read_json(path) for name, path in asked["choices"].items()}
    several: dict[str, list[str]] = {}
    for name, choice in choices.items():
        for vector, said in front_page.chosen_in(choice).items():
            several.setdefault(vector, []).append(f"{name}: {said}" if len(choices) > 1 else said)
    chosen = {vector: "; ".join(said) for vector, said in several.items()}
    vectors = dict(zip(asked["vectors"], map(_vector, files.vectors), strict=True))
    layers = front_page.injected_layers(own_tables)
    pictures = front_page.read_pictures(files.figures)
    return FrontPage(
        asked=asked,
        found=list(_found(asked, measured)),
        figures=[Shown(name, captions[name], pictures[name]) for name in asked["figures"]],
        effects=list(_effects(asked, files)),
        vectors=front_page.vector_rows(
            vectors, asked["vectors"], asked["models_of"], layers, chosen
        ),
        choices={name: front_page.choice_said(choice) for name, choice in choices.items()},
        texts=list(_texts(asked, files)),
        verdicts=[
            front_page.verdict(name, title or label(name, {}), _rows(path))
            for (name, title), path in zip(
                asked["scorecards"].items(), files.scorecards, strict=True
            )
        ],
        notes=notes,
        cost=front_page.cost(pd.read_csv(files.usage)),
    )


@dataclass(frozen=True)
class _Column:
    """A column of a table, by its name, with what the study says of the table."""

    entry: Mapping[str, Any]
    name: str
    measured: Measured


def _measured(asked: Mapping[str, Any], files: Files) -> tuple[list[_Column], list[pd.DataFrame]]:
    """The columns that the page tells of, and the tables of the study's own sweeps."""
    columns = []
    own_tables = []
    for entry, path in zip(asked["tables"], files.tables, strict=True):
        inputs = read_inputs([path], {})
        if not entry["published"]:
            own_tables += [rows for rows in inputs.tables if {"vector", "layer"} <= set(rows)]
        for name, title in entry["columns"].items():
            try:
                points = points_of(inputs, entry["name"], name)
            except NothingToDraw:  # of what is published, all of it may be missing
                continue
            about = Measured(
                entry["name"],
                title,
                points,
                entry["own"],
                asked["labels"],
                entry["relative"],
                entry["distance"],
            )
            columns.append(_Column(entry, name, about))
    return columns, own_tables


def _found(asked: Mapping[str, Any], columns: Sequence[_Column]) -> Iterator[Found]:
    """The findings of each column, with the controls of tables that inject and measure alike."""
    controls = dict(asked["controls"])
    steered = {one.entry["name"]: one.measured.points["vector"].iloc[0] for one in columns}
    for control, of in asked["control_tables"].items():
        if control in steered and of in steered:
            controls.setdefault(steered[control], steered[of])
    for column in columns:
        entry, own = column.entry, column.measured
        alike = [own.points]
        for other in columns:
            same = other.name == column.name and other.entry["name"] in entry["controls_in"]
            if same and other is not column:
                alike.append(other.measured.points)
        yield Found(
            entry["name"],
            entry["title"] or label(entry["name"].replace(".", ": "), {}),
            own.title,
            list(findings(own, controls, pd.concat(alike))),
            entry["split"] == "validation",
        )


def _effects(asked: Mapping[str, Any], files: Files) -> Iterator[Effects]:
    for path in files.slopes:
        name = Path(path).name.split(".")[0]
        said = list(of_slopes(_rows(path), asked["labels"]))
        yield Effects(f"effects/{name}.slopes", f"{label(name, {})}: single questions", said)
    for path in files.controls:
        name = Path(path).name.split(".")[0]
        said = list(of_controls(_rows(path), asked["effects"][name], asked["labels"]))
        yield Effects(f"effects/{name}.control", f"{label(name, {})}: against controls", said)
    for arms, pairs in zip(files.rankings, files.pairs, strict=True):
        name = Path(arms).name.split(".")[0]
        said = list(of_ranking(_rows(arms), _rows(pairs), asked["rankings"][name]))
        yield Effects(f"rankings/{name}.arms", f"{label(name, {})}: ranking", said)


def _texts(asked: Mapping[str, Any], files: Files) -> Iterator[front_page.Texts]:
    tables = {Path(path).stem: path for path in files.tables}
    for path in files.samples:
        yield front_page.samples_texts(Path(path).stem, _rows(path))
    for name in asked["texts"]:
        yield from front_page.written_texts(name, _rows(tables[name]), asked["labels"])


def _rows(path: str) -> pd.DataFrame:
    return read_table(path).to_pandas()


def _vector(path: str) -> np.ndarray:
    return read_tensors(path)["vector"]
