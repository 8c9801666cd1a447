"""The page of all tables of a study: what their rows and columns are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from snakesteer.core import plugins
from snakesteer.reports.columns import ALL, COMMON, Column, described, has_description

_INTRODUCTION = """# The tables of a study

These lines plot a table of the miniature. Run them where `results/` is, after `make`:

```python
import pandas as pd

table = pd.read_parquet("results/miniature/tables/code.parquet")
rows = table[(table["layer"] == "3") & (table["corpus"] == "code")]
axes = rows.plot(x="coefficient", y="relative_top1", marker="o", ylabel="Relative accuracy on code")
axes.figure.savefig("code.png")
```

Paths on this page start at the folder that holds `results/`. STUDY, SWEEP, MEASURE and other words
in capitals stand for names in the study file. `.parquet` files are Parquet, which pandas, R and
DuckDB read. `.csv` files have one header line and commas.

- An *empty* cell is missing in Parquet and has no characters in CSV. pandas reads both as NaN.
- Layers count decoder blocks from 0. Shares and probabilities run from 0 to 1, not in percent.
- Log-odds, logits, log-likelihoods, losses and divergences are in nats.
- An interval has the ends `…_low` and `…_high` and covers 95 % unless its row says otherwise.
- `…` in a name stands for what a file has there: `score_vector_low` is a `…_vector_low`.
- A type followed by *only …* marks a column that a file can lack.
- Layers are text, as in `"3"`, where the type is text. From CSV pandas reads them as numbers.
- Each Parquet file holds a record of how it was made, as JSON in the metadata of its schema:
  `pyarrow.parquet.read_schema(path).metadata[b"snakesteer"]`.

