"""What people have said of texts that a model rates, in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.corpora import reading
from snakesteer.corpora.records import value_of
from snakesteer.hub.manifest import locate_file
from snakesteer.measures.scoring import PREFIX

TEXT, PROMPT = "text", "prompt"
# What people say of a text, with or without the study's `positive`.
LABEL, RATING = "label", "rating"


@dataclass(frozen=True)
class Labels:
    """Numbers that people gave texts, by prompt (None where the file has none) and text."""

    file: str
    with_prompt: bool
    values: Mapping[tuple[str | None, str], float]


def read_labels(file: str, field: str, read: Callable[[Any], float | None], meant: str) -> Labels:
    """The labels in a `field` of a file, each as `read` has it, which is None for what is none.

    Raises StudyError for a file without labels, for two of one text, and for what is none, with
    what is `meant`.
    """
    values: dict[tuple[str | None, str], float] = {}
    with_prompt = False
    settings = {"fields": [TEXT, field, PROMPT], "filter": None, "final_newline": "keep"}
    with locate_file(file, plugins.PACKAGE.parents[2]).open("rb") as stream:
        for place, record in reading.read(stream, file, settings):
            if field not in record:
                read_with = "with" if field == LABEL else "without"
                raise StudyError(
                    f"{place} has no field {field} (it has {', '.join(record)}), which is read "
                    f"{read_with} `positive`; correct one of them."
                )
            text, given = value_of(record, TEXT, place, "labels"), record[field]
            label = read(given)
            if label is None or not isinstance(text, str):
                raise StudyError(f"{place} has the {field} {given!r}, which is not {meant}.")
            with_prompt = PROMPT in record
            key = (record[PROMPT] if with_prompt else None, text)
            if values.setdefault(key, label) != label:
                raise StudyError(
                    f"{place} labels a text differently from an earlier line; keep one of them."
                )
    if not values:
        raise StudyError(f"{file} has no labels; give it some.")
    return Labels(file, with_prompt, values)


def rated(labels: Labels, score: str, raw: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The texts of raw tables that have both a label and a rating: `source`, `sample`, `rating`,
    `label`.

    Texts that are the same, behind the same prompt, are one. Raises StudyError if there is none.
    """
    rows = pd.concat(raw, ignore_index=True)
    rows = rows[["source", "sample", PROMPT, TEXT, f"{PREFIX}{score}"]].dropna()
    rows = rows.drop_duplicates([PROMPT, TEXT])
    keys = zip(rows[PROMPT] if labels.with_prompt else [None] * len(rows), rows[TEXT], strict=True)
    found = pd.DataFrame(
        {
            "source": rows["source"],
            "sample": rows["sample"],
            "rating": rows[f"{PREFIX}{score}"].astype(float),
            "label": [labels.values.get(key) for key in keys],
        }
    ).dropna()
    if found.empty:
        raise StudyError(
            f"none of the {len(labels.values)} texts of {labels.file} was generated and rated "
            "here; label texts of this table."
        )
    return found.astype({"label": float}).reset_index(drop=True)
