"""The first page of a study: what was asked and found, as one file that loads nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from snakesteer.core.labels import coefficient_label, layer_order
from snakesteer.figures.quantities import read_at
from snakesteer.figures.style import label, layers_said, signed
from snakesteer.reports.findings import Finding, shown, with_interval
from snakesteer.tables.draws import without_draws

FIRST = 5  # findings of a table that are not folded away
SHOWN_TEXTS = 3  # prompts of each table of texts


@dataclass(frozen=True)
class Found:
    """What one column of a table says. `chosen_from` is whether choices are made from its texts."""

    table: str
    title: str
    column: str
    findings: Sequence[Finding]
    chosen_from: bool = False


@dataclass(frozen=True)
class Effects:
    """What one table of effects, or of a ranking, says in sentences."""

    table: str
    title: str
    sentences: Sequence[str]


@dataclass(frozen=True)
class Shown:
    """A figure: its name, its caption, and its PNG file."""

    name: str
    caption: str
    picture: bytes

    @property
    def data(self) -> str:
        """The picture inside of a page."""
        return base64.b64encode(self.picture).decode()


@dataclass(frozen=True)
class VectorRow:
    """A vector in numbers: its length at the layers where it was injected, or at all."""

    name: str
    method: str
    layers: str
    length: str
    nearest: str
    chosen: str


@dataclass(frozen=True)
class Texts:
    """Some texts side by side: a row for each prompt, a column for each coefficient."""

    name: str
    heading: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Verdict:
    """What a scorecard says: curves that agree, of how many, and those that do not."""

    name: str
    title: str
    agree: int
    curves: int
    others: Sequence[str]


@dataclass(frozen=True)
class FrontPage:
    """All that the page shows; see `plan.front_page.contents` for what it is asked with."""

    asked: Mapping[str, Any]
    found: Sequence[Found]
    figures: Sequence[Shown]
    effects: Sequence[Effects] = ()
    vectors: Sequence[VectorRow] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    texts: Sequence[Texts] = ()
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = ()
    cost: Sequence[str] = ()


def page(front: FrontPage) -> str:
    """HTML, with every picture inside of it."""
    labels = front.asked["labels"]
    return _PAGE.render(
        front=front,
        asked=front.asked,
        first=FIRST,
        reported=[each for each in front.found if each.findings and not each.chosen_from],
        chosen_from=[each for each in front.found if each.findings and each.chosen_from],
        name=lambda entry: label(entry, {"labels": labels}),
        names=lambda entries: listed([label(entry, {"labels": labels}) for entry in entries]),
        curve=curve_rows,
    )


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in a row, those behind the first few counted."""
    rest = len(names) - most
    return ", ".join(names if rest <= 1 else [*names[:most], f"{rest} more"])


def curve_rows(finding: Finding) -> Iterator[tuple[str, str]]:
    """Coefficient and value of each point of a finding's curve."""
    for row in finding.curve.sort_values("coefficient").to_dict("records"):
        at = "unsteered" if math.isnan(row["coefficient"]) else signed(row["coefficient"])
        yield at, with_interval(row["value"], row["low"], row["high"])


