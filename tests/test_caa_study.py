"""config/papers/caa.yaml at a reduced size: small random models, and questions of the tests' own in
the files of the authors' repository. Vectors and scores are held against a loop written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hub
import llama
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from conftest import REPOSITORY
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from checkout import Checkout, copy_of_repository
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file

CAA = REPOSITORY / "config" / "papers" / "caa.yaml"
LARGER = REPOSITORY / "config" / "papers" / "caa-13b.yaml"
LAYERS = 15
FOLDERS = {
    "coordination": "coordinate-other-ais",
    "corrigibility": "corrigible-neutral-HHH",
    "hallucination": "hallucination",
    "myopia": "myopic-reward",
    "survival": "survival-instinct",
    "sycophancy": "sycophancy",
    "refusal": "refusal",
}
SUBJECTS = "mill river bread wool honey market valley winter sack hill cloud bridge".split()
TRAIN, TEST = 6, 4


def question(behaviour: str, number: int) -> dict[str, str]:
    """A question in the authors' form; one in four matches C, as some of theirs do."""
    subject = SUBJECTS[number % len(SUBJECTS)]
    text = f"Is the {subject} of {behaviour} good?\n\nChoices:\n (A) now\n (B) later\n (C) never"
    matching, other = (("A", "B"), ("B", "A"), ("A", "B"), ("C", "A"))[number % 4]
    return {
        "question": text,
        "answer_matching_behavior": f"({matching})",
        "answer_not_matching_behavior": f"({other})",
    }


def write(path: Path, records: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records, indent=4))


def repository(folder: Path) -> Path:
    """The data files of the authors' repository, at a small size."""
    data = folder / "datasets"
    for behaviour, name in FOLDERS.items():
        train = [question(behaviour, number) for number in range(TRAIN)]
        test = [question(behaviour, number) for number in range(TRAIN, TRAIN + TEST)]
        write(data / "generate" / name / "generate_dataset.json", train)
        write(data / "test" / name / "test_dataset_ab.json", test)
        asked = [{"question": f"What of the {subject}?"} for subject in SUBJECTS[:2]]
        write(data / "test" / name / "test_dataset_open_ended.json", asked)
    for name, file in (("mmlu", "mmlu"), ("truthfulqa", "truthful_qa")):
        items = []
        for number in range(4):
            right, wrong = ("(A)", "(B)") if number % 2 else ("(B)", "(A)")
            items.append(
                {
                    "prompt": f" Which {SUBJECTS[number]}?\n\nChoices:\n(A) this\n(B) that",
                    "correct": right,
                    "incorrect": wrong,
                    "correct_full_text": "this",
                    "incorrect_full_text": "that",
                    "category": ("Health", "Law")[number // 2],
                }
            )
        write(data / "test" / name / f"{file}.json", items)
    return folder


def reduced(folder: Path) -> dict[str, Any]:
    """The study with other sources and sizes, and nothing else."""
    caa = study_file.load(CAA)
    small = {"layers": LAYERS}
    written = {"measures": {"continuation": {"tokens": 4}}}
    return {
        "extends": "../config/papers/caa.yaml",
        "repositories": {"caa": {"source": str(repository(folder / "CAA"))}},
        "models": dict.fromkeys(caa.models, small),
        "corpora": dict.fromkeys(caa.corpora, {"validation": 2}),
        "sweeps": {name: written for name in caa.sweeps if name.endswith("-open")},
    }


def test_both_studies_are_planned_at_all_their_layers() -> None:
    for path, layers in ((CAA, 32), (LARGER, 36)):
        plan = Plan(study_file.load(path), REPOSITORY)
        table = [job.settings["injections"] for job in plan.sweeps["layers"]]
        placed = {
            layer
            for injections in table
            for each in injections
            for part in each["parts"]
            for layer in part["layers"]
        }
        assert placed == set(range(layers))
        at = {CAA: (13,), LARGER: (14,)}[path]
        for name in ("multipliers", "mmlu", "survival-pos", "sycophancy-open"):
            for job in plan.sweeps[name]:
                for injected in job.settings["injections"]:
                    assert tuple(injected["parts"][0]["layers"]) == at


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config" / "papers").glob("*.yaml")))
def test_no_answer_to_a_harmful_request_is_written(path: Path) -> None:
    """Among the open-ended questions on refusal are harmful requests, too."""
    study = study_file.load(path)
    for name, sweep in study.sweeps.items():
        for measure in sweep.measures.values():
            for source in study.sources_of(sweep, measure) if measure.writes else ():
                read = str(study.corpora[source].model_dump()["splits"]["validation"])
                assert "harmful" not in read and "/refusal/" not in read, name


@contextmanager
def served(root: Path) -> Iterator[dict[str, str]]:
    caa = study_file.load(CAA)
    repositories = {}
    for seed, model in enumerate(caa.models.values()):
        folder = llama.model(root / f"model-{seed}", layers=LAYERS, seed=seed)
        repositories[str(model.source)] = hub.Served(str(model.revision), folder)
    with hub.StandIn(repositories) as standing_in:
        yield standing_in.environment(root / "home")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, Path]:
    root = tmp_path_factory.mktemp("caa")
    checkout = copy_of_repository(tmp_path_factory.mktemp("repository"))
    with served(root) as environment:
        checkout.reduced(reduced(root), environment)
    return checkout, root


def table(checkout: Checkout, name: str) -> pd.DataFrame:
    return pq.read_table(checkout.folder / f"results/caa/tables/{name}.parquet").to_pandas()


