"""The injections of a sweep's job, with their vectors and the multipliers chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.sweeps.job import Combined, Injected, SweepJob
from snakesteer.vectors.combining import combine

if TYPE_CHECKING:
    import torch

Parts = tuple[tuple[int, "np.ndarray | torch.Tensor"], ...]
Choice = Mapping[str, Any]


@dataclass(frozen=True)
class Steering:
    """One injection and how it is evaluated.

    `parts` are (0-based layer, vector [hidden]); `runs` are lists of coefficients, each with
    early stopping of its own; `sources` are the corpora or behaviours it is evaluated on.
    """

    label: str
    parts: Parts
    runs: tuple[tuple[float, ...], ...]
    sources: tuple[str, ...]


def steerings(
    job: SweepJob, vectors: Mapping[str, np.ndarray], choice: Choice | None
) -> Iterator[Steering]:
    """The injections of a job.

    `vectors` are [n_layers, hidden] by name; `choice` holds the chosen multipliers, by behaviour
    and layer, where an injection asks for them. Raises StudyError where it has none.
    """
    for injected in job.injections:
        runs = injected.runs
        if runs is None:
            ((layer,),) = injected.layers.values()
            cell = _chosen(choice, injected.sources[0], layer)
            runs = ((0.0, cell["subtract"], cell["add"]),)
        yield Steering(injected.label, _parts(injected, vectors, choice), runs, injected.sources)


def _parts(injected: Injected, vectors: Mapping[str, np.ndarray], choice: Choice | None) -> Parts:
    if injected.combined:
        return (_combined(injected, injected.combined, vectors, choice),)
    return tuple(
        (layer, vectors[name][layer])
        for name, layers in injected.layers.items()
        for layer in layers
    )


def _combined(
    injected: Injected,
    combined: Combined,
    vectors: Mapping[str, np.ndarray],
    choice: Choice | None,
) -> tuple[int, np.ndarray]:
    """All vectors at one layer as one; subtracting takes negatives or negative multipliers."""
    ((layer,),) = set(injected.layers.values())
    if combined.weighted:
        weights = [
            _chosen(choice, behaviour, layer)[combined.direction] for behaviour in injected.sources
        ]
    else:
        weights = [1.0 if combined.direction == "add" else -1.0] * len(injected.layers)
    return layer, combine([vectors[name][layer] for name in injected.layers], combined.how, weights)


def _chosen(choice: Choice | None, behaviour: str, layer: int) -> Mapping[str, float]:
    try:
        return choice["multipliers"][behaviour][str(layer)]  # type: ignore[index]
    except (KeyError, TypeError):
        raise StudyError(
            f"no multiplier was chosen for {behaviour} at layer {layer}; "
            "add the layer to the grid search that the choice reads."
        ) from None
