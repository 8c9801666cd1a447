"""How an exported vector is meant to be used, and what of that a format cannot say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.core.plugins import constant, file_of
from snakesteer.vectors.steering_vector import SteeringVector

ADD, EVERY = "add", "all"


@dataclass(frozen=True)
class Use:
    """An operator, its coefficient, and the tokens that change, as a study has them."""

    operator: str = ADD
    coefficient: float = 1.0
    positions: Any = EVERY


ADDED = Use()


def check(format: str, site: str, use: Use, layers: Iterable[int] = ()) -> None:
    """Raise StudyError in one sentence for what a format cannot say.

    `layers` are those that were asked for by number.
    """
    file = file_of("exports", format)
    sites, operators = constant(file, "SITES", ()), constant(file, "OPERATORS", ())
    if sites and site not in sites:
        raise StudyError(
            f"{format} holds vectors of {_listed('site', sites)}, but this one has the site "
            f"{site}; set another `site` to change that one instead, or export the vector as "
            "safetensors."
        )
    if operators and use.operator not in operators:
        raise StudyError(
            f"readers of {format} have {_listed('operator', operators)}, not {use.operator}; "
            "export the vector as safetensors, whose metadata record the operator."
        )
    if constant(file, "EVERYWHERE", False) and use.positions != EVERY:
        raise StudyError(
            f"readers of {format} change every token, but positions is {use.positions}; remove "
            "positions to accept this, or use another format."
        )
    first = constant(file, "FIRST_LAYER", 0)
    for layer in layers:
        if layer < first:
            raise StudyError(
                f"{format} cannot hold layer {layer}, as it counts from {first}; remove that "
                "layer, or use another format."
            )


def named_layers(vector: SteeringVector, layers: Iterable[int]) -> None:
    """Raise StudyError for a layer that a vector has no direction for."""
    for layer in layers:
        if layer not in vector.directions:
            held = ", ".join(map(str, vector.layers))
            raise StudyError(
                f"the vector has no direction at layer {layer}; name layers from {held}."
            )


def package(name: str, format: str) -> ModuleType:
    """A package that writes a format; StudyError if it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise StudyError(
            f"{format} is written by the package {name}, which cannot be imported "
            f"({type(error).__name__}: {error}); install it with `pip install {name}`."
        ) from None


def _listed(what: str, names: Iterable[str]) -> str:
    names = list(names)
    return f"the {what}{'s' if len(names) > 1 else ''} {', '.join(names)}"
