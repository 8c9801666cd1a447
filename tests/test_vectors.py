"""Vector arithmetic: what the definitions say, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snakesteer.core.errors import StudyError
from snakesteer.vectors import methods


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_mean_is_taken_over_samples_in_double_precision():
    activations = draw(5000, 2, 4) + np.float32(10_000)
    found = methods.mean(activations)
    assert found.shape == (2, 4) and found.dtype == np.float32
    np.testing.assert_allclose(found, activations.astype(np.float64).mean(0), rtol=1e-7)


def test_skill_adds_and_subtracts_lists():
    a, b, c = (draw(3, 8, seed=seed) for seed in range(3))
    np.testing.assert_allclose(methods.skill([a, b], [c]), a + b - c, atol=1e-6)
    np.testing.assert_array_equal(methods.skill([a], []), a)
    np.testing.assert_array_equal(methods.skill([], [a]), -a)
    assert methods.skill([a], [c]).dtype == np.float32


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_permuted_controls(seed):
    a, b = draw(4, 64, seed=1) + 3, draw(4, 64, seed=2) + 3
    plain = methods.skill([a], [b])
    same_length = methods.skill([a], [b], permute="difference", seed=seed)
    np.testing.assert_array_equal(np.sort(same_length), np.sort(plain))
    operands = methods.skill([a], [b], permute="operands", seed=seed)
    np.testing.assert_allclose(operands.sum(1), plain.sum(1), atol=1e-3)
    for control, mode in ((same_length, "difference"), (operands, "operands")):
        assert not np.array_equal(control, plain)
        assert not np.array_equal(np.argsort(control[0]), np.argsort(control[1]))
        np.testing.assert_array_equal(control, methods.skill([a], [b], mode, seed))


def test_contrast_is_the_mean_difference():
    matching, other = draw(50, 3, 8, seed=1), draw(50, 3, 8, seed=2)
    expected = (matching - other).mean(0)
    np.testing.assert_allclose(methods.contrast(matching, other), expected, atol=1e-6)


def test_combined_vectors():
    a, b = draw(8, seed=1), draw(8, seed=2)
    np.testing.assert_allclose(methods.combine([a, b], "sum"), a + b, atol=1e-6)
    np.testing.assert_allclose(methods.combine([a, b], "mean"), (a + b) / 2, atol=1e-6)
    weighted = methods.combine([a, b], "mean", [2.0, -1.0])
    np.testing.assert_allclose(weighted, (2 * a - b) / 2, atol=1e-6)


def test_unfit_activations_are_refused():
    broken = draw(3, 8)
    broken[1, 2] = np.nan
    with pytest.raises(StudyError, match="one model"):
        methods.skill([draw(3, 8)], [draw(3, 16)])
    with pytest.raises(StudyError, match="at least one"):
        methods.skill([], [])
    with pytest.raises(StudyError, match="layer 1"):
        methods.skill([broken], [])
    with pytest.raises(StudyError, match="empty"):
        methods.mean(draw(0, 3, 8))
    with pytest.raises(StudyError, match="same questions"):
        methods.contrast(draw(5, 3, 8), draw(4, 3, 8))


def test_rounding_is_that_of_torch():
    values = np.concatenate([draw(10_000) * 100, [0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8, 65_000]])
    values = values.astype(np.float32)
    for dtype in ("bfloat16", "float16", "float32"):
        expected = torch.from_numpy(values).to(getattr(torch, dtype)).float().numpy()
        np.testing.assert_array_equal(methods.rounded(values, dtype), expected)
    resampled = np.zeros((5, 2, 4))
    resampled[3, 1, 2] = -1e6
    with pytest.raises(StudyError, match=r"holds -1e\+06 at layer 1, and float16 ends at 65,504"):
        methods.rounded(resampled, "float16")


def test_a_difference_in_bfloat16_is_the_authors():
    a, b = draw(3, 64, seed=1) + 3, draw(3, 64, seed=2) + 3
    expected = torch.from_numpy(a).bfloat16() - torch.from_numpy(b).bfloat16()
    found = methods.skill([a], [b], dtype="bfloat16")
    np.testing.assert_array_equal(found, expected.float().numpy())
    assert not np.array_equal(found, methods.skill([a], [b]))
