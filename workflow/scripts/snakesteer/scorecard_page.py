"""A scorecard as a page to be read."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
import pandas as pd

from snakesteer.differences import Difference
from snakesteer.scorecard import Scorecard

_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }
table { border-collapse: collapse; width: 100%; margin-bottom: 1.5em }
td, th { border-top: 1px solid #ccc; padding: .25em .6em; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
tr.outside { background: #fbe9dc }
summary { cursor: pointer }
</style>
<h1>{{ title }}</h1>
<p><b>{{ within }} of {{ curves | length }} curves are within the interval.</b> Differences are the
first value minus the second, with 95 % intervals; points outside theirs are shaded.</p>
{% if settings %}
<h2>Settings that differ</h2>
<table>
<tr><th>Setting<th>First<th>Second
{% for one in settings %}
<tr><td>{{ one.entry }}<td>{{ one.before or "absent" }}<td>{{ one.after or "absent" }}
{% endfor %}
</table>
{% endif %}
{% if refused %}
<h2>Not compared</h2>
<ul>{% for sentence in refused %}<li>{{ sentence }}{% endfor %}</ul>
{% endif %}
{% if curves %}
<table>
<tr><th>Sweep<th>Against<th>Curve<th>Statistic<th>First<th>Second<th>Rank agreement<th>Verdict
{% for curve in curves %}
<tr{% if not curve.within %} class="outside"{% endif %}><td>{{ curve.sweep }}<td>{{ curve.against }}
<td>{{ curve.curve }}<td>{{ curve.statistic }}
<td class="number">{{ "%.3f" | format(curve.value) }}
<td class="number">{{ "%.3f" | format(curve.value_against) }}
<td class="number">{{ "%.2f" | format(curve.rank_agreement) }}<td>{{ curve.verdict }}
{% endfor %}
</table>
{% endif %}
{% for curve in curves %}
<details><summary>{{ curve.sweep }} against {{ curve.against }}: {{ curve.curve }}</summary>
<table>
<tr><th>Quantity<th>Point<th>Coefficients<th>First<th>Second<th>Difference<th>Interval
{% for pair in curve.points %}
<tr{% if not pair.within %} class="outside"{% endif %}><td>{{ pair.quantity }}<td>{{ pair.point }}
<td class="number">{{ "%g" | format(pair.coefficient) }}{% if
pair.coefficient != pair.coefficient_against %}, {{ "%g" | format(pair.coefficient_against) }}{%
endif %}
<td class="number">{{ "%.3f" | format(pair.value) }}
<td class="number">{{ "%.3f" | format(pair.value_against) }}
<td class="number">{{ "%+.3f" | format(pair.difference) }}
<td class="number">{{ "%+.3f" | format(pair.difference_low) }} to
{{ "%+.3f" | format(pair.difference_high) }}
{% endfor %}
</table></details>
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
) -> str:
    """HTML with a verdict per curve and, folded away, the curve's points.

    Above them the settings in which two studies differ, and sentences on what is not compared.
    """
    names = ["sweep", "against", "curve"]
    points = {
        key: rows.to_dict("records") for key, rows in compared.pairs.groupby(names, sort=False)
    }
    curves = [
        {**curve, "points": points[tuple(curve[name] for name in names)]}
        for curve in compared.curves.to_dict("records")
    ]
    within = int(pd.Series(compared.curves["within"]).sum())
    return _PAGE.render(
        title=title, curves=curves, within=within, settings=settings, refused=refused
    )
