"""A direction among positions and layers, chosen by rule, held against a loop with hooks.

The experiment is that of Arditi et al. (2024) on a random model, with harmless instructions of two
kinds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tiny
import torch
import yaml
from test_reading_workflow import TEMPLATE
from transformers import AutoModelForCausalLM, AutoTokenizer

import oracle
from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_json, read_provenance, read_table, read_tensors

pytestmark = pytest.mark.long

N_LAYERS, BELOW = 6, 4  # int(0.8 × 6)
LAYERS, POSITIONS = (1, 2, 3, 4, 5), (-3, -2, -1)
TOKEN, MOST, LEAST = 40, 0.025, -6.06
ADDED_AT = {"sites": ["input"]}
EVERYWHERE = {"operator": "ablate", "layers": ["all"], "sites": ["input", "attention", "mlp"]}
READ = {"format": "chat", "max_tokens": 100}
ODDS = {"measure": "first_token", "tokens": [TOKEN], "epsilon": 1e-8, **READ}
ASKING = {"refusal": {**ODDS, "corpora": ["asking"]}}
TELLING = {"refusal": {**ODDS, "corpora": ["telling"]}}
KL = {"kl": {"measure": "divergence", "epsilon": 1e-6, "corpora": ["telling"], **READ}}
CANDIDATES = {"vector": "direction", "source_positions": "all"}


def sweep(inject: dict[str, Any], measures: dict[str, Any]) -> dict[str, Any]:
    return {"model": "chat", "inject": inject, "coefficients": [0, 1], "measures": measures}


def corpus(file: str) -> dict[str, Any]:
    here = {"files": [f"{file}.jsonl"]}
    given = {"source": "files", "field": "q", "shuffle": False, "train": 6, "validation": 6}
    return {**given, "splits": {"train": here, "validation": {**here, "skip": 6}}}


def activations(name: str) -> dict[str, Any]:
    read = {"format": "chat", "site": "input", "positions": list(POSITIONS)}
    return {"model": "chat", "corpus": name, **read}


def chosen(at: str) -> dict[str, Any]:
    return {"method": "chosen", "of": "direction", "choice": "best", "at": at}


def figure(table: str) -> dict[str, Any]:
    return {"kind": "layers", "sweeps": [table], "choice": "best"}


STUDY = {
    "name": "candidates",
    "models": {"chat": {"source": "chat", "dtype": "float32"}},
    "corpora": {"asking": corpus("asking"), "telling": corpus("telling")},
    "activations": {name: activations(name) for name in ("asking", "telling")},
    "vectors": {
        "direction": {"add": ["asking"], "subtract": ["telling"]},
        "everywhere": chosen("all"),
        "own": chosen("own"),
        "longer": {**chosen("own"), "scale": 3},
    },
    "sweeps": {
        "ablated": sweep({**CANDIDATES, **EVERYWHERE, "source_layers": [*LAYERS]}, ASKING | KL),
        "added": sweep({**CANDIDATES, **ADDED_AT, "layers": [*LAYERS]}, TELLING),
        "later": sweep({"vector": "everywhere", **EVERYWHERE}, ASKING),
        "induced": sweep({"vector": "own", **ADDED_AT, "layers": ["all"]}, TELLING),
    },
    "choices": {
        "best": {
            "best": {"lowest": "ablated.refusal"},
            "limits": [
                {"table": "ablated.kl", "at_most": MOST},
                {"table": "added", "column": "log_odds", "at_least": LEAST},
            ],
            "layers_below": 0.8,
        }
    },
    "figures": {
        "ablated": figure("ablated.refusal"),
        "kl": figure("ablated.kl"),
        "added": figure("added"),
    },
}


def instructions(start: int, asks: str) -> list[str]:
    words = tiny.PROSE.split()
    return [asks + " ".join(words[start + i : start + i + 3 + i % 3]) for i in range(12)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the repository in which the study has been run."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    tiny.folder(checkout.folder / "chat", tiny.network(num_hidden_layers=N_LAYERS))
    (checkout.folder / "chat" / "chat_template.jinja").write_text(TEMPLATE)
    for name, start, asks in (("asking", 0, "Yes, she "), ("telling", 9, "The mill ")):
        lines = [json.dumps({"q": text}) + "\n" for text in instructions(start, asks)]
        (checkout.folder / f"{name}.jsonl").write_text("".join(lines))
    config = checkout.folder / "candidates.yaml"
    config.write_text(yaml.safe_dump(STUDY, sort_keys=False))
    checkout.forked("--cores", "1", config=config)
    return checkout


class Scores(NamedTuple):
    """What decides about a candidate."""

    refusal: float
    kl: float
    steering: float


class Loop:
    """The experiment one prompt at a time, with hooks."""

    def __init__(self, folder: Path) -> None:
        self.network = AutoModelForCausalLM.from_pretrained(folder / "chat").eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "chat")
        self.blocks = self.network.model.layers
        self.prompts = {}
        for name in ("asking", "telling"):
            lines = (folder / f"{name}.jsonl").read_text().splitlines()
            self.prompts[name] = [self.ids(json.loads(line)["q"]) for line in lines]

    def ids(self, instruction: str) -> list[int]:
        told = [{"role": "user", "content": instruction}]
        text = self.tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def inputs(self, ids: list[int]) -> torch.Tensor:
        """What each block reads at the last positions, [positions, n_layers, hidden]."""
        read: dict[int, torch.Tensor] = {}
        handles = []
        for layer, block in enumerate(self.blocks):

            def keep(_module: Any, args: Any, layer: int = layer) -> None:
                read[layer] = args[0][0, list(POSITIONS)]

            handles.append(block.register_forward_pre_hook(keep))
        with torch.no_grad():
            self.network(torch.tensor([ids]))
        for handle in handles:
            handle.remove()
        return torch.stack([read[layer] for layer in range(N_LAYERS)], dim=1).double()

    def direction(self) -> torch.Tensor:
        """[positions, n_layers, hidden]."""
        means = []
        for name in ("asking", "telling"):
            means.append(torch.stack([self.inputs(ids) for ids in self.prompts[name][:6]]).mean(0))
        return means[0] - means[1]

    def ablating(self, vector: torch.Tensor) -> list[oracle.Part]:
        sites = ("input", "attention", "mlp")
        return [
            oracle.Part(layer, vector, site, "ablate")
            for layer in range(N_LAYERS)
            for site in sites
        ]

    def last(self, ids: list[int], parts: list[oracle.Part]) -> torch.Tensor:
        return oracle.forward(self.network, self.blocks, ids, parts, 1.0)[0][-1]

    def odds(self, name: str, parts: list[oracle.Part]) -> float:
        found = [
            oracle.log_odds(self.last(ids, parts), [TOKEN], 1e-8) for ids in self.prompts[name][6:]
        ]
        return float(np.mean(found))

    def scores(self, vector: torch.Tensor, layer: int) -> Scores:
        ablating, divergences = self.ablating(vector), []
        for ids in self.prompts["telling"][6:]:
            before, after = (self.last(ids, parts).double().softmax(0) for parts in ([], ablating))
            ratio = torch.log(before + 1e-6) - torch.log(after + 1e-6)
            divergences.append(float((before * ratio).sum()))
        return Scores(
            self.odds("asking", ablating),
            float(np.mean(divergences)),
            self.odds("telling", [oracle.Part(layer, vector, "input")]),
        )


@pytest.fixture(scope="module")
def loop(checkout: Checkout) -> Loop:
    return Loop(checkout.folder)


@pytest.fixture(scope="module")
def expected(loop: Loop) -> dict[tuple[int, int], Scores]:
    """The scores of every candidate, (position, layer), by hand."""
    direction = loop.direction()
    return {
        (position, layer): loop.scores(direction[place, layer], layer)
        for place, position in enumerate(POSITIONS)
        for layer in LAYERS
    }


def table(checkout: Checkout, name: str) -> Any:
    path = checkout.folder / "results" / "candidates" / "tables" / f"{name}.parquet"
    rows = read_table(path).to_pandas()
    return rows[~rows["unsteered"]]


def choice(checkout: Checkout) -> dict[str, Any]:
    return read_json(checkout.folder / "results" / "candidates" / "choices" / "best.json")


def test_scores_of_candidates_are_those_of_hooks_by_hand(
    checkout: Checkout, expected: dict[tuple[int, int], Scores]
) -> None:
    columns = {"refusal": ("ablated.refusal", "log_odds"), "kl": ("ablated.kl", "kl")}
    columns["steering"] = ("added", "log_odds")
    for score, (name, column) in columns.items():
        rows = table(checkout, name)
        layers = rows["layer" if name == "added" else "source_layer"].astype(int)
        found = dict(
            zip(zip(rows["source_position"], layers, strict=True), rows[column], strict=True)
        )
        assert found.keys() == expected.keys()
        for candidate, value in found.items():
            assert value == pytest.approx(getattr(expected[candidate], score), rel=1e-3, abs=1e-4)


def test_the_candidate_that_is_chosen_is_the_one_by_hand(
    checkout: Checkout, expected: dict[tuple[int, int], Scores]
) -> None:
    left = {}
    for (position, layer), scores in expected.items():
        if layer < BELOW and scores.kl <= MOST and scores.steering >= LEAST:
            left[position, layer] = scores
    best = min(left, key=lambda candidate: left[candidate].refusal)
    unlimited = min(expected, key=lambda candidate: expected[candidate].refusal)
    assert 1 < len(left) < len(expected) and best != unlimited
    made = choice(checkout)
    assert (made["chosen"]["position"], made["chosen"]["layer"]) == best
    assert made["candidates"] == len(expected)
    out = [each["candidates"] for each in made["left_out"]]
    assert min(out[1:]) > 0 and sum(out) == len(expected) - len(left)


def made_vector(checkout: Checkout, name: str) -> np.ndarray:
    path = checkout.folder / "results" / "candidates" / "vectors" / f"{name}.safetensors"
    return read_tensors(path)["vector"]


def test_vectors_hold_the_chosen_row(checkout: Checkout) -> None:
    made = choice(checkout)["chosen"]
    layer = made["layer"]
    row = made_vector(checkout, "direction")[POSITIONS.index(made["position"]), layer]
    assert (made_vector(checkout, "everywhere") == row).all()
    own, longer = made_vector(checkout, "own"), made_vector(checkout, "longer")
    assert (own[layer] == row).all() and not np.delete(own, layer, axis=0).any()
    assert np.allclose(longer[layer], 3 * row / np.linalg.norm(row), rtol=1e-5)
    assert not np.delete(longer, layer, axis=0).any()
    cache = checkout.folder / "results" / "cache" / "vectors"
    (path,) = cache.glob("own-chosen.*")
    assert read_provenance(path)["chosen"] == {
        name: made[name] for name in ("layer", "position", "coefficient")
    }


def test_what_is_chosen_acts_later_as_the_candidate_did(checkout: Checkout, loop: Loop) -> None:
    made = choice(checkout)["chosen"]
    vector = loop.direction()[POSITIONS.index(made["position"]), made["layer"]]
    (ablated,) = table(checkout, "later")["log_odds"]
    assert ablated == pytest.approx(loop.odds("asking", loop.ablating(vector)), rel=1e-3, abs=1e-4)
    (added,) = table(checkout, "induced")["log_odds"]
    parts = [oracle.Part(made["layer"], vector, "input")]
    assert added == pytest.approx(loop.odds("telling", parts), rel=1e-3, abs=1e-4)
    values = {score["table"]: score["value"] for score in made["scores"]}
    assert values["ablated.refusal"] == pytest.approx(ablated, rel=1e-6)
    assert values["added"] == pytest.approx(added, rel=1e-6)


def test_a_second_run_has_nothing_to_do(checkout: Checkout) -> None:
    assert checkout.planned(checkout.folder / "candidates.yaml") == {}