`make docs` writes this page from the docstrings of the code that makes the tables.
"""


@dataclass(frozen=True)
class Group:
    """Tables under one heading, of which a sentence says `where` they lie; `tables` are their
    headings and places.

    With a `kind` every plugin of that kind is one, described in the docstring of its function
    `made_by`, or of its module if that is "".
    """

    heading: str
    where: str
    tables: tuple[tuple[str, str], ...] = ()
    kind: str = ""
    made_by: str = ""
    about: str = ""

    def places(self) -> Iterator[tuple[str, str]]:
        """The heading and the place of each table."""
        yield from self.tables
        for name in plugins.names(self.kind) if self.kind else ():
            path = plugins.file_of(self.kind, name).relative_to(plugins.PACKAGE).with_suffix("")
            place = ".".join([*path.parts, *filter(None, [self.made_by])])
            if has_description(place):
                known_as = name if self.kind == "figures" else path.stem  # as studies name it
                yield f"{self.about} {known_as}", place


GROUPS = (
    Group(
        "Common columns",
        "These columns mean the same in every table that has them.",
        (("", COMMON),),
    ),
    Group(
        "Tables of sweeps",
        "They are `results/STUDY/tables/SWEEP.parquet`, or `SWEEP.MEASURE.parquet` of a sweep with "
        "several measures. The columns depend on the measure.",
        kind="tables",
        made_by="table",
        about="Measure",
    ),
    Group(
        "Scores of texts",
        "A table of `continuation` has these columns for each score. They depend on its `scorer`, "
        "and on whether people have labelled or rated the texts that a judge rates.",
        (
            ("Labels by people", "tables.agreement.Agreement.columns"),
            ("Ratings by people", "tables.corrected.Correction.columns"),
        ),
        kind="scorers",
        about="Scorer",
    ),
    Group(
        "Samples",
        "They are `results/STUDY/tables/SAMPLES.parquet`.",
        (("", "measures.continuation.run"),),
    ),
    Group(
        "Effects",
        "They are in `results/STUDY/effects/`.",
        (
            ("EFFECT.items.parquet", "tables.slopes.Effects.items"),
            ("EFFECT.slopes.parquet", "tables.slopes.Effects.slopes"),
            ("EFFECT.control.parquet", "tables.null.against_control"),
        ),
    ),
    Group(
        "Rankings",
        "They are in `results/STUDY/rankings/`.",
        (
            ("RANKING.arms.parquet", "tables.ranking.Ranked.arms"),
            ("RANKING.pairs.parquet", "tables.ranking.Ranked.pairs"),
            ("RANKING.vectors.parquet", "tables.ranking.Ranked.vectors"),
        ),
    ),
    Group(
        "Choices",
        "Candidates lie in `results/STUDY/choices/`, multipliers in `results/cache/choices/`.",
        (
            ("CHOICE.parquet", "tables.resampled_candidates.told.candidates"),
            ("CHOICE.json", "tables.resampled_candidates.told.choice"),
            ("CHOICE.parquet at equal KL", "sweeps.matched.at_equal_kl.curves"),
            ("CHOICE.json at equal KL", "sweeps.matched.at_equal_kl.choice"),
            ("Multipliers", "sweeps.choices.choose"),
        ),
    ),
    Group(
        "Vectors in numbers",
        "They are in `results/STUDY/`.",
        (
            ("vectors.csv", "vectors.described.of_layers"),
            ("cosines.csv", "vectors.described.cosines"),
        ),
    ),
    Group(
        "Scorecards and comparisons",
        "A scorecard is `results/STUDY/scorecards/SCORECARD.parquet` with curves, and "
        "`SCORECARD-pairs.parquet` and `SCORECARD.csv` with pairs. `make compare` writes "
        "`curves.parquet`, `pairs.parquet`, `overlay.csv` with pairs, and `settings.parquet` to "
        "`results/comparisons/A-against-B/`.",
        (
            ("Pairs", "tables.scorecard.Scorecard.pairs"),
            ("Curves", "tables.scorecard.Scorecard.curves"),
            ("Settings", "reports.differences.Difference"),
        ),
    ),
    Group(
        "Numbers behind figures",
        "They are `results/STUDY/figures/FIGURE.csv`. The columns depend on the figure's `kind`.",
        (
            ("A figure without its published results", "figures.absent.absent"),
            ("Points of any measure", "figures.quantities.quantity"),
            ("Doses of points", "figures.doses.with_doses"),
        ),
        kind="figures",
        made_by="draw",
        about="Kind",
    ),
    Group(
        "What was made, and what it took",
        "They are in `results/STUDY/`.",
        (
            ("artefacts.csv", "storage.catalogue.write_catalogue"),
            ("usage.csv", "reports.usage.usage"),
        ),
    ),
    Group(
        "Published results",
        "They are `results/STUDY/tables/NAME.parquet`. The columns depend on the reader of the "
        "published files. Numbers that are not published are empty.",
        (("Histograms", "tables.histograms.histogram"),),
        kind="papers",
        made_by="table",
        about="Reader",
    ),
    Group(
        "The cache: texts and questions",
        "They are `NAME.KEY.parquet` in folders of `results/cache/`.",
        (
            ("documents, NAME-train and NAME-validation", "corpora.drawing.documents"),
            ("documents, selected", "measures.selection.kept"),
            ("questions", "behaviours.drawing.table"),
        ),
    ),
    Group(
        "The cache: sweeps",
        "They are `SWEEP.PART.KEY.parquet` in `results/cache/sweeps/`, with resampled vectors "
        "`SWEEP.PART.resampled.KEY.parquet`. A file has the columns of all its measures. Each row "
        "fills those of its own measure.",
        (("Columns of every measure", "sweeps.runner.run"),),
        kind="measures",
        about="Rows of",
    ),
)


def markdown() -> str:
    """The page. Raises StudyError for a column that is described nowhere."""
    headings = {place: _heading(group, name) for group in GROUPS for name, place in group.places()}
    parts = [_INTRODUCTION]
    for group in GROUPS:
        parts.append(f"\n## {group.heading}\n")
        parts.append(f"{group.where}\n")
        for name, place in group.places():
            if name:
                parts.append(f"### {name}\n")
            parts.append(_table(place, headings))
    return "\n".join(parts)


def _heading(group: Group, name: str) -> str:
    return name or group.heading


def _table(place: str, headings: dict[str, str]) -> str:
    found = described(place)
    sentence = f"{found.row[:1].upper()}{found.row[1:]}.\n\n" if found.row else ""
    lines = [f"| {found.what[:-1]} | type | meaning |", "| --- | --- | --- |"]
    for (of, when), columns in itertools.groupby(found.columns, key=_described_by):
        if of:
            names = [name for column in columns for name in column.names]
            lines.append(_line(names, when, f"as in {_link(headings[of])}"))
        else:
            for column in columns:
                kind = ", ".join(filter(None, [column.kind, column.when]))
                lines.append(_line(column.names, kind, column.meaning))
    return sentence + "\n".join(lines) + "\n"


def _described_by(column: Column) -> tuple[str, str]:
    return column.of, column.when


def _line(names: Sequence[str], kind: str, meaning: str) -> str:
    shown = "all columns" if ALL in names else ", ".join(f"`{name}`" for name in names)
    return " | ".join(["", shown, kind, meaning, ""]).strip().replace("|  |", "| |")


def _link(heading: str) -> str:
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"[{heading}](#{anchor})"
