"""Every file of a run held against the description of its columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from snakesteer.measures.scoring import Scorer
from snakesteer.reports.columns import Column, column_of, single
from snakesteer.storage.files import read_provenance, read_table

OF_KIND = {
    "samples": "measures.continuation.run",
    "control": "tables.null.against_control",
    "candidate": "tables.resampled_candidates.told.candidates",
    "published_histogram": "tables.histograms.histogram",
    "documents": "corpora.drawing.documents",
    "selected_documents": "measures.selection.kept",
    "questions": "behaviours.drawing.table",
}
OF_NAME = {
    "artefacts.csv": "storage.catalogue.write_catalogue",
    "usage.csv": "reports.usage.usage",
    "vectors.csv": "vectors.described.of_layers",
    "cosines.csv": "vectors.described.cosines",
    "pairs.parquet": "tables.scorecard.Scorecard.pairs",
    "curves.parquet": "tables.scorecard.Scorecard.curves",
    "overlay.csv": "tables.scorecard.Scorecard.pairs",
    "settings.parquet": "reports.differences.Difference",
}
TYPES = {
    "text": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "number": lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind),
    "whole number": lambda kind: pa.types.is_integer(kind),
    "true or false": lambda kind: pa.types.is_boolean(kind),
}
NAMES = ("BEHAVIOUR", "LAYER", "COLUMN")


def check(results: Path) -> set[str]:
    """All tables below a folder of results; returns the places whose descriptions they have.

    Fails naming the file and the column that is not described, missing, out of order or of another
    type.
    """
    found = set()
    for path in sorted(results.rglob("*")):
        if "points" not in path.parts and path.suffix in (".parquet", ".csv", ".json"):
            places = list(places_of(path))
            found |= {*places}
            if places:
                check_file(path, places)
    return found


def check_file(path: Path, places: Iterable[str]) -> None:
    """One file, whose columns are described at these places, one behind the other."""
    held = held_by(path)
    if not held:
        return
    published = path.suffix == ".parquet" and read_provenance(path).get("kind") == "published_table"
    expected: list[Column] = []
    for place in places:
        expected += single(place, scores_of(path, place))
    for name, kind in held.items():
        column = column_of(name, expected) or _of_names(name, expected)
        assert column, f"{path}: the column {name} is not described"
        _check_type(f"{path}: {name}", column, kind, published)
    always = [column.names[0] for column in expected if not column.when]
    present = [name for name in held if name in always]
    ordered = path.suffix != ".json" and "sweeps" not in path.parts
    if ordered and not any("…" in name for name in always):
        assert present == [name for name in always if name in present], f"{path}: other order"
    for name in always:
        if "…" in name:
            pattern = re.escape(name).replace("…", r"\w+")
            assert any(re.fullmatch(pattern, each) for each in held), f"{path}: no {name}"
        elif not set(NAMES) & set(name.split(".")):
            assert name in held, f"{path}: the column {name} is described, and missing"


def held_by(path: Path) -> dict[str, Any]:
    """The columns of a file with their types; of JSON its keys, dotted, with values."""
    if path.suffix == ".json":
        return dict(_flat("", json.loads(path.read_text())))
    if path.suffix == ".csv":
        table = pa.Table.from_pandas(pd.read_csv(path, low_memory=False), preserve_index=False)
    else:
        table = read_table(path)
    return {field.name: field.type for field in table.schema}


def places_of(path: Path) -> Iterator[str]:
    """Where the columns of a file are described; nowhere for a file that is no table."""
    folder, name = path.parent.name, path.name
    if path.suffix == ".json":
        if folder == "choices" and "each" in json.loads(path.read_text()):
            yield "sweeps.matched.at_equal_kl.choice"
        elif folder == "choices":
            candidates = path.with_suffix(".parquet").is_file()
            yield (
                "tables.resampled_candidates.told.choice" if candidates else "sweeps.choices.choose"
            )
    elif folder == "figures":
        study = path.parents[1] / "study.yaml"
        if "absent" in pd.read_csv(path):
            yield "figures.absent.absent"
        elif study.is_file():  # which a run that was asked for single files does not write
            figures = yaml.safe_load(study.read_text())["figures"]
            kind = figures[path.stem]["kind"].replace("-", "_")
            yield f"figures.{kind}.draw"
    elif folder == "scorecards":
        pairs = path.suffix == ".csv" or path.stem.endswith("-pairs")
        yield f"tables.scorecard.Scorecard.{'pairs' if pairs else 'curves'}"
    elif name in OF_NAME:
        yield OF_NAME[name]
    elif path.suffix == ".parquet":
        yield from _places_of_kind(path, read_provenance(path))


def scores_of(path: Path, place: str) -> list[str]:
    """The names that `SCORE` stands for in a file of texts."""
    if place not in ("tables.continuation.table", "measures.continuation"):
        return []
    settings = read_provenance(path)["settings"]
    if place == "tables.continuation.table":
        return list(settings["scores"])
    names: list[str] = []
    for measure in settings["measures"]:
        for score in measure["asked"].get("scores", []):
            names += Scorer(score["name"], score["scorer"]).columns.values()
    return names


def _places_of_kind(path: Path, described: Mapping[str, Any]) -> Iterator[str]:
    kind, settings = described.get("kind"), described.get("settings", {})
    if kind == "table":
        yield f"tables.{settings['measure']}.table"
    elif kind == "published_table":
        yield f"papers.{settings['reader']}.table"
    elif kind == "slopes":
        yield f"tables.slopes.Effects.{path.stem.rsplit('.', 1)[1]}"
    elif kind == "ranking":
        yield f"tables.ranking.Ranked.{path.stem.rsplit('.', 1)[1]}"
    elif kind == "candidate" and "at_kl" in settings:
        yield "sweeps.matched.at_equal_kl.curves"
    elif kind == "sweep":
        yield "sweeps.runner.run"
        for measure in dict.fromkeys(each["measure"] for each in settings["measures"]):
            yield f"measures.{measure}"
    else:
        yield OF_KIND[str(kind)]


def _check_type(place: str, column: Column, held: Any, published: bool) -> None:
    """That the type of a column is the one described; without values it can be another."""
    if not isinstance(held, pa.DataType):
        return
    if column.kind.startswith("list"):
        assert pa.types.is_list(held) or pa.types.is_large_list(held), place
        return
    loose = published or ".csv" in place  # where values are missing, they are NaN
    if loose and (pa.types.is_null(held) or pa.types.is_floating(held)):
        return
    if ".csv" in place and column.kind == "text":
        return  # a layer or a coefficient reads as a number there
    assert TYPES[column.kind](held), f"{place} is {held}, and described as {column.kind}"


def _of_names(name: str, expected: Iterable[Column]) -> Column | None:
    """The description of a key that has names of the study in it."""
    for column in expected:
        pattern = re.escape(column.names[0])
        for each in NAMES:
            pattern = pattern.replace(each, "[^.]+")
        if re.fullmatch(pattern, name):
            return column
    return None


def _flat(before: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from _flat(f"{before}.{name}" if before else name, inside)
    else:
        yield before, value
