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
            continue
        chosen = []
        for each in injected.candidates:
            if taken_of := _taken(choices[each.choice], each):
                chosen.append(taken_of)
        if len(chosen) == len(injected.candidates):
            own = injected.coefficients or ()
            first = choices[injected.candidates[0].choice]
            further = _coefficients(first, chosen[0], injected.taken)
            coefficients = (*own, *(value for value in further if value not in own))
            found.append(replace(injected, coefficients=coefficients))
    return tuple(found)


def _taken(choice: Mapping[str, Any], candidate: Candidate) -> Mapping[str, Any] | None:
    """What a choice takes, if that is this candidate; of one sweep a choice does not name it."""
    own = (candidate.sweep, candidate.vector, candidate.layer, candidate.position)
    for chosen in choice.get("each") or [choice["chosen"]]:
        sweep = chosen.get("sweep", candidate.sweep)
        if (sweep, chosen["vector"], chosen["layer"], chosen["position"]) == own:
            return chosen
    return None


def _coefficients(choice: Mapping[str, Any], taken: Mapping[str, Any], number: int) -> list[float]:
    """So many coefficients: the one that is taken alone, or from one to the other of those that the
    choice is `between`, themselves as they are and the others in 12 digits."""
    if number <= 1:
        return [taken["coefficient"]] * number
    first, last = choice["between"]
    inside = np.linspace(first, last, number)[1:-1]
    return [first, *(float(f"{value:.12g}") for value in inside), last]