def vector_rows(
    vectors: Mapping[str, np.ndarray],
    methods: Mapping[str, str],
    models: Mapping[str, str],
    layers: Mapping[str, Sequence[int]],
    chosen: Mapping[str, str],
) -> list[VectorRow]:
    """Vectors [(positions,) n_layers, hidden] in numbers, of several positions the last one.

    `layers` are those at which each is injected. The nearest other vector is that of the same one
    of `models` with the largest cosine, up to its sign, at the middle one of these.
    """
    rows = []
    flat = {name: each.reshape(-1, *each.shape[-2:])[-1] for name, each in vectors.items()}
    for name, vector in flat.items():
        at = list(layers.get(name, ())) or list(range(len(vector)))
        lengths = np.linalg.norm(vector[at].astype(np.float64), axis=1)
        beside = {other: flat[other] for other in flat if models[other] == models[name]}
        least, most = shown(lengths.min()), shown(lengths.max())
        where = layers_said("+".join(map(str, at))).replace("+", ", ")
        rows.append(
            VectorRow(
                name,
                methods[name],
                where if name in layers else f"all of {len(vector)}",
                least if least == most else f"{least} to {most}",
                _nearest(name, beside, at[len(at) // 2]),
                chosen.get(name, ""),
            )
        )
    return rows


def _nearest(name: str, vectors: Mapping[str, np.ndarray], layer: int) -> str:
    own = vectors[name]
    found: tuple[float, str] | None = None
    for other, vector in vectors.items():
        if other == name or vector.shape != own.shape:
            continue
        lengths = np.linalg.norm(own[layer]) * np.linalg.norm(vector[layer])
        if lengths:
            cosine = float(own[layer] @ vector[layer] / lengths)
            if found is None or abs(cosine) > abs(found[0]):
                found = cosine, other
    return "" if found is None else f"{found[1]} ({shown(round(found[0], 2))}, layer {layer})"


def chosen_in(choice: Mapping[str, Any]) -> dict[str, str]:
    """What a choice has for each vector: layers and multipliers, or the one candidate."""
    taken = choice.get("each") or ([choice["chosen"]] if "chosen" in choice else [])
    if taken:
        return {
            best[
                "vector"
            ]: f"layer {best['layer']}, {coefficient_label(best['coefficient'])}".replace("-", "−")
            for best in taken
        }
    found = {}
    for vector, layers in choice["multipliers"].items():
        best = choice.get("layers", {}).get(vector, next(iter(layers)))
        cell = layers[best]
        both = f"{signed(-abs(cell['subtract']))} and {signed(cell['add'])}"
        found[vector] = f"layer {layers_said(best)}, {both}"
    return found


def choice_said(choice: Mapping[str, Any]) -> str:
    """The rule of a choice; of one among candidates what it takes, how many each limit leaves out,
    how often resamples of the texts take it as well, and which other they take most often."""
    said = [choice["rule"]]
    if "chosen" in choice:
        said.append(
            f"It takes {_candidate(choice['chosen'])}, one of {choice['candidates']} candidates."
        )
        out = [each for each in choice["left_out"] if each["candidates"]]
        counted = [f"{each['condition']} ({each['candidates']})" for each in out]
        said += [f"Excluded: {', '.join(counted)}."] if counted else []
    if "each" in choice:
        said.append(f"It takes one for each of {len(choice['each'])} vectors.")
        few = choice["unreached"]
        does = "do not" if few > 1 else "does not"
        said += [f"{few} of {choice['curves']} curves {does} reach the KL."] if few else []
    if drawn := choice.get("resamples"):
        said.append(
            f"{100 * drawn['chosen']:.0f} % of {drawn['resamples']:,} resamples of the texts "
            "take it as well."
        )
        others = [each for each in drawn["shares"] if not _same(each, choice["chosen"])]
        for other in others[:1]:
            said.append(f"{100 * other['share']:.0f} % take {_candidate(other)}.")
    return " ".join(said)


def _candidate(of: Mapping[str, Any]) -> str:
    place = [of["vector"], f"layer {of['layer']}"]
    if "sweep" in of:  # where the candidates are from several
        place[0] += f" of {of['sweep']}"
    if of["position"] is not None:
        place.append(f"position {of['position']}".replace("-", "−"))
    return ", ".join([*place, f"coefficient {signed(of['coefficient'])}"])


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = ("sweep", "vector", "layer", "position", "coefficient")
    return all(one.get(name) == other.get(name) for name in names)


def injected_layers(tables: Sequence[pd.DataFrame]) -> dict[str, list[int]]:
    """The layers at which each vector is injected by itself in any of the study's own tables."""
    found: dict[str, set[int]] = {}
    for rows in tables:
        for vector, where in rows[["vector", "layer"]].drop_duplicates().itertuples(index=False):
            found.setdefault(vector, set()).update(layer_order(where))
    return {vector: sorted(layers) for vector, layers in found.items() if layers}


def samples_texts(name: str, rows: pd.DataFrame) -> Texts:
    """The first texts of a table of samples."""
    coefficients = list(dict.fromkeys(rows["coefficient"]))
    prompts = list(dict.fromkeys(rows["prompt"]))[:SHOWN_TEXTS]
    texts = rows.set_index(["prompt", "coefficient"])["continuation"]
    vector, layer = rows["vector"].iloc[0], rows["layer"].iloc[0]
    return Texts(
        name,
        f"{label(vector, {})} at layer {layer}",
        [coefficient_label(each) for each in coefficients],
        [(prompt, [texts[prompt, each] for each in coefficients]) for prompt in prompts],
    )


def written_texts(name: str, rows: pd.DataFrame, labels: Mapping[str, str]) -> list[Texts]:
    """The first texts of each injection in a table of continuations, but for draws of controls."""
    found = []
    rows = without_draws(rows)
    rows = rows[rows["texts"].notna()]  # a mean of draws has none
    rows = rows.assign(read_at=read_at(rows))
    curves = rows.groupby(["vector", "layer", "read_at", "source"], sort=False)
    for (vector, layer, read, source), own in curves:
        own = own.sort_values("coefficient")
        columns = [
            "unsteered" if math.isnan(each) else coefficient_label(each)
            for each in own["coefficient"]
        ]
        texts = own["texts"].tolist()
        most = min(SHOWN_TEXTS, *map(len, texts))
        kept = [(f"text {place + 1}", [each[place] for each in texts]) for place in range(most)]
        vector, source = (label(each, {"labels": labels}) for each in (vector, source))
        where = " ".join(filter(None, [f"{vector} at layer {layer}", read]))
        found.append(Texts(name, f"{where}, {source}", columns, kept))
    return found


def verdict(name: str, title: str, curves: pd.DataFrame) -> Verdict:
    """What a scorecard's table of curves says."""
    agrees = curves["verdict"].str.startswith("agrees")
    others = curves[~agrees]
    said = (others["sweep"] + ", " + others["curve"] + ": " + others["verdict"]).tolist()
    return Verdict(name, title, int(agrees.sum()), len(curves), said)


def cost(used: pd.DataFrame) -> list[str]:
    """What a study's jobs took, in sentences, of a table as `reports.usage` has it."""
    measured = used.dropna(subset=["seconds"])
    if used.empty:
        return ["No job of this study writes to the cache."]
    if measured.empty:
        return [f"None of the {len(used)} cached jobs was measured here."]
    said = [f"{len(measured)} of {len(used)} jobs took {_duration(measured['seconds'].sum())}."]
    tokens = measured["tokens"].sum()
    if tokens:
        said.append(f"Models read {tokens:,.0f} tokens.")
    said.append(f"The largest job took {measured['memory_mb'].max() / 1000:.1f} GB of memory.")
    judged = used["judge_answers"].sum()
    if judged:
        said.append(f"Judges gave {judged:,.0f} answers for {used['judge_cost'].sum():.2f}.")
    return said


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def read_pictures(paths: Sequence[str]) -> dict[str, bytes]:
    """The content of PNG files, by their names."""
    return {Path(path).stem: Path(path).read_bytes() for path in paths}


_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ asked.name }}</title>
<style>
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #5f6368; --line: #dcdcdc;
  --paper: #fff; --card: #f6f6f4; --link: #0b57a4; --clear: #1a7f4b; --faint: #8a5a00 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #a0a4a8; --line: #3a3d40; --paper: #17181a; --card: #212326;
    --link: #8ab8f0; --clear: #6fcf97; --faint: #e0b050 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; color: var(--ink);
  background: var(--paper); padding: 1rem 1.2rem 4rem }
