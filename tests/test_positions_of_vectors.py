"""Vectors of activations at several positions: each position's is made of its own activations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.storage.files import ROWS_AT_ONCE, write_tensors
from snakesteer.storage.provenance import read_vectors
from snakesteer.vectors.draws import generator, several, times_drawn
from snakesteer.vectors.layers import at_layer
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


def made(samples: ByRole, method: str, /, **settings: Any) -> np.ndarray:
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


CONTRAST = {"method": "contrast"}


def length(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x.astype(np.float64), axis=-1, keepdims=True)


def test_lengths_and_sums_are_of_each_position(questions: ByRole) -> None:
    given = activations(1), activations(2)
    difference = (given[0] - given[1]).mean(axis=0)
    both = {"samples": questions["of"]}
    one = {"vectors": [CONTRAST], "samples": [{"of": [0]}]}
    shared = made(both, "scaled", norm={"share": 0.5}, **one)
    mean = np.mean([length(part).mean(axis=0) for part in given], axis=0)
    np.testing.assert_allclose(length(shared), 0.5 * mean, rtol=1e-5)
    np.testing.assert_allclose(shared / length(shared), difference / length(difference), atol=1e-5)
    two = {
        "vectors": [CONTRAST, {"method": "pca", "centred": False}],
        "samples": [{"of": [0]}, {"of": [0]}],
    }
    rest = made(both, "combine", how="sum", weights=[3.0], without=True, **two)
    component = made(questions, "pca", centred=False).astype(np.float64)
    along = (3 * difference * component).sum(axis=-1, keepdims=True) / length(component) ** 2
    np.testing.assert_allclose(rest, 3 * difference - along * component, atol=1e-4)


def test_activations_at_one_position_count_at_each(questions: ByRole) -> None:
    one = Samples({"matching": activations(5)[:, 0], "not_matching": activations(6)[:, 0]})
    joined = {"samples": [*questions["of"], one]}
    settings = {"vectors": [CONTRAST] * 2, "samples": [{"of": [0]}, {"of": [1]}]}
    both = made(joined, "combine", how="sum", weights=[1.0, 1.0], without=False, **settings)
    expected = (activations(1) - activations(2)).mean(axis=0)
    expected = expected + (activations(5) - activations(6)).mean(axis=0)[:1]
    np.testing.assert_allclose(both, expected, atol=1e-5)


def test_random_controls_are_others_at_each_position_and_draw(questions: ByRole) -> None:
    difference = (activations(1) - activations(2)).mean(axis=0)
    settings: dict[str, Any] = {"of": CONTRAST, "seed": 13, "draws": 3}
    fit = plugins.load("vectors", "random-direction").fit
    drawn = several(fit, questions, settings)
    assert drawn.shape == (3, len(POSITIONS), LAYERS, HIDDEN)
    for draw in range(3):
        np.testing.assert_allclose(length(drawn[draw]), length(difference), rtol=1e-5)
        for place in range(len(POSITIONS)):
            normal = np.random.default_rng([13, place, draw]).normal(size=(LAYERS, HIDDEN))
            expected = normal / length(normal) * length(difference[place])
            np.testing.assert_allclose(drawn[draw, place], expected, rtol=1e-5)
    once = made(questions, "random-direction", of=CONTRAST, seed=13)
    cosine = (once[0] / length(once[0]) * once[1] / length(once[1])).sum(axis=-1)
    assert (np.abs(cosine) < 0.999).all()


def test_permuted_controls_are_shuffled_at_each_position(questions: ByRole) -> None:
    difference = (activations(1) - activations(2)).mean(axis=0)
    found = made(questions, "control", how="permuted", of=CONTRAST, seed=13)
    operands = made(questions, "control", how="operands", of=CONTRAST, seed=13)
    means = [activations(seed).mean(axis=0).astype(np.float64) for seed in (1, 2)]
    for place in range(len(POSITIONS)):
        draw = np.random.default_rng([13, place])
        expected = draw.permuted(difference[place], axis=1)
        np.testing.assert_allclose(found[place], expected, atol=1e-6)
        draw = np.random.default_rng([13, place])
        added, subtracted = (draw.permuted(mean[place], axis=1) for mean in means)
        np.testing.assert_allclose(operands[place], added - subtracted, atol=1e-5)


def test_labels_are_shuffled_alike_at_every_position(questions: ByRole) -> None:
    found = made(questions, "shuffled-labels", of=CONTRAST, seed=13)
    swap = np.random.default_rng(13).integers(2, size=SAMPLES).astype(bool)
    sign = np.where(swap, -1, 1)[:, None, None, None]
    expected = (sign * (activations(1) - activations(2))).mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_method_of_ones_own_is_called_for_each_position(
    questions: ByRole, tmp_path: Path
) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "import numpy as np\n\n\n"
        "def fit(samples, settings, weights=None):\n"
        "    (given,) = samples['of']\n"
        "    matching, other = (np.concatenate([*given.parts(n)]) for n in given.shapes())\n"
        "    return np.median(matching - other, axis=0)\n"
    )
    found = made(questions, "own", file=str(own), options={})
    expected = np.median(activations(1) - activations(2), axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_cannot_be_fitted_names_its_position() -> None:
    matching, other = activations(1), activations(2)
    other[:, 1] = matching[:, 1]
    with pytest.raises(StudyError) as told:
        made({"of": [Samples({"matching": matching, "not_matching": other})]}, "pca", centred=True)
    assert str(told.value) == (
        "position -2: The samples show no direction at any layer, as they are all the same; "
        "check the tokens whose activations are read."
    )


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


def test_samples_are_read_at_one_position_alone(tmp_path: Path) -> None:
    """Of bfloat16, and of more samples than are read at a time."""
    tensor = torch.randn(ROWS_AT_ONCE + 5, 3, 2, 4).bfloat16()
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"activations": tensor}, {"settings": {"positions": POSITIONS}})
    for place in range(3):
        samples = Samples(str(path)).at(place)
        assert samples.shapes() == {"activations": (ROWS_AT_ONCE + 5, 2, 4)}
        parts = list(samples.parts("activations"))
        assert [len(part) for part in parts] == [ROWS_AT_ONCE, 5]
        expected = tensor[:, place].float().numpy()
        np.testing.assert_array_equal(np.concatenate(parts), expected)
        np.testing.assert_array_equal(at_layer(samples, "activations", 1), expected[:, 1])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StudyError, match="damaged"):
        list(Samples(str(path), 0).parts("activations"))


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
