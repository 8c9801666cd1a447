"""The jobs of a study's sweeps, its choices and its samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from snakesteer.core.own_code import is_own
from snakesteer.core.records import plain
from snakesteer.engine.operator_files import file_of
from snakesteer.hub.manifest import file_identity, locate_file
from snakesteer.jobs.specified import SamplesJob
from snakesteer.measures.scoring import file_of as scorer_file
from snakesteer.plan.activations import format_of
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.code_digest import own_digest
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.measured import measured
from snakesteer.plan.models import layer_sets, model, running, transfer
from snakesteer.plan.resources import most_tokens
from snakesteer.plan.vectors import drawn_vectors, resampled_vectors, vector
from snakesteer.study.choices import CandidateChoice
from snakesteer.study.coefficients import Chosen, Magnitudes, Range, Refined, coefficients
from snakesteer.study.designs import ChosenDesign, OwnDesign, plain_positions
from snakesteer.study.measures import Continuation, TwoChoice
from snakesteer.study.scores import Judge
from snakesteer.study.tables import Table
from snakesteer.sweeps.job import Candidate, Injected, Measured, Placed, SweepJob
from snakesteer.tables import continuation
from snakesteer.tables.agreement import Labelled
from snakesteer.tables.corrected import Rated
from snakesteer.tables.job import ChoiceJob, Picked, Statistics, TableJob

Given = list[float] | Range | Magnitudes | Chosen | Refined


@once
def choice(graph: Graph, name: str) -> Artefact:
    """The multipliers that a choice picks, or that the study gives."""
    entry = graph.study.multipliers(name)
    if entry.grid is None:
        given = {
            graph.study.behaviour_of(vector): {
                str(layer): cell.model_dump() for layer, cell in layers.items()
            }
            for vector, layers in (entry.multipliers or {}).items()
        }
        return graph.make("choice", name, plain(ChoiceJob(given)))
    collapse = graph.study.collapse_of(entry.grid)
    picked = Picked(tabled(graph, entry.grid), entry.max_faulty, collapse, entry.by)
    if entry.limit:
        costs = tabled(graph, entry.limit.table)
        picked = replace(picked, costs=costs, times=entry.limit.perplexity)
    job = ChoiceJob({}, picked)
    grid = sweep_jobs(graph, entry.grid.split(".")[0])
    return graph.make("choice", name, plain(job), {"grid": [*grid]})


@once
def sweep_jobs(graph: Graph, name: str) -> list[Artefact]:
    """The jobs of one sweep."""
    sweep = graph.study.sweeps[name]
    _, files = measured(graph, name)
    made = []
    for job in specified(graph, name):
        inputs: Inputs = {
            "model": [model(graph, sweep.model)],
            "vectors": _vectors(graph, job),
            **files,
        }
        if sweep.choice:
            inputs["choice"] = [choice(graph, sweep.choice)]
        if job.choices:
            inputs["candidates"] = [_candidate(graph, each) for each in job.choices]
        made.append(graph.make("sweep", f"{name}.{_place(job)}", plain(job), inputs))
    return made


def _vectors(graph: Graph, job: SweepJob) -> list[Artefact | tuple[Artefact, int]]:
    draws = job.draws or {}
    return [
        drawn_vectors(graph, name, draws[name]) if name in draws else vector(graph, name)
        for name in job.vectors
    ]


def _candidate(graph: Graph, name: str) -> Artefact:
    # Choices are made from sweeps, and these from choices: each module needs the other.
    from snakesteer.plan.choices import candidate

    return candidate(graph, name)


def _place(job: SweepJob) -> str:
    if job.choices:
        return "chosen"
    layers = [str(layer) for layer in job.layers]
    shown = layers if len(layers) < 9 else [layers[0], "to", layers[-1]]
    return f"layer{'s' if len(layers) > 1 else ''}-{'-'.join(shown)}"


def resampled_jobs(graph: Graph, name: str) -> list[Artefact]:
    """The jobs of one sweep once more, each with the resamples of its vectors."""
    resamples = graph.study.sweeps[name].resamples
    if not resamples:
        return []
    made = []
    for job, specification in zip(sweep_jobs(graph, name), specified(graph, name), strict=True):
        inputs: Inputs = {role: list(items) for role, items in job.inputs.items()}
        inputs["vectors"] = [
            resampled_vectors(graph, vector, resamples) for vector in specification.vectors
        ]
        inputs["base"] = [job]
        settings = plain(replace(specification, resamples=resamples))
        made.append(graph.make(job.stage, f"{job.name}.resampled", settings, inputs))
    return made


@once
def specified(graph: Graph, name: str) -> list[SweepJob]:
    """What the jobs of one sweep get.

    Injections at the same layers share a job, and those at the next ones with them until the tokens
    that they read at most exceed the model's `job_tokens`.
    """
    sweep = graph.study.sweeps[name]
    entry = graph.study.models[sweep.model]
    measures, files = measured(graph, name)
    vectors = graph.study.vectors_of(sweep)
    positions: dict[str, Sequence[int]] = {}
    for of in vectors:
        several = graph.study.positions_of(of)
        if isinstance(several, list):
            positions[of] = several
    draws = graph.study.draws_of(vectors)

    def layers(field: str, given: Any) -> list[tuple[int, ...]]:
        sets = layer_sets(graph, f"sweeps.{name}.inject.{field}", sweep.model, given)
        return [tuple(steered) for steered in sets]

    operators = [each for design in graph.study.designs_of(sweep) for each in design.operators]
    whole = SweepJob(
        injections=(),
        measures=measures,
        behaviours=graph.study.behaviours_of(vectors),
        draws=draws or None,
        **running(entry, sweep),
        **transfer(graph, f"sweeps.{name}", sweep.model, vectors),
        own=_own_operators(graph, operators) | _own_scorers(graph, measures),
    )
    if isinstance(sweep.inject, ChosenDesign):
        candidates = _of_candidates(
            graph, sweep.inject.choice, sweep.coefficients, sweep.inject.vectors or ()
        )
        return [replace(whole, injections=tuple(_drawn(candidates, draws)))]
    assert isinstance(sweep.inject, OwnDesign)
    jobs: list[SweepJob] = []
    room = 0.0
    for designed in sweep.inject.injections(vectors, layers, sweep.values, positions):
        injections = _drawn(designed, draws)
        alone = replace(whole, injections=tuple(injections))
        work = most_tokens(alone, files)
        if work > room:
            jobs.append(alone)
            room = entry.job_tokens - work
        else:
            shared = (*jobs[-1].injections, *injections)
            jobs[-1] = replace(whole, injections=shared)
            room -= work
    return jobs


def _of_candidates(
    graph: Graph, choice: str, given: Given, vectors: Iterable[str] = ()
) -> Iterator[Injected]:
    """An injection for each candidate of a choice, as it was measured, of which a job injects the
    one that is chosen, with the coefficients given; or in its place other vectors."""
    entry = graph.study.choices[choice]
    each = isinstance(entry, CandidateChoice) and entry.at_kl is not None
    for name, searched in graph.study.searched(choice).items():
        (unsteered,) = {design.unsteered_at_0 for design in graph.study.designs_of(searched)}
        own, taken = _along(given, 0.0 if unsteered else None)
        for job in specified(graph, name):
            for injected in job.injections:
                (part,) = injected.parts
                of = replace(candidate_of(choice, name, part), each=each)
                for named in vectors or [part.vector]:
                    placed = replace(part, vector=named)
                    if not graph.study.positions_of(named):
                        placed = replace(placed, source_position=None)
                    candidates = (of, *injected.candidates)
                    yield Injected((placed,), own, candidates=candidates, taken=taken)


def _along(given: Given, unsteered: float | None) -> tuple[tuple[float | None, ...], int]:
    """The coefficients that are known before the choice is made, and how many are taken from it."""
    match given:
        case Chosen():
            return (unsteered,), 1
        case Refined():
            return (unsteered,), given.refine + 2
    return coefficients(given, unsteered), 0


def candidate_of(choice: str, sweep: str, part: Placed) -> Candidate:
    """The candidate of a choice that a part of a sweep is."""
    layer = part.source_layer
    if layer is None:
        (layer,) = part.layers
    return Candidate(choice, sweep, part.vector, layer, part.source_position)


def _drawn(injections: Iterable[Injected], draws: Mapping[str, int]) -> list[Injected]:
    """The injections, one for each draw of those whose vectors are drawn several times."""
    made = []
    for injected in injections:
        several = {draws[name] for name in injected.layers if name in draws}
        each = range(several.pop()) if several else [None]
        made += [replace(injected, draw=draw) for draw in each]
    return made


def _own_scorers(graph: Graph, measures: Iterable[Measured]) -> dict[str, str]:
    """The digests of scorers that are files of the study's author."""
    named = [score["scorer"] for each in measures for score in each.asked.get("scores", ())]
    scripts = graph.repository / "workflow" / "scripts"
    return {name: own_digest(scorer_file(name), scripts) for name in named if is_own(name)}


