"""Texts written under steering as a page to be read: coefficients side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
import numpy as np
import pandas as pd
import pyarrow as pa

from snakesteer.core.labels import coefficient_label
from snakesteer.tables import judged
from snakesteer.tables.agreement import Agreement
from snakesteer.tables.continuation import Job, checked, raw_column
from snakesteer.tables.corrected import Correction
from snakesteer.tables.raw import by_injection, unsteered_rows

SHOWN = 20  # prompts of each source under each injection

_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em }
p { max-width: 60em }
div { overflow-x: auto; margin-bottom: 2.5em }
table { border-collapse: collapse }
td, th { border-top: 1px solid #ccc; padding: .4em .7em; text-align: left; vertical-align: top;
  min-width: 13em; max-width: 26em }
thead th { white-space: nowrap; border-top: 0 }
th:first-child { position: sticky; left: 0; background: #f4f4f4; min-width: 11em; max-width: 20em;
  font-weight: normal }
thead th:first-child, .mean th:first-child { font-weight: bold }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: inherit }
th pre { font: 13px/1.4 ui-monospace, monospace }
td pre + pre, td p + pre { border-top: 1px dashed #ccc; margin-top: .5em; padding-top: .5em }
.scores { display: flex; flex-wrap: wrap; gap: 0 1em; margin: .3em 0 0; color: #666;
  font-size: 13px; font-variant-numeric: tabular-nums }
.scores span { white-space: nowrap }
.scores b { font-weight: 600; color: #222 }
.mean { background: #f4f4f4 }
.mean .scores { margin: 0 }
.unsteered { background: #fbf8ee }
</style>
<h1>{{ title }}</h1>
<p>{{ said | join(" ") }}</p>
{% macro scores(of) %}{% if of %}<p class="scores">{% for name, value in of.items() -%}
<span>{{ name }} <b>{{ value }}</b></span> {% endfor %}</p>{% endif %}{% endmacro %}
{% for view in views %}
<h2>{{ view.heading }}</h2>
{% if view.more %}<p>The first {{ view.prompts | length }} prompts of
{{ view.prompts | length + view.more }}; the means are over all.</p>{% endif %}
<div><table>
<thead><tr><th>Prompt{% for column in view.columns %}
<th{% if column.unsteered %} class="unsteered"{% endif %}>{{ column.label }}{% endfor %}</thead>
{% if view.scored %}<tr class="mean"><th>mean{% for column in view.columns %}
<td>{{ scores(column.means) }}{% endfor %}
{% endif %}{% for prompt in view.prompts %}
<tr><th><pre>{{ prompt.text }}</pre>{% for column in view.columns %}
<td{% if column.unsteered %} class="unsteered"{% endif %}>
{%- for cell in column.cells[prompt.name] -%}
<pre>{{ cell.text }}</pre>{{ scores(cell.scores) }}{% endfor %}{% endfor %}
{% endfor %}
</table></div>
{% endfor %}
</html>
""",
    autoescape=True,
)


@dataclass(frozen=True)
class Cell:
    """A text, with its scores as they are shown."""

    text: str
    scores: Mapping[str, str]


@dataclass(frozen=True)
class Column:
    """One coefficient: the means of its scores, and its texts by the name of their prompt."""

    label: str
    unsteered: bool
    means: Mapping[str, str]
    cells: Mapping[str, Sequence[Cell]]


@dataclass(frozen=True)
class Prompt:
    """A prompt by its name."""

    name: str
    text: str


@dataclass(frozen=True)
class View:
    """What is shown in one table; so many `more` prompts are not."""

    heading: str
    prompts: Sequence[Prompt]
    columns: Sequence[Column]
    more: int = 0

    @property
    def scored(self) -> bool:
        """Whether there are means to be shown."""
        return any(column.means for column in self.columns)


def page(samples: pa.Table, title: str | None, said: Sequence[str]) -> str:
    """HTML with the continuations of every prompt, a column for each coefficient.

    `said` are sentences on how states are changed. `samples` has the columns `prompt`, `vector`,
    `layer`, `coefficient` and `continuation`.
    """
    rows = samples.to_pandas()
    vector, layer = rows["vector"].iloc[0], rows["layer"].iloc[0]
    prompts = [Prompt(text, text) for text in dict.fromkeys(rows["prompt"])]
    columns = []
    for coefficient, here in rows.groupby("coefficient", sort=False):
        texts = zip(here["prompt"], here["continuation"], strict=True)
        cells = {prompt: [Cell(text, {})] for prompt, text in texts}
        columns.append(Column(coefficient_label(coefficient), False, {}, cells))
    return _PAGE.render(
        title=title or f"Samples steered with {vector}",
        said=["Greedy continuations.", *said],
        views=[View(f"{vector} at layer {layer}", prompts, columns)],
    )


def texts_page(
    job: Job, raw: Sequence[pd.DataFrame], title: str | None, said: Sequence[str]
) -> str:
    """HTML with the texts of a sweep: a table for each injection and source, a column for each
    coefficient, with scores below each text and their means above all.

    `raw` are the tables of the sweep's jobs. Behind what is `said` stands how far people agree with
    judges whose texts they have labelled.
    """
    views = []
    for injected, own, _ in by_injection(job, raw, []):
        for source, rows in own.groupby("source", sort=False):
            told = rows.drop_duplicates("sample")
            prompts = [Prompt(*each) for each in zip(told["sample"], told["prompt"], strict=True)]
            columns = []
            coefficients = np.unique(rows["coefficient"])
            for coefficient, unsteered in zip(
                coefficients, unsteered_rows(coefficients), strict=True
            ):
                here = rows[rows["coefficient"].isin([coefficient])]
                columns.append(_column(job, coefficient, unsteered, here))
            heading = f"{injected.label}, on {source}"
            more = max(0, len(prompts) - SHOWN)
            views.append(View(heading, prompts[:SHOWN], columns, more))
    said = [*said, *_agreements(job, raw)]
    return _PAGE.render(title=title or f"Texts of {job.sweep}", said=said, views=views)


def _agreements(job: Job, raw: Sequence[pd.DataFrame]) -> list[str]:
    """How far people agree with each judge whose texts they have labelled."""
    checks = checked(job, raw)
    found: dict[str, Agreement | Correction] = {**checks.agreements, **checks.corrections}
    return [judged.said(score, each.columns(score)) for score, each in found.items()]


def _column(job: Job, coefficient: float, unsteered: bool, rows: pd.DataFrame) -> Column:
    """The texts under one coefficient, which may be NaN where nothing is steered."""
    scores = {name: rows[raw_column(name)] for name in job.scores}
    cells: dict[str, list[Cell]] = {}
    for place, (sample, text) in enumerate(zip(rows["sample"], rows["text"], strict=True)):
        own = {name: _shown(values.iloc[place]) for name, values in scores.items()}
        cells.setdefault(sample, []).append(Cell(text, own))
    means = {name: _shown(values.mean()) for name, values in scores.items()}
    return Column(_label(coefficient, unsteered), unsteered, means, cells)


def _label(coefficient: float, unsteered: bool) -> str:
    if math.isnan(coefficient):
        return coefficient_label(None)
    return coefficient_label(coefficient) + (", unsteered" if unsteered else "")


def _shown(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.3g}"
