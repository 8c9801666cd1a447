"""What a study's jobs took, as a table and as a page to be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from snakesteer.storage.files import read_json

COLUMNS = [
    "rule",
    "name",
    "key",
    "seconds",
    "cpu_seconds",
    "memory_mb",
    "tokens",
    "tokens_per_second",
    "device",
    "device_memory_mb",
    "judge_answers",
    "judge_input_tokens",
    "judge_output_tokens",
    "judge_cost",
]

_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>What the jobs took</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }
table { border-collapse: collapse; width: 100% }
td, th { border-top: 1px solid #ccc; padding: .25em .6em; text-align: left }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
</style>
<h1>What the jobs took</h1>
<p>The {{ rows | length }} jobs of the cache took {{ hours }} hours of wall time. Tokens count the
passes that the job ran itself, without points that had already finished. Empty cells were not
measured: the artefact was made elsewhere, or without a model.</p>
<table>
<tr><th>Rule<th>Job<th class="number">Seconds<th class="number">CPU seconds
<th class="number">Memory (MB)<th class="number">Tokens<th class="number">Tokens a second<th>Device
<th class="number">Device memory (MB)
{% if judged %}<th class="number">Answers of judges<th class="number">Their input tokens
<th class="number">Output tokens<th class="number">Cost{% endif %}
{% for row in rows %}
<tr><td>{{ row.rule }}<td>{{ row.name }}
{% for column in numbers %}<td class="number">{{ shown(row[column]) }}{% endfor %}
<td>{{ row.device or "" }}<td class="number">{{ shown(row.device_memory_mb) }}
{% if judged %}<td class="number">{{ shown(row.judge_answers) }}
<td class="number">{{ shown(row.judge_input_tokens) }}
<td class="number">{{ shown(row.judge_output_tokens) }}
<td class="number">{{ "%.2f" | format(row.judge_cost) if row.judge_cost is not none }}{% endif %}
{% endfor %}
</table>
</html>
""",
    autoescape=True,
)
_NUMBERS = ["seconds", "cpu_seconds", "memory_mb", "tokens", "tokens_per_second"]


def usage(jobs: Iterable[Mapping[str, str]]) -> pd.DataFrame:
    """A row per job (`rule`, `name`, `key`, `benchmark`, `usage`), columns `COLUMNS`.

    What was not measured is empty: artefacts that came with a copied cache have no logs.

    Columns, a row for each job:
        rule (text): The rule that ran.
        name (text): The artefact's name.
        key (text): The artefact's key.
        seconds (number): Wall time.
        cpu_seconds (number): Processor time.
        memory_mb (number): Largest resident memory, in MB.
        tokens (number): Tokens of passes that the job made itself. Empty without a model.
        tokens_per_second (number): Rate of these.
        device (text): The device that the model ran on.
        device_memory_mb (number): Largest memory used on the GPUs, in MB. Empty without a GPU.
        judge_answers, judge_input_tokens, judge_output_tokens (number): Answers of judges, and the
            tokens that they read and wrote. Empty without a judge.
        judge_cost (number): What these cost, at the prices given in the study.
    """
    rows = []
    for job in jobs:
        row: dict[str, Any] = {column: job.get(column) for column in COLUMNS}
        if Path(job["benchmark"]).is_file():
            measured = pd.read_csv(job["benchmark"], sep="\t", na_values=["-", "NA"]).iloc[-1]
            row |= {"seconds": measured["s"], "cpu_seconds": measured["cpu_time"]}
            row["memory_mb"] = measured["max_rss"]
        if Path(job["usage"]).is_file():
            row |= read_json(Path(job["usage"]))
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def page(used: pd.DataFrame) -> str:
    """HTML with a row per job, the longest first."""
    ordered = used.sort_values("seconds", ascending=False, kind="stable").astype(object)
    return _PAGE.render(
        rows=ordered.where(ordered.notna(), None).to_dict("records"),
        hours=f"{used['seconds'].sum() / 3600:,.2f}",
        judged=used["judge_answers"].notna().any(),
        numbers=_NUMBERS,
        shown=lambda value: "" if value is None else f"{value:,.0f}",
    )
