"""A control: what a method finds where samples have lost their labels.

Of questions each two answers are swapped or not, by a coin; of corpora all documents are put
together and dealt out anew. The vector is then made as before, so that it shows what the method
finds in samples of this number and spread where there is nothing to find.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakesteer.core import plugins
from snakesteer.vectors.samples import ByRole, Samples, Weights

ROLES = ("add", "subtract")
Counts = dict[str, list[np.ndarray]]


def fit(samples: ByRole, settings: Mapping[str, Any], weights: Weights | None = None) -> np.ndarray:
    """The vector `of`, of samples shuffled by the settings' `seed`, every draw anew.

    A sample has one label at all layers, and counts as often as before. All samples are held in
    memory.
    """
    of = settings["of"]
    method = plugins.load("vectors", of["method"])
    held = {role: [_in_memory(each) for each in given] for role, given in samples.items()}
    shuffled = _swapped if "of" in held else _dealt
    seed = settings["seed"]
    n_draws = None if weights is None else len(next(iter(weights.values()))[0])
    seeds = [seed] if n_draws is None else [[seed, i] for i in range(n_draws)]
    vectors = []
    for i, each in enumerate(seeds):
        relabelled, counts = shuffled(np.random.default_rng(each), held, _counts(held, weights, i))
        vectors.append(method.fit(relabelled, of, counts)[0])
    return vectors[0] if weights is None else np.stack(vectors)


def _in_memory(samples: Samples) -> Samples:
    tensors = samples.shapes()
    return Samples({tensor: np.concatenate([*samples.parts(tensor)]) for tensor in tensors})


def _counts(held: ByRole, weights: Weights | None, draw: int) -> Counts:
    """How often each sample counts in one draw, [1, n_samples] for each of the samples."""
    if weights is None:
        return {role: [np.ones((1, each.rows)) for each in given] for role, given in held.items()}
    return {role: [each[draw : draw + 1] for each in given] for role, given in weights.items()}


def _swapped(draw: np.random.Generator, held: ByRole, counts: Counts) -> tuple[ByRole, Counts]:
    (questions,) = held["of"]
    assert not isinstance(questions.held, str)
    matching, other = (questions.held[tensor] for tensor in ("matching", "not_matching"))
    swap = draw.integers(2, size=len(matching)).astype(bool)[:, None, None]
    swapped = {
        "matching": np.where(swap, other, matching),
        "not_matching": np.where(swap, matching, other),
    }
    return {"of": [Samples(swapped)]}, counts


def _dealt(draw: np.random.Generator, held: ByRole, counts: Counts) -> tuple[ByRole, Counts]:
    given = [each for role in ROLES for each in held[role]]
    documents = np.concatenate([part for each in given for part in each.parts("activations")])
    often = np.concatenate([each for role in ROLES for each in counts[role]], axis=1)
    order = draw.permutation(len(documents))
    dealt: dict[str, list[Samples]] = {role: [] for role in ROLES}
    counted: Counts = {role: [] for role in ROLES}
    for role in ROLES:
        for each in held[role]:
            own, order = order[: each.rows], order[each.rows :]
            dealt[role].append(Samples({"activations": documents[own]}))
            counted[role].append(often[:, own])
    return dealt, counted
