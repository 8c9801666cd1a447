"""A study whose figures run along doses, with a control that is drawn several times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_tensors

pytestmark = pytest.mark.long

LAYER, DRAWS = 3, 3
KLS = [0.02, 0.1]
CHAT = {"model": "chat"}
MEASURES = {
    "answers": {"measure": "two_choice"},
    "moved": {"measure": "divergence"},
}
ASKED = {name: {**given, "behaviours": ["myopia"]} for name, given in MEASURES.items()}
KL = {"dose": {"kl": ["own.moved", "control.moved"]}, "column": "propensity"}
STUDY: dict[str, Any] = {
    "name": "doses",
    "models": {"chat": {"source": "resources/models/miniature-chat", "dtype": "float32"}},
    "corpora": {
        kind: {"source": "installed", "kind": kind, "train": 12, "validation": 8}
        for kind in ("text", "code")
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
        "myopia": {**CHAT, "behaviour": "myopia"},
        **{
            kind: {**CHAT, "corpus": kind, "max_tokens": 48, "positions": [-3, -1]}
            for kind in ("text", "code")
        },
    },
    "vectors": {
        "myopia": {"method": "contrast", "of": "myopia"},
        "half": {"method": "contrast", "of": "myopia", "scale": {"share": 0.5}},
        "code": {"add": ["text"], "subtract": ["code"]},
        "unlabelled": {"method": "control", "how": "labels", "of": "myopia", "draws": DRAWS},
    },
    "sweeps": {
        "own": {
            **CHAT,
            "inject": {"vectors": ["myopia", "half"], "layers": [LAYER, [2, 4]]},
            "coefficients": [-1, -0.125, 0, 0.125, 1],
            "measures": ASKED,
        },
        "control": {
            **CHAT,
            "inject": {"vector": "unlabelled", "layers": [LAYER]},
            "coefficients": [-1, 0, 1],
            "measures": ASKED,
        },
        "read": {
            **CHAT,
            "inject": {"vector": "code", "layers": [LAYER], "source_layers": [2]}
            | {"source_positions": "all"},
            "coefficients": [0, 2],
            "measures": {
                "divergence": {"corpora": ["text"], "tokens": 300, "max_tokens": 48},
            },
        },
    },
    "figures": {
        "by-kl": {"kind": "curves", "sweeps": ["own.answers"], "controls": ["control.answers"]}
        | KL,
        "by-share": {"kind": "curves", "sweeps": ["own.answers"], "dose": "share"},
        "read": {"kind": "curves", "sweeps": ["read"], "dose": "share"},
        "equal": {"kind": "equal-dose", "sweeps": ["own.answers", "control.answers"], "at": KLS}
        | KL,
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_of_repository(tmp_path_factory.mktemp("doses"))
    (checkout.folder / "study.yaml").write_text(json.dumps(STUDY))
    checkout.forked("--cores", "2", config=checkout.folder / "study.yaml")
    return checkout


@pytest.fixture(scope="module")
def results(run: Checkout) -> Path:
    return run.folder / "results" / "doses"


def numbers(results: Path, figure: str) -> pd.DataFrame:
    return pd.read_csv(results / "figures" / f"{figure}.csv", keep_default_na=True)


def lengths(results: Path, activations: str) -> np.ndarray:
    """Of all activations, at both answers where there are two: [n, (positions,) n_layers]."""
    (path,) = (results.parent / "cache" / "activations").glob(f"{activations}.*.safetensors")
    tensors = read_tensors(path).values()
    return np.concatenate([np.sqrt((each.astype(float) ** 2).sum(axis=-1)) for each in tensors])


def test_vectors_are_described_next_to_the_length_of_their_activations(results: Path) -> None:
    table = pd.read_csv(results / "vectors.csv")
    found = table.set_index(["vector", "layer"])["activation_norm"]
    expected = lengths(results, "myopia").mean(axis=0)
    for vector in ("myopia", "half", "unlabelled"):
        np.testing.assert_allclose(found[vector], expected, rtol=1e-6)
    several = np.concatenate([lengths(results, kind) for kind in ("text", "code")]).mean(axis=0)
    for place, position in enumerate((-3, -1)):
        own = table[(table["vector"] == "code") & (table["position"] == position)]
        np.testing.assert_allclose(own["activation_norm"], several[place], rtol=1e-6)


def test_shares_are_those_by_which_vectors_are_scaled(results: Path) -> None:
    table = numbers(results, "by-share").set_index("vector")
    half, own = table.loc["half"], table.loc["myopia"]
    assert set(half["layer"]) == {str(LAYER), "2+4"}
    np.testing.assert_allclose(half["share"], 0.5 * half["coefficient"].abs(), rtol=1e-6)
    np.testing.assert_allclose(half["dose"], 0.5 * half["coefficient"], rtol=1e-6)
    at_layer = own[own["layer"] == str(LAYER)]
    vector = read_tensors(results / "vectors" / "myopia.safetensors")["vector"][LAYER]
    unit = np.linalg.norm(vector) / lengths(results, "myopia")[:, LAYER].mean()
    np.testing.assert_allclose(at_layer["dose"], unit * at_layer["coefficient"], rtol=1e-5)


def test_shares_are_of_what_is_injected_where_that_is_read_elsewhere(results: Path) -> None:
    table = numbers(results, "read")
    vector = read_tensors(results / "vectors" / "code.safetensors")["vector"]
    activations = np.concatenate([lengths(results, kind) for kind in ("text", "code")])
    for place, position in enumerate((3, 1)):
        own = table[table["read_at"] == f"of layer 2 of position −{position}"]
        share = np.linalg.norm(vector[place, 2]) / activations[:, place, LAYER].mean()
        np.testing.assert_allclose(own["share"], share * own["coefficient"], rtol=1e-5)


def test_kl_is_that_of_the_table_with_its_interval_and_of_draws_the_mean(results: Path) -> None:
    drawn = numbers(results, "by-kl")
    for sweep in ("own", "control"):
        moved = pd.read_parquet(results / "tables" / f"{sweep}.moved.parquet")
        if "draw" in moved:
            moved = moved[moved["draw"].isna()]
            moved = moved.assign(kl_low=moved["kl_min"], kl_high=moved["kl_max"])
        point = ["vector", "layer", "coefficient"]
        joined = drawn.merge(moved, on=point, suffixes=("", "_table"))
        joined = joined[joined["sweep"] == f"{sweep}.answers"]
        assert len(joined) == len(moved) and (joined["draws"].notna() == (sweep == "control")).all()
        for column in ("kl", "kl_low", "kl_high"):
            np.testing.assert_allclose(joined[column], joined[f"{column}_table"], rtol=1e-12)
        signed = np.sign(joined["coefficient"]) * joined["kl"]
        np.testing.assert_allclose(joined["dose"], signed, rtol=1e-12)


def test_each_draw_is_taken_at_its_own_kl(results: Path) -> None:
    """With one coefficient on a side, on the line from the unsteered value to that at it."""
    moved, answers = (
        pd.read_parquet(results / "tables" / f"control.{name}.parquet").dropna(subset="draw")
        for name in ("moved", "answers")
    )
    both = moved.merge(answers, on=["draw", "coefficient"]).set_index(["coefficient", "draw"])
    found = numbers(results, "equal").query("vector == 'unlabelled'").set_index("at")
    reached = 0
    for sign in (-1, 1):
        for kl in KLS:
            share = kl / both.loc[sign, "kl"]
            before, after = both.loc[0, "propensity"], both.loc[sign, "propensity"]
            values = (before + share * (after - before))[share <= 1]
            row = found.loc[sign * kl]
            assert row["draws"] == len(values)
            reached += len(values)
            if len(values):
                expected = [values.mean(), values.min(), values.max()]
                np.testing.assert_allclose(row[["value", "low", "high"]].astype(float), expected)
            else:
                assert row[["coefficient", "value", "low", "high"]].isna().all()
    assert 0 < reached < DRAWS * 2 * len(KLS)


def test_nothing_is_left_to_do(run: Checkout) -> None:
    assert "Nothing to be done" in run.dry_run(config=run.folder / "study.yaml")


def test_another_dose_draws_its_figure_anew_and_makes_nothing_else(run: Checkout) -> None:
    figures = {name: dict(figure) for name, figure in STUDY["figures"].items()}
    figures["by-share"]["dose"] = "coefficient"
    figures["equal"]["at"] = [0.05]
    config = run.folder / "changed.yaml"
    config.write_text(json.dumps(STUDY | {"figures": figures}))
    again = {"all": 1, "figure": 2, "front_page": 1, "study": 1, "total": 5}
    assert run.planned(config=config) == again
