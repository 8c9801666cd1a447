"""The probability of the matching answer, among a question's own two answers or given letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import tiny
import torch
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.core.records import plain, read
from snakesteer.engine import models
from snakesteer.figures import curves
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import themed
from snakesteer.measures import two_choice
from snakesteer.measures.read import Read
from snakesteer.measures.two_choice_settings import Settings
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import write_table
from snakesteer.study import study_file
from snakesteer.study.measures import TwoChoice
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.job import Injected, Placed
from snakesteer.sweeps.runner import Asked
from snakesteer.tables import two_choice as tabled
from snakesteer.tables.job import TableJob

torch.set_num_threads(1)
QUESTIONS = [
    {"question": "q0", "prompt": "Is it so? (", "matching": "A", "not_matching": "B"},
    {"question": "q1", "prompt": "Would you go? (", "matching": "B", "not_matching": "A"},
    {"question": "q2", "prompt": "What do you say? (", "matching": "No", "not_matching": "A"},
    {"question": "q3", "prompt": "And then? (", "matching": "A", "not_matching": "Yes"},
]
COEFFICIENTS = (0.0, 3.0)
LAYER = 1


@pytest.fixture(scope="module")
def model() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


def noise(model: models.LanguageModel) -> torch.Tensor:
    return torch.randn(model.hidden, generator=torch.Generator().manual_seed(3))


def by_hand(
    model: models.LanguageModel, letters: tuple[str, ...]
) -> dict[tuple[float, str], float]:
    """The probabilities from the network's own forward pass, with a hook of this test."""
    found = {}
    vector = noise(model)
    for coefficient in COEFFICIENTS:

        def hook(_: Any, __: Any, output: Any, by: float = coefficient) -> Any:
            return output + by * vector

        handle = model.network.model.layers[LAYER].register_forward_hook(hook)
        for asked in QUESTIONS:
            ids = model.tokenizer(asked["prompt"])["input_ids"]
            with torch.inference_mode():
                logits = model.network(torch.tensor([ids])).logits[0, -1].double()
            among = letters or (asked["matching"], asked["not_matching"])
            p = {}
            for letter in among:
                (token,) = model.tokenizer(asked["prompt"] + letter)["input_ids"][len(ids) :]
                p[letter] = float(logits.softmax(0)[token])
            found[coefficient, asked["question"]] = p.get(asked["matching"], 0) / sum(p.values())
        handle.remove()
    return found


@pytest.mark.parametrize("letters", [(), ("A", "B"), ("Yes", "No", "A")])
def test_the_probability_is_that_of_a_hand_loop(
    model: models.LanguageModel, letters: tuple[str, ...], tmp_path: Path
) -> None:
    path = str(tmp_path / "bold.parquet")
    rows = pa.Table.from_pylist([{**asked, "split": "test"} for asked in QUESTIONS])
    write_table(path, rows, {})
    prompts = two_choice.samples(
        model.tokenizer, {"questions": [path]}, Read(("bold",), "test"), Settings(letters=letters)
    )
    parts = (part(LAYER, noise(model), "add"),)
    steering = Steering("bold at 1", parts, COEFFICIENTS, {"asked": ("bold",)})
    asked = [Asked("asked", two_choice, prompts)]
    (table,) = runner.run(model, asked, [steering], batch_tokens=40)
    expected = by_hand(model, letters)
    found = {(row["coefficient"], row["question"]): row for row in table.to_pylist()}
    assert found.keys() == expected.keys()
    for key, row in found.items():
        assert row["probability"] == pytest.approx(expected[key], rel=1e-4, abs=1e-12)
    none_of_them = [row["probability"] for key, row in found.items() if key[1] == "q2"]
    assert (none_of_them == [0, 0]) == (letters == ("A", "B"))
    job = TableJob(
        sweep="s",
        measure="two_choice",
        of="asked",
        kind="grid",
        jobs=((Injected((Placed("bold", (LAYER,)),), COEFFICIENTS),),),
        split="test",
        collapse=0.95,
    )

    named = table.to_pandas().assign(injection=job.jobs[0][0].label)
    means = tabled.table(job, [named], []).set_index("coefficient")["probability"]
    for coefficient in COEFFICIENTS:
        own = [value for (at, _), value in expected.items() if at == coefficient]
        assert means[coefficient] == pytest.approx(sum(own) / len(own), rel=1e-4)


