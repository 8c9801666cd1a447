"""The injections of a behaviour sweep's job, from its settings, its vectors and its choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.vectors.combining import combine

Parts = tuple[tuple[int, np.ndarray], ...]


@dataclass(frozen=True)
class Steering:
    """One injection and how it is evaluated.

    `parts` are (0-based layer, vector [hidden]); `runs` are lists of coefficients, each with
    early stopping of its own; `behaviours` are those whose questions are asked.
    """

    label: str
    parts: Parts
    runs: tuple[tuple[float, ...], ...]
    behaviours: tuple[str, ...]


def skill_parts(settings: Mapping[str, Any], vectors: Mapping[str, np.ndarray]) -> Parts:
    """The parts of a skill sweep's injection; `vectors` are [n_layers, hidden] by name."""
    return tuple(
        (layer, vectors[name][layer])
        for name, layers in settings["layers"].items()
        for layer in layers
    )


def steerings(
    settings: Mapping[str, Any],
    vectors: Mapping[str, np.ndarray],
    choice: Mapping[str, Any] | None,
) -> Iterator[Steering]:
    """The injections of a behaviour sweep's job.

    `vectors` are [n_layers, hidden] by name; `choice` holds the chosen multipliers, by behaviour
    and layer, where single or weighted combined steering asks for them.
    """
    for injection in settings["injections"]:
        names = injection["vectors"]
        behaviours = tuple(injection["behaviours"])
        runs = injection["runs"]
        if "combine" in injection:
            parts: Parts = (_combined(settings, injection, vectors, choice),)
        else:
            parts = tuple(
                (layer, vectors[name][layer])
                for name in names
                for layer in settings["layers"][name]
            )
        if runs == "chosen":
            (layer,) = settings["layers"][names[0]]
            cell = _chosen(choice, behaviours[0], layer)
            runs = [[0.0, cell["subtract"], cell["add"]]]
        yield Steering(injection["label"], parts, tuple(tuple(run) for run in runs), behaviours)


def _combined(
    settings: Mapping[str, Any],
    injection: Mapping[str, Any],
    vectors: Mapping[str, np.ndarray],
    choice: Mapping[str, Any] | None,
) -> tuple[int, np.ndarray]:
    """All vectors at one layer as one; subtracting takes negatives or negative multipliers."""
    names, direction = injection["vectors"], injection["direction"]
    ((layer,),) = {tuple(settings["layers"][name]) for name in names}
    if injection["weighted"]:
        weights = [
            _chosen(choice, behaviour, layer)[direction] for behaviour in injection["behaviours"]
        ]
    else:
        weights = [1.0 if direction == "add" else -1.0] * len(names)
    return layer, combine([vectors[name][layer] for name in names], injection["combine"], weights)


def _chosen(choice: Mapping[str, Any] | None, behaviour: str, layer: int) -> Mapping[str, Any]:
    try:
        return choice["multipliers"][behaviour][str(layer)]  # type: ignore[index]
    except (KeyError, TypeError):
        raise StudyError(
            f"no multiplier was chosen for {behaviour} at layer {layer}; "
            "add the layer to the grid search that the choice reads."
        ) from None
