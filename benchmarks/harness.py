"""Choices of lm-evaluation-harness beside ours: the same items, model and steering.

    PYTHONPATH=workflow/scripts python benchmarks/harness.py

100 items are made of the project's own pages: the beginning of a sentence, and four ways to go on,
one of which is its own. The shipped chat model chooses, untouched and with a vector added by a
hook.
Printed is how far the log-likelihoods lie apart at most, and the share chosen right by each score:
acc, acc_norm and acc_bytes there, `sum`, `character` and `byte` here.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lm_eval import evaluator
from lm_eval.models.huggingface import HFLM

from snakesteer.behaviours import items
from snakesteer.engine import models
from snakesteer.hub.manifest import manifest
from snakesteer.measures import choice
from snakesteer.measures.choice_settings import By, Settings
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.runner import Asked

REPOSITORY = Path(__file__).resolve().parent.parent
MODEL = REPOSITORY / "resources" / "models" / "miniature-chat"
ITEMS, CHOICES, WORDS = 100, 4, 60
LAYER, COEFFICIENT = 3, 6.0
SCORES: dict[str, By] = {"acc": "sum", "acc_norm": "character", "acc_bytes": "byte"}
AT_MOST = 1e-4


def sentences() -> list[list[str]]:
    """The words of sentences of the project's pages."""
    text = "\n\n".join(path.read_text("utf-8") for path in sorted(REPOSITORY.glob("docs/*.md")))
    found = [sentence.split() for sentence in re.split(r"(?<=[.:])\s+|\n\n", text)]
    return [words for words in found if 8 <= len(words) <= WORDS]


def write_items(path: Path) -> None:
    """A task of records: `prompt`, `choices`, and the number of the right one, `answer`."""
    chance = random.Random(13)
    drawn = chance.sample(sentences(), ITEMS * CHOICES)
    lines = []
    for number in range(ITEMS):
        own, *others = drawn[number * CHOICES : (number + 1) * CHOICES]
        half = len(own) // 2
        answer = chance.randrange(CHOICES)
        choices = [" ".join(words[len(words) // 2 :]) for words in others]
        choices.insert(answer, " ".join(own[half:]))
        end = ("", " ", "\n")[number % 3]
        record = {"prompt": " ".join(own[:half]) + end, "choices": choices, "answer": answer}
        lines.append(json.dumps(record) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


@contextlib.contextmanager
def steered(network: Any, vector: np.ndarray, coefficient: float) -> Iterator[None]:
    """The vector added to what a block puts out."""
    added = coefficient * torch.tensor(vector, dtype=torch.float32)

    def add(_module: Any, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] + added, *output[1:])
        return output + added

    handle = network.model.layers[LAYER].register_forward_hook(add)
    yield
    handle.remove()


def theirs(model: models.LanguageModel, path: Path, cache: Path) -> tuple[dict[str, float], Any]:
    """Shares by their metrics, and log-likelihoods [items, choices]."""
    harness = HFLM(
        pretrained=model.network, tokenizer=model.tokenizer, add_bos_token=True, batch_size=8
    )
    task = {
        "task": "pages",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(cache)},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": lambda record: record["prompt"],
        "doc_to_choice": lambda record: record["choices"],
        "doc_to_target": "answer",
        "metric_list": [{"metric": name} for name in SCORES],
    }
    found = evaluator.simple_evaluate(harness, tasks=[task], bootstrap_iters=0, verbosity="ERROR")
    samples = sorted(found["samples"]["pages"], key=lambda sample: sample["doc_id"])
    likelihoods = [[value for value, _ in sample["filtered_resps"]] for sample in samples]
    shares = {name: float(found["results"]["pages"][f"{name},none"]) for name in SCORES}
    return shares, np.array(likelihoods)


def ours(
    model: models.LanguageModel, path: Path, vector: np.ndarray
) -> dict[float, tuple[dict[str, float], Any]]:
    """The same by coefficient, from one sweep."""
    settings = {"file": str(path), "prompt": "prompt", "choices": "choices", "answers": None}
    settings |= {"matching": "answer", "labels": None, "counted_from": 0}
    settings |= {"duplicates": "keep", "questions": ITEMS, "seed": 13}
    rows = [vars(item) for item in items.questions(settings, REPOSITORY)]
    asked, separator = [], " "
    for name, by in SCORES.items():
        read = choice.read_items(model.tokenizer, "pages", rows, settings=Settings(by, separator))
        asked.append(Asked(name, choice, {"pages": read}))
    sources = {name: ("pages",) for name in SCORES}
    steering = Steering("own", (part(LAYER, vector, "add"),), (0.0, COEFFICIENT), sources)
    (table,) = runner.run(model, asked, [steering], batch_tokens=2048)
    frame = table.to_pandas()
    found = {}
    for coefficient, here in frame.groupby("coefficient"):
        shares = (here["outcome"] == "match").groupby(here["measure"]).mean().to_dict()
        one = here[here["measure"] == "acc"]["log_likelihoods"]
        found[float(coefficient)] = (shares, np.stack(one.tolist()))
    return found


def main() -> None:
    model = models.load(MODEL, manifest(MODEL), device="cpu")
    vector = np.random.default_rng(0).normal(size=model.hidden)
    apart: list[float] = []
    same = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.jsonl"
        write_items(path)
        found = ours(model, path, vector)
        for coefficient, (shares, likelihoods) in found.items():
            with steered(model.network, vector, coefficient):
                their_shares, their_likelihoods = theirs(model, path, Path(folder) / "cache")
            apart.append(float(np.abs(likelihoods - their_likelihoods).max()))
            moved = float(np.abs(likelihoods - found[0.0][1]).max())
            print(
                f"coefficient {coefficient:g}: log-likelihoods within {apart[-1]:.1e}, moved by up "
                f"to {moved:.1f}"
            )
            for name, by in SCORES.items():
                print(f"  {name:<10}{their_shares[name]:>6.2f}   by {by:<10}{shares[name]:>6.2f}")
            same &= their_shares == shares
    if max(apart) > AT_MOST or not same:
        sys.exit(f"Choices are others than theirs, or lie farther than {AT_MOST:g} apart.")


if __name__ == "__main__":
    main()
