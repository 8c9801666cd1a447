"""Steering a network in memory, around its own `forward` and `generate`."""

from __future__ import annotations

import contextlib
import math
import operator as operators
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine.around import around, check_positions
from snakesteer.engine.in_memory import loaded, to_steer
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.operator_files import load
from snakesteer.engine.positions import ALL, Positions
from snakesteer.engine.sites import SITES
from snakesteer.engine.steering import Part, injection
from snakesteer.vectors.steering_vector import SteeringVector, of_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Vector = SteeringVector | np.ndarray | torch.Tensor
"""A steering vector; numbers [n_layers, hidden]; or one direction [hidden] for all layers named."""

EVERY = "all"


@contextlib.contextmanager
def steer(
    model: PreTrainedModel,
    vector: Vector | Sequence[Vector],
    *,
    layers: int | Sequence[int] | str,
    coefficient: float | Sequence[float],
    operator: str = "add",
    positions: Positions = ALL,
    site: str | None = None,
    transfer: bool = False,
) -> Iterator[None]:
    """Steers a causal language model of transformers in memory for as long as the block lasts.

    `layers` (0-based) are one, several, or "all" that the vector has a direction for; each gets its
    own direction. Of several vectors all are injected, one after the other, each with the
    `coefficient` or with its own out of as many. `operator` is `add`, `ablate`, `clamp` or a file
    of one's own (`engine.operators`). `positions` are `all`, `last`, -k, `prompt` or `completion`,
    counted in each text (`engine.around`). `site` is `output`, `input`, `attention` or `mlp`, by
    default where the vector was read. With `transfer` the vector may be of another model of this
    depth and width.

    The model is left as it was, also after an exception. Blocks may be nested: the outer one acts
    first. Raises StudyError for a vector of another model, for a layer without a direction, for
    whatever else the model does not have, and for numbers that are not finite.
    """
    steered = to_steer(model)
    check_positions(positions)
    given, coefficients = _each(vector, coefficient)
    act = load(_name(operator))
    parts = []
    for each, own in zip(given, coefficients, strict=True):
        taken = _vector(each, steered, transfer)
        where = _site(_own_site(taken) if site is None else site)
        for layer in _layers(layers, taken):
            direction = torch.from_numpy(taken.directions[layer].copy())
            parts.append(Part(layer, direction, where, act, own, positions))
    with around(steered, injection(steered, parts), 1.0, positions):
        yield


def _each(
    vector: Vector | Sequence[Vector], coefficient: float | Sequence[float]
) -> tuple[list[Vector], list[float]]:
    """The vectors, and the coefficient of each."""
    vectors: list[Any] = list(vector) if isinstance(vector, list | tuple) else [vector]
    if not vectors:
        raise StudyError("vector is an empty list; give a vector.")
    given = (
        list(coefficient) if isinstance(coefficient, list | tuple) else [coefficient] * len(vectors)
    )
    if len(given) != len(vectors):
        raise StudyError(
            f"coefficient has {len(given)} numbers for {len(vectors)} vectors; give one for each, "
            "or one number for all."
        )
    return vectors, [_number(each) for each in given]


def _number(given: Any) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise StudyError(f"coefficient is {given!r}; give a number.") from None
    if not math.isfinite(number):
        raise StudyError(f"coefficient is {number}; give a finite number.")
    return number


def _name(operator: Any) -> str:
    if not isinstance(operator, str):
        raise StudyError(f"operator is {operator!r}; give its name, as add, or a file's path.")
    return operator


def _own_site(vector: SteeringVector) -> str:
    """Where a vector was read; StudyError for one from a file that does not say it."""
    if vector.made and "site" not in vector.made:
        raise StudyError(
            "The vector's file does not record the site where it was read; load the file of "
            "that name in results/<study>/vectors/, which does, or give site."
        )
    return vector.site


def _site(site: Any) -> str:
    if site not in SITES:
        raise StudyError(f"site is {site!r}; name one of {', '.join(SITES)}.")
    return str(site)


def _vector(given: Any, model: LanguageModel, transfer: bool) -> SteeringVector:
    """What is given as a steering vector, of this model."""
    if isinstance(given, torch.Tensor):
        given = given.detach().float().cpu().numpy()
    if isinstance(given, np.ndarray) and given.dtype.kind in "fiu":
        given = _of_array(given, model)
    if not isinstance(given, SteeringVector):
        what = (
            f"an array of {given.dtype}" if isinstance(given, np.ndarray) else type(given).__name__
        )
        raise StudyError(
            f"vector is {what}; give a SteeringVector, or numbers as a numpy array or torch tensor."
        )
    about = {**given.model, "hidden": given.hidden}
    loaded(model).refuse_vector(about, transfer)
    return given


def _of_array(given: np.ndarray, model: LanguageModel) -> SteeringVector:
    if given.shape == (model.hidden,):
        given = np.broadcast_to(given, (model.n_layers, model.hidden))
    if given.shape != (model.n_layers, model.hidden):
        raise StudyError(
            f"vector has the shape {list(given.shape)}, but {type(model.network).__name__} needs "
            f"[{model.hidden}], or a row for each layer, [{model.n_layers}, {model.hidden}]."
        )
    return of_rows(given)


def _layers(layers: Any, vector: SteeringVector) -> tuple[int, ...]:
    """The layers that are asked for, each with a direction of the vector."""
    if isinstance(layers, str):
        if layers != EVERY:
            raise StudyError(
                f"layers is {layers!r}; give a number, a list of numbers, or {EVERY!r}."
            )
        return vector.layers
    several = isinstance(layers, Sequence | range | np.ndarray)
    try:
        asked = [operators.index(layer) for layer in (layers if several else [layers])]
    except TypeError:
        raise StudyError(
            f"layers is {layers!r}; give a number, a list of numbers, or {EVERY!r}."
        ) from None
    if not asked or len(set(asked)) < len(asked):
        raise StudyError(f"layers is {asked}; name at least one, each only once.")
    for layer in asked:
        if layer not in vector.directions:
            raise StudyError(
                f"layers names {layer}, but the vector has directions only for "
                f"{_listed(vector.layers)}; name one of these."
            )
    return tuple(asked)


def _listed(layers: Sequence[int]) -> str:
    if len(layers) > 1 and list(layers) == list(range(layers[0], layers[-1] + 1)):
        return f"layers {layers[0]} to {layers[-1]}"
    return f"layer{'s' if len(layers) > 1 else ''} {', '.join(map(str, layers))}"
