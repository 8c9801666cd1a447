"""A scorecard as a page to be read."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import jinja2

from snakesteer.reports.differences import Difference
from snakesteer.tables.scorecard import Scorecard

_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }
h1, p, li, summary { overflow-wrap: anywhere }
img { max-width: 100%; height: auto; margin-bottom: 1.5em }
div { overflow-x: auto; margin-bottom: 1.5em }
table { border-collapse: collapse; width: 100% }
td.setting { overflow-wrap: anywhere }
td.verdict { min-width: 18em }
td, th { border-top: 1px solid #ccc; padding: .25em .6em; text-align: left; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
tr.outside { background: #fbe9dc }
summary { cursor: pointer }
</style>
<h1>{{ title }}</h1>
{% if curves %}
<p><b>{{ agree }} of {{ curves | length }} curves agree.</b> Differences are the first value minus
the second, with 95 % intervals. A curve agrees if the interval of its statistic includes 0 and no
more than one in 20 of its points differ. A point differs if its own interval excludes 0. Rows that
differ are shaded. Intervals are paired where both sweeps read the same questions or documents (see
the last column).</p>
{% else %}
<p><b>No curves were compared.</b></p>
{% endif %}
{% for note in notes %}
<p>{{ note }}</p>
{% endfor %}
{% if picture %}
<img src="data:image/png;base64,{{ picture }}" width="900" alt="Curves of both sweeps, overlaid">
{% endif %}
{% if settings %}
<h2>Settings that differ</h2>
<div><table>
<tr><th>Setting<th>First<th>Second
{% for one in settings %}
<tr><td class="setting">{{ one.entry }}
<td class="setting">{{ one.before or "absent" }}<td class="setting">{{ one.after or "absent" }}
{% endfor %}
</table></div>
{% endif %}
{% if refused %}
<h2>Not compared</h2>
<ul>{% for sentence in refused %}<li>{{ sentence }}{% endfor %}</ul>
{% endif %}
{% if curves %}
<h2>Compared</h2>
<div><table>
<tr><th>Sweep<th>Against<th>Curve<th>Statistic<th>First<th>Second<th>Rank agreement<th>Verdict
{% for curve in curves %}
<tr{% if curve.within is false %} class="outside"{% endif %}><td>{{ curve.sweep }}
<td>{{ curve.against }}<td>{{ curve.curve }}<td>{{ curve.statistic }}
<td class="number">{{ "%.3f" | format(curve.value) }}
<td class="number">{{ "%.3f" | format(curve.value_against) }}
<td class="number">{{ "%.2f" | format(curve.rank_agreement) if
curve.rank_agreement == curve.rank_agreement else "none" }}
<td class="verdict">{{ curve.verdict }}
{% endfor %}
</table></div>
{% endif %}
{% for curve in curves if curve.points %}
<details><summary>{{ curve.sweep }} against {{ curve.against }}: {{ curve.curve }}</summary>
<div><table>
<tr><th>Quantity<th>Point<th>Coefficients<th>First<th>Second<th>Difference<th>Interval<th>Items
{% for pair in curve.points %}
<tr{% if pair.within is false %} class="outside"{% endif %}><td>{{ pair.quantity }}
<td>{{ pair.point }}
<td class="number">{{ "%g" | format(pair.coefficient) }}{% if
pair.coefficient != pair.coefficient_against %}, {{ "%g" | format(pair.coefficient_against) }}{%
endif %}
<td class="number">{{ "%.3f" | format(pair.value) }}
<td class="number">{{ "%.3f" | format(pair.value_against) }}
<td class="number">{{ "%+.3f" | format(pair.difference) }}
<td class="number">{% if pair.difference_low == pair.difference_low %}{{
"%+.3f" | format(pair.difference_low) }} to {{ "%+.3f" | format(pair.difference_high) }}{% else
%}none{% endif %}
<td>{{ pair.interval }}
{% endfor %}
</table></div></details>
{% endfor %}
</html>
""",
    autoescape=True,
)


_ABSENT = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<h1>{{ title }}</h1>
<p>Nothing to compare: published results are absent.</p>
<ul>{% for sentence in missing %}<li>{{ sentence }}{% endfor %}</ul>
</html>
""",
    autoescape=True,
)


def absent_page(missing: Sequence[str], title: str) -> str:
    """HTML in place of a scorecard whose tables are all empty, with the reasons."""
    return _ABSENT.render(missing=missing, title=title)


def page(
    compared: Scorecard,
    title: str,
    settings: Sequence[Difference] = (),
    refused: Sequence[str] = (),
    notes: Sequence[str] = (),
    picture: bytes = b"",
) -> str:
    """HTML with a verdict per curve and, folded away, the curve's points.

    Above them the curves over each other (`picture`, a PNG file), the settings in which two studies
    differ, and sentences on what is not compared, and on what else is to be known (`notes`).
    """
    names = ["sweep", "against", "curve"]
    points = {
        key: rows.to_dict("records") for key, rows in compared.pairs.groupby(names, sort=False)
    }
    curves = [
        {**curve, "points": points.get(tuple(curve[name] for name in names), [])}
        for curve in compared.curves.to_dict("records")
    ]
    agree = sum(curve["verdict"].startswith("agrees") for curve in curves)
    return _PAGE.render(
        title=title,
        curves=curves,
        agree=agree,
        settings=settings,
        refused=refused,
        notes=notes,
        picture=base64.b64encode(picture).decode(),
    )
