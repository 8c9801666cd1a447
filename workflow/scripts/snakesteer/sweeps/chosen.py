"""What choices among candidates take, out of the injections of all candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snakesteer.sweeps.job import Candidate, Injected

Choices = Mapping[str, Mapping[str, Any]]
"""Choices by name: what `sweeps.candidates.chosen` returns."""


def taken(injections: Iterable[Injected], choices: Choices) -> tuple[Injected, ...]:
    """The injections of the candidates that choices take, with their coefficients from these.

    Those that are of no candidate stay as they are.
    """
    found = []
    for injected in injections:
        if not injected.candidates:
            found.append(injected)
        elif all(_takes(choices[each.choice], each) for each in injected.candidates):
            own = injected.coefficients or ()
            first = choices[injected.candidates[0].choice]
            further = _coefficients(first, injected.taken)
            coefficients = (*own, *(value for value in further if value not in own))
            found.append(replace(injected, coefficients=coefficients))
    return tuple(found)


def _takes(choice: Mapping[str, Any], candidate: Candidate) -> bool:
    """Whether a candidate is the chosen one; of one sweep a choice does not name it."""
    chosen = choice["chosen"]
    sweep = chosen.get("sweep", candidate.sweep)
    place = (chosen["vector"], chosen["layer"], chosen["position"])
    own = (candidate.vector, candidate.layer, candidate.position)
    return (sweep, *place) == (candidate.sweep, *own)


def _coefficients(choice: Mapping[str, Any], number: int) -> list[float]:
    """So many coefficients: the chosen one alone, or from one to the other of those that it is
    `between`, themselves as they are and the others in 12 digits."""
    if number <= 1:
        return [choice["chosen"]["coefficient"]] * number
    first, last = choice["between"]
    inside = np.linspace(first, last, number)[1:-1]
    return [first, *(float(f"{value:.12g}") for value in inside), last]
