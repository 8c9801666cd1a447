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
from snakesteer.plan import models as plans
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file

PAPER = study_file.load(REPOSITORY / "config" / "papers" / "broad-skills.yaml")
EVALS = ("datasets/o/evals", "e" * 40)
CORPORA = ("code", "python")
BEHAVIOURS = ("agreeableness", "myopic")
LOCAL = '{"text": "of no use"}\n'
UNUSABLE = {
    "no-field": ({"field": "content"}, "has no field content (it has text); correct `field`."),
    "no-match": ({"filter": {"field": "text", "equal": "x"}}, "matches none of 1 records;"),
    "too-few": ({}, "train asks for 20 documents, but the source files has 1; ask for fewer."),
    "no-json": ({}, "is not JSON"),
}


def unusable(folder: Path) -> dict[str, Any]:
    """Corpora of local files of which none can be used."""
    corpora = {}
    for name, (changes, _) in UNUSABLE.items():
        paths = {split: folder / f"{name}-{split}.jsonl" for split in ("train", "validation")}
        for path in paths.values():
            path.write_text("{oops\n" if name == "no-json" else LOCAL)
        splits = {split: {"files": [str(path)]} for split, path in paths.items()}
        corpora[name] = {
            "source": "files",
            "splits": splits,
            "train": 20,
            "validation": 1,
            **changes,
        }
    return corpora


def served(root: Path) -> dict[str, hub.Served]:
    """Small repositories under the names and commits of the paper's."""
    llama.model(root / "base")
    llama.model(root / "chat", seed=1)
    llama.pile(root / "pile")
    llama.codeparrot(root / "python")
    llama.codeparrot(root / "python-valid", files=1, first=54)
    llama.evals(root / "evals")
    base, chat = PAPER.models["llama-2-7b"], PAPER.models["llama-2-7b-chat"]
    repositories = {
        base.source: hub.Served(str(base.revision), root / "base"),
        chat.source: hub.Served(str(chat.revision), root / "chat"),
        EVALS[0]: hub.Served(EVALS[1], root / "evals"),
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


def small(files: dict[str, str]) -> dict[str, Any]:
    """The paper's sources at a small size, and one sweep for which its tokens are counted."""
    cut = {"questions": 40, "train": 20, "validation": 8}
    unused = ("choices", "figures", "scorecards")
    return {
        "extends": "../config/papers/broad-skills.yaml",
        "name": "sources",
        "corpora": {name: {"train": 20, "validation": 10} for name in PAPER.corpora},
        "behaviours": {name: {**cut, "file": file} for name, file in files.items()},
        **{section: dict.fromkeys(getattr(PAPER, section) or {}) for section in unused},
        "published": None,
        "activations": {
            **dict.fromkeys(PAPER.activations),
            **{name: {"documents": None} for name in CORPORA},
            **{name: {} for name in BEHAVIOURS},
        },
        "vectors": {
            **dict.fromkeys(PAPER.vectors),
            **{name: {"add": None, "subtract": [name]} for name in CORPORA},
            **{name: {} for name in BEHAVIOURS},
        },
    } | {
        "sweeps": {
            **dict.fromkeys(PAPER.sweeps),
            "code": {
                "model": "llama-2-7b",
                "inject": {"vector": "code", "layers": [31]},
                "coefficients": [0, 1],
                "measures": {"next_token": {"corpora": ["code"]}},
            },
        },
    }


@pytest.mark.long
def test_the_papers_sources_through_their_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = copy_of_repository(tmp_path / "checkout")
    config = checkout.folder / "tests" / "sources.yaml"
    monkeypatch.delenv("HF_TOKEN", raising=False)
    dataset = PAPER.corpora["python"].model_dump()["splits"]["train"]["repository"]
    gated = {PAPER.models["llama-2-7b-chat"].source, f"datasets/{dataset}"}
    with hub.StandIn(served(tmp_path / "repositories"), gated=gated) as stand_in:
        for name, value in stand_in.environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        address = f"{stand_in.address}/{EVALS[0]}/resolve/{EVALS[1]}"
        files = {name: f"{address}/{path}" for name, path in llama.EVALS.items()}
        study = small({**files, "myopic": f"{address}/none.jsonl"})
        study["corpora"] |= unusable(tmp_path)
        study["activations"] |= {name: {"model": "llama-2-7b", "corpus": name} for name in UNUSABLE}
        config.write_text(yaml.safe_dump(study))
        plan = Plan(study_file.load(config), checkout.folder)  # needs no model and no documents
        made = {(each.stage, each.name): each for each in plan.artefacts()}
        counted = made["skip_tokens", "code"].paths[0]
        asked = made["questions", "agreeableness"].paths[0]
        refused = {
            "models.llama-2-7b-chat: meta-llama/Llama-2-7b-chat-hf is gated: accept its licence": (
                plans.model(plan.graph, "llama-2-7b-chat")
            ),
            f"corpora.python: {dataset} is gated: accept its licence": made["documents", "python"],
            f"behaviours.myopic: {address}/none.jsonl cannot be downloaded (the server answers 404"
            "); check": made["questions", "myopic"],
        }
        local = {name: made["documents", name] for name in UNUSABLE}
        model = plans.model(plan.graph, "llama-2-7b").paths[0]
        unmade = (*refused.values(), *local.values())
        wanted = (counted, asked, *(each.paths[0] for each in unmade))
        arguments = ("--cores", "2", "--quiet", "all", "--keep-going", "--", *wanted)
        assert checkout.attempt(*arguments, config=config).returncode != 0
        for sentence, each in refused.items():
            log = checkout.folder / f"results/logs/{each.stage}/{each.name}.{each.key}.log"
            told = log.read_text()
            assert told.startswith(f"Error: {sentence}") and told.count("\n") == 1
        for name, each in local.items():
            log = checkout.folder / f"results/logs/documents/{name}.{each.key}.log"
            told = log.read_text()
            assert told.startswith(f"Error: corpora.{name}: ") and told.count("\n") == 1
            assert UNUSABLE[name][1] in told
        manifest = (checkout.folder / model).read_bytes()

        # Weights that have gone from the hub's cache come back, and nothing else is made again.
        weights = next((tmp_path / "home").glob("hub/models--*-7b-hf/snapshots/*/*.safetensors"))
        weights.resolve().unlink()
        checkout.snakemake("--cores", "1", "--force", model, config=config)
        assert weights.is_file() and (checkout.folder / model).read_bytes() == manifest
        assert "Nothing to be done" in checkout.snakemake("-n", "--", counted, asked, config=config)
