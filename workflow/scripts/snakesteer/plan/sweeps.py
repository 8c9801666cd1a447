"""The jobs of a study's sweeps, its choices and its samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from snakesteer.core.records import plain
from snakesteer.measures import next_token_settings, two_choice_settings
from snakesteer.plan.activations import documents, questions, skip_tokens
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.models import layer_sets, max_tokens, model, running, transfer
from snakesteer.plan.vectors import resampled_vectors, vector
from snakesteer.study import schema
from snakesteer.study.coefficients import coefficients
from snakesteer.sweeps.job import (
    ALL,
    Combined,
    Direction,
    Injected,
    Precision,
    SweepJob,
)


@once
def choice(graph: Graph, name: str) -> Artefact:
    """The multipliers that a choice picks, or that the study gives."""
    entry = graph.study.choices[name]
    if entry.grid is None:
        given = {
            graph.study.behaviour_of(vector): {
                str(layer): cell.model_dump() for layer, cell in layers.items()
            }
            for vector, layers in (entry.multipliers or {}).items()
        }
        return graph.make("choice", name, {"multipliers": given})
    return graph.make(
        "choice",
        name,
        {"max_faulty": entry.max_faulty, **described(graph, entry.grid)},
        {"grid": [*sweep_jobs(graph, entry.grid)]},
    )


@once
def sweep_jobs(graph: Graph, name: str) -> list[Artefact]:
    """The jobs of one sweep: one per injection layer, or set of layers."""
    sweep = graph.study.sweeps[name]
    made = []
    for job in specified(graph, name):
        inputs: Inputs = {
            "model": [model(graph, sweep.model)],
            "vectors": [vector(graph, name) for name in job.vectors],
        }
        if isinstance(sweep, schema.SkillSweep):
            longest = job.asked["max_tokens"]
            inputs["documents"] = [(documents(graph, corpus), 1) for corpus in job.sources]
            inputs["skip_tokens"] = [
                skip_tokens(graph, corpus, sweep, longest) for corpus in job.sources
            ]
        else:
            inputs["questions"] = [questions(graph, behaviour) for behaviour in job.sources]
        if isinstance(sweep, schema.SingleSweep | schema.CombinedSweep):
            inputs["choice"] = [choice(graph, sweep.choice)]
        place = f"layer{'s' if len(job.layers) > 1 else ''}-{'-'.join(map(str, job.layers))}"
        made.append(graph.make("sweep", f"{name}.{place}", plain(job), inputs))
    return made


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
    """What the jobs of one sweep get: one per injection layer, or set of layers."""
    sweep = graph.study.sweeps[name]
    jobs = []
    for injections in _injections(graph, name, sweep):
        vectors = [vector for injected in injections for vector in injected.layers]
        sources = [source for injected in injections for source in injected.sources]
        job = SweepJob(
            **_measured(graph, name, sweep),
            injections=tuple(injections),
            sources=tuple(dict.fromkeys(sources)),
            **running(graph.study.models[sweep.model], sweep),
            **transfer(graph, f"sweeps.{name}", sweep.model, vectors),
        )
        jobs.append(job)
    return jobs


def _measured(graph: Graph, name: str, sweep: schema.Sweep) -> dict[str, Any]:
    """The measure of a sweep, what it is asked, and how many samples it takes."""
    stopping = getattr(sweep, "stopping", None) or None
    if not isinstance(sweep, schema.SkillSweep):
        rule = two_choice_settings.Stopping(**stopping.model_dump()) if stopping else None
        asked = two_choice_settings.Settings(sweep.split, rule)
        return {"measure": "two_choice", "asked": plain(asked)}
    return {
        "measure": "next_token",
        "asked": plain(
            next_token_settings.Settings(
                max_tokens=max_tokens(graph, f"sweeps.{name}", sweep),
                tokens=sweep.tokens if sweep.paired else None,
                special_tokens=graph.study.models[sweep.model].special_tokens,
                stopping=(
                    next_token_settings.Stopping(**stopping.model_dump()) if stopping else None
                ),
            )
        ),
        "read_on": None if sweep.paired else sweep.tokens,
        "precision": (
            Precision(sweep.precision, sweep.pilot, sweep.precision_by) if sweep.precision else None
        ),
    }


def _injections(graph: Graph, name: str, sweep: schema.Sweep) -> list[list[Injected]]:
    """The injections of a sweep, job by job."""
    match sweep:
        case schema.SkillSweep():
            if isinstance(sweep.inject, str):
                sets = layer_sets(graph, f"sweeps.{name}.layers", sweep.model, sweep.layers)
                injected = [{sweep.inject: tuple(layers)} for layers in sets]
            else:
                injected = [_own_layers(graph, name, sweep.model, sweep.inject)]
            runs = (tuple(coefficients(sweep.coefficients)),)
            sources = tuple(sweep.corpora)
            return [
                [Injected(next(iter(layers)) if len(layers) == 1 else ALL, layers, sources, runs)]
                for layers in injected
            ]
        case schema.SimultaneousSweep():
            layers = _own_layers(graph, name, sweep.model, sweep.inject)
            runs = (tuple(coefficients(sweep.coefficients)),)
            return [[Injected(ALL, layers, _behaviours(graph, layers), runs)]]
        case schema.GridSweep():
            multipliers = tuple(sorted(sweep.multipliers))
            columns = ((0.0,), multipliers, tuple(-multiplier for multiplier in multipliers))
            return [
                [_alone(graph, vector, layer, columns) for vector in sweep.vectors]
                for layer in _layers(graph, name, sweep)
            ]
        case schema.SingleSweep():
            return [
                [
                    _alone(graph, vector, layer, None)
                    for vector in graph.study.chosen_vectors(sweep.choice)
                ]
                for layer in _layers(graph, name, sweep)
            ]
        case schema.CombinedSweep():
            return [_combined(graph, sweep, layer) for layer in _layers(graph, name, sweep)]


def _alone(
    graph: Graph, vector: str, layer: int, runs: tuple[tuple[float, ...], ...] | None
) -> Injected:
    """A behaviour's vector, on the behaviour's own questions."""
    return Injected(vector, {vector: (layer,)}, _behaviours(graph, [vector]), runs)


def _combined(graph: Graph, sweep: schema.CombinedSweep, layer: int) -> list[Injected]:
    vectors = graph.study.chosen_vectors(sweep.choice)
    directions: tuple[Direction, ...] = ("add", "subtract")
    return [
        Injected(
            f"{how}{'-weighted' if weighted else ''}-{direction}",
            {vector: (layer,) for vector in vectors},
            _behaviours(graph, vectors),
            ((1.0,),),
            Combined(how, weighted, direction),
        )
        for how in sweep.combine
        for weighted in sweep.weighted
        for direction in directions
    ]


def _behaviours(graph: Graph, vectors: Iterable[str]) -> tuple[str, ...]:
    return tuple(graph.study.behaviour_of(vector) for vector in vectors)


def _layers(
    graph: Graph, name: str, sweep: schema.GridSweep | schema.SingleSweep | schema.CombinedSweep
) -> list[int]:
    sets = layer_sets(graph, f"sweeps.{name}.layers", sweep.model, sweep.layers)
    return [layer for (layer,) in sets]


def _own_layers(
    graph: Graph, name: str, model: str, inject: Mapping[str, Any]
) -> dict[str, tuple[int, ...]]:
    entry = f"sweeps.{name}.inject"
    return {
        vector: tuple(layer_sets(graph, entry, model, [layer])[0])
        for vector, layer in inject.items()
    }


def samples(graph: Graph, name: str) -> Artefact:
    """Steered continuations of prompts."""
    entry = graph.study.samples[name]
    layer_sets(graph, f"samples.{name}.layer", entry.model, [entry.layer])
    return graph.make(
        "samples",
        name,
        {
            **running(graph.study.models[entry.model]),
            **transfer(graph, f"samples.{name}", entry.model, [entry.vector]),
            "vector": entry.vector,
            "layer": entry.layer,
            "coefficients": entry.coefficients,
            "prompts": entry.prompts,
            "tokens": entry.tokens,
        },
        {"model": [model(graph, entry.model)], "vectors": [vector(graph, entry.vector)]},
    )


def described(graph: Graph, name: str) -> dict[str, Any]:
    """What a sweep's raw tables hold, in the order of its jobs, and what its table says beside."""
    sweep, jobs = graph.study.sweeps[name], specified(graph, name)
    settings = {
        "measure": jobs[0].measure,
        "kind": sweep.kind,
        "jobs": [plain(job.injections) for job in jobs],
    }
    if isinstance(sweep, schema.SkillSweep):
        target, statistics = sweep.corpora[0], graph.study.statistics.model_dump()
        return {**settings, "target": target, "statistics": statistics}
    return {**settings, "split": sweep.split, "collapse": graph.study.collapse_of(name)}
