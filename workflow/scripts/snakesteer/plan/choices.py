"""The choices among candidates of a study."""

from __future__ import annotations

import os
from pathlib import Path

from snakesteer.core.records import plain
from snakesteer.hub.manifest import sha256
from snakesteer.plan import published
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.models import layers
from snakesteer.plan.sweeps import sweep_jobs, tabled
from snakesteer.study.candidates import column, scores
from snakesteer.study.choices import Best, Bound, CandidateChoice
from snakesteer.study.tables import Table
from snakesteer.sweeps.candidates import Score
from snakesteer.tables.candidates import CandidateJob, Scored


@once
def candidate(graph: Graph, name: str) -> Artefact:
    """The candidate that a rule chooses from tables of sweeps, or from published ones."""
    choice = graph.study.choices[name]
    assert isinstance(choice, CandidateChoice)
    inputs: list[Artefact] = []
    tables = {}
    for _, score in scores(choice):
        if score.table not in tables:
            tables[score.table] = _scored(graph, score.table, inputs)
    best = graph.study.table(choice.best.table)
    job = CandidateJob(
        tables=tuple(tables.values()),
        best=_score(graph, choice.best),
        lowest=choice.best.lowest is not None,
        limits=tuple(_score(graph, limit) for limit in choice.limits),
        layers_below=choice.layers_below,
        layers=layers(graph, best.sweep.model) if isinstance(best, Table) else None,
    )
    return graph.make("candidate", name, plain(job), {"tables": [*inputs]} if inputs else {})


def _score(graph: Graph, given: Best | Bound) -> Score:
    bounds = (given.at_most, given.at_least) if isinstance(given, Bound) else (None, None)
    return Score(given.table, column(graph.study, given), given.source, *bounds)


def _scored(graph: Graph, name: str, inputs: list[Artefact]) -> Scored:
    """A table, whose raw tables join the inputs of the job."""
    if isinstance(graph.study.table(name), Table):
        jobs = sweep_jobs(graph, name.split(".")[0])
        return Scored(name, _places(jobs, inputs), own=tabled(graph, name))
    (path,) = published.tables(graph)[name].inputs["table"]
    made = [artefact for artefact in graph.made.values() if path in artefact.paths]
    if made:
        return Scored(name, _places(made, inputs))
    shipped = os.path.relpath(path, graph.repository)
    return Scored(name, (), file=shipped, identity=sha256(Path(path)))


def _places(needed: list[Artefact], inputs: list[Artefact]) -> tuple[int, ...]:
    """Where artefacts stand among the inputs, which they join."""
    inputs += [artefact for artefact in needed if artefact not in inputs]
    return tuple(inputs.index(artefact) for artefact in needed)