h1 { font-size: 1.9rem; margin: 1rem 0 .3rem }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .8rem; border-bottom: 1px solid var(--line);
  padding-bottom: .25rem }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem }
a { color: var(--link) }
p, li, figcaption { overflow-wrap: anywhere }
td, th { overflow-wrap: break-word }
.soft, figcaption, .control { color: var(--soft) }
.lead { font-size: 1.15rem; margin-top: 0 }
nav a { margin-right: 1rem; white-space: nowrap }
ul { padding-left: 1.1rem } li { margin: .45rem 0 }
.tag { font-size: .78rem; border: 1px solid; border-radius: 1rem; padding: 0 .5rem;
  white-space: nowrap }
.clear { color: var(--clear) } .unclear { color: var(--faint) }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .92rem; min-width: 100% }
td, th { border-top: 1px solid var(--line); padding: .35rem .6rem; text-align: left;
  vertical-align: top }
thead th { border-top: 0; color: var(--soft); font-weight: 600 }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; text-align: right }
table.curve { min-width: 0; margin: .3rem 0 .6rem 1rem }
.texts td, .texts th { min-width: 12rem; max-width: 20rem; white-space: pre-wrap }
details > summary { cursor: pointer; color: var(--link) }
figure { margin: 1.6rem 0 } figure img { max-width: 100%; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; padding: 6px; display: block }
figcaption { font-size: .92rem; margin-top: .4rem; max-width: 46rem }
.note { background: var(--card); border-left: 4px solid var(--faint); padding: .5rem .9rem }
</style>
{% macro told(found) %}
<h3>{{ found.title }}: {{ found.column }}
<a class="soft" href="tables/{{ found.table }}.parquet">table</a></h3>
{% for part in [found.findings[:first], found.findings[first:]] if part %}
{% if not loop.first %}<details><summary>{{ part | length }} more</summary>{% endif %}
<ul>{% for one in part %}
<li>{% if one.changed %}<span class="tag clear">clear</span>{% elif one.changed is false
%}<span class="tag unclear">not clear</span>{% endif %} {{ one.sentence }}
{% if one.control %}<span class="control">Controls at the same point: {{ one.control }}</span>
{% endif %}<details><summary>Curve</summary><table class="curve">
{% for at, value in curve(one) %}<tr><td class="number">{{ at }}<td class="number">
<a href="tables/{{ found.table }}.parquet">{{ value }}</a>{% endfor %}</table></details>
{% endfor %}</ul>
{% if not loop.first %}</details>{% endif %}
{% endfor %}
{% endmacro %}
<h1>{{ asked.name }}</h1>
{% if asked.question %}<p class="lead">{{ asked.question }}</p>{% endif %}
<nav><a href="#found">Findings</a>{% if front.figures %}<a href="#figures">Figures</a>{% endif %}
{% if front.vectors %}<a href="#vectors">Vectors</a>{% endif %}
{% if front.texts %}<a href="#texts">Texts</a>{% endif %}
{% if front.verdicts %}<a href="#scorecards">Scorecards</a>{% endif %}
<a href="#run">The run</a></nav>
<h2>What was asked</h2>
{% if asked.models %}<ul>{% for model, source in asked.models.items() %}
<li>Model <b>{{ model }}</b>: {{ source }}{% endfor %}</ul>{% endif %}
{% if asked.sweeps %}
<div class="wide"><table><thead><tr><th>Sweep<th>Model<th>Vectors<th>Operator<th>Coefficients
<th>Measured</thead>
{% for sweep in asked.sweeps %}
<tr><td>{{ sweep.title or sweep.name }}<td>{{ sweep.model }}<td>{{ names(sweep.vectors) }}
<td>{{ sweep.operators | join(", ") }}<td>{{ sweep.coefficients }}
<td>{% for measure in sweep.measures %}{{ measure.name }}{% if measure.sources %} on
{{ names(measure.sources) }}{% endif %}{% if measure.split %} ({{ measure.split }}){% endif
%}{% if not loop.last %}; {% endif %}{% endfor %}
{% endfor %}</table></div>
{% endif %}
{% if asked.published %}<p>Published results are read from the authors' files:
<a href="published.html">what was found</a>.</p>{% endif %}

