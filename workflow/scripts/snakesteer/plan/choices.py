"""The choices among candidates of a study."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from snakesteer.core.records import plain
from snakesteer.hub.manifest import sha256
from snakesteer.plan import published
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.models import layers
from snakesteer.plan.sweeps import sweep_jobs, tabled
from snakesteer.plan.vectors import vector
from snakesteer.study.candidates import column, scores
from snakesteer.study.choices import AtKl, Best, Bound, CandidateChoice
from snakesteer.study.tables import Table
from snakesteer.sweeps.candidates import Score
from snakesteer.sweeps.job import ADD
from snakesteer.tables.candidates import USUALLY, CandidateJob, Scored
from snakesteer.tables.job import Statistics


@once
def candidate(graph: Graph, name: str) -> Artefact:
    """The candidate that a rule chooses from tables of sweeps, or from published ones."""
    choice = _entry(graph, name)
    inputs: Inputs = {"tables": []}
    tables: dict[str, Scored] = {}
    for _, score in scores(choice):
        for table in score.tables:
            if table not in tables:
                tables[table] = _scored(graph, table, inputs)
    searched = graph.study.searched(name).values()
    models = {sweep.model for sweep in searched}
    said = graph.study.statistics
    statistics: Statistics | None = USUALLY
    if searched:
        statistics = Statistics(choice.resamples, said.seed) if choice.resamples else None
    added = [] if choice.at_kl else _added(graph, name)
    before: dict[str, None] = {}
    for scored in tables.values():
        before |= dict.fromkeys(tabled(graph, scored.name).choices if scored.own else ())
    inputs["choices"] = [candidate(graph, each) for each in before]
    inputs["vectors"] = [vector(graph, each) for each in added]
    if choice.at_kl:
        statistics = None
    job = CandidateJob(
        tables=tuple(tables.values()),
        best=_score(graph, choice.best),
        lowest=choice.best.lowest is not None,
        limits=tuple(_score(graph, limit) for limit in choice.limits),
        layers_below=choice.layers_below,
        layers=layers(graph, models.pop()) if models else None,
        statistics=statistics,
        vectors=tuple(added),
        choices=tuple(before),
        dose=_score(graph, choice.at_kl) if choice.at_kl else None,
        at_kl=choice.at_kl.kl if choice.at_kl else None,
    )
    given = {role: made for role, made in inputs.items() if made}
    return graph.make("candidate", name, plain(job), given)


def _added(graph: Graph, name: str) -> list[str]:
    """The vectors among which a choice is, if all of them are added: so doses can be compared."""
    study, found = graph.study, dict[str, None]()
    searched = study.searched(name)
    for sweep in searched.values():
        for design in study.designs_of(sweep):
            if design.operators != {ADD}:
                return []
        found |= dict.fromkeys(study.vectors_of(sweep))
    whole = len(searched) == len(_entry(graph, name).best.tables)
    return list(found) if whole else []


def _entry(graph: Graph, name: str) -> CandidateChoice:
    choice = graph.study.choices[name]
    assert isinstance(choice, CandidateChoice)
    return choice


def _score(graph: Graph, given: Best | Bound | AtKl) -> Score:
    table, *further = given.tables
    of = column(graph.study, given)
    if not isinstance(given, Bound):
        return Score(table, of, given.source, further=tuple(further))
    bounds = (given.at_most, given.at_least)
    return Score(table, of, given.source, *bounds, tuple(further), given.relative)


def _scored(graph: Graph, name: str, inputs: Inputs) -> Scored:
    """A table, whose raw tables join the inputs of the job."""
    table = graph.study.table(name)
    if isinstance(table, Table):
        places = _places(sweep_jobs(graph, name.split(".")[0]), inputs["tables"])
        return Scored(name, places, own=plain(tabled(graph, name)))
    (path,) = published.tables(graph)[name].inputs["table"]
    made = [artefact for artefact in graph.made.values() if path in artefact.paths]
    if made:
        return Scored(name, _places(made, inputs["tables"]))
    shipped = os.path.relpath(path, graph.repository)
    return Scored(name, (), file=shipped, identity=sha256(Path(path)))


def _places(needed: list[Artefact], inputs: list[Any]) -> tuple[int, ...]:
    """Where artefacts stand among the inputs, which they join."""
    inputs += [artefact for artefact in needed if artefact not in inputs]
    return tuple(inputs.index(artefact) for artefact in needed)
