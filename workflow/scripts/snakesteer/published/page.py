"""What of the published results there is, and what is absent and why, as a page to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2


@dataclass(frozen=True)
class Series:
    """A published table: its rows, the blob id of each file read, a sentence on each left out."""

    name: str
    rows: int
    blobs: Mapping[str, str]
    missing: Mapping[str, str]


_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Published results</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }
table { border-collapse: collapse; width: 100% }
td, th { border-top: 1px solid #ccc; padding: .4em .6em; text-align: left; vertical-align: top }
code { font-size: 12px; overflow-wrap: anywhere }
</style>
<h1>Published results</h1>
<p>Source: {{ source }}. {{ absent }} of {{ files }} files are left out.</p>
<table>
<tr><th>Series<th>Rows<th>Files, with their git blob ids<th>Left out
{% for one in series %}
<tr><td>{{ one.name }}<td>{{ one.rows }}
<td>{% for path, blob in one.blobs.items() %}{{ path }} <code>{{ blob }}</code><br>{% endfor %}
<td>{% for sentence in one.missing.values() %}{{ sentence }}.<br>{% endfor %}
{% endfor %}
</table>
</html>
""",
    autoescape=True,
)


def page(series: Sequence[Series], source: str) -> str:
    """HTML with a row per series; `source` is that of the study's `published` section."""
    absent = sum(len(one.missing) for one in series)
    files = len({path for one in series for path in [*one.blobs, *one.missing]})
    return _PAGE.render(series=series, source=source, absent=absent, files=files)
