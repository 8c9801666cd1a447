"""The paper's models and corpora through the workflow's rules, from a stand-in for the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hub
import llama
import pytest
import yaml
from conftest import REPOSITORY

from checkout import copy_of_repository
from snakesteer import study_file
from snakesteer.plan import Plan

PAPER = study_file.load(REPOSITORY / "config" / "paper.yaml")


def served(root: Path) -> dict[str, hub.Served]:
    """Small repositories under the names and commits of the paper's."""
    llama.model(root / "base")
    llama.model(root / "chat", seed=1)
    llama.pile(root / "pile")
    llama.codeparrot(root / "python")
    llama.codeparrot(root / "python-valid", files=1, first=54)
    base, chat = PAPER.models["llama-2-7b"], PAPER.models["llama-2-7b-chat"]
    repositories = {
        base.source: hub.Served(str(base.revision), root / "base"),
        chat.source: hub.Served(str(chat.revision), root / "chat"),
    }
    for corpus, split, folder in (
        ("text", "train", "pile"),
        ("python", "train", "python"),
        ("python", "validation", "python-valid"),
    ):
        place = PAPER.corpora[corpus].model_dump()["splits"][split]
        name = f"datasets/{place['repository']}"
        repositories[name] = hub.Served(place["revision"], root / folder)
    return repositories


def small(files: dict[str, Path]) -> dict[str, Any]:
    """The paper's sources at a small size, and one sweep for which its tokens are counted."""
    cut = {"questions": 40, "train": 20, "validation": 8}
    unused = ("choices", "figures", "scorecards")
    return {
        "extends": "../config/paper.yaml",
        "name": "sources",
        "corpora": {name: {"train": 20, "validation": 10} for name in PAPER.corpora},
        "behaviours": {name: {**cut, "file": str(path)} for name, path in files.items()},
        **{section: dict.fromkeys(getattr(PAPER, section) or {}) for section in unused},
        "published": None,
        "activations": {
            **dict.fromkeys(PAPER.activations),
            "code": {"documents": None},
            "agreeableness": {},
        },
        "vectors": {
            **dict.fromkeys(PAPER.vectors),
            "code": {"add": None, "subtract": ["code"]},
            "agreeableness": {},
        },
    } | {
        "sweeps": {
            **dict.fromkeys(PAPER.sweeps),
            "code": {
                "kind": "skill",
                "model": "llama-2-7b",
                "inject": "code",
                "layers": [31],
                "corpora": ["code"],
                "coefficients": [0, 1],
            },
        },
    }


def test_the_papers_sources_through_their_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = copy_of_repository(tmp_path / "checkout")
    config = checkout.folder / "tests" / "sources.yaml"
    config.write_text(yaml.safe_dump(small(llama.evals(tmp_path / "evals"))))
    plan = Plan(study_file.load(config), checkout.folder)  # without network, models and documents
    counted, asked = (plan.artefacts(stage)[0].paths[0] for stage in ("skip_tokens", "questions"))
    model, gated = plan.model("llama-2-7b").paths[0], plan.model("llama-2-7b-chat")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub.StandIn(
        served(tmp_path / "repositories"), gated={gated.settings["source"]}
    ) as stand_in:
        for name, value in stand_in.environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        wanted = ("--keep-going", "--", counted, asked, *gated.paths)
        done = checkout.attempt("--cores", "2", "--quiet", "all", *wanted, config=config)
        assert done.returncode != 0
        log = (checkout.folder / f"results/logs/model/{gated.name}.{gated.key}.log").read_text()
        named = f"models.llama-2-7b-chat: {gated.settings['source']} is gated: accept its licence"
        assert log.startswith(f"Error: {named}") and log.count("\n") == 1
        manifest = (checkout.folder / model).read_bytes()

        # Weights that have gone from the hub's cache come back, and nothing else is made again.
        weights = next((tmp_path / "home").glob("hub/models--*-7b-hf/snapshots/*/*.safetensors"))
        weights.resolve().unlink()
        checkout.snakemake("--cores", "1", "--force", model, config=config)
        assert weights.is_file() and (checkout.folder / model).read_bytes() == manifest
        assert "Nothing to be done" in checkout.snakemake("-n", "--", counted, asked, config=config)
