"""What of the published results there is, and what is absent and why: as a page to be read, and as
the sentences at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from snakesteer.storage.files import read_provenance, read_table

_SHOWN = 8


@dataclass(frozen=True)
class Series:
    """A published table: its rows, the blob id of each file read, a sentence on each left out, and
    one on each that was read without being compared with the commit.
    """

    name: str
    rows: int
    blobs: Mapping[str, str]
    missing: Mapping[str, str]
    unverified: Mapping[str, str]


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
<p>Source: {{ source }}. Commit: <code>{{ commit }}</code>.
{{ missing|length }} of {{ files }} files were skipped.
{% if unverified %}{{ unverified|length }} files were read but not compared with the commit.
{% else %}Every file that was read has the blob id of the commit.{% endif %}</p>
{% if missing or unverified %}<ul>
{% for sentence in missing %}<li>Skipped: {{ sentence }}.
{% endfor %}{% for sentence in unverified %}<li>{{ sentence }}.
{% endfor %}</ul>{% endif %}
<table>
<tr><th>Series<th>Rows<th>Files, with their git blob ids<th>Skipped
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


def read_series(tables: Iterable[str | Path]) -> list[Series]:
    """The published tables at these paths, as far as they exist."""
    found = []
    for path in map(Path, tables):
        if path.exists():
            origin = read_provenance(path)
            what = (origin.get(key, {}) for key in ("blobs", "missing", "unverified"))
            found.append(Series(path.stem, read_table(path).num_rows, *what))
    return found


def page(series: Sequence[Series], source: str, commit: str) -> str:
    """HTML with a row per series; `source` and `commit` are the study's, of `published`."""
    return _PAGE.render(
        series=series,
        source=source,
        commit=commit,
        missing=_sentences(one.missing for one in series),
        unverified=_sentences(one.unverified for one in series),
        files=len({path for one in series for path in [*one.blobs, *one.missing]}),
    )


def closing_lines(series: Sequence[Series], page: str) -> list[str]:
    """What a run says at its end: what was left out or not compared with the commit.

    Of more than a few sentences the path `page` has the others.
    """
    lines = [
        *(f"Skipped: {sentence}." for sentence in _sentences(one.missing for one in series)),
        *(f"{sentence}." for sentence in _sentences(one.unverified for one in series)),
    ]
    rest = len(lines) - _SHOWN
    return [*lines[:_SHOWN], f"And {rest} more: see {page}."] if rest > 0 else lines


def _sentences(told: Iterable[Mapping[str, str]]) -> list[str]:
    """The sentences on all files, one on each."""
    return list({path: sentence for one in told for path, sentence in one.items()}.values())