<h2 id="found">What was found</h2>
{% if reported or chosen_from %}
<p class="soft">One sentence per vector: the measured point at which it changes most, with 95 %
intervals in brackets. <span class="tag clear">clear</span> means that neither interval contains the
other value. The largest of many changes overstates the effect. Report numbers from points that were
chosen on other texts.</p>
{% for found in reported %}{{ told(found) }}{% endfor %}
{% if chosen_from %}<details><summary>On validation texts, used to make choices</summary>
{% for found in chosen_from %}{{ told(found) }}{% endfor %}</details>{% endif %}
{% else %}<p>Nothing was measured.</p>{% endif %}
{% for found in front.effects if found.sentences %}
<h3>{{ found.title }} <a class="soft" href="{{ found.table }}.parquet">table</a></h3>
{% for part in [found.sentences[:first], found.sentences[first:]] if part %}
{% if not loop.first %}<details><summary>{{ part | length }} more</summary>{% endif %}
<ul>{% for sentence in part %}<li>{{ sentence }}{% endfor %}</ul>
{% if not loop.first %}</details>{% endif %}
{% endfor %}{% endfor %}
{% if front.choices %}<h3>Choices</h3><ul>
{% for name, said in front.choices.items() %}<li><b>{{ name }}</b>: {{ said }}{% endfor %}</ul>
{% endif %}
{% if front.figures %}<h2 id="figures">Figures</h2>
{% for one in front.figures %}
<figure id="figure-{{ one.name }}"><a href="figures/{{ one.name }}.pdf"><img loading="lazy"
src="data:image/png;base64,{{ one.data }}" alt="{{ one.caption or one.name }}"></a>
<figcaption>{{ one.caption }} <a href="figures/{{ one.name }}.csv">Numbers</a></figcaption></figure>
{% endfor %}{% endif %}
{% if front.vectors %}<h2 id="vectors">Vectors</h2>
<div class="wide"><table><thead><tr><th>Vector<th>Method<th>Layers<th class="number">Length
<th>Nearest other (cosine)<th>Chosen</thead>
{% for row in front.vectors %}
<tr><td><a href="vectors/{{ row.name }}.safetensors">{{ row.name }}</a><td>{{ row.method }}
<td>{{ row.layers }}<td class="number">{{ row.length }}<td>{{ row.nearest }}<td>{{ row.chosen }}
{% endfor %}</table></div>
<p class="soft">Lengths are given at the layers where a vector is injected, or at all layers if it
is not injected. Cosines compare vectors of the same model.</p>{% endif %}
{% if front.texts %}<h2 id="texts">Texts</h2>
{% for one in front.texts %}
<h3>{{ one.heading }} <a class="soft" href="samples/{{ one.name }}.html">all texts</a></h3>
<div class="wide texts"><table><thead><tr><th>Prompt{% for column in one.columns %}<th>{{ column }}
{%- endfor %}</thead>
{% for prompt, cells in one.rows %}<tr><th>{{ prompt }}{% for cell in cells %}<td>{{ cell }}
{%- endfor %}
{% endfor %}</table></div>
{% endfor %}{% endif %}
{% if front.verdicts %}<h2 id="scorecards">Scorecards</h2><ul>
{% for one in front.verdicts %}<li><a href="scorecards/{{ one.name }}.html">{{ one.title }}</a>:
{% if one.curves %}{{ one.agree }} of {{ one.curves }} curves agree.{% else %}nothing to compare.
{% endif %}{% if one.others %}<details><summary>The others</summary><ul>
{% for said in one.others %}<li>{{ said }}{% endfor %}</ul></details>{% endif %}
{% endfor %}</ul>{% endif %}
<h2 id="run">The run</h2>
{% for note in front.notes %}<p class="note">{{ note }}</p>{% endfor %}
{% if not front.notes %}<p>Nothing was skipped, and no job failed.</p>{% endif %}
<p>{{ front.cost | join(" ") }}</p>
<ul>
<li><a href="report.html">report.html</a>: Snakemake's report, with the provenance of every file
(written by <code>make</code>)
<li><a href="study.yaml">study.yaml</a>: every setting, including defaults
<li><a href="artefacts.csv">artefacts.csv</a>: every file of the cache, with its key and settings
<li><a href="usage.html">usage.html</a>: time, memory and tokens of each job
</ul>
</html>
""",
    autoescape=True,
)
