"""Steered continuations as a page to be read."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
import pyarrow as pa

_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }
table { border-collapse: collapse; width: 100%; margin-bottom: 2em }
td, th { border-top: 1px solid #ccc; padding: .4em .6em; text-align: left; vertical-align: top }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: inherit }
h2 pre { font: 14px/1.4 ui-monospace, monospace; background: #f4f4f4; padding: .6em }
</style>
<h1>{{ title }}</h1>
<p>Greedy continuations, steered along the vector <b>{{ vector }}</b> at layer {{ layer }}.
{{ said | join(" ") }}</p>
{% for prompt, rows in prompts %}
<h2><pre>{{ prompt }}</pre></h2>
<table>
<tr><th>Coefficient<th>Continuation
{% for row in rows %}
<tr><td class="number">{{ "%g" | format(row.coefficient) }}<td><pre>{{ row.continuation }}</pre>
{% endfor %}
</table>
{% endfor %}
</html>
""",
    autoescape=True,
)


def page(samples: pa.Table, title: str | None, said: Sequence[str]) -> str:
    """HTML with a table of continuations by coefficient for every prompt.

    `said` are sentences on how states are changed. `samples` has the columns `prompt`, `vector`,
    `layer`, `coefficient` and `continuation`.
    """
    rows = samples.to_pylist()
    prompts: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        prompts.setdefault(row["prompt"], []).append(row)
    vector, layer = rows[0]["vector"], rows[0]["layer"]
    return _PAGE.render(
        title=title or f"Samples steered with {vector}",
        vector=vector,
        layer=layer,
        said=said,
        prompts=list(prompts.items()),
    )
