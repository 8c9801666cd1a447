"""What the first page of a study is made from, of plain JSON types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from snakesteer.storage.provenance import portable
from snakesteer.study.coefficients import Chosen, Magnitudes, Range, Refined
from snakesteer.study.controls import column_of
from snakesteer.study.designs import ChosenDesign
from snakesteer.study.effects import Effects
from snakesteer.study.figures import columns_of
from snakesteer.study.models import PackagedFile
from snakesteer.study.published import PublishedSweep
from snakesteer.study.schema import Study
from snakesteer.study.sweeps import SweepEntry
from snakesteer.study.tables import Table
from snakesteer.study.vectors import ControlVector

if TYPE_CHECKING:
    from snakesteer.plan.plan import Plan


def contents(plan: Plan) -> dict[str, Any]:
    """What the page shows, in its order, by the names of the study's entries."""
    study = plan.study
    return {
        "name": study.name,
        "question": study.question,
        "models": {name: _source(entry.source) for name, entry in study.models.items()},
        "sweeps": [_sweep(study, name) for name in study.sweeps],
        "tables": [_table(study, name) for name in study.tabled],
        "labels": _labels(study),
        "controls": {
            name: entry.of
            for name, entry in study.vectors.items()
            if isinstance(entry, ControlVector)
        },
        "control_tables": _control_tables(study),
        "effects": {name: _column_title(study, each) for name, each in study.effects.items()},
        "rankings": {name: study.titles_in(each) for name, each in study.rankings.items()},
        "figures": list(study.figures),
        "vectors": {name: entry.method for name, entry in study.vectors.items()},
        "models_of": {name: study.model_of(name) for name in study.vectors},
        "choices": {
            **{name: plan.candidates[name].paths[0] for name in plan.candidates},
            **{made.name: made.paths[0] for made in plan.artefacts("choice")},
        },
        "texts": list(plan.texts),
        "samples": list(plan.samples),
        "scorecards": {name: entry.title for name, entry in study.scorecards.items()},
        "published": bool(plan.published),
    }


def inputs(plan: Plan) -> dict[str, list[str] | str]:
    """The files that the page is made from and leads to, by what they are."""
    study = plan.study
    return {
        "tables": [plan.path("tables", f"{name}.parquet") for name in study.tabled],
        "samples": [plan.path("tables", f"{name}.parquet") for name in plan.samples],
        "pages": [plan.path("samples", f"{name}.html") for name in [*plan.samples, *plan.texts]]
        + ([plan.path("published.html")] if plan.published else []),
        "slopes": [plan.path("effects", f"{name}.slopes.parquet") for name in plan.slopes],
        "controls": [plan.path("effects", f"{name}.control.parquet") for name in plan.controls],
        "rankings": [plan.path("rankings", f"{name}.arms.parquet") for name in plan.rankings],
        "pairs": [plan.path("rankings", f"{name}.pairs.parquet") for name in plan.rankings],
        "figures": [plan.path("figures", f"{name}.png") for name in plan.figures],
        "vectors": [made.paths[0] for made in plan.vectors.values()],
        "choices": list(contents(plan)["choices"].values()),
        "scorecards": [plan.path("scorecards", f"{name}.parquet") for name in plan.scorecards],
        "usage": plan.path("usage.csv"),
        "study": plan.path("study.yaml"),
    }


def _source(source: str | PackagedFile) -> str:
    if isinstance(source, PackagedFile):
        return f"{source.file} of the package {source.package} {source.version}"
    return portable(source)


def _sweep(study: Study, name: str) -> dict[str, Any]:
    sweep = study.sweeps[name]
    return {
        "name": name,
        "title": sweep.title,
        "model": sweep.model,
        "operators": _operators(sweep),
        "vectors": study.vectors_of(sweep),
        "coefficients": _coefficients(sweep),
        "measures": [_measured(study, sweep, of) for of in sweep.measures],
    }


def _operators(sweep: SweepEntry) -> list[str]:
    if isinstance(sweep.inject, ChosenDesign):
        return [f"of the choice {sweep.inject.choice}"]
    return sorted(sweep.inject.operators)


def _coefficients(sweep: SweepEntry) -> str:
    given = sweep.coefficients
    if isinstance(given, Chosen):
        return f"of the choice {given.choice}"
    if isinstance(given, Refined):
        return f"{given.refine} beside what is chosen"
    if isinstance(given, Magnitudes):
        return ", ".join(f"±{value:g}" for value in given.magnitudes)
    if isinstance(given, Range):
        return f"{given.start:g} to {given.stop:g}, {given.points} points".replace("-", "−")
    return ", ".join(f"{value:g}".replace("-", "−") for value in given)


def _measured(study: Study, sweep: SweepEntry, of: str) -> dict[str, Any]:
    measure = sweep.measures[of]
    return {
        "name": measure.measure,
        "split": getattr(measure, "split", None) if measure.section == "behaviours" else None,
        "sources": study.sources_of(sweep, measure) if measure.section != "prompts" else [],
    }


def _table(study: Study, name: str) -> dict[str, Any]:
    table = study.table(name)
    columns = columns_of(table)
    shown = list(dict.fromkeys(_shown(study, name))) or list(columns)[:1]
    own: dict[str, str] = {}
    split = None
    if isinstance(table, Table):
        vectors = [vector for vector in study.vectors_of(table.sweep) if vector in study.vectors]
        own = study.behaviours_of(vectors) if table.measured.section == "behaviours" else {}
        split = getattr(table.measured, "split", None)
    return {
        "name": name,
        "title": getattr(table, "title", None),
        "columns": {column: columns[column].label for column in shown if column in columns},
        "own": own,
        "relative": _is_relative(table),
        "distance": table.measure == "divergence",
        "published": not isinstance(table, Table),
        "split": split,
        "controls_in": [other for other in study.tabled if _comparable(study, name, other)],
    }


def _comparable(study: Study, name: str, other: str) -> bool:
    """Whether values of one table are controls for those of the other, at the same point."""
    one, two = study.table(name), study.table(other)
    if not isinstance(one, Table) or not isinstance(two, Table):
        return type(one) is type(two)
    splits = [getattr(each.measured, "split", None) for each in (one, two)]
    return one.measure == two.measure and splits[0] == splits[1] and one.injects_like(two)


def _column_title(study: Study, entry: Effects) -> str:
    """What an entry of effects holds against controls beside slopes."""
    return columns_of(study.table(entry.sweep))[column_of(study, entry)].label


def _is_relative(table: Table | PublishedSweep) -> bool:
    """Whether values are held against those of the unsteered model."""
    if isinstance(table, Table):
        return table.measured.RELATIVE
    return any(name.startswith("relative_") for name in columns_of(table))


def _control_tables(study: Study) -> dict[str, str]:
    """The tables that figures draw as controls, with one of those that they are controls for."""
    found = {}
    for figure in study.figures.values():
        for name in getattr(figure, "controls", []):
            found[name] = figure.own[0]
    return found


def _shown(study: Study, table: str) -> Iterator[str]:
    """The columns of a table that the study's figures draw."""
    for figure in study.figures.values():
        shown = figure.settings(study).get("shown", [])
        for one in shown.values() if isinstance(shown, dict) else shown:
            if one["table"] == table and not one.get("category"):
                yield one["column"]


def _labels(study: Study) -> dict[str, str]:
    titles: dict[str, str | None] = {}
    for name in study.tabled:
        titles |= study.titles_of(name)
    return {name: title for name, title in titles.items() if title}
