"""A study that writes texts and scores them, on a tiny model, down to its table and page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

import oracle
from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_table, read_tensors

pytestmark = pytest.mark.long

PROMPTS = ["The river runs", "Count the sacks and then say how many", "Is"]
MINE = "def score(written, settings, model):\n"
MINE += "    return [settings['by'] * len(text) for text in written.texts]\n"


def study(scores: dict[str, Any]) -> dict[str, Any]:
    here = {"files": ["texts.jsonl"]}
    corpora = {
        name: {"source": "files", "field": "text", "shuffle": False, "train": 4, "validation": 4}
        | {"splits": {"train": {**here, "skip": skip}, "validation": {**here, "skip": 8}}}
        for name, skip in (("one", 0), ("other", 4))
    }
    return {
        "name": "texts",
        "models": {"tiny": {"source": "tiny", "dtype": "float32"}},
        "corpora": corpora,
        "activations": {name: {"model": "tiny", "corpus": name} for name in corpora},
        "vectors": {"tiny": {"add": ["one"], "subtract": ["other"]}},
        "sweeps": {
            "written": {
                "model": "tiny",
                "inject": {"vector": "tiny", "layers": [1, 2]},
                "coefficients": [0, 4, -30],
                "measures": {
                    "listed": {
                        "measure": "continuation",
                        "prompts": PROMPTS,
                        "tokens": 10,
                        "format": {"template": "[INST] {prompt} [/INST] "},
                        "scores": scores,
                    },
                    "instructions": {
                        "measure": "continuation",
                        "corpora": ["one"],
                        "tokens": 5,
                        "temperature": 1,
                        "n": 3,
                        "scores": {"length": {}},
                    },
                },
            }
        },
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    folder = checkout.folder
    tiny.folder(folder / "tiny", tiny.network())
    texts = [{"text": text} for _, text in tiny.documents(12)]
    (folder / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    (folder / "mine").mkdir()
    (folder / "mine" / "long.py").write_text(MINE)
    run(checkout, {"mine": {"scorer": "long.py", "options": {"by": 2}}})
    return checkout


def run(checkout: Checkout, scores: dict[str, Any]) -> None:
    path = checkout.folder / "mine" / "texts.yaml"
    path.write_text(yaml.safe_dump(study(scores)))
    checkout.snakemake("--cores", "1", config=path)


def test_the_table_has_the_texts_of_hooks_by_hand(finished: Checkout) -> None:
    folder = finished.folder
    network = AutoModelForCausalLM.from_pretrained(folder / "tiny").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "tiny")
    (path,) = (folder / "results" / "cache" / "vectors").glob("tiny.*")
    vector = torch.from_numpy(read_tensors(path)["vector"])
    table = read_table(folder / "results/texts/tables/written.listed.parquet").to_pandas()
    assert table["coefficient"].tolist() == [-30, 0, 4] * 2
    for row in table.itertuples():
        expected = []
        for prompt in PROMPTS:
            ids = tokenizer(f"[INST] {prompt} [/INST] ", return_tensors="pt")["input_ids"]
            part = oracle.Part(int(row.layer), vector[int(row.layer)])
            with oracle.hooked(network.model.layers, [part], row.coefficient):
                found = network.generate(
                    ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10
                )
            expected.append(tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True))
        assert list(row.texts) == expected
        assert row.mine == pytest.approx(sum(2 * len(text) for text in expected) / 3)


def test_every_text_is_on_the_page(finished: Checkout) -> None:
    folder = finished.folder / "results" / "texts"
    table = read_table(folder / "tables" / "written.instructions.parquet").to_pandas()
    assert table["samples"].eq(4).all() and table["n"].eq(3).all()
    assert table["texts"].map(len).eq(12).all()
    page = (folder / "samples" / "written.instructions.html").read_text()
    assert page.count("<pre>") == 2 * (4 + 3 * 12)
    assert (folder / "samples" / "written.listed.html").is_file()


def test_another_score_writes_nothing_again(finished: Checkout) -> None:
    folder = finished.folder
    table = folder / "results/texts/tables/written.listed.parquet"
    before = read_table(table).to_pandas()
    logs = folder / "results" / "logs" / "sweep"
    ran = set(logs.glob("*.usage.json"))
    run(finished, {"mine": {"scorer": "long.py", "options": {"by": 2}}, "distinct": {}})
    after = read_table(table).to_pandas()
    (new,) = set(logs.glob("*.usage.json")) - ran
    assert tokens(new) == 0 < tokens(*ran)
    assert {"distinct", "distinct_low", "distinct_pairs"} < set(after.columns)
    for name in before.columns:
        assert before[name].map(repr).tolist() == after[name].map(repr).tolist()
    (folder / "mine" / "long.py").write_text(MINE.replace("* len", "* 2 * len"))
    run(finished, {"mine": {"scorer": "long.py", "options": {"by": 2}}, "distinct": {}})
    again = read_table(table).to_pandas()
    assert (again["mine"] == 2 * after["mine"]).all()
    assert (again["distinct"] == after["distinct"]).all()


def tokens(path: Path) -> int:
    found: int = json.loads(path.read_text())["tokens"]
    return found
