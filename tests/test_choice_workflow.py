"""A study of choices and first tokens, on a tiny model in a chat, down to its tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny

from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_table
from snakesteer.tables import choice, first_token

pytestmark = pytest.mark.long

TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}{% if not loop.last %}</s>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}</s>\n<s>assistant: {% endif %}"
)


def records(count: int) -> list[dict[str, Any]]:
    words = tiny.PROSE.split()
    made = []
    for i in range(count):
        choices = [" ".join(words[k : k + 2]) for k in range(i, i + 2 + i % 3)]
        prompt = " ".join(words[i : i + 5])
        record = {"prompt": f"{prompt} {i}?", "options": choices, "gold": i % len(choices)}
        made.append(record | {"yes": f"Yes, {words[i]}.", "no": f"No, {words[i]}."})
    return made


def study() -> dict[str, Any]:
    task = {"source": "items", "file": "records.jsonl", "prompt": "prompt"}
    splits = {"files": ["records.jsonl"]}
    return {
        "name": "choosing",
        "models": {"chat": {"source": "chat", "dtype": "float32"}},
        "corpora": {
            "asked": {
                "source": "files",
                "splits": {"train": splits, "validation": {**splits, "skip": 6}},
                "field": "prompt",
                "completion": "yes",
                "shuffle": False,
                "train": 6,
                "validation": 6,
            }
        },
        "behaviours": {
            "several": {**task, "choices": "options", "matching": "gold"},
            "two": {**task, "choices": ["yes", "no"], "matching": "yes"}
            | {"train": 5, "validation": 2, "questions": 12},
            "pairs": {"source": "pairs", "file": "records.jsonl", "prompt": "prompt"}
            | {"matching": "yes", "not_matching": "no"}
            | {"train": 5, "validation": 2, "questions": 12},
        },
        "activations": {"two": {"model": "chat", "behaviour": "two", "format": "chat"}},
        "vectors": {
            "two": {"method": "contrast", "of": "two"},
            "random": {"method": "control", "of": "two", "how": "random", "draws": 2},
        },
        "sweeps": {
            "chosen": {
                "model": "chat",
                "inject": {"vector": "two", "layers": [1, 2], "positions": "after_instruction"},
                "coefficients": [0, 2, -2],
                "resamples": 3,
                "measures": {
                    "tasks": {"measure": "choice", "behaviours": ["several", "two"]}
                    | {"format": "chat", "by": "byte"},
                    "own": {"measure": "choice", "separator": " "},
                    "pairs": {"measure": "choice", "behaviours": ["pairs"], "by": "token"},
                    "odds": {"measure": "first_token", "tokens": ["Y", 40], "corpora": ["asked"]}
                    | {"format": "chat"},
                    "asked": {"measure": "first_token", "tokens": [40], "epsilon": 1e-8}
                    | {"format": "chat"},
                },
            },
            "drawn": {
                "model": "chat",
                "inject": {"vector": "random", "layers": [1]},
                "coefficients": [0, 2],
                "measures": {"choice": {"behaviours": ["several"]}},
            },
        },
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    folder = checkout.folder
    tiny.folder(folder / "chat", tiny.network())
    (folder / "chat" / "chat_template.jinja").write_text(TEMPLATE)
    lines = "".join(json.dumps(record) + "\n" for record in records(12))
    (folder / "records.jsonl").write_text(lines)
    (folder / "choosing.yaml").write_text(json.dumps(study()))
    checkout.snakemake("--cores", "2", config=folder / "choosing.yaml")
    return checkout


def table(folder: Path, name: str) -> pd.DataFrame:
    return read_table(folder / "results" / "choosing" / "tables" / f"{name}.parquet").to_pandas()


def test_the_tables_of_choices(finished: Checkout) -> None:
    folder = finished.folder
    tasks = table(folder, "chosen.tasks")
    vectors = [f"{of}_vector_{end}" for of in ("score", "probability", "propensity")
               for end in ("low", "high")]  # fmt: skip
    assert list(tasks) == [*choice.COLUMNS, *vectors]
    assert len(tasks) == 2 * 3 * 2 and tasks["unsteered"].sum() == 4
    assert set(tasks["questions"]) == {12, 5}
    assert tasks.drop(columns=["combine"]).notna().all(axis=None)
    unsteered = tasks[tasks["unsteered"]].groupby("behaviour")["propensity"]
    assert (unsteered.nunique() == 1).all()
    assert tasks["propensity"].nunique() > 4
    raw = pd.concat(
        read_table(path).to_pandas()
        for path in (folder / "results" / "cache" / "sweeps").glob("chosen.layers-1-2.*.parquet")
        if ".resampled." not in path.name
    )
    here = raw[(raw["measure"] == "tasks") & (raw["behaviour"] == "several")]
    given = records(12)
    for row in here.to_dict("records"):
        record = given[int(row["question"]) - 1]
        assert row["matching"] == record["gold"]
        scores = row["log_likelihoods"] / [len(text.encode()) for text in record["options"]]
        assert row["chosen"] == scores.argmax()
    assert set(table(folder, "chosen.own")["behaviour"]) == {"two"}
    assert set(table(folder, "chosen.pairs")["behaviour"]) == {"pairs"}


def test_the_tables_of_log_odds(finished: Checkout) -> None:
    for name, source, samples in (("odds", "asked", 6), ("asked", "two", 5)):
        found = table(finished.folder, f"chosen.{name}")
        assert list(found)[: len(first_token.COLUMNS)] == first_token.COLUMNS
        assert len(found) == 2 * 3
        assert set(found["source"]) == {source} and set(found["samples"]) == {samples}
        assert found.notna().all(axis=None)
        assert (found["log_odds_low"] <= found["log_odds"]).all()
        assert found["log_odds"].nunique() == 5


def test_a_control_with_draws(finished: Checkout) -> None:
    found = table(finished.folder, "drawn")
    assert list(found["draw"].fillna(-1)) == [0, 0, 1, 1, -1, -1]
    assert np.isclose(found["propensity"][5], (found["propensity"][1] + found["propensity"][3]) / 2)


def test_a_second_run_has_nothing_to_do(finished: Checkout) -> None:
    config = finished.folder / "choosing.yaml"
    assert "Nothing to be done" in finished.snakemake("--cores", "1", config=config)
