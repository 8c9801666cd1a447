"""The jobs of a study's sweeps, its choices and its samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snakesteer.core.labels import injection_label
from snakesteer.plan.activations import documents, questions, skip_tokens
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.models import layer_sets, max_tokens, model, reading, running, transfer
from snakesteer.plan.vectors import resampled_vectors, vector
from snakesteer.study import schema
from snakesteer.study.coefficients import coefficients


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
    match sweep:
        case schema.SkillSweep():
            return _skill(graph, name, sweep)
        case schema.GridSweep():
            return _grid(graph, name, sweep)
        case schema.SingleSweep():
            return _single(graph, name, sweep)
        case schema.CombinedSweep():
            return _combined(graph, name, sweep)
        case schema.SimultaneousSweep():
            return _simultaneous(graph, name, sweep)


def resampled_jobs(graph: Graph, name: str) -> list[Artefact]:
    """The jobs of one sweep once more, each with the resamples of its vectors."""
    resamples = graph.study.sweeps[name].resamples
    if not resamples:
        return []
    made = []
    for job in sweep_jobs(graph, name):
        vectors = [resampled_vectors(graph, vector, resamples) for vector in job.settings["layers"]]
        inputs: Inputs = {role: list(items) for role, items in job.inputs.items()}
        inputs |= {"vectors": [*vectors], "base": [job]}
        settings = {**job.settings, "resamples": resamples}
        made.append(graph.make(job.stage, f"{job.name}.resampled", settings, inputs))
    return made


def _skill(graph: Graph, name: str, sweep: schema.SkillSweep) -> list[Artefact]:
    longest = max_tokens(graph, f"sweeps.{name}", sweep)
    if isinstance(sweep.inject, str):
        sets = layer_sets(graph, f"sweeps.{name}.layers", sweep.model, sweep.layers)
        injections = [{sweep.inject: layers} for layers in sets]
    else:
        injections = [_own_layers(graph, name, sweep.model, sweep.inject)]
    stopping = sweep.stopping.model_dump() if sweep.stopping else None
    settings = {
        **running(graph.study.models[sweep.model], sweep),
        **reading(graph.study.models[sweep.model]),
        "coefficients": coefficients(sweep.coefficients),
        "corpora": sweep.corpora,
        "tokens": sweep.tokens,
        "paired": sweep.paired,
        "precision": (
            {
                "half_width": sweep.precision,
                "pilot": sweep.pilot,
                "by": sweep.precision_by,
            }
            if sweep.precision
            else None
        ),
        "max_tokens": longest,
        "stopping": stopping,
        **transfer(graph, f"sweeps.{name}", sweep.model, injections[0]),
    }
    inputs: Inputs = {
        "model": [model(graph, sweep.model)],
        "documents": [(documents(graph, corpus), 1) for corpus in sweep.corpora],
        "skip_tokens": [skip_tokens(graph, corpus, sweep, longest) for corpus in sweep.corpora],
    }
    return [
        graph.make(
            "skill_sweep",
            f"{name}.{_place(injection)}",
            {**settings, "layers": injection},
            {**inputs, "vectors": [vector(graph, name) for name in injection]},
        )
        for injection in injections
    ]


def _grid(graph: Graph, name: str, sweep: schema.GridSweep) -> list[Artefact]:
    made = []
    for (layer,) in layer_sets(graph, f"sweeps.{name}.layers", sweep.model, sweep.layers):
        multipliers = sorted(sweep.multipliers)
        runs = [[0.0], multipliers, [-multiplier for multiplier in multipliers]]
        injections = [
            {
                "label": vector,
                "vectors": [vector],
                "behaviours": [graph.study.behaviour_of(vector)],
                "runs": runs,
            }
            for vector in sweep.vectors
        ]
        settings = {
            "split": sweep.split,
            "layers": {vector: [layer] for vector in sweep.vectors},
            "injections": injections,
            "stopping": sweep.stopping.model_dump() if sweep.stopping else None,
        }
        made.append(_behaviour(graph, name, f"layer-{layer}", sweep, settings, sweep.vectors))
    return made


def _single(graph: Graph, name: str, sweep: schema.SingleSweep) -> list[Artefact]:
    vectors = graph.study.chosen_vectors(sweep.choice)
    made = []
    for (layer,) in layer_sets(graph, f"sweeps.{name}.layers", sweep.model, sweep.layers):
        settings = {
            "split": sweep.split,
            "layers": {vector: [layer] for vector in vectors},
            "injections": [
                {
                    "label": vector,
                    "vectors": [vector],
                    "behaviours": [graph.study.behaviour_of(vector)],
                    "runs": "chosen",
                }
                for vector in vectors
            ],
        }
        place = f"layer-{layer}"
        made.append(_behaviour(graph, name, place, sweep, settings, vectors, sweep.choice))
    return made


def _combined(graph: Graph, name: str, sweep: schema.CombinedSweep) -> list[Artefact]:
    vectors = graph.study.chosen_vectors(sweep.choice)
    behaviours = [graph.study.behaviour_of(vector) for vector in vectors]
    made = []
    for (layer,) in layer_sets(graph, f"sweeps.{name}.layers", sweep.model, sweep.layers):
        settings = {
            "split": sweep.split,
            "layers": {vector: [layer] for vector in vectors},
            "injections": [
                {
                    "label": f"{combine}{'-weighted' if weighted else ''}-{direction}",
                    "vectors": vectors,
                    "behaviours": behaviours,
                    "combine": combine,
                    "weighted": weighted,
                    "direction": direction,
                    "runs": [[1.0]],
                }
                for combine in sweep.combine
                for weighted in sweep.weighted
                for direction in ("add", "subtract")
            ],
        }
        place = f"layer-{layer}"
        made.append(_behaviour(graph, name, place, sweep, settings, vectors, sweep.choice))
    return made


def _simultaneous(graph: Graph, name: str, sweep: schema.SimultaneousSweep) -> list[Artefact]:
    injection = _own_layers(graph, name, sweep.model, sweep.inject)
    behaviours = [graph.study.behaviour_of(vector) for vector in injection]
    settings = {
        "split": sweep.split,
        "layers": injection,
        "injections": [
            {
                "label": "all",
                "vectors": list(injection),
                "behaviours": behaviours,
                "runs": [coefficients(sweep.coefficients)],
            }
        ],
    }
    return [_behaviour(graph, name, _place(injection), sweep, settings, list(injection))]


def _behaviour(
    graph: Graph,
    name: str,
    place: str,
    sweep: Any,
    settings: Mapping[str, Any],
    vectors: list[str],
    chosen: str | None = None,
) -> Artefact:
    behaviours = [graph.study.behaviour_of(vector) for vector in vectors]
    inputs: Inputs = {
        "model": [model(graph, sweep.model)],
        "questions": [questions(graph, behaviour) for behaviour in behaviours],
        "vectors": [vector(graph, name) for name in vectors],
    }
    if chosen:
        inputs["choice"] = [choice(graph, chosen)]
    return graph.make(
        "behaviour_sweep",
        f"{name}.{place}",
        {
            **running(graph.study.models[sweep.model], sweep),
            **transfer(graph, f"sweeps.{name}", sweep.model, vectors),
            "kind": sweep.kind,
            "behaviours": behaviours,
            **settings,
        },
        inputs,
    )


def _own_layers(
    graph: Graph, name: str, model: str, inject: Mapping[str, Any]
) -> dict[str, list[int]]:
    entry = f"sweeps.{name}.inject"
    return {vector: layer_sets(graph, entry, model, [layer])[0] for vector, layer in inject.items()}


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
    """What a behaviour sweep's raw tables hold, in the order of its jobs, and its collapse."""
    jobs = sweep_jobs(graph, name)
    return {
        "kind": jobs[0].settings["kind"],
        "split": jobs[0].settings["split"],
        "collapse": graph.study.collapse_of(name),
        "jobs": [
            {
                "layer": injection_label(job.settings["layers"]),
                "injections": job.settings["injections"],
            }
            for job in jobs
        ],
    }


def _place(injection: Mapping[str, list[int]]) -> str:
    """`layer-3`, or `layers-1-2-3`, for a file's name."""
    layers = sorted({layer for layers in injection.values() for layer in layers})
    return f"layer{'s' if len(layers) > 1 else ''}-{'-'.join(map(str, layers))}"
