"""Vectors in numbers: how long they are, how well they part their samples, and their angles."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from snakesteer.vectors.layers import at_layer
from snakesteer.vectors.samples import ByRole
from snakesteer.vectors.scaled import lengths

Row = dict[str, float | int | None]
Positions = Sequence[int] | None
COSINES = ("vector", "other", "layer", "cosine")
NUMBERS = ("norm", "accuracy", "explained_squares", "explained_variance")


def of_layers(vector: np.ndarray, samples: ByRole, positions: Positions = None) -> Iterator[Row]:
    """One row for each layer of a vector [n_layers, hidden] and of the samples behind it. For a
    vector at several `positions` [positions, n_layers, hidden], one row for each `position` and
    layer.

    `norm` is its length. `accuracy` is the share of samples that lie along it on their class's side
    of the middle between the classes' means. Of pairs `explained_squares` is the share of the
    differences' squares along it, and `explained_variance` that of their variance. None stands for
    what the samples do not have, and for a layer of zeros.

    Columns, a row for each vector, layer, and position where it has several:
        vector (as tables)
        method (text): The method that made the vector.
        model (text): The model whose activations it is made of.
        layer (whole number): The layer, from 0.
        norm (number): Length of the vector.
        accuracy (number): Share of samples that, projected on the vector, are on their class's
            side of the midpoint between the two means. Empty without two classes.
        explained_squares (number): Share of the squares of the pairs' differences along the vector.
            Empty without pairs.
        explained_variance (number): Share of the variance of the pairs' differences along the
            vector. Empty without pairs.
        activation_norm (number): Mean length of the activations that the vector is made of. Empty
            without activations.
        position (whole number, only with vectors read at several positions): The position; -1 is
            the last token.
        draws (whole number, only with a control that is drawn several times): How many draws the
            row is the mean of.
        …_min, …_max
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


def of_draws(drawn: np.ndarray, samples: ByRole, positions: Positions = None) -> Iterator[Row]:
    """The rows of a vector that was drawn several times, [draws, n_layers, hidden] or
    [draws, positions, n_layers, hidden]: `draws`, and each number's mean over them, with the range
    in `…_min` and `…_max`."""
    each = [of_layers(vector, samples, positions) for vector in drawn]
    for alike in zip(*each, strict=True):
        row = alike[0] | {"draws": len(drawn)}
        for name in NUMBERS:
            found = [one[name] for one in alike]
            row |= _mean_and_range(name, np.array(found, np.float64))
        yield row


def _mean_and_range(name: str, values: np.ndarray) -> dict[str, float | None]:
    """None for what one of the values is not."""
    if np.isnan(values).any():
        return dict.fromkeys((name, f"{name}_min", f"{name}_max"))
    ends = {f"{name}_min": float(values.min()), f"{name}_max": float(values.max())}
    return {name: float(values.mean()), **ends}


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
    vectors: Mapping[str, np.ndarray],
    positions: Mapping[str, Positions],
    drawn: Collection[str] = (),
) -> Iterator[dict[str, str | int | float | None]]:
    """A row for each two vectors of one shape, and each layer: `vector`, `other`, `layer`, and the
    cosine between them, None where one is zero.

    `vectors` are [n_layers, hidden], or with `positions` [positions, n_layers, hidden]: then each
    position is one, named in `position` and `other_position`. Vectors that are `drawn` several
    times have an axis of draws before these. Every draw is compared with every draw of the other
    vector, or with itself at another position: `cosine` is the mean, `cosine_min` and `cosine_max`
    the range.

    Columns, a row for each two vectors of one model and each layer:
        vector (as tables)
        other (text): The other vector.
        position, other_position (whole number, only with vectors read at several positions): The
            positions that they are read at; -1 is the last token.
        layer (whole number): The layer, from 0.
        cosine (number): Cosine of the angle between both. Empty where one is zero.
        cosine_min, cosine_max (number, only with a control that is drawn several times): The least
            and the greatest cosine of the draws, of which `cosine` is the mean.
    """
    named: list[tuple[str, int | None, np.ndarray]] = []
    for name, vector in vectors.items():
        draws, at = vector if name in drawn else vector[None], positions.get(name)
        if at is None:
            named.append((name, None, draws))
        else:
            named += [(name, each, draws[:, i]) for i, each in enumerate(at)]
    several = any(position is not None for _, position, _ in named)
    for i, (name, position, draws) in enumerate(named):
        for other, other_position, compared in named[i + 1 :]:
            if draws.shape[1:] != compared.shape[1:]:
                continue
            about: dict[str, str | int | float | None] = {"vector": name, "other": other}
            if several:
                about |= {"position": position, "other_position": other_position}
            if name == other:
                pairs = list(zip(draws, compared, strict=True))
            else:
                pairs = list(itertools.product(draws, compared))
            found = np.stack([_cosines(*pair) for pair in pairs])
            for layer, values in enumerate(found.T):
                told = _mean_and_range("cosine", values)
                if name not in drawn and other not in drawn:
                    told = {"cosine": told["cosine"]}
                yield {**about, "layer": layer, **told}


def _cosines(vector: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The cosine at each layer [n_layers], NaN where one is zero."""
    norms = lengths(vector) * lengths(other)
    products = (vector.astype(np.float64) * other).sum(axis=1)
    return np.divide(products, norms, out=np.full(len(norms), np.nan), where=norms > 0)
