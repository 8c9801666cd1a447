"""config/papers/refusal-direction.yaml at a reduced size: small random models with tokenizers of
each model's kind, and harmless instructions of the tests' own in the authors' files.

What it selects, scores and chooses is held against loops with transformers and hooks alone.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hub
import llama
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import REPOSITORY
from tokenizer_kinds import KINDS
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from checkout import Checkout, copy_of_repository
from snakesteer.plan.bill import bill
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file

STUDY = REPOSITORY / "config" / "papers" / "refusal-direction.yaml"
LAYERS, HIDDEN = 4, 16
TOKENIZERS = {
    "gemma": "Gemma",
    "yi": "Llama 2, by its file",
    "llama-2": "Llama 2",
    "llama-3": "byte-level, templates in a sequence (Llama 3)",
}
SEEDS = {"gemma": 4, "yi": 1, "llama-2": 2, "llama-3": 3}  # of models in which candidates qualify
SIZES = {"harmful": (40, 16), "harmless": (40, 16)}
TRAIN, VALIDATION, TEST = 24, 10, 3
KINDS_OF_REQUEST = {"harmful": "Sing about", "harmless": "Tell me of"}
SUBJECTS = "mill river bread wool honey market valley winter sack hill".split()


def instructions(kind: str, split: str, count: int) -> list[dict[str, Any]]:
    begin = KINDS_OF_REQUEST[kind]
    made = []
    for number in range(count):
        subject, other = SUBJECTS[number % 10], SUBJECTS[(number // 10 + 3) % 10]
        text = f"{begin} the {subject} and {number} {other}s, {split}."
        made.append({"instruction": text, "category": None})
    return made


def repository(folder: Path) -> Path:
    """The instructions in the files of the authors' repository."""
    splits = folder / "dataset" / "splits"
    splits.mkdir(parents=True)
    for kind, (train, validation) in SIZES.items():
        for split, count in (("train", train), ("val", validation), ("test", 8)):
            text = json.dumps(instructions(kind, split, count), indent=4)
            (splits / f"{kind}_{split}.json").write_text(text)
    return folder


def alpaca(folder: Path) -> Path:
    records = [
        {
            "instruction": f"Count the {SUBJECTS[number % 10]}s.",
            "input": "of the valley" if number % 3 == 0 else "",
            "output": f"There are {number} of them by the river.",
            "text": "",
        }
        for number in range(30)
    ]
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(records), folder / "data" / "train-00000-of-00001.parquet")
    return folder


def model(folder: Path, name: str, seed: int) -> Path:
    """A random model of its architecture with a tokenizer of its kind, in the hub's layout."""
    KINDS[TOKENIZERS[name]].write(folder)
    vocabulary = len(AutoTokenizer.from_pretrained(folder))
    sizes: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "intermediate_size": 24,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    }
    torch.manual_seed(seed)
    if name == "gemma":
        network: Any = GemmaForCausalLM(GemmaConfig(head_dim=8, **sizes))
    else:
        network = LlamaForCausalLM(LlamaConfig(**sizes))
    with torch.no_grad():
        for weights in network.parameters():
            if weights.dim() > 1:
                weights.mul_(4)
    network.save_pretrained(folder)
    return folder


