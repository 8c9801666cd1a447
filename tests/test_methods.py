"""Directions found in samples: against scikit-learn, and what must be so of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.storage.files import write_tensors
from snakesteer.vectors import described, lda, logistic, pca
from snakesteer.vectors.samples import ByRole, Samples

# Fewer samples than dimensions, as models have, and more of them.
SHAPES = [(40, 300), (200, 20)]
SETTINGS: dict[str, dict[str, Any]] = {
    "pca": {"centred": False},
    "logistic": {"C": 0.5, "paired": False},
    "lda": {"shrinkage": "auto", "paired": False},
}


def pairs(n: int, hidden: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Activations [n, 2 layers, hidden] at the matching and the other answers of n questions."""
    draw = np.random.default_rng(seed)
    question = 5 + draw.normal(size=(n, 2, hidden)) * draw.gamma(1, 3, size=hidden)
    shift = 0.3 * draw.normal(size=(2, hidden))
    matching = question + shift + draw.normal(size=question.shape)
    other = question + draw.normal(size=question.shape)
    return matching.astype(np.float32), other.astype(np.float32)


def of(matching: np.ndarray, other: np.ndarray) -> ByRole:
    return {"of": [Samples({"matching": matching, "not_matching": other})]}


def fitted(method: str, samples: ByRole, **settings: Any) -> np.ndarray:
    vector: np.ndarray = plugins.load("vectors", method).fit(samples, SETTINGS[method] | settings)
    return vector


def classes(matching: np.ndarray, other: np.ndarray, layer: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.concatenate([matching[:, layer], other[:, layer]]).astype(np.float64)
    return x, np.repeat([1, 0], [len(matching), len(other)])


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize(("n", "hidden"), SHAPES)
@pytest.mark.parametrize("C", [0.001, 1.0, 100.0])
def test_a_probe_is_that_of_scikit_learn(n: int, hidden: int, C: float) -> None:
    samples = pairs(n, hidden)
    found = fitted("logistic", of(*samples), C=C)
    for layer in range(2):
        x, labels = classes(*samples, layer)
        reference = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000)
        same(found[layer], reference.fit(x, labels).coef_[0])


def test_a_probe_of_unequal_classes_has_an_intercept_of_its_own() -> None:
    documents = np.concatenate(pairs(30, 50))
    add, subtract = documents[:15], documents[15:]
    samples = {
        "add": [Samples({"activations": add[:5]}), Samples({"activations": add[5:]})],
        "subtract": [Samples({"activations": subtract})],
    }
    found = fitted("logistic", samples)
    x, labels = classes(add, subtract, 1)
    reference = LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-10)
    same(found[1], reference.fit(x, labels).coef_[0])


def test_pairs_are_distinguished_by_what_differs_in_them() -> None:
    """As steering-vectors fits its regression: around the mean of each pair, without intercept."""
    matching, other = pairs(40, 300)
    samples = of(matching, other)
    middle = (matching.astype(np.float64) + other) / 2
    probe = fitted("logistic", samples, paired=True)
    discriminant = fitted("lda", samples, paired=True, shrinkage=0.3)
    for layer in range(2):
        x, labels = classes(matching - middle, other - middle, layer)
        regression = LogisticRegression(
            C=0.5, solver="newton-cholesky", tol=1e-10, fit_intercept=False
        )
        same(probe[layer], regression.fit(x, labels).coef_[0])
        analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)
        same(discriminant[layer], analysis.fit(x, labels).coef_[0])


@pytest.mark.parametrize(("n", "hidden"), SHAPES)
@pytest.mark.parametrize("shrinkage", [0.001, 0.3, 1.0, "auto"])
def test_a_discriminant_is_that_of_scikit_learn(n: int, hidden: int, shrinkage: Any) -> None:
    samples = pairs(n, hidden)
    found = fitted("lda", of(*samples), shrinkage=shrinkage)
    for layer in range(2):
        x, labels = classes(*samples, layer)
        share = shrinkage
        if shrinkage == "auto":
            means = np.stack([x[labels == label].mean(axis=0) for label in (0, 1)])
            _, share = ledoit_wolf(x - means[labels], assume_centered=True)
        reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=share)
        same(found[layer], reference.fit(x, labels).coef_[0])


@pytest.mark.parametrize(("n", "hidden"), SHAPES)
@pytest.mark.parametrize("centred", [True, False])
def test_a_component_is_that_of_scikit_learn(n: int, hidden: int, centred: bool) -> None:
    matching, other = pairs(n, hidden)
    found = fitted("pca", of(matching, other), centred=centred)
    for layer in range(2):
        differences = matching[:, layer].astype(np.float64) - other[:, layer]
        # Of differences and their negatives the mean is zero: PCA then centres nothing.
        given = differences if centred else np.concatenate([differences, -differences])
        (expected,) = PCA(1, svd_solver="full").fit(given).components_
        same(found[layer], expected * np.sign(expected @ differences.mean(axis=0)))


