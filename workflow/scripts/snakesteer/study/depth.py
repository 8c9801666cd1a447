"""Layers given as fractions of a model's depth, told apart from numbers of layers by their type.

0.0 is the first decoder block and 1.0 the last; in between stands the nearest one, of two equally
near ones the lower: of 32 layers 0.25 is layer 8, 0.5 layer 15. Fractions that are one layer of a
shallow model are that layer once, and a set of one layer is that layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from snakesteer.core.errors import StudyError
from snakesteer.study import schema

Layered = TypeVar("Layered", bound=schema.Entry)


def layer_at(fraction: float, n_layers: int) -> int:
    """The 0-based layer at a fraction, 0 to 1, of the depth of a model of `n_layers`."""
    return math.ceil(fraction * (n_layers - 1) - 0.5)


def at_depth(study: schema.Study, layers_of: Callable[[str], int]) -> schema.Study:
    """The study with a number in place of every fraction of depth.

    `layers_of` says how many layers a model has; it is asked only for models whose layers are given
    as fractions. Raises StudyError for multipliers of two fractions that are one layer, and for a
    fraction in a figure of models in which it is not the same layer, or of published results, whose
    model's depth is not known.
    """

    def numbered(entry: Layered, name: str, models: list[str | None]) -> Layered:
        numbers = {}
        for field in entry.layered:
            given = getattr(entry, field, None)
            if given is not None:
                numbers[field] = _numbers(given, _Place(f"{name}.{field}", models, layers_of))
        return entry.model_copy(update=numbers)

    def exported(entry: schema.Export) -> list[str | None]:
        return [study.model_of(vector) for vector in entry.vectors or study.vectors]

    def choice(name: str, entry: schema.AnyChoice) -> schema.AnyChoice:
        if isinstance(entry, schema.CandidateChoice):
            return entry
        multipliers: dict[str, dict[int | float, schema.Multipliers]] = {}
        for vector, cells in (entry.multipliers or {}).items():
            model = study.model_of(vector)
            place = _Place(f"choices.{name}.multipliers.{vector}", [model], layers_of)
            layers = _numbers(list(cells), place)
            if len(layers) < len(cells):
                raise StudyError(
                    f"{place.name} names {', '.join(map(str, cells))}, two of which are the same "
                    f"layer of models.{model}; remove one."
                )
            multipliers[vector] = dict(zip(layers, cells.values(), strict=True))
        return entry.model_copy(update={"multipliers": multipliers or None})

    return study.model_copy(
        update={
            "sweeps": {
                name: sweep.model_copy(
                    update={
                        "inject": numbered(sweep.inject, f"sweeps.{name}.inject", [sweep.model])
                    }
                )
                for name, sweep in study.sweeps.items()
            },
            "samples": {
                name: numbered(entry, f"samples.{name}", [entry.model])
                for name, entry in study.samples.items()
            },
            "exports": {
                name: numbered(entry, f"exports.{name}", exported(entry))
                for name, entry in study.exports.items()
            },
            "figures": {
                name: numbered(figure, f"figures.{name}", figure.models(study))
                for name, figure in study.figures.items()
            },
            "choices": {name: choice(name, entry) for name, entry in study.choices.items()},
        }
    )


@dataclass(frozen=True)
class _Place:
    """Where in a study layers are named, and of which models."""

    name: str
    models: list[str | None]
    layers_of: Callable[[str], int]

    def depth(self) -> int:
        """How many layers its models have; StudyError if that differs or is not known."""
        depths = {self.layers_of(model) for model in self.models if model is not None}
        if None in self.models or len(depths) != 1:
            raise StudyError(
                f"{self.name} is all, but the layers here differ between models or are unknown; "
                "list the numbers of the layers."
            )
        return depths.pop()


def _numbers(given: Any, place: _Place) -> Any:
    """A layer, a list of layers and sets of them, or a mapping to either, with numbers in place of
    fractions, and of `all` in a list or mapping."""
    if isinstance(given, Mapping):
        return {name: _of_a_part(part, place) for name, part in given.items()}
    if isinstance(given, list):
        sets = [_layer_set(value, place) for value in given]
        return [layers for i, layers in enumerate(sets) if layers not in sets[:i]]
    return _number(given, place)


def _of_a_part(given: Any, place: _Place) -> Any:
    """The layers of a part of an injection, or an entry that has some."""
    if not isinstance(given, schema.Entry):
        return _layer_set(given, place)
    update = {
        field: _layer_set(getattr(given, field), place)
        for field in given.layered
        if getattr(given, field) is not None
    }
    return given.model_copy(update=update)


def _layer_set(given: Any, place: _Place) -> Any:
    """A layer, or the sorted list of those steered together."""
    if given == "all":
        given = list(range(place.depth()))
    if not isinstance(given, list):
        return _number(given, place)
    numbers = sorted({_number(value, place) for value in given})
    return numbers if len(numbers) > 1 else numbers[0]


def _number(given: Any, place: _Place) -> Any:
    if not isinstance(given, float):
        return given
    layers: dict[int, str] = {}
    for model in place.models:
        if model is None:
            raise StudyError(
                f"{place.name} names {given}, but the depth of published models is not known; "
                "give the number of the layer."
            )
        layers.setdefault(layer_at(given, place.layers_of(model)), model)
    if len(layers) > 1:
        named = " and ".join(f"layer {layer} of models.{layers[layer]}" for layer in layers)
        raise StudyError(
            f"{place.name} names {given}, which is {named}; give the numbers of the layers, or a "
            "separate figure for each model."
        )
    return next(iter(layers))