def tokens(folder: Path, template: str) -> list[int]:
    """Tokens with which a random model answers one kind of request more often than the other, and
    others with them, so that both kinds together give them half of the probability."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    means = {}
    for kind in SIZES:
        found = []
        for record in instructions(kind, "train", SIZES[kind][0]):
            ids = tokenizer(template.replace("{prompt}", record["instruction"])).input_ids
            with torch.no_grad():
                found.append(network(torch.tensor([ids])).logits[0, -1].double().softmax(-1))
        means[kind] = torch.stack(found).mean(0)
    apart = (means["harmful"] - means["harmless"]).argsort(descending=True)
    both = (means["harmful"] + means["harmless"])[apart].cumsum(0) / 2
    return sorted(apart[: int((both < 0.5).sum())].tolist())


def reduced(folder: Path, models: Mapping[str, Path]) -> dict[str, Any]:
    """The study with other sources, sizes, and the tokens of the tests' vocabularies."""
    before = {
        "harmful": {"validation": [TRAIN, TRAIN]},
        "harmless": {"train": [TRAIN], "validation": [TRAIN, TRAIN, VALIDATION]},
        "harmless-test": {"train": [TRAIN], "validation": [TRAIN, TRAIN, VALIDATION, VALIDATION]},
    }
    whole = study_file.read(STUDY)
    corpora: dict[str, Any] = {}
    for name, splits in before.items():
        drawn: dict[str, Any] = {}
        for split, sizes in splits.items():
            given = whole["corpora"][name]["sample"]["before"][split]
            drawn[split] = [
                {**draw, "documents": size} for draw, size in zip(given, sizes, strict=True)
            ]
        corpora[name] = {"sample": {"before": drawn}, "train": TRAIN, "validation": VALIDATION}
    corpora["harmless-test"]["validation"] = TEST
    corpora |= {
        "pile": {"validation": 8},
        "alpaca": {"validation": 8, "splits": {"train": {"skip": 8}}},
    }
    sweeps: dict[str, Any] = {}
    for name, place in models.items():
        own = {"tokens": tokens(place, whole["formats"][name]["template"])}
        corpora |= {f"{name}-{kind}": own for kind in SIZES}
        sweeps |= {f"{name}-{how}": {"measures": {"refusal": own}} for how in ("ablated", "added")}
        small = {"measures": {"pile": {"tokens": 60}, "alpaca": {"tokens": 20}}}
        sweeps |= {f"{name}-losses-{how}": small for how in ("ablated", "added")}
        sweeps[f"{name}-induced"] = {"measures": {"continuation": {"tokens": 4}}}
    return {
        "extends": "../config/papers/refusal-direction.yaml",
        "repositories": {"refusal-direction": {"source": str(repository(folder / "repository"))}},
        "models": dict.fromkeys(models, {"layers": LAYERS, "dtype": "float32"}),
        "corpora": corpora,
        "sweeps": sweeps,
    }


def test_the_whole_study_is_planned_and_priced() -> None:
    plan = Plan(study_file.load(STUDY), REPOSITORY)
    candidates = {"gemma": 5 * 18, "yi": 6 * 32, "llama-2": 6 * 32, "llama-3": 5 * 32}
    for name, count in candidates.items():
        for how in ("ablated", "added"):
            jobs = plan.sweeps[f"{name}-{how}"]
            assert sum(len(job.settings["injections"]) for job in jobs) == count
    sweeps = next(item for item in bill(plan) if item.rule == "sweep")
    assert sweeps.jobs == sum(len(jobs) for jobs in plan.sweeps.values())
    assert 0 < sweeps.least_tokens <= sweeps.tokens and sweeps.gpu_hours > 0


@contextmanager
def served(root: Path, models: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    study = study_file.load(STUDY)
    repositories = {}
    for name, folder in models.items():
        entry = study.models[name]
        repositories[str(entry.source)] = hub.Served(str(entry.revision), folder)
    for name, folder in (("pile", llama.pile(root / "pile")), ("alpaca", alpaca(root / "alpaca"))):
        place = study.corpora[name].model_dump()["splits"]["train"]
        address = f"datasets/{place['repository']}"
        repositories[address] = hub.Served(place["revision"], folder)
    with hub.StandIn(repositories) as standing_in:
        yield standing_in.environment(root / "home")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, Path]:
    root = tmp_path_factory.mktemp("refusal")
    models = {name: model(root / name, name, seed) for name, seed in SEEDS.items()}
    checkout = copy_of_repository(tmp_path_factory.mktemp("repository"))
    with served(root, models) as environment:
        checkout.reduced(reduced(root, models), environment)
    return checkout, root


def table(checkout: Checkout, name: str) -> pd.DataFrame:
    path = checkout.folder / f"results/refusal-direction/tables/{name}.parquet"
    return pq.read_table(path).to_pandas()


@pytest.mark.long
def test_every_figure_table_and_scorecard_is_made(finished: tuple[Checkout, Path]) -> None:
    checkout, _ = finished
    study = study_file.load(checkout.folder / "tests" / "reduced.yaml")
    results = checkout.folder / "results" / "refusal-direction"
    for name in study.figures:
        assert len((results / "figures" / f"{name}.csv").read_text().splitlines()) > 1
    for name in study.scorecards:
        assert (results / "scorecards" / f"{name}.html").stat().st_size
    for name in TOKENIZERS:
        induced = table(checkout, f"{name}-induced")
        assert set(induced["source"]) == {"harmless-test"}