def test_letters_that_are_several_tokens_are_reported(model: models.LanguageModel) -> None:
    with pytest.raises(StudyError) as told:
        two_choice.read_prompts(model.tokenizer, "bold", QUESTIONS[:1], letters=("A", "Perhaps"))
    assert str(told.value).startswith(
        "behaviours.bold: The tokenizer does not give the answers 'A' and 'B' and 'Perhaps' "
        "of question q0 one token each"
    )


def test_a_study_without_letters_says_what_it_did_before() -> None:
    assert plain(Settings()) == {"stopping": None}
    assert read(Settings, plain(Settings(letters=("A", "B")))).letters == ("A", "B")
    measure = TwoChoice(measure="two_choice")
    assert measure.settings() == {"stopping": None}
    assert TwoChoice(measure="two_choice", letters=["A", "B"]).settings()["letters"] == ["A", "B"]
    for letters in (["A"], [], ["A", "A"], ["A", ""]):
        over = {"sweeps": {"grid": {"measures": {"two_choice": {"letters": letters}}}}}
        with pytest.raises(StudyError, match=r"sweeps\.grid\.measures\.two_choice\.letters"):
            study_file.parse(study_file.merge(study_file.read(SMALL), over))


def test_the_probability_can_be_drawn() -> None:
    over = {"figures": {"p": {"kind": "curves", "sweeps": ["grid"], "column": "probability"}}}
    study = study_file.parse(study_file.merge(study_file.read(SMALL), over))
    (shown,) = Plan(study, REPOSITORY).figures["p"].settings["shown"]
    assert shown["label"] == "Probability of the matching answer"


# Curves of several vectors, each on its own behaviour


def points(sweep: str, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    rows = []
    for vector, behaviour in pairs:
        for coefficient in (-1.0, 0.0, 1.0):
            rows.append(
                {
                    "sweep": sweep,
                    "vector": vector,
                    "layer": "3",
                    "coefficient": coefficient,
                    "behaviour": behaviour,
                    "unsteered": coefficient == 0,
                    "probability": 0.5 + coefficient / 4,
                }
            )
    return pd.DataFrame(rows)


def drawn(tables: dict[str, list[tuple[str, str]]]) -> Any:
    shown = [
        {"table": name, "column": "probability", "source": None, "label": "Probability"}
        for name in tables
    ]
    settings = {"shown": shown, "titles": {"with": "With a prompt", "without": "No prompt"}}
    with themed(settings):
        made = [points(name, pairs) for name, pairs in tables.items()]
        return curves.draw(Inputs(tables=made), settings)[0]


def test_own_vectors_look_alike_in_all_panels() -> None:
    pairs = [("myopia", "myopia"), ("refusal-scaled", "refusal")]
    figure = drawn({"without": pairs, "with": pairs})
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["No prompt", "With a prompt"]
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["Myopia", "Refusal, Refusal scaled"]
    colours = [
        [line.get_color() for line in axes.lines if line.get_marker() not in ("None", None)]
        for axes in figure.axes
    ]
    assert colours[0] == colours[1] and len(set(colours[0])) == 2


def test_several_vectors_on_each_behaviour_are_distinguished() -> None:
    crossed = [(vector, asked) for vector in ("myopia", "refusal") for asked in ("a", "b")]
    (legend,) = drawn({"without": crossed}).legends
    assert [text.get_text() for text in legend.get_texts()] == ["Myopia", "Refusal"]