def _own_operators(graph: Graph, operators: Iterable[str]) -> dict[str, str]:
    """The digests of operators that are files of the study's author."""
    scripts = graph.repository / "workflow" / "scripts"
    return {name: own_digest(file_of(name), scripts) for name in sorted(operators) if is_own(name)}


def samples(graph: Graph, name: str) -> Artefact:
    """Steered continuations of prompts."""
    entry = graph.study.samples[name]
    candidates: tuple[Injected, ...] = ()
    layer = None
    if entry.choice is not None:
        candidates = tuple(_of_candidates(graph, entry.choice, entry.coefficients))
        operators = [part.operator for one in candidates for part in one.parts]
        vectors = list(dict.fromkeys(one.vector for one in candidates))
    else:
        assert entry.vector is not None
        field = f"samples.{name}.layer"
        ((layer,),) = layer_sets(graph, field, entry.model, [entry.layer])
        operators, vectors = [entry.operator], [entry.vector]
    listed = entry.coefficients if isinstance(entry.coefficients, list) else []
    job = SamplesJob(
        **running(graph.study.models[entry.model]),
        **transfer(graph, f"samples.{name}", entry.model, vectors),
        vector=entry.vector,
        layer=layer,
        operator=None if candidates else entry.operator,
        coefficients=tuple(listed),
        prompts=tuple(entry.prompts),
        tokens=entry.tokens,
        format=format_of(graph.study, entry),
        sites=tuple(entry.sites),
        positions=plain_positions(entry.positions),
        own=_own_operators(graph, operators) or None,
        candidates=candidates,
    )
    inputs: Inputs = {
        "model": [model(graph, entry.model)],
        "vectors": [vector(graph, each) for each in vectors],
    }
    if job.choices:
        inputs["candidates"] = [_candidate(graph, each) for each in job.choices]
    return graph.make("samples", name, plain(job), inputs)