@pytest.mark.long
def test_no_text_is_written_on_from_what_must_not_be(finished: tuple[Checkout, Path]) -> None:
    checkout, root = finished
    path = root / "repository/dataset/splits"
    harmful = set()
    for file in path.glob("harmful_*.json"):
        harmful |= {record["instruction"] for record in json.loads(file.read_text())}
    written = 0
    for file in (checkout.folder / "results/cache/sweeps").glob("*.parquet"):
        rows = pq.read_table(file).to_pandas()
        if "prompt" in rows:
            assert not harmful & set(rows["prompt"])
            written += len(rows)
    assert written == len(TOKENIZERS) * 2 * TEST


class ByHand:
    """The authors' method with transformers and hooks alone, for one model."""

    def __init__(self, root: Path, name: str) -> None:
        study = study_file.load(STUDY)
        self.name = name
        self.tokenizer = AutoTokenizer.from_pretrained(root / name)
        self.model = AutoModelForCausalLM.from_pretrained(root / name, dtype=torch.float32).eval()
        self.blocks = list(self.model.model.layers)
        self.template = study.formats[name].template
        self.set = tokens(root / name, self.template)
        self.positions = study.activations[f"{name}-harmful"].positions
        self.drawn = self.draw(root / "repository" / "dataset" / "splits")

    @staticmethod
    def draw(splits: Path) -> dict[str, list[str]]:
        texts = {}
        for path in splits.glob("*.json"):
            texts[path.stem] = [each["instruction"] for each in json.loads(path.read_text())]
        random.seed(42)
        return {
            name: random.sample(texts[name], size)
            for name, size in (
                ("harmful_train", TRAIN),
                ("harmless_train", TRAIN),
                ("harmful_val", VALIDATION),
                ("harmless_val", VALIDATION),
                ("harmless_test", TEST),
            )
        }

    def last(self, text: str, changes: Any = None) -> torch.Tensor:
        """Probabilities of the next token, float64, while the hooks of `changes` are there."""
        ids = self.tokenizer(self.template.replace("{prompt}", text)).input_ids
        with ExitStack() as hooks, torch.no_grad():
            for hook in changes or ():
                hooks.callback(hook().remove)
            return self.model(torch.tensor([ids])).logits[0, -1].double().softmax(-1)

    def score(self, text: str, changes: Any = None) -> float:
        p = self.last(text, changes)[self.set].sum().item()
        return math.log(p + 1e-8) - math.log(1 - p + 1e-8)

    def kept(self, name: str) -> list[str]:
        above = name.startswith("harmful")
        return [text for text in self.drawn[name] if (self.score(text) > 0) == above]

    def inputs(self, text: str) -> torch.Tensor:
        """What every block reads at the positions, [positions, layers, hidden]."""
        found: list[torch.Tensor] = []

        def keep(_module: Any, given: Any) -> None:
            found.append(given[0][0, self.positions].double())

        def kept(block: Any) -> Any:
            return lambda: block.register_forward_pre_hook(keep)

        self.last(text, [kept(block) for block in self.blocks])
        return torch.stack(found, dim=1)

    def ablation(self, direction: torch.Tensor) -> list[Any]:
        unit = (direction / (direction.norm() + 1e-8)).float()

        def without(states: torch.Tensor) -> torch.Tensor:
            return states - (states @ unit)[..., None] * unit

        def before(_module: Any, given: Any) -> Any:
            return (without(given[0]), *given[1:])

        def behind(_module: Any, _given: Any, out: Any) -> Any:
            return (without(out[0]), *out[1:]) if isinstance(out, tuple) else without(out)

        hooks: list[Any] = []
        for block in self.blocks:
            hooks.append(lambda block=block: block.register_forward_pre_hook(before))
            for module in (block.self_attn, block.mlp):
                hooks.append(lambda module=module: module.register_forward_hook(behind))
        return hooks

    def addition(self, direction: torch.Tensor, layer: int) -> list[Any]:
        def add(_module: Any, given: Any) -> Any:
            return (given[0] + direction.float(), *given[1:])

        return [lambda: self.blocks[layer].register_forward_pre_hook(add)]

    def check_losses(self, checkout: Checkout, direction: torch.Tensor, layer: int) -> None:
        """Losses of the chosen direction, per token: of documents all but the first token count, of
        instructions those of the completion."""
        for how, coefficient, hooks in (
            ("ablated", 1.0, self.ablation(direction)),
            ("added", -1.0, self.addition(-direction, layer)),
        ):
            for corpus in ("pile", "alpaca"):
                ours = table(checkout, f"{self.name}-losses-{how}.{corpus}")
                row = ours[ours["coefficient"] == coefficient]
                (path,) = (checkout.folder / "results/cache/documents").glob(
                    f"{corpus}-validation.*.parquet"
                )
                rows = pq.read_table(path).to_pandas()[: int(row["documents"].item())]
                losses: list[float] = []
                for _, record in rows.iterrows():
                    losses += self.losses(record, hooks)
                assert len(losses) == row["tokens"].item()
                assert row["nll"].item() == pytest.approx(np.mean(losses), abs=1e-4)

    def losses(self, record: Any, hooks: list[Any]) -> list[float]:
        """The cross-entropy of every token that counts."""
        first, text = 1, record["text"]
        if "completion" not in record:
            ids = self.tokenizer(text).input_ids[:256]
        else:  # from the first token that the prompt by itself does not have
            prompt = self.template.replace("{prompt}", text)
            alone = self.tokenizer(prompt).input_ids
            ids = self.tokenizer(prompt + record["completion"]).input_ids
            first = next(i for i in range(len(ids)) if ids[: i + 1] != alone[: i + 1])
        with ExitStack() as stack, torch.no_grad():
            for hook in hooks:
                stack.callback(hook().remove)
            logits = self.model(torch.tensor([ids])).logits[0]
        every = torch.nn.functional.cross_entropy(
            logits[:-1], torch.tensor(ids[1:]), reduction="none"
        )
        return every[first - 1 :].tolist()


