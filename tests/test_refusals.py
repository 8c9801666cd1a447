"""Wrong input is told in one sentence, before any job starts where that is possible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from checkout import Checkout, copy_of_repository


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return copy_of_repository(tmp_path_factory.mktemp("checkout"))


WRONG = {
    "a layer outside the model": (
        {"sweeps": {"code": {"layers": [8]}}},
        "sweeps.code.layers names layer 8, but models.miniature has 8 layers (0 to 7)",
    ),
    "an absent model": (
        {"models": {"miniature": {"source": "resources/models/none"}}},
        "models.miniature.source: The model folder",
    ),
    "a document longer than the model reads": (
        {"activations": {"text": {"max_tokens": 4096}}},
        "activations.text.max_tokens is 4096, but models.miniature reads at most 512 tokens",
    ),
    "a misspelt key": (
        {"sweeps": {"code": {"coefficents": [0]}}},
        "unknown key `sweeps.code.coefficents`; did you mean `coefficients`?",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_one_sentence_before_any_job(checkout: Checkout, what: str) -> None:
    change, sentence = WRONG[what]
    done = checkout.attempt("--cores", "1", config=checkout.variant(change))
    assert done.returncode != 0
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout


def test_shipped_weights_that_are_damaged_are_named(tmp_path: Path) -> None:
    checkout = copy_of_repository(tmp_path)
    weights = checkout.folder / "resources/models/miniature/model.safetensors"
    content = weights.read_bytes()
    damages = {
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "cut": content[:1000],
        "changed": content[:-1] + bytes([content[-1] ^ 1]),
    }
    for damage in damages.values():
        weights.write_bytes(damage)
        done = checkout.attempt("-n")
        assert done.returncode != 0
        assert "models.miniature.source" in done.stdout
        assert "model.safetensors" in done.stdout
        assert "Traceback" not in done.stdout


def test_an_unwritable_results_folder_is_named(tmp_path: Path) -> None:
    checkout = copy_of_repository(tmp_path)
    (tmp_path / "results").write_text("a file in the way")
    done = checkout.attempt("-n")
    assert done.returncode != 0
    assert "The results folder" in done.stdout


def test_the_default_study_is_the_miniature_and_does_not_leak(checkout: Checkout) -> None:
    alone = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--quiet", "all"],
        cwd=checkout.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert alone.returncode == 0, alone.stderr
    other = checkout.folder / "tests" / "other.yaml"
    other.write_text("name: other\n")
    assert set(checkout.planned(other)) == {"all", "catalogue", "study", "total", "usage"}
