"""snakesteer: activation steering studies as a cached, traceable workflow.

In plain Python (docs/python.md) the names below are all that is meant to be used. Each is imported
when it is asked for, so that importing this package costs nothing and changes nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakesteer.core.errors import StudyError
    from snakesteer.vectors.activation_file import Activations, read_activations
    from snakesteer.vectors.from_texts import activations, make_vector
    from snakesteer.vectors.steered import steer
    from snakesteer.vectors.steering_vector import SteeringVector, read_vector

__all__ = [
    "Activations",
    "SteeringVector",
    "StudyError",
    "activations",
    "make_vector",
    "read_activations",
    "read_vector",
    "steer",
]

_MODULES = {
    "Activations": "vectors.activation_file",
    "SteeringVector": "vectors.steering_vector",
    "StudyError": "core.errors",
    "activations": "vectors.from_texts",
    "make_vector": "vectors.from_texts",
    "read_activations": "vectors.activation_file",
    "read_vector": "vectors.steering_vector",
    "steer": "vectors.steered",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