@pytest.mark.long
@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_grid_and_the_choice_are_those_of_a_loop_by_hand(
    finished: tuple[Checkout, Path], name: str
) -> None:
    checkout, root = finished
    by_hand = ByHand(root, name)
    kept = {split: by_hand.kept(split) for split in by_hand.drawn if "test" not in split}
    for kind in SIZES:
        for split, short in (("train", "train"), ("validation", "val")):
            (path,) = (checkout.folder / "results/cache/documents").glob(
                f"{name}-{kind}-{split}.*.parquet"
            )
            ours = pq.read_table(path).to_pandas()
            assert list(ours["text"]) == kept[f"{kind}_{short}"]
    means = {
        kind: torch.stack([by_hand.inputs(text) for text in kept[f"{kind}_train"]]).mean(0)
        for kind in SIZES
    }
    directions = means["harmful"] - means["harmless"]

    unsteered = {text: by_hand.last(text) for text in kept["harmless_val"]}
    ablated = table(checkout, f"{name}-ablated.refusal")
    divergence = table(checkout, f"{name}-ablated.kl")
    added = table(checkout, f"{name}-added")
    best: tuple[float, int, int] | None = None
    for place, position in enumerate(by_hand.positions):
        for layer in range(LAYERS):
            direction = directions[place, layer]
            hooks = by_hand.ablation(direction)
            refusal = np.mean([by_hand.score(text, hooks) for text in kept["harmful_val"]])
            kls = []
            for text, p in unsteered.items():
                q = by_hand.last(text, hooks)
                kls.append((p * ((p + 1e-6).log() - (q + 1e-6).log())).sum().item())
            hooks = by_hand.addition(direction, layer)
            steering = np.mean([by_hand.score(text, hooks) for text in kept["harmless_val"]])
            at = {"source_position": position, "coefficient": 1.0}
            for ours, column, expected, of in (
                (ablated, "log_odds", refusal, {"source_layer": layer}),
                (divergence, "kl", np.mean(kls), {"source_layer": layer}),
                (added, "log_odds", steering, {"layer": str(layer)}),
            ):
                rows = ours
                for field, value in {**at, **of}.items():
                    rows = rows[rows[field] == value]
                assert rows[column].item() == pytest.approx(expected, abs=2e-4), (at, of, column)
            allowed = layer < int(0.8 * LAYERS) and np.mean(kls) <= 0.1 and steering >= 0
            if allowed and (best is None or refusal < best[0]):
                best = (float(refusal), position, layer)
    assert best is not None
    by_hand.check_losses(checkout, directions[by_hand.positions.index(best[1]), best[2]], best[2])
    (path,) = (checkout.folder / "results/cache/choices").glob(f"{name}.*.json")
    chosen = json.loads(path.read_text())["chosen"]
    assert (chosen["position"], chosen["layer"]) == best[1:]