@pytest.mark.parametrize("method", SETTINGS)
@given(seed=st.integers(0, 2**32), factor=st.sampled_from([0.125, 4.0]))
@tried(max_examples=10, deadline=None)
def test_what_points_from_one_class_to_the_other(method: str, seed: int, factor: float) -> None:
    """The other way round it is the negative, and a common shift and a turn of space change it so
    much as they change the samples."""
    matching, other = pairs(12, 8, seed)
    vector = fitted(method, of(matching, other))
    same(fitted(method, of(other, matching)), -vector)
    if method != "pca":  # whose differences have no common shift
        same(fitted(method, of(matching + 1, other + 1)), vector)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(8, 8)))[0].astype(np.float32)
    turned = fitted(method, of(matching @ turn, other @ turn))
    np.testing.assert_allclose(turned, vector @ turn, atol=1e-4 * np.abs(vector).max())
    mean = (matching - other).mean(axis=0)
    assert ((vector * mean).sum(axis=1) > 0).all()
    if method == "pca":
        np.testing.assert_allclose(np.linalg.norm(vector, axis=1), 1, rtol=1e-6)
        same(fitted(method, of(matching * factor, other * factor)), vector)
    if method == "lda":
        same(fitted(method, of(matching * factor, other * factor)), vector / factor)


@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize(("n", "hidden"), [(9, 30), (60, 6)])
def test_samples_that_count_twice_are_there_twice(method: str, n: int, hidden: int) -> None:
    matching, other = pairs(n, hidden)
    draw = np.random.default_rng(1)
    counts = draw.multinomial(n, np.full(n, 1 / n), size=3)
    fit = plugins.load("vectors", method).fit
    weighted = fit(of(matching, other), SETTINGS[method], {"of": [counts]})
    assert weighted.shape == (3, 2, hidden)
    for found, times in zip(weighted, counts, strict=True):
        again = (np.repeat(answers, times, axis=0) for answers in (matching, other))
        same(found, fitted(method, of(*again)))


@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_file_is_read_a_layer_at_a_time(tmp_path: Path, method: str, dtype: torch.dtype) -> None:
    path = str(tmp_path / "a.safetensors")
    tensors = [torch.from_numpy(answers).to(dtype) for answers in pairs(20, 30)]
    write_tensors(path, dict(zip(("matching", "not_matching"), tensors, strict=True)), {})
    held = [tensor.float().numpy() for tensor in tensors]
    found = fitted(method, {"of": [Samples(path)]})
    np.testing.assert_array_equal(found, fitted(method, of(*held)))
    Path(path).write_bytes(Path(path).read_bytes()[:-8])
    with pytest.raises(StudyError, match="damaged"):
        pca.at_layer(Samples(path), "matching", 0)


@pytest.mark.parametrize("method", SETTINGS)
def test_a_layer_at_which_the_samples_are_alike_gets_zeros(method: str) -> None:
    matching, other = pairs(12, 8)
    matching[:, 0] = other[:, 0]
    found = fitted(method, of(matching, other))
    assert not found[0].any() and found[1].any()
    with pytest.raises(StudyError) as error:
        fitted(method, of(other, other))
    assert str(error.value) == (
        "The samples show no direction at any layer, as they are all the same; check the tokens "
        "whose activations are read."
    )


def test_samples_that_no_method_can_use_are_refused() -> None:
    matching, other = pairs(6, 8)
    broken = matching.copy()
    broken[2, 1, 3] = np.inf
    for method in SETTINGS:
        with pytest.raises(StudyError, match="NaN or infinite at layer 1"):
            fitted(method, of(broken, other))
    with pytest.raises(StudyError, match="1 pairs of answers, and pca needs 2"):
        pca.fit(of(matching[:1], other[:1]), {"centred": True})
    with pytest.raises(StudyError, match="A class has 1 samples, but the method needs 2 of each"):
        lda.fit(of(matching[:1], other[:1]), SETTINGS["lda"])
    twice = of(*(np.repeat(answers[:1], 2, axis=0) for answers in (matching, other)))
    with pytest.raises(StudyError, match="differ too little within their classes"):
        lda.fit(twice, SETTINGS["lda"])
    other_model = {
        "add": [Samples({"activations": matching})],
        "subtract": [Samples({"activations": other[..., :4]})],
    }
    with pytest.raises(StudyError, match="use activations of one model"):
        logistic.fit(other_model, SETTINGS["logistic"])


