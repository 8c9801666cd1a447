"""A study with vectors of every method, from its documents and questions to a steered model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_provenance, read_tensors, write_tensors

pytestmark = pytest.mark.long

LAYERS, HIDDEN = 8, 192
METHOD = """
import mine

from snakesteer.vectors import contrast


def fit(samples, settings, weights=None):
    return mine.times(contrast.fit(samples, {}, weights), settings["factor"])
"""
STUDY: dict[str, Any] = {
    "name": "methods",
    "models": {"chat": {"source": "resources/models/miniature-chat", "dtype": "float32"}},
    "corpora": {
        kind: {"source": "installed", "kind": kind, "train": 12, "validation": 4}
        for kind in ("text", "code")
    },
    "behaviours": {
        trait: {
            "source": "generated",
            "trait": trait,
            "questions": 60,
            "train": 20,
            "validation": 20,
        }
        for trait in ("myopia", "wealth-seeking")
    },
    "activations": {
        **{kind: {"model": "chat", "corpus": kind, "max_tokens": 64} for kind in ("text", "code")},
        **{trait: {"model": "chat", "behaviour": trait} for trait in ("myopia", "wealth-seeking")},
    },
    "vectors": {
        "contrast": {"method": "contrast", "of": "myopia"},
        "other": {"method": "contrast", "of": "wealth-seeking"},
        "component": {"method": "pca", "of": "myopia", "scale": {"norm_of": "contrast"}},
        "probe": {"method": "logistic", "of": "myopia", "scale": "unit"},
        "discriminant": {"method": "lda", "add": ["text"], "subtract": ["code"]},
        "mean": {
            "method": "contrast",
            "of": "myopia",
            "scale": {"mean_norm": ["contrast", "other"]},
        },
        "both": {"method": "combine", "of": {"contrast": 2, "other": -1}, "without": "probe"},
        "mine": {"method": "my_method.py", "of": "myopia", "options": {"factor": 3}},
        "theirs": {
            "method": "file",
            "file": "theirs.safetensors",
            "model": "chat",
            "behaviour": "wealth-seeking",
        },
        "random": {"method": "control", "how": "random", "of": "both", "draws": 3},
        "unlabelled": {"method": "control", "how": "labels", "of": "probe"},
    },
    "choices": {
        "given": {
            "multipliers": {
                "component": {3: {"add": 1, "subtract": -1}},
                "theirs": {3: {"add": 1, "subtract": -1}},
            }
        }
    },
    "sweeps": {
        "single": {
            "model": "chat",
            "inject": {"layers": [3]},
            "coefficients": {"choice": "given"},
            "measures": {"two_choice": {}},
            "resamples": 2,
        }
    },
}
# JSON has no numbers as keys.
STUDY = json.loads(json.dumps(STUDY))


def drawn() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(LAYERS, HIDDEN)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_of_repository(tmp_path_factory.mktemp("methods"))
    beside = checkout.folder / "mine"
    beside.mkdir()
    (beside / "study.yaml").write_text(json.dumps(STUDY))
    (beside / "my_method.py").write_text(METHOD)
    (beside / "mine.py").write_text("def times(vector, factor):\n    return factor * vector\n")
    write_tensors(beside / "theirs.safetensors", {"direction": drawn()}, {})
    checkout.forked("--cores", "2", config=beside / "study.yaml")
    return checkout


def vectors(run: Checkout) -> dict[str, np.ndarray]:
    made = {path.stem: path for path in folder(run).glob("*.safetensors")}
    return {name: read_tensors(made[name])["vector"] for name in STUDY["vectors"]}


def folder(run: Checkout) -> Path:
    return run.folder / "results" / "methods" / "vectors"


def norms(vector: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vector.astype(np.float64), axis=1)


def test_every_vector_is_made_as_its_entry_says(run: Checkout) -> None:
    made = vectors(run)
    for name, vector in made.items():
        assert vector.shape == (LAYERS, HIDDEN) and vector.dtype == np.float32, name
        assert np.isfinite(vector).all() and vector.any(axis=1).all(), name
    np.testing.assert_array_equal(made["theirs"], drawn())
    np.testing.assert_allclose(made["mine"], 3 * made["contrast"], rtol=1e-6)
    np.testing.assert_allclose(norms(made["component"]), norms(made["contrast"]), rtol=1e-5)
    np.testing.assert_allclose(norms(made["probe"]), 1, rtol=1e-5)
    np.testing.assert_allclose(norms(made["unlabelled"]), 1, rtol=1e-5)
    mean = (norms(made["contrast"]) + norms(made["other"])) / 2
    np.testing.assert_allclose(norms(made["mean"]), mean, rtol=1e-5)
    along = (made["both"] * made["probe"]).sum(axis=1)
    np.testing.assert_allclose(along / norms(made["both"]), 0, atol=1e-5)
    np.testing.assert_allclose(norms(made["random"]), norms(made["both"]), rtol=1e-5)


def test_a_vector_of_any_method_knows_its_model(run: Checkout) -> None:
    known = [str(read_provenance(path)["model"]) for path in folder(run).glob("*.safetensors")]
    assert len(known) == len(STUDY["vectors"]) + 1 and len(set(known)) == 1


def test_a_control_is_drawn_as_often_as_said(run: Checkout) -> None:
    drawn = read_tensors(folder(run) / "random-draws.safetensors")["vectors"]
    assert drawn.shape == (3, LAYERS, HIDDEN)
    both = norms(vectors(run)["both"])
    for i, one in enumerate(drawn):
        np.testing.assert_allclose(norms(one), both, rtol=1e-5)
        assert not any(np.allclose(one, other) for other in drawn[:i])


def test_a_vector_of_any_method_steers_and_has_resamples(run: Checkout) -> None:
    table = pd.read_parquet(run.folder / "results" / "methods" / "tables" / "single.parquet")
    assert set(table["behaviour"]) == {"myopia", "wealth-seeking"}
    assert table["score_vector_low"].notna().all()
    cache = run.folder / "results" / "cache" / "vectors"
    (theirs,) = cache.glob("theirs-resampled.*.safetensors")
    np.testing.assert_array_equal(read_tensors(theirs)["vectors"], np.stack([drawn()] * 2))
    (component,) = cache.glob("component-resampled.*.safetensors")
    first, second = read_tensors(component)["vectors"]
    assert not np.allclose(first, second)


def test_vectors_are_described_in_numbers_when_asked_for(run: Checkout) -> None:
    config = run.folder / "mine" / "study.yaml"
    run.forked("--cores", "1", "--", "results/methods/vectors.csv", config=config)
    made = vectors(run)
    table = pd.read_csv(run.folder / "results" / "methods" / "vectors.csv")
    assert len(table) == len(made) * LAYERS
    for name, rows in table.groupby("vector"):
        np.testing.assert_allclose(rows["norm"], norms(made[str(name)]), rtol=1e-6)
    accuracy = table.set_index(["vector", "layer"])["accuracy"]
    assert accuracy["probe"].iloc[-1] > 0.9 > accuracy["unlabelled"].iloc[-1]
    assert accuracy["discriminant"].min() > 0.9 and accuracy[["both", "theirs"]].isna().all()
    cosines = pd.read_csv(run.folder / "results" / "methods" / "cosines.csv")
    assert len(cosines) == len(made) * (len(made) - 1) / 2 * LAYERS
    same = cosines[(cosines["vector"] == "contrast") & (cosines["other"] == "mine")]
    np.testing.assert_allclose(same["cosine"], 1, rtol=1e-6)


def test_nothing_is_left_to_do_until_the_code_of_a_method_changes(run: Checkout) -> None:
    config = run.folder / "mine" / "study.yaml"
    assert "Nothing to be done" in run.dry_run(config=config)
    helper: Path = config.parent / "mine.py"
    code = helper.read_text()
    helper.write_text(code.replace("factor * vector", "-factor * vector"))
    printed = run.dry_run(config=config)
    helper.write_text(code)
    assert "steering vector mine" in printed and "steering vector probe" not in printed
    assert "vectors.mine: its file" in printed
