"""The values behind a table's rows, question by question or document by document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.records import read
from snakesteer.storage.files import read_provenance, read_table
from snakesteer.sweeps.job import Injected
from snakesteer.tables.categories import CATEGORY, by_category, cell_of
from snakesteer.tables.job import TableJob
from snakesteer.tables.next_token import RATIOS
from snakesteer.tables.paired import COUNTED, HITS, UNSTEERED
from snakesteer.tables.raw import by_injection, unsteered_rows
from snakesteer.tables.slopes import propensity

# Measure -> the cached files that hold its items, and how the name of each ends.
_FILES = {
    "two_choice": ("questions", ""),
    "choice": ("questions", ""),
    "next_token": ("documents", "-validation"),
}
_MEANS = ("score", "probability", "propensity", "choice_mass")
_RELATIVE = "relative_"
_KEY = [
    "vector",
    "layer",
    "direction",
    "combine",
    "weighted",
    "coefficient",
    "behaviour",
    "corpus",
    CATEGORY,
    "source_layer",
    "source_position",
]

Key = tuple[Any, ...]
Items = Mapping[Key, pd.DataFrame]
"""By what tells a row of a table apart, its items with their values, by the items' texts."""


def read_items(table: Path) -> Items | None:
    """The items behind the rows of a sweep's table, which lies in a study's folder of results.

    They are read from the cached files that the table says it is made of. An item is told by all
    its texts, so that those of two tables are the same ones if these are equal. None for a table of
    another measure, a published one, or one whose cached files are gone.
    """
    described = read_provenance(table)
    settings = described.get("settings") or {}
    if described.get("kind") != "table" or settings.get("measure") not in _FILES:
        return None
    cache = table.parents[2] / "cache"
    raw = _cached(cache / "sweeps", described["inputs"]["sweeps"])
    if raw is None:
        return None
    role, ending = _FILES[settings["measure"]]
    read_of: dict[str, pd.DataFrame] = {}
    for path in raw:
        keys = read_provenance(path).get("inputs", {}).get(role, [])
        found = _cached(cache / role, keys, ending)
        if not found:
            return None
        for file in found:
            name = file.name.rsplit(".", 2)[0].removesuffix(ending)
            read_of[name] = read_table(file).to_pandas()
    return items_of(
        read(TableJob, settings), [read_table(path).to_pandas() for path in raw], read_of
    )


def items_of(
    job: TableJob, raw: Iterable[pd.DataFrame], read_of: Mapping[str, pd.DataFrame]
) -> Items:
    """The items behind the rows of a table, from the raw tables of its jobs, and the tables of
    questions by behaviour or of documents by corpus. Draws of a control are left out."""
    texts = {source: _texts(rows) for source, rows in read_of.items()}
    told = [_with_categories(rows, job, read_of) for rows in raw]
    found: dict[Key, pd.DataFrame] = {}
    for injected, rows, _ in by_injection(job, told, ()):
        if injected.draw is None:
            of_measure = _documents if job.measure == "next_token" else _questions
            found |= of_measure(injected, rows.reset_index(drop=True), texts)
    return found


def column_of(table: pd.DataFrame, items: Items | None, column: str) -> list[pd.DataFrame | None]:
    """By row of a table the values of a column, item by item; None where they are not known.

    They are `value`, or of a ratio `hits` and what they are `counted` over, behind which the
    unsteered model's stand where the column is relative to it.
    """
    found: list[pd.DataFrame | None] = []
    for row in table.to_dict("records"):
        values = None if items is None else items.get(_key(row))
        found.append(None if values is None else _of_column(values, column))
    return found


def _of_column(values: pd.DataFrame, column: str) -> pd.DataFrame | None:
    if column in _MEANS and column in values:
        return values[[column]].set_axis(["value"], axis=1)
    counts = RATIOS.get(column.removeprefix(_RELATIVE), ())
    named = [*counts]
    if column.startswith(_RELATIVE):
        named += [f"{UNSTEERED}{name}" for name in counts]
    if not counts or not {*named} <= {*values} or values[named].isna().any().any():
        return None
    shown = [HITS, COUNTED, f"{UNSTEERED}{HITS}", f"{UNSTEERED}{COUNTED}"]
    return values[named].set_axis(shown[: len(named)], axis=1)


def _questions(
    injected: Injected, rows: pd.DataFrame, texts: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[Key, pd.DataFrame]]:
    """The questions of each point of an injection."""
    combined = injected.combined
    own = {
        "vector": injected.vector,
        "layer": injected.layer,
        "combine": combined.how if combined else "",
        "weighted": combined.weighted if combined else False,
        **injected.columns,
    }
    unsteered = unsteered_rows(rows["coefficient"].to_numpy(dtype=float))
    signed = np.where(rows["coefficient"] >= 0, "add", "subtract")
    steered = combined.direction if combined else signed
    rows = rows.assign(direction=np.where(unsteered, "default", steered))
    values = {
        "score": (rows["outcome"] == "match").astype(float),
        "probability": rows["probability"].astype(float),
        "propensity": propensity(rows).astype(float),
    }
    if "choice_mass" in rows:
        values["choice_mass"] = rows["choice_mass"].astype(float)
    frame = pd.DataFrame(values)
    cells = ["direction", *cell_of(rows)]
    for cell, own_rows in rows.groupby(cells, sort=False, dropna=False):
        named = own | dict(zip(cells, cell, strict=True))
        index = own_rows["question"].map(texts[named["behaviour"]])
        yield _key(named), frame.loc[own_rows.index].set_axis(index.to_list())


def _documents(
    injected: Injected, rows: pd.DataFrame, texts: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[Key, pd.DataFrame]]:
    """The documents of each point of an injection, beside their unsteered counts."""
    counts = list(dict.fromkeys(name for pair in RATIOS.values() for name in pair))
    own = {"vector": injected.what, "layer": injected.layer, **injected.columns}
    for corpus, of_corpus in rows.groupby("corpus", sort=False):
        unsteered = unsteered_rows(of_corpus["coefficient"].to_numpy(dtype=float))
        before = of_corpus[unsteered].set_index("document")[counts].add_prefix(UNSTEERED)
        for coefficient, point in of_corpus.groupby("coefficient", sort=False, dropna=False):
            named = own | {"corpus": corpus, "coefficient": coefficient}
            values = point.set_index("document")[counts].join(before)
            yield _key(named), values.set_axis(values.index.map(texts[str(corpus)]))


def _key(row: Mapping[str, Any]) -> Key:
    """What tells a row apart, of values that equal each other wherever they come from."""
    return tuple(_plain(row.get(name)) for name in _KEY)


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or value == "" or value != value:
        return None
    return float(value) if isinstance(value, int | float | np.number) else value


def _cached(folder: Path, keys: Iterable[str], ending: str = "") -> list[Path] | None:
    """The cached files with these keys; None if one is not there."""
    found = []
    for key in keys:
        path = next(folder.glob(f"*{ending}.{key}.parquet"), None)
        if path is None:
            return None
        found.append(path)
    return found


def _with_categories(
    rows: pd.DataFrame, job: TableJob, asked: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    if not job.by_category:
        return rows
    return by_category(rows, {behaviour: asked[behaviour] for behaviour in job.by_category})


def _texts(rows: pd.DataFrame) -> dict[str, str]:
    """By the id of each question or document all its texts, with the id."""
    named = ["question", "document", "prompt", "matching", "not_matching", "text", "completion"]
    told = rows[[name for name in named if name in rows]].fillna("").astype(str)
    return dict(zip(told.iloc[:, 0], told.agg("\n".join, axis=1), strict=True))
