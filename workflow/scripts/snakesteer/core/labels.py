"""Labels of injected layers: "3" for one layer, "2+4" for several, "" where no layer applies.

And of coefficients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def layer_label(layers: Iterable[int]) -> str:
    """The label of a set of 0-based layers, ascending: `[4, 2]` gives "2+4"."""
    return "+".join(str(layer) for layer in sorted(layers))


def layer_order(label: str) -> tuple[int, ...]:
    """Sort key that orders labels by depth: "3" before "10", "2" before "2+4", "" first."""
    return tuple(int(layer) for layer in label.split("+")) if label else ()


def coefficient_label(coefficient: float | None) -> str:
    """What a point is called: "coefficient 2", or "unsteered" where there is none."""
    return "unsteered" if coefficient is None else f"coefficient {coefficient:g}"


def injection_label(injection: Mapping[str, Iterable[int]]) -> str:
    """The label of all layers that an injection, layers by vector, reaches."""
    return layer_label({layer for layers in injection.values() for layer in layers})
