"""Vector arithmetic: what the definitions say, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.vectors import contrast, control, difference
from snakesteer.vectors.combining import combine
from snakesteer.vectors.rounding import rounded
from snakesteer.vectors.samples import ByRole, Samples, mean

OF_DIFFERENCE = {"method": "difference", "dtype": "float32"}
OF_CONTRAST = {"method": "contrast"}


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def documents(activations: np.ndarray) -> Samples:
    return Samples({"activations": activations})


def skill(add: list[np.ndarray], subtract: list[np.ndarray], dtype: str = "float32") -> np.ndarray:
    """The difference of samples of one document each, which are their own means."""
    return difference.fit(roles(add, subtract), {"dtype": dtype})


def roles(add: list[np.ndarray], subtract: list[np.ndarray]) -> ByRole:
    given = {"add": add, "subtract": subtract}
    return {role: [documents(each[None]) for each in means] for role, means in given.items()}


def questions(matching: np.ndarray, not_matching: np.ndarray) -> ByRole:
    return {"of": [Samples({"matching": matching, "not_matching": not_matching})]}


def test_mean_is_taken_over_samples_in_double_precision():
    activations = draw(5000, 2, 4) + np.float32(10_000)
    found = mean(documents(activations), "activations")
    assert found.shape == (2, 4) and found.dtype == np.float32
    np.testing.assert_allclose(found, activations.astype(np.float64).mean(0), rtol=1e-7)


def test_skill_adds_and_subtracts_lists():
    a, b, c = (draw(3, 8, seed=seed) for seed in range(3))
    np.testing.assert_allclose(skill([a, b], [c]), a + b - c, atol=1e-6)
    np.testing.assert_array_equal(skill([a], []), a)
    np.testing.assert_array_equal(skill([], [a]), -a)
    assert skill([a], [c]).dtype == np.float32


SAMPLES: dict[str, tuple[dict[str, Any], ByRole]] = {
    "difference": (OF_DIFFERENCE, roles([draw(4, 64, seed=1) + 3], [draw(4, 64, seed=2) + 3])),
    "contrast": (OF_CONTRAST, questions(draw(9, 4, 64, seed=1) + 3, draw(9, 4, 64, seed=2) + 3)),
}


@pytest.mark.parametrize("method", SAMPLES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_every_method_has_controls(method, seed):
    of, samples = SAMPLES[method]
    plain = plugins.load("vectors", method).fit(samples, of)
    made = {"of": of, "seed": seed}
    permuted = control.fit(samples, made | {"how": "permuted"})
    np.testing.assert_array_equal(np.sort(permuted), np.sort(plain))
    operands = control.fit(samples, made | {"how": "operands"})
    np.testing.assert_allclose(operands.sum(1), plain.sum(1), atol=1e-3)
    for how, found in (("permuted", permuted), ("operands", operands)):
        assert not np.array_equal(found, plain)
        assert not np.array_equal(np.argsort(found[0]), np.argsort(found[1]))
        np.testing.assert_array_equal(found, control.fit(samples, made | {"how": how}))


def test_both_sums_of_a_control_are_shuffled_one_after_the_other():
    a, b = draw(3, 64, seed=1) + 3, draw(3, 64, seed=2) + 3
    of = {"method": "difference", "dtype": "bfloat16"}
    found = control.fit(roles([a], [b]), {"how": "operands", "seed": 13, "of": of})
    shuffle = np.random.default_rng(13).permuted
    first, second = (shuffle(rounded(each, "bfloat16"), axis=1) for each in (a, b))
    np.testing.assert_array_equal(found, rounded(first - second, "bfloat16"))


def test_a_method_without_operands_has_permuted_controls_only(monkeypatch):
    monkeypatch.delattr(contrast, "operands")
    settings = {"how": "operands", "seed": 1, "of": OF_CONTRAST}
    with pytest.raises(StudyError) as error:
        control.fit(questions(draw(2, 3, 8), draw(2, 3, 8)), settings)
    assert str(error.value) == (
        "The method contrast has no operands to shuffle; give its control `how: permuted`."
    )


def test_contrast_is_the_mean_difference():
    matching, other = draw(50, 3, 8, seed=1), draw(50, 3, 8, seed=2)
    expected = (matching - other).mean(0)
    found = contrast.fit(questions(matching, other), {})
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_combined_vectors():
    a, b = draw(8, seed=1), draw(8, seed=2)
    np.testing.assert_allclose(combine([a, b], "sum"), a + b, atol=1e-6)
    np.testing.assert_allclose(combine([a, b], "mean"), (a + b) / 2, atol=1e-6)
    weighted = combine([a, b], "mean", [2.0, -1.0])
    np.testing.assert_allclose(weighted, (2 * a - b) / 2, atol=1e-6)


def test_unfit_activations_are_refused():
    broken = draw(3, 8)
    broken[1, 2] = np.nan
    with pytest.raises(StudyError, match="one model"):
        skill([draw(3, 8)], [draw(3, 16)])
    with pytest.raises(StudyError, match="at least one"):
        skill([], [])
    with pytest.raises(StudyError, match="layer 1"):
        skill([broken], [])
    with pytest.raises(StudyError, match="empty"):
        mean(documents(draw(0, 3, 8)), "activations")
    with pytest.raises(StudyError, match="same questions"):
        contrast.fit(questions(draw(5, 3, 8), draw(4, 3, 8)), {})


def test_rounding_is_that_of_torch():
    values = np.concatenate([draw(10_000) * 100, [0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8, 65_000]])
    values = values.astype(np.float32)
    for dtype in ("bfloat16", "float16", "float32"):
        expected = torch.from_numpy(values).to(getattr(torch, dtype)).float().numpy()
        np.testing.assert_array_equal(rounded(values, dtype), expected)
    resampled = np.zeros((5, 2, 4))
    resampled[3, 1, 2] = -1e6
    with pytest.raises(StudyError, match="holds -1e\\+06 at layer 1, but float16 ends at 65,504"):
        rounded(resampled, "float16")


def test_a_difference_in_bfloat16_is_the_authors():
    a, b = draw(3, 64, seed=1) + 3, draw(3, 64, seed=2) + 3
    expected = torch.from_numpy(a).bfloat16() - torch.from_numpy(b).bfloat16()
    found = skill([a], [b], dtype="bfloat16")
    np.testing.assert_array_equal(found, expected.float().numpy())
    assert not np.array_equal(found, skill([a], [b]))
