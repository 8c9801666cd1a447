"""The steering vectors of a study, and what they are made from.

What makes a vector is a recipe: the settings of its method, in them those of the vectors that it is
made of, and the samples that it is made of, by role.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from snakesteer.core.errors import naming
from snakesteer.hub.manifest import at_home, locate_file, sha256
from snakesteer.plan.activations import activations
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.code_digest import own_digest
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.models import model
from snakesteer.study.vectors import (
    ChosenVector,
    CombineVector,
    ControlVector,
    FileVector,
    OwnVector,
)

Recipe = tuple[dict[str, Any], Inputs]


@once
def mean(graph: Graph, name: str) -> Artefact:
    """The mean of a corpus's activations."""
    return graph.make("mean", name, {}, {"activations": [activations(graph, name)]})


@once
def vector(graph: Graph, name: str) -> Artefact:
    """A steering vector."""
    return graph.make("vector", name, *_recipe(graph, name))


def resampled_vectors(graph: Graph, name: str, resamples: int) -> Artefact:
    """A steering vector from samples drawn anew, so many times."""
    drawn = {"vector": name, "resamples": resamples, "seed": graph.study.vectors[name].seed}
    return _several(graph, "resampled_vectors", name, drawn)


def drawn_vectors(graph: Graph, name: str, draws: int) -> Artefact:
    """A control drawn so many times."""
    return _several(graph, "drawn_vectors", name, {"draws": draws})


def _several(graph: Graph, stage: str, name: str, drawn: Mapping[str, Any]) -> Artefact:
    settings, samples = _recipe(graph, name)
    return graph.make(stage, name, {**settings, **drawn}, samples)


def _recipe(graph: Graph, name: str) -> Recipe:
    return _scaled(graph, name, _unscaled(graph, name))


def _unscaled(graph: Graph, name: str) -> Recipe:
    """The recipe of a vector before its `scale`."""
    entry = graph.study.vectors[name]
    match entry:
        case ControlVector(of=origin, how="labels"):
            # What is scaled is what was found in the shuffled samples.
            of, samples = _unscaled(graph, origin)
            return _scaled(graph, origin, (entry.settings() | {"of": of}, samples))
        case ControlVector(of=origin):
            of, samples = _recipe(graph, origin)
            return entry.settings() | {"of": of}, samples
        case CombineVector():
            others = [
                _recipe(graph, other) for named in entry.vectors().values() for other in named
            ]
            return _joined(entry.settings(), others)
        case FileVector():
            return {"method": "file"}, {"file": [_file(graph, name, entry)]}
        case ChosenVector():
            return {"method": "file"}, {"file": [_chosen(graph, name, entry)]}
    samples = {
        role: [activations(graph, each) for each in named]
        for role, named in entry.activations().items()
    }
    if isinstance(entry, OwnVector):
        return entry.settings() | _own(graph, name, entry), samples
    return entry.settings(), samples


def _own(graph: Graph, name: str, entry: OwnVector) -> dict[str, str]:
    """Where the code of a method of one's own lies, seen from the working directory, and its
    digest."""
    with naming(f"vectors.{name}.file"):
        path = locate_file(entry.file, graph.repository)
        digest = own_digest(path, graph.repository / "workflow" / "scripts")
    named = Path(at_home(entry.file))
    return {"file": entry.file if named == path else os.path.relpath(path), "identity": digest}


def _file(graph: Graph, name: str, entry: FileVector) -> Artefact:
    """The vector in a file, known by its content."""
    with naming(f"vectors.{name}.file"):
        identity = sha256(locate_file(entry.file, graph.repository))
    settings = entry.settings() | {"identity": identity}
    return graph.make("vector_file", name, settings, {"model": [model(graph, entry.model)]})


def _chosen(graph: Graph, name: str, entry: ChosenVector) -> Artefact:
    """The direction that a choice took out of a vector."""
    # Choices are made from sweeps, and these from vectors: each module needs the other.
    from snakesteer.plan.choices import candidate

    inputs: Inputs = {
        "vector": [vector(graph, entry.of)],
        "choice": [candidate(graph, entry.choice)],
    }
    return graph.make("chosen_vector", name, entry.settings(), inputs)


def _scaled(graph: Graph, name: str, recipe: Recipe) -> Recipe:
    """A recipe with the `scale` of a vector's entry; other vectors in it are those before their own
    scale."""
    scale = graph.study.vectors[name].scale
    match scale:
        case None:
            return recipe
        case "unit":
            return _joined({"method": "scaled", "norm": 1.0}, [recipe])
        case float():
            return _joined({"method": "scaled", "norm": scale}, [recipe])
    if scale.share is not None:
        return _joined({"method": "scaled", "norm": {"share": scale.share}}, [recipe])
    others = [_unscaled(graph, other) for other in scale.vectors]
    return _joined({"method": "scaled", "norm": "others"}, [recipe, *others])


def _joined(settings: dict[str, Any], recipes: Iterable[Recipe]) -> Recipe:
    """Settings with those of other vectors in them, and which of all samples are whose."""
    vectors, places = [], []
    samples: list[Any] = []
    for of, given in recipes:
        own: dict[str, list[int]] = {}
        for role, each in given.items():
            own[role] = []
            for artefact in each:
                if artefact not in samples:
                    samples.append(artefact)
                own[role].append(samples.index(artefact))
        vectors.append(of)
        places.append(own)
    return settings | {"vectors": vectors, "samples": places}, {"samples": samples}