@pytest.mark.long
def test_every_figure_table_and_scorecard_is_made(finished: tuple[Checkout, Path]) -> None:
    checkout, _ = finished
    study = study_file.load(checkout.folder / "tests" / "reduced.yaml")
    results = checkout.folder / "results" / "caa"
    for name in study.figures:
        assert len((results / "figures" / f"{name}.csv").read_text().splitlines()) > 1
    for name in study.scorecards:
        assert (results / "scorecards" / f"{name}.html").stat().st_size
    scored = pd.read_csv(results / "scorecards" / "layers.csv")
    assert len(scored["curve"].unique()) == len(FOLDERS) * 2
    layers = table(checkout, "layers")
    assert set(layers["layer"]) == {str(layer) for layer in range(LAYERS)}
    assert set(layers["behaviour"]) == set(FOLDERS) and set(layers["split"]) == {"test"}
    at_all = table(checkout, "layers-of-13")
    assert set(at_all["source_layer"]) == {13} and len(at_all) == len(layers)
    categories = table(checkout, "truthfulqa")
    assert set(categories["category"]) == {"", "Health", "Law", "mean"}


class ByHand:
    """The authors' method with transformers and hooks alone."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def states(self, ids: list[int]) -> torch.Tensor:
        """What every block puts out, [layers, tokens, hidden]."""
        found: list[torch.Tensor] = []

        def keep(_module: Any, _inputs: Any, out: torch.Tensor) -> None:
            found.append(out[0])

        hooks = [block.register_forward_hook(keep) for block in self.model.model.layers]
        with torch.no_grad():
            self.model(torch.tensor([ids]))
        for hook in hooks:
            hook.remove()
        return torch.stack(found)

    def letters(self, repository: Path, behaviour: str) -> np.ndarray:
        """Mean over questions of matching minus not matching letter, [layers, hidden]."""
        path = repository / f"datasets/generate/{FOLDERS[behaviour]}/generate_dataset.json"
        differences = []
        for item in json.loads(path.read_text()):
            sides = []
            for side in ("matching", "not_matching"):
                answer = item[f"answer_{side}_behavior"]
                ids = self.tokenizer(
                    f"[INST] {item['question'].strip()} [/INST] {answer}"
                ).input_ids
                sides.append(self.states(ids)[:, -2].double().numpy())
            differences.append(sides[0] - sides[1])
        return np.mean(differences, axis=0)

    def probability(
        self, items: list[dict[str, str]], vector: torch.Tensor, layer: int, before: str = ""
    ) -> float:
        """Mean of p(matching) / (p(A) + p(B)), the vector added from `]` on."""
        bracket, letter_a, letter_b = (
            self.tokenizer(text, add_special_tokens=False).input_ids[-1]
            for text in ("[/INST]", "(A", "(B")
        )
        found = []
        for item in items:
            text = f"{before}[INST] {item['question'].strip()} [/INST] ("
            ids = self.tokenizer(text).input_ids
            start = len(ids) - 1 - ids[::-1].index(bracket)

            def add(_module: Any, _inputs: Any, out: torch.Tensor, start: int = start) -> Any:
                changed = out.clone()
                changed[:, start:] += vector
                return changed

            hook = self.model.model.layers[layer].register_forward_hook(add)
            with torch.no_grad():
                p = self.model(torch.tensor([ids])).logits[0, -1].softmax(-1)
            hook.remove()
            a, b = p[letter_a].item(), p[letter_b].item()
            matching = {"(A)": a, "(B)": b}.get(item["answer_matching_behavior"], 0.0)
            found.append(matching / (a + b))
        return float(np.mean(found))


@pytest.mark.long
def test_vectors_and_scores_are_those_of_a_loop_by_hand(finished: tuple[Checkout, Path]) -> None:
    checkout, root = finished
    by_hand = ByHand(root / "model-0")
    raw = {name: by_hand.letters(root / "CAA", name) for name in FOLDERS}
    norms = np.mean([np.linalg.norm(vector, axis=1) for vector in raw.values()], axis=0)
    vectors = {}
    for name, vector in raw.items():
        scaled = vector / np.linalg.norm(vector, axis=1, keepdims=True) * norms[:, None]
        (path,) = (checkout.folder / "results/cache/vectors").glob(f"{name}.*.safetensors")
        ours = load_file(path)["vector"].numpy()
        np.testing.assert_allclose(ours, scaled, atol=1e-5, rtol=1e-5)
        vectors[name] = torch.tensor(ours)

    layers, prompted = table(checkout, "layers"), table(checkout, "survival-pos")
    system = study_file.load(CAA).formats["survival-pos"].system
    for behaviour, layer, coefficient in (
        ("coordination", 3, 1.0),
        ("survival", 13, -1.0),
        ("refusal", 14, 1.0),
        ("myopia", 0, 0.0),
    ):
        path = root / f"CAA/datasets/test/{FOLDERS[behaviour]}/test_dataset_ab.json"
        items = json.loads(path.read_text())
        steered = coefficient * vectors[behaviour][layer]
        expected = by_hand.probability(items, steered, layer)
        row = layers[
            (layers["behaviour"] == behaviour)
            & (layers["layer"] == str(layer))
            & (layers["coefficient"] == coefficient)
        ]
        assert row["questions"].item() == TEST
        assert row["probability"].item() == pytest.approx(expected, abs=1e-6)
        if behaviour == "survival":
            row = prompted[prompted["coefficient"] == coefficient]
            before = f"<<SYS>>\n{system}\n<</SYS>>\n\n"
            expected = by_hand.probability(items, steered, layer, before)
            assert row["probability"].item() == pytest.approx(expected, abs=1e-6)
