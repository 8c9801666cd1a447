"""A study with a judge, which fails at first, on a tiny model: down to its table and usage."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import tiny
import yaml

from chat_server import Judge, serving
from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_table

pytestmark = pytest.mark.long

KEY = "key-Hush-1234"
PROMPTS = ["The river runs", "Count the sacks and then say how many", "Is"]
COEFFICIENTS = [0, 4, -30]


def text_in(content: str) -> str:
    return content.split("<<")[1].split(">>")[0]


def rating(text: str) -> int | None:
    """What the judge thinks of a text, 1 to 9; of some it gives prose."""
    total = sum(text.encode())
    return None if total % 4 == 0 else total % 9 + 1


def study(judge: Judge) -> dict[str, Any]:
    corpora = {
        name: {"source": "files", "field": "text", "shuffle": False, "train": 4, "validation": 4}
        | {
            "splits": {
                "train": {"files": ["texts.jsonl"], "skip": skip},
                "validation": {"files": ["texts.jsonl"], "skip": 8},
            }
        }
        for name, skip in (("one", 0), ("other", 4))
    }
    entry = {
        "scorer": "judge",
        "address": judge.address,
        "model": "the-judge",
        "prompt": "{prompt} <<{text}>>",
        "rating": {"least": 0, "most": 9},
        "key": "JUDGE_KEY",
        "price": {"input": 1, "output": 2},
    }
    measure = {
        "measure": "continuation",
        "prompts": PROMPTS,
        "tokens": 10,
        "scores": {"liked": entry},
    }
    return {
        "name": "judged",
        "models": {"tiny": {"source": "tiny", "dtype": "float32"}},
        "corpora": corpora,
        "activations": {name: {"model": "tiny", "corpus": name} for name in corpora},
        "vectors": {"tiny": {"add": ["one"], "subtract": ["other"]}},
        "sweeps": {
            "written": {
                "model": "tiny",
                "inject": {"vector": "tiny", "layers": [1, 2]},
                "coefficients": COEFFICIENTS,
                "measures": {"texts": measure},
            }
        },
    }


class Finished(NamedTuple):
    """The study, the judge that was asked, and what was printed of the run that failed, with how
    often it was refused."""

    checkout: Checkout
    judge: Judge
    printed: str
    refused: int


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """The study, run until the judge refuses after four texts, and then to its end."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    folder = checkout.folder
    tiny.folder(folder / "tiny", tiny.network())
    texts = [{"text": text} for _, text in tiny.documents(12)]
    (folder / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    path = folder / "judged.yaml"
    done: list[str] = []
    refused: list[dict[str, Any]] = []

    def reply(body: dict[str, Any], _: int) -> Any:
        if judge.asked.index(body) >= 4 and not done:
            refused.append(body)
            return 401, {}, json.dumps({"error": {"message": f"wrong key {KEY}"}})
        found = rating(text_in(body["messages"][0]["content"]))
        return "I like it." if found is None else str(found)

    with pytest.MonkeyPatch.context() as patch, serving(reply) as judge:
        patch.setenv("JUDGE_KEY", KEY)
        path.write_text(yaml.safe_dump(study(judge)))
        failed = checkout.attempt("--cores", "1", config=path)
        assert failed.returncode and refused, failed.stdout
        done.append(failed.stdout)
        checkout.snakemake("--cores", "1", config=path)
        yield Finished(checkout, judge, failed.stdout, len(refused))


def test_the_run_that_failed_says_why(finished: Finished) -> None:
    judge, printed = finished.judge, finished.printed
    said = f"sweeps.written: the-judge at {judge.address} rejects the key in the environment"
    assert said in printed and "Traceback" not in printed


def test_nothing_that_was_answered_is_asked_again(finished: Finished) -> None:
    checkout, judge = finished.checkout, finished.judge
    kept = sorted((checkout.folder / "results" / "cache" / "judged").rglob("*.json"))
    answered = {json.loads(path.read_text())["asked"]["messages"][0]["content"] for path in kept}
    assert answered == set(judge.contents) and len(kept) == len(answered)
    assert len(judge.asked) == len(answered) + finished.refused
    assert set(judge.keys) == {f"Bearer {KEY}"}


def test_the_table_has_the_means_and_what_is_missing(
    finished: Finished,
) -> None:
    checkout = finished.checkout
    table = read_table(checkout.folder / "results/judged/tables/written.parquet").to_pandas()
    assert len(table) == 2 * len(COEFFICIENTS)
    missing = 0
    for row in table.itertuples():
        ratings = [rating(text) for text in row.texts]
        known = [each for each in ratings if each is not None]
        assert row.liked_missing == len(ratings) - len(known)
        assert row.liked == pytest.approx(np.mean(known) if known else math.nan, nan_ok=True)
        missing += row.liked_missing
    assert 0 < missing < 3 * len(table)


def test_tokens_and_cost_are_those_of_the_run_that_finished(
    finished: Finished,
) -> None:
    checkout, judge = finished.checkout, finished.judge
    used = pd.read_csv(checkout.folder / "results" / "judged" / "usage.csv")
    (row,) = used[used["judge_answers"].notna()].itertuples()
    assert row.rule == "sweep" and 0 < row.judge_answers < len(judge.asked) - finished.refused
    assert row.judge_input_tokens == 100 * row.judge_answers
    assert row.judge_cost == pytest.approx(row.judge_answers * (100 + 2 * 7) / 1e6)


def test_no_file_has_the_key(finished: Finished) -> None:
    checkout, printed = finished.checkout, finished.printed
    assert KEY not in printed
    for path in checkout.folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert not re.search(KEY.encode(), path.read_bytes()), path


def test_a_second_run_asks_nothing(finished: Finished) -> None:
    checkout, judge = finished.checkout, finished.judge
    before = len(judge.asked)
    config: Path = checkout.folder / "judged.yaml"
    assert "Nothing to be done" in checkout.snakemake("--cores", "1", config=config)
    changed = study(judge)
    scores = changed["sweeps"]["written"]["measures"]["texts"]["scores"]
    scores["liked"]["rating"]["least"] = 1
    config.write_text(yaml.safe_dump(changed))
    checkout.snakemake("--cores", "1", config=config)
    assert len(judge.asked) == before


def test_labels_of_people_make_the_table_alone_again(
    finished: Finished,
) -> None:
    """Those of most texts, which call one positive where its first character is far in Unicode."""
    checkout, judge = finished.checkout, finished.judge
    path = checkout.folder / "results/judged/tables/written.parquet"
    before = read_table(path).to_pandas()
    texts = sorted({text for row in before["texts"] for text in row})[1:]
    lines = [json.dumps({"text": text, "label": text > "o"}) for text in texts]
    (checkout.folder / "labels.jsonl").write_text("\n".join(lines))
    config: Path = checkout.folder / "judged.yaml"
    changed = yaml.safe_load(config.read_text())
    scores = changed["sweeps"]["written"]["measures"]["texts"]["scores"]
    scores["liked"] |= {"labels": "labels.jsonl", "positive": 5}
    changed["figures"] = {"liked": {"kind": "curves", "sweeps": ["written"]}}
    config.write_text(yaml.safe_dump(changed))
    asked = len(judge.asked)
    planned = checkout.planned(config)
    assert "sweep" not in planned and planned["table"] == 1
    checkout.snakemake("--cores", "1", config=config)
    assert len(judge.asked) == asked
    after = read_table(path).to_pandas()
    items = set()
    for row in before["texts"]:
        items |= set(zip(PROMPTS, row, strict=True))
    known = []
    for _, text in items:
        rated = rating(text)
        if text in texts and rated is not None:
            known.append((text > "o", rated >= 5))
    assert after["liked_labels"].eq(len(known)).all() and len(known) > 3
    drawn = pd.read_csv(checkout.folder / "results/judged/figures/liked.csv")
    both = drawn.merge(after.astype({"layer": int}), on=["layer", "coefficient"])
    assert len(both) == len(after)
    shares = both["liked_share"].to_numpy()
    assert both["value"].to_numpy() == pytest.approx(shares, nan_ok=True)
    agreed = np.mean([people == judged for people, judged in known])
    assert after["liked_accuracy"].to_numpy() == pytest.approx(agreed)
    for name in before.columns:
        assert before[name].map(repr).tolist() == after[name].map(repr).tolist()
