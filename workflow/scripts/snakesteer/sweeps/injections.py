"""The injections of a sweep's job, with their vectors and the multipliers chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snakesteer.core.errors import StudyError
from snakesteer.core.notes import note
from snakesteer.engine.operator_files import load
from snakesteer.engine.steering import Injection, Part
from snakesteer.prompts.which_tokens import steered
from snakesteer.sweeps.job import ALL_TOKENS, OUTPUT, Combined, Injected, Placed, SweepJob
from snakesteer.vectors.combining import combine

Choice = Mapping[str, Any]


@dataclass(frozen=True)
class Steering:
    """One injection and how it is evaluated.

    Among `coefficients` None is the unsteered model, where 0 is not. `sources` are, by measure, the
    corpora or behaviours it is evaluated on.
    """

    label: str
    parts: tuple[Part, ...]
    coefficients: tuple[float | None, ...]
    sources: Mapping[str, tuple[str, ...]]


def steerings(
    job: SweepJob,
    vectors: Mapping[str, np.ndarray],
    choice: Choice | None,
    codes: Mapping[str, str],
    positions: Mapping[str, Sequence[int]],
) -> Iterator[Steering]:
    """The injections of a job.

    `vectors` are [n_layers, hidden] by name, those of several positions [positions, n_layers,
    hidden], and those that are drawn several times have their draws before that; `choice` holds the
    chosen multipliers, by behaviour and layer, where an injection asks for them; `codes` are the
    digests of operators, `positions` those of vectors of several. Raises StudyError where no
    multiplier was chosen, and for a position that a vector does not have.
    """
    for injected in job.injections:
        taken = {}
        for placed in injected.parts:
            vector = vectors[placed.vector]
            if placed.vector in (job.draws or ()):
                vector = vector[injected.draw]
            if placed.source_position is not None:
                vector = vector[_place(placed, positions[placed.vector])]
            taken[placed.vector] = vector
        parts = tuple(_parts(job, injected, taken, choice, codes))
        coefficients = injected.coefficients
        if coefficients is None:
            (placed,) = injected.parts
            (layer,) = placed.layers
            cell = _chosen(choice, job.behaviours[placed.vector], layer)
            coefficients = (Injection(parts).unsteered, cell["subtract"], cell["add"])
        sources = {measured.name: job.sources(injected, measured) for measured in job.measures}
        yield Steering(injected.label, parts, coefficients, sources)


def _place(placed: Placed, positions: Sequence[int]) -> int:
    """The place of its vector's position among those that the vector has."""
    wanted = placed.source_position
    if wanted is None or wanted not in positions:
        raise StudyError(
            f"vectors.{placed.vector} is to be injected as read at position {wanted}, but it has "
            f"{', '.join(map(str, positions))}; name one of those."
        )
    return [*positions].index(wanted)


def _parts(
    job: SweepJob,
    injected: Injected,
    vectors: Mapping[str, np.ndarray],
    choice: Choice | None,
    codes: Mapping[str, str],
) -> Iterator[Part]:
    if injected.combined:
        together = _combined(job, injected, injected.combined, vectors, choice)
        yield from _placed(injected.parts[0], together, codes)
        return
    for placed in injected.parts:
        yield from _placed(placed, vectors[placed.vector], codes)


def _placed(placed: Placed, vector: np.ndarray, codes: Mapping[str, str]) -> Iterator[Part]:
    """What is done at each layer and site, along a vector [n_layers, hidden]."""
    zero: dict[int, None] = {}
    for layer in placed.layers:
        source = layer if placed.source_layer is None else placed.source_layer
        if getattr(load(placed.operator), "ZERO_IS_NOTHING", False) and not vector[source].any():
            zero[source] = None
        for site in placed.sites:
            yield Part(
                layer,
                torch.as_tensor(vector[source]),
                site,
                load(placed.operator),
                placed.constant,
                steered(placed.positions),
                codes[placed.operator],
            )
    for source in zero:
        at = "" if placed.source_position is None else f", position {placed.source_position}"
        note(
            f"vectors.{placed.vector} is 0 at layer {source}{at}, so {placed.operator} changes "
            "nothing there."
        )


def parts_alone(placed: Placed, vector: np.ndarray, positions: Sequence[int]) -> tuple[Part, ...]:
    """What is done along a vector by itself, [n_layers, hidden], or where it is of several
    `positions` [positions, n_layers, hidden]."""
    if placed.source_position is not None:
        vector = vector[_place(placed, positions)]
    return tuple(_placed(placed, vector, {placed.operator: ""}))


def part(
    layer: int,
    vector: np.ndarray,
    operator: str,
    site: str = OUTPUT,
    positions: str | int | Mapping[str, str] = ALL_TOKENS,
) -> Part:
    """What the operator of this name does at a layer, along `vector` [hidden]."""
    return Part(layer, torch.as_tensor(vector), site, load(operator), positions=steered(positions))


def _combined(
    job: SweepJob,
    injected: Injected,
    combined: Combined,
    vectors: Mapping[str, np.ndarray],
    choice: Choice | None,
) -> np.ndarray:
    """All vectors as one, [n_layers, hidden]; subtracting takes negatives or negative multipliers.

    Multipliers are those of their layer, which is one.
    """
    (layer,) = injected.parts[0].layers
    weights = []
    for placed in injected.parts:
        if combined.weighted:
            chosen = _chosen(choice, job.behaviours[placed.vector], layer)
            weights.append(chosen[combined.direction])
        else:
            weights.append(1.0 if combined.direction == "add" else -1.0)
    return combine([vectors[placed.vector] for placed in injected.parts], combined.how, weights)


def _chosen(choice: Choice | None, behaviour: str, layer: int) -> Mapping[str, float]:
    try:
        return choice["multipliers"][behaviour][str(layer)]  # type: ignore[index]
    except (KeyError, TypeError):
        raise StudyError(
            f"no multiplier was chosen for {behaviour} at layer {layer}; "
            "add the layer to the grid search that the choice reads."
        ) from None
