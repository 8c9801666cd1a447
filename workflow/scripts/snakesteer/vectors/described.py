"""Vectors in numbers: how long they are, how well they part their samples, and their angles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from snakesteer.vectors.layers import at_layer
from snakesteer.vectors.samples import ByRole
from snakesteer.vectors.scaled import lengths

Row = dict[str, float | int | None]
Positions = Sequence[int] | None
COSINES = ("vector", "other", "layer", "cosine")


def of_layers(vector: np.ndarray, samples: ByRole, positions: Positions = None) -> Iterator[Row]:
    """A row for each layer of a vector [n_layers, hidden], of the samples that it is made of; of a
    vector at several `positions` [positions, n_layers, hidden], for each `position` and layer.

    `norm` is its length. `accuracy` is the share of samples that lie along it on their class's side
    of the middle between the classes' means. Of pairs `explained_squares` is the share of the
    differences' squares along it, and `explained_variance` that of their variance. None stands for
    what the samples do not have, and for a layer of zeros.
    """
    if positions is not None:
        for place, position in enumerate(positions):
            here = {role: [each.at(place) for each in given] for role, given in samples.items()}
            for found in of_layers(vector[place], here):
                yield {"position": position, **found}
        return
    norms = lengths(vector)
    for layer, direction in enumerate(vector.astype(np.float64)):
        row: Row = {"layer": layer, "norm": float(norms[layer]), "accuracy": None}
        row |= {"explained_squares": None, "explained_variance": None}
        if norms[layer]:
            row |= _of_samples(direction / norms[layer], samples, layer)
        yield row


def _of_samples(direction: np.ndarray, samples: ByRole, layer: int) -> Row:
    if "of" in samples:
        (questions,) = samples["of"]
        matching, other = (
            at_layer(questions, tensor, layer) for tensor in ("matching", "not_matching")
        )
        differences = matching - other
        around = differences - differences.mean(axis=0)
        return {
            "accuracy": _accuracy(matching @ direction, other @ direction),
            "explained_squares": _share(differences, direction),
            "explained_variance": _share(around, direction),
        }
    sides = []
    for role in ("add", "subtract"):
        read = [at_layer(each, "activations", layer) @ direction for each in samples.get(role, ())]
        sides.append(np.concatenate(read) if read else np.zeros(0))
    added, subtracted = sides
    both = len(added) and len(subtracted)
    return {"accuracy": _accuracy(added, subtracted) if both else None}


def _accuracy(first: np.ndarray, second: np.ndarray) -> float:
    """The share of two classes' positions that lie on their side of the middle of their means."""
    middle = (first.mean() + second.mean()) / 2
    return float(np.concatenate([first > middle, second < middle]).mean())


def _share(differences: np.ndarray, direction: np.ndarray) -> float | None:
    total = (differences**2).sum()
    return float(((differences @ direction) ** 2).sum() / total) if total else None


def cosines(
    vectors: Mapping[str, np.ndarray], positions: Mapping[str, Positions]
) -> Iterator[dict[str, str | int | float | None]]:
    """A row for each two vectors of one shape, and each layer: `vector`, `other`, `layer`, and the
    cosine between them, None where one is zero.

    `vectors` are [n_layers, hidden], or with `positions` [positions, n_layers, hidden]: then each
    position is one, named in `position` and `other_position`.
    """
    named: list[tuple[str, int | None, np.ndarray]] = []
    for name, vector in vectors.items():
        at = positions.get(name)
        if at is None:
            named.append((name, None, vector))
        else:
            named += [(name, each, own) for each, own in zip(at, vector, strict=True)]
    several = any(position is not None for _, position, _ in named)
    for i, (name, position, vector) in enumerate(named):
        for other, other_position, compared in named[i + 1 :]:
            if vector.shape != compared.shape:
                continue
            about: dict[str, str | int | float | None] = {"vector": name, "other": other}
            if several:
                about |= {"position": position, "other_position": other_position}
            norms = lengths(vector) * lengths(compared)
            products = (vector.astype(np.float64) * compared).sum(axis=1)
            for layer, (product, norm) in enumerate(zip(products, norms, strict=True)):
                cosine = float(product / norm) if norm else None
                yield {**about, "layer": layer, "cosine": cosine}
