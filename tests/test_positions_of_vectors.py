"""Vectors of activations at several positions: each position's is made of its own activations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.storage.files import write_tensors
from snakesteer.storage.provenance import read_vectors
from snakesteer.vectors.draws import generator, several, times_drawn
from snakesteer.vectors.positions import at_each, described
from snakesteer.vectors.samples import ByRole, Samples, of_files

POSITIONS = [-4, -2, -1]
SAMPLES, LAYERS, HIDDEN = 30, 2, 6
OF = {"matching": 1, "not_matching": 2}
CORPORA = {"add": 3, "subtract": 4}


def activations(seed: int) -> np.ndarray:
    """[samples, positions, layers, hidden], every position with another mean and spread."""
    draw = np.random.default_rng(seed)
    shape = (SAMPLES, len(POSITIONS), LAYERS, HIDDEN)
    position = np.arange(1, 4)[None, :, None, None]
    return (position * draw.normal(size=shape) + draw.normal(size=shape[1:])).astype(np.float32)


def written(path: Path, tensors: Mapping[str, np.ndarray], positions: Any = POSITIONS) -> str:
    write_tensors(path, tensors, {"settings": {"positions": positions}})
    return str(path)


@pytest.fixture
def questions(tmp_path: Path) -> ByRole:
    tensors = {name: activations(seed) for name, seed in OF.items()}
    return of_files({"of": [written(tmp_path / "of.safetensors", tensors)]})


@pytest.fixture
def corpora(tmp_path: Path) -> ByRole:
    files = {
        role: [written(tmp_path / f"{role}.safetensors", {"activations": activations(seed)})]
        for role, seed in CORPORA.items()
    }
    return of_files(files)


def made(samples: ByRole, method: str, **settings: Any) -> np.ndarray:
    vector = at_each(plugins.load("vectors", method).fit, samples, {"method": method, **settings})
    assert vector.shape == (len(POSITIONS), LAYERS, HIDDEN) and vector.dtype == np.float32
    return vector


def cells() -> list[tuple[int, int]]:
    return [(place, layer) for place in range(len(POSITIONS)) for layer in range(LAYERS)]


def test_differences_are_of_the_means_at_each_position(questions: ByRole, corpora: ByRole) -> None:
    of = made(questions, "contrast")
    np.testing.assert_allclose(of, (activations(1) - activations(2)).mean(axis=0), atol=1e-6)
    of = made(corpora, "difference", dtype="float32")
    expected = activations(3).mean(axis=0) - activations(4).mean(axis=0)
    np.testing.assert_allclose(of, expected, atol=1e-6)


def test_components_and_probes_are_those_of_scikit_learn(questions: ByRole) -> None:
    component = made(questions, "pca", centred=True)
    probe = made(questions, "logistic", C=0.5, paired=False)
    discriminant = made(questions, "lda", shrinkage=0.2, paired=False)
    matching, other = (activations(seed).astype(np.float64) for seed in (1, 2))
    label = np.repeat([1, 0], SAMPLES)
    for place, layer in cells():
        here = (slice(None), place, layer)
        differences = matching[here] - other[here]
        (expected,) = PCA(n_components=1).fit(differences).components_
        expected *= np.sign(expected @ differences.mean(axis=0))
        np.testing.assert_allclose(component[place, layer], expected, atol=1e-5)
        x = np.concatenate([matching[here], other[here]])
        fitted = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000).fit(x, label)
        np.testing.assert_allclose(probe[place, layer], fitted.coef_[0], atol=1e-5)
        within = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2).fit(x, label)
        np.testing.assert_allclose(discriminant[place, layer], within.coef_[0], rtol=1e-4)


def test_resamples_draw_the_same_samples_at_every_position(questions: ByRole) -> None:
    settings = {"vector": "own", "resamples": 4, "seed": 13}
    found = several(plugins.load("vectors", "contrast").fit, questions, settings)
    assert found.shape == (4, len(POSITIONS), LAYERS, HIDDEN)
    counts = times_drawn(generator(13, "own"), SAMPLES, 4)
    differences = activations(1) - activations(2)
    for drawn, own in zip(counts, found, strict=True):
        expected = np.repeat(differences, drawn, axis=0).mean(axis=0)
        np.testing.assert_allclose(own, expected, atol=1e-5)


def test_the_file_says_its_positions_and_is_read_with_them(
    questions: ByRole, tmp_path: Path
) -> None:
    model = {"model": {"source": "here", "fingerprint": "f" * 64}}
    assert described(questions) == {"positions": POSITIONS}
    one = {
        "of": [Samples({"matching": activations(1)[:, 0], "not_matching": activations(2)[:, 0]})]
    }
    assert described(one) == {}
    vector = made(questions, "contrast")
    path = tmp_path / "vector.safetensors"
    write_tensors(path, {"vector": vector}, model | described(questions))
    manifest = {"source": "here", "fingerprint": "f" * 64, "n_layers": LAYERS, "hidden": HIDDEN}
    read = read_vectors(["own"], [str(path)], manifest)["own"]
    np.testing.assert_array_equal(read, vector)
    write_tensors(path, {"vector": vector[:2]}, model | described(questions))
    with pytest.raises(StudyError, match=r"needs finite \(3, 2, 6\)"):
        read_vectors(["own"], [str(path)], manifest)


def test_tokens_after_the_instruction_are_counted_from_the_end(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", {"activations": activations(1)}, "after_instruction")
    assert Samples(path).positions == (-3, -2, -1)


def test_samples_at_different_positions_are_refused(tmp_path: Path) -> None:
    files = {
        "add": [written(tmp_path / "a.safetensors", {"activations": activations(1)})],
        "subtract": [written(tmp_path / "b.safetensors", {"activations": activations(2)}, "x")],
    }
    with pytest.raises(StudyError) as refused:
        made(of_files(files), "difference", dtype="float32")
    assert str(refused.value) == (
        "The samples of a vector are read at different positions, [-4, -2, -1] and [-3, -2, -1]; "
        "read all at the same."
    )
