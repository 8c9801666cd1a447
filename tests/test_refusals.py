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
        {"sweeps": {"code": {"inject": {"layers": [8]}}}},
        "sweeps.code.inject.layers names layer 8, but models.miniature has 8 layers (0 to 7)",
    ),
    "an absent model": (
        {"models": {"miniature": {"source": "resources/models/minature"}}},
        "models.miniature.source: there is no folder resources/models/minature; did you mean "
        "resources/models/miniature?",
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


@pytest.mark.parametrize(
    ("content", "arguments", "sentence"),
    [
        ("name: a\nsweeps: {a: 1\n", [], "is not YAML in line 3: "),
        (
            "extends: small.yaml\nname: a\nname: b\n",
            ["--workflow-profile", "none", "--cores", "1"],
            "has the key `name` twice, in lines 2 and 3; keep one.",
        ),
    ],
    ids=["before Snakemake reads it", "after"],
)
def test_snakemake_names_file_and_line_of_a_study_that_is_not_yaml(
    checkout: Checkout, content: str, arguments: list[str], sentence: str
) -> None:
    path = checkout.folder / "tests" / "wrong.yaml"
    path.write_text(content)
    done = checkout.attempt("-n", *arguments, config=path)
    assert done.returncode != 0
    assert f"Error: {path} {sentence}" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.long
def test_why_a_job_failed_stands_last(checkout: Checkout) -> None:
    (checkout.folder / "few.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    one = {"files": ["few.jsonl"]}
    corpus = {"source": "files", "train": 1, "validation": 4, "shuffle": False}
    splits = {"train": one, "validation": {**one, "skip": 1}}
    change = {"corpora": {"text": {**corpus, "splits": splits}}}
    target = "results/small/tables/code.parquet"
    done = checkout.attempt(
        *("--cores", "1", "--quiet", "rules", "--until", "documents", "--", target),
        config=checkout.variant(change),
    )
    assert done.returncode != 0
    assert done.stdout.splitlines()[-1] == (
        "Error: corpora.text: validation asks for 4 documents, but the source files has 1 after "
        "the 1 that it skips; lower splits.validation.skip, and train with it."
    )


@pytest.mark.long
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


@pytest.mark.long
def test_a_clone_may_lie_in_a_folder_of_any_name(tmp_path: Path) -> None:
    """Python, too, as `make` installs it there."""
    folder = tmp_path / "a b'c {x} $y \""
    folder.mkdir()
    checkout = copy_of_repository(folder)
    (checkout.folder / ".venv").symlink_to(sys.prefix)
    python = str(checkout.folder / ".venv" / "bin" / "python")
    study = checkout.folder / "config" / "papers" / "broad-skills-published.yaml"
    figure = "results/broad-skills-published/figures/activation-distributions.png"
    command = [python, *checkout.command("--cores", "1", "--", figure, config=study)[1:]]
    done = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (checkout.folder / figure).stat().st_size > 10_000


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
    assert set(checkout.planned(other)) == {
        "all",
        "catalogue",
        "front_page",
        "study",
        "total",
        "usage",
    }
    assert "results/third/artefacts.csv" in checkout.dry_run("--config", "name=third", config=other)