def test_what_a_component_explains_is_what_scikit_learn_says() -> None:
    matching, other = pairs(40, 300)
    samples = of(matching, other)
    rows = list(described.of_layers(fitted("pca", samples, centred=True), samples))
    raw = list(described.of_layers(fitted("pca", samples, centred=False), samples))
    for layer in range(2):
        differences = matching[:, layer].astype(np.float64) - other[:, layer]
        (ratio,) = PCA(1, svd_solver="full").fit(differences).explained_variance_ratio_
        assert rows[layer]["explained_variance"] == pytest.approx(ratio, rel=1e-6)
        assert rows[layer]["norm"] == pytest.approx(1)
        values = np.linalg.svd(differences, compute_uv=False) ** 2
        assert raw[layer]["explained_squares"] == pytest.approx(values[0] / values.sum(), rel=1e-6)


def test_how_well_a_discriminant_parts_its_samples_is_what_scikit_learn_says() -> None:
    matching, other = pairs(60, 20, seed=3)
    corpora = {
        "add": [Samples({"activations": matching})],
        "subtract": [Samples({"activations": other})],
    }
    found = fitted("lda", corpora, shrinkage=0.3)
    for samples in (corpora, of(matching, other)):
        for layer, row in enumerate(described.of_layers(found, samples)):
            x, labels = classes(matching, other, layer)
            reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(x, labels)
            assert row["accuracy"] == pytest.approx(reference.score(x, labels))
            assert 0.5 < reference.score(x, labels) < 1


def test_what_vectors_have_no_numbers_for_is_left_out() -> None:
    vector = np.array([[0, 0, 0], [3, 0, 4]], np.float32)
    rows = list(described.of_layers(vector, {}))
    assert [row["norm"] for row in rows] == [0, 5]
    assert {row["accuracy"] for row in rows} == {None}
    angles = described.cosines({"a": vector, "b": vector[:, ::-1], "c": vector[:1]}, {})
    assert [(row["vector"], row["other"], row["cosine"]) for row in angles] == [
        ("a", "b", None),
        ("a", "b", pytest.approx(24 / 25)),
    ]


def test_draws_are_reported_by_their_mean_and_range() -> None:
    matching, other = pairs(30, 12)
    drawn = np.random.default_rng(4).normal(size=(3, *matching.shape[1:])).astype(np.float32)
    rows = list(described.of_draws(drawn, of(matching, other)))
    assert len(rows) == matching.shape[1] and {row["draws"] for row in rows} == {3}
    for layer, row in enumerate(rows):
        shares = []
        differences = matching[:, layer].astype(np.float64) - other[:, layer]
        for vector in drawn[:, layer].astype(np.float64):
            along = differences @ vector / np.linalg.norm(vector)
            shares.append(np.var(along) / np.var(differences, axis=0).sum())
        ends = [row[f"explained_variance{end}"] for end in ("", "_min", "_max")]
        assert ends == pytest.approx([np.mean(shares), min(shares), max(shares)])
        lengths = np.linalg.norm(drawn[:, layer].astype(np.float64), axis=1)
        assert row["norm"] == pytest.approx(lengths.mean())
        assert row["norm_max"] == pytest.approx(lengths.max())
    (nothing, *_) = described.of_draws(0 * drawn, of(matching, other))
    assert (nothing["norm"], nothing["accuracy"], nothing["accuracy_min"]) == (0, None, None)


def test_cosines_of_draws_are_those_of_every_draw() -> None:
    draw = np.random.default_rng(5)
    one, anew, others = (draw.normal(size=(*times, 2, 6)) for times in ((), (3,), (4,)))
    vectors = {"one": one, "anew": anew, "others": others}
    rows = list(described.cosines(vectors, {}, ["anew", "others"]))
    found = {(row["vector"], row["other"], row["layer"]): row for row in rows}
    assert len(found) == len(rows) == 6
    for layer in range(2):
        for first, second, pair in (
            ("one", "anew", (one[None], anew)),
            ("anew", "others", (anew, others)),
        ):
            expected = cosine_similarity(*(each[:, layer] for each in pair))
            row = found[first, second, layer]
            ends = [row[f"cosine{end}"] for end in ("", "_min", "_max")]
            assert ends == pytest.approx([expected.mean(), expected.min(), expected.max()])
    at = draw.normal(size=(3, 2, 2, 6))  # draws, positions, layers
    for layer, row in enumerate(described.cosines({"at": at}, {"at": [-2, -1]}, ["at"])):
        expected = np.diag(cosine_similarity(at[:, 0, layer], at[:, 1, layer]))
        assert (row["position"], row["other_position"]) == (-2, -1)
        assert row["cosine_min"] == pytest.approx(expected.min())