def tabled(graph: Graph, name: str) -> TableJob:
    """What the job of a table gets, of a sweep under one of its measures."""
    table = graph.study.table(name)
    assert isinstance(table, Table)
    jobs = specified(graph, name.split(".")[0])
    measure, said = table.measured, graph.study.statistics
    job = TableJob(
        sweep=name,
        measure=table.measure,
        of=table.of,
        kind=table.kind,
        jobs=tuple(job.injections for job in jobs),
        statistics=Statistics(said.resamples, said.seed) if measure.BOOTSTRAPPED else None,
        **measure.tabled(),
    )
    if isinstance(measure, TwoChoice):
        return replace(job, collapse=graph.study.collapse_of(name))
    if isinstance(measure, Continuation):
        return _of_texts(graph, measure, job)
    return job


def _of_texts(graph: Graph, measure: Continuation, job: TableJob) -> continuation.Job:
    """A job with what people have said of texts that a judge rates, each file by its content."""
    labelled, rated = [], []
    for score, entry in measure.scores.items():
        if not isinstance(entry, Judge) or not entry.labels:
            continue
        named = (score, entry.labels, file_identity(locate_file(entry.labels, graph.repository)))
        if entry.positive is None:
            rated.append(Rated(*named, entry.rating.least, entry.rating.most))
        else:
            labelled.append(Labelled(*named, entry.positive))
    return continuation.Job(**vars(job), labelled=tuple(labelled), rated=tuple(rated))
