"""The steering vectors of a study, and what they are made from."""

from __future__ import annotations

from typing import Any

from snakesteer.plan.activations import activations
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.graph import Graph, once


@once
def mean(graph: Graph, name: str) -> Artefact:
    """The mean of a corpus's activations."""
    return graph.make("mean", name, {}, {"activations": [activations(graph, name)]})


@once
def vector(graph: Graph, name: str) -> Artefact:
    """A steering vector."""
    return graph.make("vector", name, _settings(graph, name), _samples(graph, name))


def resampled_vectors(graph: Graph, name: str, resamples: int) -> Artefact:
    """A steering vector from samples drawn anew, so many times."""
    drawn = {"vector": name, "resamples": resamples, "seed": graph.study.vectors[name].seed}
    settings = _settings(graph, name) | drawn
    return graph.make("resampled_vectors", name, settings, _samples(graph, name))


def _settings(graph: Graph, name: str) -> dict[str, Any]:
    """The settings of a vector's method, and in them those of the vectors that it is made of."""
    entry = graph.study.vectors[name]
    settings = entry.settings()
    if entry.SECTION == "vectors":
        for field, (origin,) in entry.operands().items():
            settings[field] = _settings(graph, origin)
    return settings


def _samples(graph: Graph, name: str) -> Inputs:
    """The activations that a vector is made of, by role."""
    return {
        role: [activations(graph, operand) for operand in operands]
        for role, operands in graph.study.operands_of(name).items()
    }
