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
    entry = graph.study.vectors[name]
    if entry.contrast:
        pairs: Inputs = {"contrast": [activations(graph, entry.contrast)]}
        return graph.make("vector", name, {"method": "contrast"}, pairs)
    settings: dict[str, Any] = {"method": "skill", "dtype": entry.dtype}
    if entry.permute:
        settings |= {"permute": entry.permute, "seed": entry.seed}
    means: Inputs = {
        "add": [mean(graph, operand) for operand in entry.add or []],
        "subtract": [mean(graph, operand) for operand in entry.subtract or []],
    }
    return graph.make("vector", name, settings, means)


def resampled_vectors(graph: Graph, name: str, resamples: int) -> Artefact:
    """A steering vector from samples drawn anew, so many times."""
    entry = graph.study.vectors[name]
    settings = {"vector": name, "resamples": resamples, "seed": entry.seed}
    if entry.contrast:
        inputs: Inputs = {"contrast": [activations(graph, entry.contrast)]}
    else:
        settings |= {"permute": entry.permute, "dtype": entry.dtype}
        inputs = {
            "add": [activations(graph, operand) for operand in entry.add or []],
            "subtract": [activations(graph, operand) for operand in entry.subtract or []],
        }
    return graph.make("resampled_vectors", name, settings, inputs)
