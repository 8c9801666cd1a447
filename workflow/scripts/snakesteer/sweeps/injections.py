"""The injections of a sweep's job, with their vectors and the multipliers chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.engine.steering import Part
from snakesteer.sweeps.job import ALL_TOKENS, OUTPUT, Combined, Injected, SweepJob
from snakesteer.vectors.combining import combine

Choice = Mapping[str, Any]


@dataclass(frozen=True)
class Steering:
    """One injection and how it is evaluated.

    `sources` are, by measure, the corpora or behaviours it is evaluated on.
    """

    label: str
    parts: tuple[Part, ...]
    coefficients: tuple[float, ...]
    sources: Mapping[str, tuple[str, ...]]


def steerings(
    job: SweepJob, vectors: Mapping[str, np.ndarray], choice: Choice | None
) -> Iterator[Steering]:
    """The injections of a job.

    `vectors` are [n_layers, hidden] by name; `choice` holds the chosen multipliers, by behaviour
    and layer, where an injection asks for them. Raises StudyError where it has none.
    """
    for injected in job.injections:
        coefficients = injected.coefficients
        if coefficients is None:
            ((vector, (layer,)),) = injected.layers.items()
            cell = _chosen(choice, job.behaviours[vector], layer)
            coefficients = (0.0, cell["subtract"], cell["add"])
        sources = {measured.name: job.sources(injected, measured) for measured in job.measures}
        yield Steering(
            injected.label, _parts(job, injected, vectors, choice), coefficients, sources
        )


def _parts(
    job: SweepJob, injected: Injected, vectors: Mapping[str, np.ndarray], choice: Choice | None
) -> tuple[Part, ...]:
    if injected.combined:
        given = [_combined(job, injected, injected.combined, vectors, choice)]
    else:
        given = []
        for name, layers in injected.layers.items():
            given += [(layer, vectors[name][layer]) for layer in layers]
    return tuple(
        part(layer, vector, job.operator, site, job.positions)
        for layer, vector in given
        for site in job.sites
    )


def part(
    layer: int,
    vector: np.ndarray,
    operator: str,
    site: str = OUTPUT,
    positions: str | int = ALL_TOKENS,
) -> Part:
    """What the operator of this name does at a layer, along `vector` [hidden]."""
    acts = plugins.load("operators", operator)
    return Part(layer, torch.as_tensor(vector), site, acts, positions=positions)


def _combined(
    job: SweepJob,
    injected: Injected,
    combined: Combined,
    vectors: Mapping[str, np.ndarray],
    choice: Choice | None,
) -> tuple[int, np.ndarray]:
    """All vectors at one layer as one; subtracting takes negatives or negative multipliers."""
    ((layer,),) = set(injected.layers.values())
    weights = []
    for name in injected.layers:
        if combined.weighted:
            weights.append(_chosen(choice, job.behaviours[name], layer)[combined.direction])
        else:
            weights.append(1.0 if combined.direction == "add" else -1.0)
    return layer, combine([vectors[name][layer] for name in injected.layers], combined.how, weights)


def _chosen(choice: Choice | None, behaviour: str, layer: int) -> Mapping[str, float]:
    try:
        return choice["multipliers"][behaviour][str(layer)]  # type: ignore[index]
    except (KeyError, TypeError):
        raise StudyError(
            f"no multiplier was chosen for {behaviour} at layer {layer}; "
            "add the layer to the grid search that the choice reads."
        ) from None
