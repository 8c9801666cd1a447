"""Vectors made of others: their lengths, sums, components, and controls of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.vectors import (
    combine,
    contrast,
    control,
    random_direction,
    scaled,
    shuffled_labels,
)
from snakesteer.vectors.draws import several
from snakesteer.vectors.samples import ByRole, Samples

CONTRAST = {"method": "contrast"}
DIFFERENCE = {"method": "difference", "dtype": "float32"}
PROBE = {"method": "logistic", "C": 1.0, "paired": False}


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def questions(seed: int, n: int = 6, shift: float = 0) -> Samples:
    matching, other = (draw(n, 3, 8, seed=each) for each in (2 * seed, 2 * seed + 1))
    return Samples({"matching": matching + np.float32(shift), "not_matching": other})


def of_contrasts(*seeds: int, **made: Any) -> tuple[ByRole, dict[str, Any]]:
    """Samples and settings of something made of contrast vectors."""
    places = [{"of": [i]} for i in range(len(seeds))]
    nested = {"vectors": [CONTRAST] * len(seeds), "samples": places}
    return {"samples": [questions(seed) for seed in seeds]}, nested | made


def contrasts(*seeds: int) -> list[np.ndarray]:
    return [contrast.fit({"of": [questions(seed)]}, {}) for seed in seeds]


def norms(vector: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vector.astype(np.float64), axis=-1)


@pytest.mark.parametrize("norm", [1.0, 7.5])
def test_a_length_is_given_at_every_layer_and_the_direction_stays(norm: float) -> None:
    found = scaled.fit(*of_contrasts(1, norm=norm))
    (before,) = contrasts(1)
    np.testing.assert_allclose(norms(found), norm, rtol=1e-6)
    np.testing.assert_allclose(found / norm, before / norms(before)[:, None], rtol=1e-5)
    assert found.dtype == np.float32


def test_vectors_have_the_mean_of_their_lengths_as_caa_gives_them() -> None:
    """Its `normalize_vectors`: each vector times the mean norm over its own, at every layer."""
    found = scaled.fit(*of_contrasts(1, 1, 2, 3, norm="others"))
    mine, *all_of_them = contrasts(1, 1, 2, 3)
    for layer in range(3):
        mean = np.mean([np.linalg.norm(vector[layer]) for vector in all_of_them])
        expected = mine[layer] * mean / np.linalg.norm(mine[layer])
        np.testing.assert_allclose(found[layer], expected, rtol=1e-5)


def test_a_share_is_of_the_mean_length_of_the_activations() -> None:
    samples, made = of_contrasts(1, norm={"share": 0.25})
    found = scaled.fit(samples, made)
    held = samples["samples"][0].held
    assert not isinstance(held, str)
    lengths = norms(np.concatenate([held["matching"], held["not_matching"]]))
    np.testing.assert_allclose(norms(found), 0.25 * lengths.mean(axis=0), rtol=1e-6)
    counts = np.array([[1, 1, 1, 1, 1, 1], [6, 0, 0, 0, 0, 0]])
    drawn = scaled.fit(samples, made, {"samples": [counts]})
    np.testing.assert_allclose(drawn[0], found, rtol=1e-5)
    np.testing.assert_allclose(norms(drawn[1]), 0.25 * (lengths[0] + lengths[6]) / 2, rtol=1e-5)


def test_a_layer_of_zeros_stays_zero() -> None:
    samples, made = of_contrasts(1, norm=2.0)
    for tensor in samples["samples"][0].held.values():
        tensor[:, 1] = 1
    found = scaled.fit(samples, made)
    np.testing.assert_allclose(norms(found), [2, 0, 2], rtol=1e-6)


def test_vectors_are_summed_and_averaged_with_their_weights() -> None:
    a, b = contrasts(1, 2)
    made = {"weights": [2.0, -0.5], "without": False}
    summed = combine.fit(*of_contrasts(1, 2, how="sum", **made))
    np.testing.assert_allclose(summed, 2 * a - b / 2, atol=1e-6)
    mean = combine.fit(*of_contrasts(1, 2, how="mean", **made))
    np.testing.assert_allclose(mean, a - b / 4, atol=1e-6)


@given(seed=st.integers(1, 2**31))
@settings(max_examples=20, deadline=None)
def test_what_is_taken_out_of_a_vector_is_gone(seed: int) -> None:
    a, b = contrasts(seed, seed + 1)
    made = {"weights": [1.0], "without": True, "how": "sum"}
    found = combine.fit(*of_contrasts(seed, seed + 1, **made))
    np.testing.assert_allclose((found * b).sum(axis=1), 0, atol=1e-5)
    rest = a - found  # points along the other vector
    np.testing.assert_allclose(norms(rest) * norms(b), np.abs((rest * b).sum(axis=1)), rtol=1e-4)
    np.testing.assert_allclose(combine.without(found, b), found, atol=1e-6)
    np.testing.assert_array_equal(combine.without(a, np.zeros_like(b)), a)


def test_samples_that_two_vectors_share_are_drawn_once() -> None:
    """A vector less itself is zero in every resample, if both are made of the same draw."""
    samples = {"samples": [questions(1)]}
    made = {
        "how": "sum",
        "weights": [1.0, -1.0],
        "without": False,
        "vectors": [CONTRAST, CONTRAST],
        "samples": [{"of": [0]}, {"of": [0]}],
    }
    drawn = {"vector": "v", "resamples": 4, "seed": 1}
    assert not several(combine.fit, samples, made | drawn).any()


def test_a_random_direction_has_the_length_of_its_vector() -> None:
    samples, made = {"of": [questions(1)]}, {"of": CONTRAST, "seed": 3}
    found = random_direction.fit(samples, made)
    (vector,) = contrasts(1)
    np.testing.assert_allclose(norms(found), norms(vector), rtol=1e-6)
    np.testing.assert_array_equal(found, random_direction.fit(samples, made))
    assert not np.array_equal(found, random_direction.fit(samples, made | {"seed": 4}))
    drawn = random_direction.fit(samples, made, {"of": [np.ones((5, 6), int)]})
    np.testing.assert_allclose(norms(drawn), np.tile(norms(vector), (5, 1)), rtol=1e-5)
    assert len(np.unique(drawn[:, 0, 0])) == 5


@pytest.mark.parametrize("how", ["permuted", "operands", "random", "labels"])
def test_a_control_is_redrawn_from_the_same_samples(how: str) -> None:
    method = {"random": random_direction, "labels": shuffled_labels}.get(how, control)
    made = {"how": how, "of": CONTRAST, "seed": 1, "draws": 4}
    samples = {"of": [questions(1)]}
    found = several(method.fit, samples, made)
    assert found.shape == (4, 3, 8) and len(np.unique(found.reshape(4, -1), axis=0)) == 4
    fewer = several(method.fit, samples, made | {"draws": 2})
    np.testing.assert_array_equal(found[:2], fewer)


def test_random_directions_are_even() -> None:
    """Of many directions the mean is zero, and every dimension has its share of the length."""
    samples = {"of": [questions(1, n=1)]}
    counts = {"of": [np.ones((4000, 1), int)]}
    drawn = random_direction.fit(samples, {"of": CONTRAST, "seed": 3}, counts)
    units = drawn / norms(drawn)[..., None]
    np.testing.assert_allclose(units.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose((units**2).mean(axis=0), 1 / 8, atol=0.01)


def test_answers_without_labels_are_swapped_by_a_coin() -> None:
    """Of the vectors that swaps can make, the control is one, at all layers by the same swaps."""
    given = questions(1, n=4)
    found = shuffled_labels.fit({"of": [given]}, {"of": CONTRAST, "seed": 1})
    held = given.held
    assert not isinstance(held, str)
    differences = held["matching"] - held["not_matching"]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1)
    possible = np.einsum("ns,nlh->slh", signs, differences) / 4
    distances = np.abs(possible - found).max(axis=(1, 2))
    assert distances.min() < 1e-6 and np.sort(distances)[1] > 0.01


def test_documents_without_labels_are_dealt_out_again() -> None:
    """Every document is a dimension of its own, so that the control shows where it went."""
    documents = np.repeat(np.eye(8, dtype=np.float32)[:, None], 3, axis=1)
    samples = {
        "add": [Samples({"activations": documents[:2]}), Samples({"activations": documents[2:5]})],
        "subtract": [Samples({"activations": documents[5:]})],
    }
    unshuffled = np.array([1 / 2] * 2 + [1 / 3] * 3 + [-1 / 3] * 3)
    found = []
    for seed in (1, 1, 2):
        vector = shuffled_labels.fit(samples, {"of": DIFFERENCE, "seed": seed})
        np.testing.assert_allclose(np.sort(vector[0]), np.sort(unshuffled), atol=1e-6)
        np.testing.assert_array_equal(vector, np.tile(vector[0], (3, 1)))
        found.append(vector[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert not np.allclose(found[0], unshuffled)


@pytest.mark.parametrize("of", [CONTRAST, PROBE])
def test_without_labels_a_method_finds_less(of: dict[str, Any]) -> None:
    samples = {"of": [questions(1, n=200, shift=1)]}
    true = plugins.load("vectors", of["method"]).fit(samples, of)
    counts = {"of": [np.ones((20, 200), int)]}
    drawn = shuffled_labels.fit(samples, {"of": of, "seed": 1}, counts)
    direction = np.ones(8) / np.sqrt(8)
    found = np.abs(drawn @ direction)
    assert len(np.unique(found[:, 0])) == 20
    assert (found < np.abs(true @ direction) / 2).all()


def test_resamples_count_samples_as_often_after_as_before() -> None:
    samples = {"of": [questions(1, n=3)]}
    counts = {"of": [np.array([[0, 0, 3]])]}
    (found,) = shuffled_labels.fit(samples, {"of": CONTRAST, "seed": 1}, counts)
    held = samples["of"][0].held
    assert not isinstance(held, str)
    last = held["matching"][2] - held["not_matching"][2]
    np.testing.assert_allclose(np.abs(found), np.abs(last), atol=1e-6)


def test_a_file_has_no_activations_to_take_a_share_of() -> None:
    with pytest.raises(StudyError) as error:
        scaled.mean_length({"samples": [Samples({"vector": draw(1, 3, 8)})]}, None)
    assert str(error.value) == (
        "A vector from a file has no activations to scale it to; give `scale` a number, or "
        "another vector's norm."
    )
