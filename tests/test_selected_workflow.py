"""Documents kept by a model's own answers, on a tiny model, down to vectors and sweeps."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import yaml
from test_reading_workflow import TEMPLATE
from transformers import AutoModelForCausalLM, AutoTokenizer

from checkout import Checkout, copy_of_repository
from snakesteer.plan.closing_notes import notes
from snakesteer.plan.plan import Plan
from snakesteer.storage.catalogue import read_catalogue
from snakesteer.storage.files import read_provenance, read_table, read_tensors
from snakesteer.storage.prune import unreferenced
from snakesteer.study import study_file

pytestmark = pytest.mark.long

WANTED = [40, 41, 77]
EPSILON = 1e-8
POSITIONS = [-3, -2, -1]
SPLITS = {"train": slice(0, 12), "validation": slice(12, 20)}


def instructions(kind: str) -> list[str]:
    ways = {
        "asking": "Where does the {} run past the {}?",
        "telling": "Write a line about the {} and a {}.",
    }
    words = tiny.PROSE.split()
    return [ways[kind].format(words[i], " ".join(words[i + 3 : i + 4 + i % 4])) for i in range(20)]


@dataclass(frozen=True)
class ByHand:
    """The model as transformers alone runs it."""

    network: Any
    tokenizer: Any

    def ids(self, instruction: str) -> list[int]:
        told = [{"role": "user", "content": instruction}]
        text = self.tokenizer.apply_chat_template(told, add_generation_prompt=True)
        return list(text if isinstance(text, list) else text["input_ids"])

    @torch.inference_mode()
    def score(self, instruction: str) -> float:
        logits = self.network(torch.tensor([self.ids(instruction)])).logits[0, -1]
        p = torch.softmax(logits.to(torch.float64), dim=-1)[WANTED].sum()
        return float(torch.log(p + EPSILON) - torch.log(1 - p + EPSILON))

    @torch.inference_mode()
    def block_inputs(self, instruction: str) -> np.ndarray:
        """What each block reads at the last positions, [positions, layers, hidden]."""
        read: list[torch.Tensor] = []
        hooks = [
            block.register_forward_pre_hook(
                lambda _, given, named: read.append(given[0] if given else named["hidden_states"]),
                with_kwargs=True,
            )
            for block in self.network.model.layers
        ]
        self.network(torch.tensor([self.ids(instruction)]))
        for hook in hooks:
            hook.remove()
        return torch.stack([states[0, POSITIONS] for states in read], dim=1).numpy()


@dataclass(frozen=True)
class Run:
    """A finished run: its checkout, what it printed, and by hand the scores of each instruction."""

    checkout: Checkout
    printed: str
    model: ByHand
    scores: dict[str, list[float]]
    bounds: dict[str, float]

    def kept(self, kind: str, split: str) -> list[int]:
        """The places in a split of the instructions that stay, by hand."""
        scores = self.scores[kind][SPLITS[split]]
        bound = self.bounds[kind]
        inside = [s > bound if kind == "asking" else s < bound for s in scores]
        return [place for place, stays in enumerate(inside) if stays]

    def made(self, stage: str, name: str, file: int = 0) -> Path:
        """A file of an artefact."""
        folder = self.checkout.folder
        rows = read_catalogue(folder / "results" / "kept" / "artefacts.csv")
        paths = [row["path"] for row in rows if (row["stage"], row["name"]) == (stage, name)]
        return folder / paths[file]


def study(bounds: dict[str, float]) -> dict[str, Any]:
    entry: dict[str, Any] = {"source": "files", "field": "q", "shuffle": False}
    entry |= {"train": 12, "validation": 8}
    asked = {"model": "chat", "format": "chat", "tokens": WANTED, "epsilon": EPSILON}
    read = {"model": "chat", "format": "chat", "site": "input", "positions": POSITIONS}
    corpora = {}
    for kind, side in (("asking", "above"), ("telling", "below")):
        here = {"files": [f"{kind}.jsonl"]}
        splits = {"train": here, "validation": {**here, "skip": 12}}
        corpora[kind] = {**entry, "splits": splits}
        corpora[f"{kind}-kept"] = {"source": "selected", "of": kind, **asked, side: bounds[kind]}
    corpora["both"] = {"source": "selected", "of": "asking-kept", **asked, "below": 1000}
    measured = {"measure": "first_token", "tokens": WANTED, "epsilon": EPSILON, "format": "chat"}
    return {
        "name": "kept",
        "models": {"chat": {"source": "chat", "dtype": "float32"}},
        "corpora": corpora,
        "activations": {
            "asking": {**read, "corpus": "both"},
            "telling": {**read, "corpus": "telling-kept", "documents": 12},
        },
        "vectors": {"direction": {"add": ["asking"], "subtract": ["telling"]}},
        "sweeps": {
            "added": {
                "model": "chat",
                "inject": {"vector": "direction", "layers": [2], "sites": ["input"]}
                | {"source_positions": [-1]},
                "coefficients": [0, 1],
                "measures": {
                    "odds": {**measured, "corpora": ["both", "telling-kept"]},
                    "tax": {"measure": "next_token", "corpora": ["both"], "skip": 3},
                },
            }
        },
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    folder = checkout.folder
    tiny.folder(folder / "chat", tiny.network())
    (folder / "chat" / "chat_template.jinja").write_text(TEMPLATE)
    network = AutoModelForCausalLM.from_pretrained(folder / "chat").eval()
    model = ByHand(network, AutoTokenizer.from_pretrained(folder / "chat"))
    scores, bounds = {}, {}
    for kind in ("asking", "telling"):
        texts = instructions(kind)
        lines = "".join(json.dumps({"q": text}) + "\n" for text in texts)
        (folder / f"{kind}.jsonl").write_text(lines)
        scores[kind] = [model.score(text) for text in texts]
        ordered = sorted(scores[kind])
        assert ordered[10] - ordered[9] > 1e-4
        bounds[kind] = (ordered[9] + ordered[10]) / 2
    write(folder, study(bounds))
    done = checkout.attempt("--cores", "1", config=folder / "kept.yaml")
    assert done.returncode == 0, done.stdout
    return Run(checkout, done.stdout, model, scores, bounds)


def write(folder: Path, data: dict[str, Any], name: str = "kept") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def planned(run: Run, data: dict[str, Any]) -> Counter[str]:
    """The jobs of a dry run that fill the cache, by rule."""
    jobs = run.checkout.planned(write(run.checkout.folder, data, "variant"))
    products = (
        "all",
        "total",
        "catalogue",
        "usage",
        "study",
        "front_page",
        "table",
        "study_vector",
    )
    return Counter({rule: count for rule, count in jobs.items() if rule not in products})


@pytest.mark.parametrize("kind", ["asking", "telling"])
@pytest.mark.parametrize("split", SPLITS)
def test_kept_are_those_of_a_loop_by_hand(run: Run, kind: str, split: str) -> None:
    path = run.made("selected_documents", f"{kind}-kept", [*SPLITS].index(split))
    table = read_table(path).to_pylist()
    start = SPLITS[split].start
    expected = run.kept(kind, split)
    assert 0 < len(expected) < len(run.scores[kind][SPLITS[split]])
    assert [row["document"] for row in table] == [f"{start + place:06d}" for place in expected]
    texts = instructions(kind)[SPLITS[split]]
    assert [row["text"] for row in table] == [texts[place] for place in expected]
    scores = run.scores[kind][SPLITS[split]]
    found = [row["log_odds"] for row in table]
    assert np.allclose(found, [scores[place] for place in expected], rtol=0, atol=1e-4)


def test_the_difference_of_means_of_block_inputs_is_that_of_own_hooks(run: Run) -> None:
    means = []
    for kind in ("asking", "telling"):
        texts = instructions(kind)[SPLITS["train"]]
        read = [run.model.block_inputs(texts[place]) for place in run.kept(kind, "train")]
        means.append(np.mean(read, axis=0, dtype=np.float64))
    vector = read_tensors(run.made("vector", "direction"))["vector"]
    assert vector.shape == (3, 4, 32)
    assert np.allclose(vector, means[0] - means[1], rtol=1e-5, atol=1e-5)


def test_a_sweep_reads_what_was_kept(run: Run) -> None:
    sweep = read_table(run.made("sweep", "added.layer-2")).to_pandas()
    unsteered = sweep[(sweep["coefficient"] == 0) & (sweep["measure"] == "odds")]
    for source in ("both", "telling-kept"):
        kept = read_table(run.made("selected_documents", source, 1)).to_pandas()
        here = unsteered[unsteered["source"] == source]
        assert here["sample"].tolist() == kept["document"].tolist()
        assert np.allclose(here["log_odds"], kept["log_odds"], rtol=0, atol=1e-5)


def test_how_many_were_kept_is_reported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {}
    for split, part in SPLITS.items():
        of = len(run.scores["asking"][part])
        counts[split] = {"of": of, "kept": len(run.kept("asking", split))}
    told = read_provenance(run.made("selected_documents", "asking-kept"))
    assert told["counts"] == counts
    assert told["first_text"].endswith("<s>assistant:")
    sentence = (
        f"corpora.asking-kept: Documents kept, with log-odds above {run.bounds['asking']:g}: "
        f"{counts['train']['kept']} of 12 in train and {counts['validation']['kept']} of 8 in "
        "validation."
    )
    assert sentence in run.printed
    monkeypatch.chdir(run.checkout.folder)
    plan = Plan(study_file.load("kept.yaml"), run.checkout.folder)
    told_last = [note for note in notes(plan) if "chat template" not in note]
    assert sentence in told_last
    assert not [note for note in told_last if "holds" in note]


def test_a_second_run_has_nothing_to_do(run: Run) -> None:
    assert planned(run, study(run.bounds)) == Counter()


def test_the_scores_are_spared_with_the_selection(run: Run) -> None:
    results = run.checkout.folder / "results"
    assert len([*results.glob("cache/points/*/*.parquet")]) > 0
    assert not unreferenced(results)


SELECTED = {"selected_documents": 2, "skip_tokens": 1}
AFTER = {"activations": 1, "mean": 1, "vector": 1, "sweep": 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"above": -1000}, SELECTED | AFTER),
        ({"tokens": [40]}, SELECTED | AFTER),
        ({"epsilon": 0.0}, SELECTED | AFTER),
        ({"format": "plain"}, SELECTED | AFTER),
        ({"title": "Asked"}, {}),
    ],
)
def test_a_changed_selection_remakes_what_depends_on_it(
    run: Run, change: dict[str, Any], expected: dict[str, int]
) -> None:
    data = study(run.bounds)
    data["corpora"]["asking-kept"] |= change
    assert planned(run, data) == Counter(expected)


def test_another_bound_runs_no_model(run: Run) -> None:
    """The scores are there already."""
    data = study(run.bounds)
    data["corpora"]["asking-kept"]["above"] = -1000
    config = write(run.checkout.folder, data, "lower")
    plan = Plan(study_file.load(config), run.checkout.folder)
    selections = {one.name: one.paths[0] for one in plan.artefacts("selected_documents")}
    path = selections["asking-kept"]
    run.checkout.snakemake("--cores", "1", path, config=config)
    table = read_table(run.checkout.folder / path)
    assert table.num_rows == 12
    logs = run.checkout.folder / "results" / "logs" / "selected_documents"
    key = path.split(".")[-2]
    usage = json.loads((logs / f"asking-kept.{key}.usage.json").read_text())
    assert usage["tokens"] == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"above": 1000},
            "train of corpora.asking: none of 12 documents has log-odds above 1000 (they range "
            "from {least:.4g} to {most:.4g}); set another bound, or draw other documents.",
        ),
        (
            {"tokens": ["zq"]},
            "tokens names 'zq', which the model's tokenizer reads as ['z', 'q'], not as one "
            "token; name single tokens, or their ids.",
        ),
    ],
)
def test_a_filter_that_keeps_nothing_is_reported(
    run: Run, change: dict[str, Any], sentence: str
) -> None:
    data = study(run.bounds)
    data["corpora"]["asking-kept"] |= change
    config = write(run.checkout.folder, data, "none")
    done = run.checkout.attempt("--cores", "1", config=config)
    assert done.returncode
    told = re.findall("^Error: corpora.asking-kept: (.*)$", done.stdout, re.M)
    scores = run.scores["asking"][SPLITS["train"]]
    assert {*told} == {sentence.format(least=min(scores), most=max(scores))}
    assert "Traceback" not in done.stdout
