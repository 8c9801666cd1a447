"""A study of vectors at several positions and of controls with draws, down to its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_provenance, read_tensors

pytestmark = pytest.mark.long

LAYERS, HIDDEN = 8, 192
POSITIONS = [-3, -1]
CORPORA = ("text", "code")
AT: dict[str, Any] = {"positions": POSITIONS}
NEXT_TOKEN = {"next_token": {"corpora": ["code", "text"], "tokens": 300, "max_tokens": 48}}
SWEPT = {"model": "chat", "coefficients": [0, 1]}
STUDY: dict[str, Any] = {
    "name": "bands",
    "models": {"chat": {"source": "resources/models/miniature-chat", "dtype": "float32"}},
    "corpora": {
        kind: {"source": "installed", "kind": kind, "train": 12, "validation": 8}
        for kind in CORPORA
    },
    "behaviours": {
        "myopia": {
            "source": "generated",
            "trait": "myopia",
            "questions": 50,
            "train": 20,
            "validation": 15,
        }
    },
    "activations": {
        **{kind: {"model": "chat", "corpus": kind, "max_tokens": 48} for kind in CORPORA},
        **{
            f"{kind}-at": {"model": "chat", "corpus": kind, "max_tokens": 48, **AT}
            for kind in CORPORA
        },
        "myopia": {"model": "chat", "behaviour": "myopia"},
        "myopia-at": {"model": "chat", "behaviour": "myopia", "positions": "after_instruction"}
        | {"format": {"template": "[INST] {prompt} [/INST] "}},
    },
    "vectors": {
        "code": {"add": ["text"], "subtract": ["code"]},
        "code-at": {"add": ["text-at"], "subtract": ["code-at"]},
        "probe-at": {
            "method": "logistic",
            "add": ["text-at"],
            "subtract": ["code-at"],
            "scale": {"norm_of": "code-at"},
        },
        "random-at": {"method": "control", "how": "random", "of": "code-at", "draws": 2},
        "myopia": {"method": "contrast", "of": "myopia"},
        "answered": {"method": "contrast", "of": "myopia-at"},
        "random": {"method": "control", "how": "random", "of": "code", "draws": 3},
        "unlabelled": {"method": "control", "how": "labels", "of": "myopia", "draws": 3},
    },
    "sweeps": {
        "code": {**SWEPT, "inject": {"vector": "code", "layers": [3]}, "measures": NEXT_TOKEN},
        "random": {**SWEPT, "inject": {"vector": "random", "layers": [3]}, "measures": NEXT_TOKEN},
        "grid": {
            "model": "chat",
            "inject": {"vector": "unlabelled", "layers": [3, 4]},
            "coefficients": {"magnitudes": [1]},
            "measures": {"two_choice": {"split": "validation", "stopping": {}}},
        },
        "together": {
            **SWEPT,
            "inject": {"together": {"random": 3, "unlabelled": 4}},
            "measures": {"two_choice": {"behaviours": ["myopia"]}},
        },
    },
    "figures": {
        "tradeoff": {"kind": "tradeoff", "sweeps": ["code"], "controls": ["random"]},
        "grid": {"kind": "heatmap", "sweep": "grid"},
        "together": {"kind": "simultaneous", "sweep": "together"},
        "vectors": {"kind": "vectors", "vectors": ["code", "code-at", "probe-at", "random"]},
        "at-a-layer": {"kind": "vectors", "vectors": ["myopia", "answered"], "layers": [0.5]},
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_of_repository(tmp_path_factory.mktemp("bands"))
    (checkout.folder / "study.yaml").write_text(json.dumps(STUDY))
    checkout.forked("--cores", "2", config=checkout.folder / "study.yaml")
    return checkout


@pytest.fixture(scope="module")
def results(run: Checkout) -> Path:
    return run.folder / "results" / "bands"


def vector(results: Path, name: str, tensor: str = "vector") -> np.ndarray:
    return read_tensors(results / "vectors" / f"{name}.safetensors")[tensor]


def activations(results: Path, name: str) -> dict[str, np.ndarray]:
    (path,) = (results.parent / "cache" / "activations").glob(f"{name}.*.safetensors")
    return read_tensors(path)


def test_vectors_are_made_at_each_position(results: Path) -> None:
    text, code = (activations(results, f"{kind}-at")["activations"] for kind in CORPORA)
    found = vector(results, "code-at")
    assert found.shape == (len(POSITIONS), LAYERS, HIDDEN)
    expected = text.mean(axis=0, dtype=np.float64) - code.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found[1], vector(results, "code"), atol=1e-5)
    probe = vector(results, "probe-at")
    lengths = np.linalg.norm(found.astype(np.float64), axis=-1)
    np.testing.assert_allclose(np.linalg.norm(probe, axis=-1), lengths, rtol=1e-4)
    for name in ("code-at", "probe-at", "random-at", "random-at-draws"):
        path = results / "vectors" / f"{name}.safetensors"
        assert read_provenance(path)["positions"] == POSITIONS
    assert "positions" not in read_provenance(results / "vectors" / "code.safetensors")
    drawn = vector(results, "random-at-draws", "vectors")
    assert drawn.shape == (2, len(POSITIONS), LAYERS, HIDDEN)
    np.testing.assert_allclose(np.linalg.norm(drawn[1], axis=-1), lengths, rtol=1e-4)
    flat = drawn.reshape(-1, HIDDEN)
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    assert np.abs(flat @ flat.T - np.eye(len(flat))).max() < 0.5  # no two are alike
    answered = read_provenance(results / "vectors" / "answered.safetensors")["positions"]
    assert answered == list(range(-len(answered), 0)) and len(answered) > 1
    alike, *_, last = vector(results, "answered")
    assert not alike.any() and last.any()  # both answers have the same tokens before them


def test_tables_have_every_draw_with_mean_and_range(results: Path) -> None:
    table = pd.read_parquet(results / "tables" / "random.parquet")
    assert sorted(table["draw"].dropna().unique()) == [0, 1, 2]
    draws = table[table["draw"].notna()].groupby(["coefficient", "corpus"])["relative_top1"]
    means = table[table["draw"].isna()].set_index(["coefficient", "corpus"])
    assert (means["draws"] == 3).all() and len(means) == 4
    for column, expected in (
        ("relative_top1", draws.mean()),
        ("relative_top1_min", draws.min()),
        ("relative_top1_max", draws.max()),
    ):
        pd.testing.assert_series_equal(
            means[column].sort_index(), expected.sort_index(), check_names=False
        )
    assert means["relative_top1_min"].lt(means["relative_top1_max"]).any()
    columns = pd.read_parquet(results / "tables" / "code.parquet").columns
    assert not {"draw", "draws", "relative_top1_min"} & set(columns)
    raw = pd.concat(map(pd.read_parquet, (results.parent / "cache" / "sweeps").glob("random.*")))
    assert set(raw["injection"]) == {f"random, draw {draw} at 3" for draw in range(3)}


def test_figures_show_the_mean_and_the_range(results: Path) -> None:
    table = pd.read_parquet(results / "tables" / "random.parquet")
    means = table[table["draw"].isna() & (table["role"] == "target")].set_index("coefficient")
    drawn = pd.read_csv(results / "figures" / "tradeoff.csv")
    band = drawn[drawn["sweep"] == "random"].set_index("coefficient")
    np.testing.assert_allclose(band["relative_top1_low_target"], means["relative_top1_min"])
    np.testing.assert_allclose(band["relative_top1_high_target"], means["relative_top1_max"])
    for figure in ("grid", "together"):
        table = pd.read_parquet(results / "tables" / f"{figure}.parquet")
        numbers = pd.read_csv(results / "figures" / f"{figure}.csv")
        assert (numbers["draws"] == 3).all()
        means = table[table["draw"].isna()]
        steered = means[means["coefficient"] != 0] if figure == "grid" else means
        for end, column in (("", "score"), ("_low", "score_min"), ("_high", "score_max")):
            assert sorted(numbers[f"score{end}"]) == pytest.approx(sorted(steered[column]))


def test_vectors_in_numbers_are_a_figure_with_its_tables(results: Path) -> None:
    table = pd.read_csv(results / "vectors.csv")
    at = table[table["vector"] == "code-at"].set_index(["position", "layer"])
    lengths = np.linalg.norm(vector(results, "code-at").astype(np.float64), axis=-1)
    for place, position in enumerate(POSITIONS):
        np.testing.assert_allclose(at.loc[position, "norm"], lengths[place], rtol=1e-6)
    assert table[table["vector"] == "code"]["position"].isna().all()
    random = table[table["vector"] == "random"]
    lengths = np.linalg.norm(vector(results, "random-draws", "vectors"), axis=-1)  # [draws, layers]
    assert (random["draws"] == 3).all() and table["draws"].isna().any()
    for end, expected in (("_min", lengths.min(axis=0)), ("_max", lengths.max(axis=0))):
        np.testing.assert_allclose(random[f"norm{end}"], expected, rtol=1e-5)
    assert (random["accuracy_min"] < random["accuracy_max"]).any()
    cosines = pd.read_csv(results / "cosines.csv")
    spread = cosines["cosine_max"] - cosines["cosine_min"]
    of_draws = cosines["other"].isin(["random", "random-at", "unlabelled"])
    assert (spread[of_draws] > 0).any() and spread[cosines["other"] == "code-at"].isna().all()
    numbers = pd.read_csv(results / "figures" / "vectors.csv")
    assert set(numbers["quantity"]) == {"norm", "accuracy", "cosine"}
    assert set(numbers["vector"]) >= {"Code", "Code at, −3", "Code at, −1", "Probe at, −1"}
    cosines = numbers[numbers["quantity"] == "cosine"]
    same = cosines[(cosines["vector"] == "Code") & (cosines["other"] == "Code at, −1")]
    np.testing.assert_allclose(same["value"], 1, atol=1e-6)
    at_layer = pd.read_csv(results / "figures" / "at-a-layer.csv")
    assert set(at_layer.loc[at_layer["quantity"] == "cosine", "layer"]) == {3}


def test_nothing_is_left_to_do(run: Checkout) -> None:
    assert "Nothing to be done" in run.dry_run(config=run.folder / "study.yaml")
