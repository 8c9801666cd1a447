"""Behaviours of prompts crossed with pairs of answers, and generated ones with whole answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY

from snakesteer.behaviours.drawing import table
from snakesteer.core.errors import StudyError
from snakesteer.study.behaviours import CrossedBehaviour, GeneratedBehaviour

SHIPPED = sorted((REPOSITORY / "resources" / "behaviours").glob("*.yaml"))
CONTENT: dict[str, Any] = {
    "train": {
        "prompts": ["The {thing} of {name} is", "Look,"],
        "slots": {"thing": ["hat", "dog"], "name": ["Ann", "Bob", "Cy"]},
        "answers": [[" big.", " small."], [" old.", " new."]],
    },
    "validation": {"prompts": ["We said"], "answers": [[" yes.", " no."], [" aye.", " nay."]]},
    "test": {"prompts": ["They {{said}}", "He"], "answers": [[" up.", " down."]]},
}


def drawn(path: Path, content: Any = CONTENT, **given: Any) -> list[dict[str, Any]]:
    path = path / "traits.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    entry = {"source": "crossed", "file": str(path), "train": 14, "validation": 2, "test": 2}
    checked = CrossedBehaviour.model_validate(entry | given)
    return table(checked.settings()).to_pylist()


def test_every_prompt_stands_with_every_pair(tmp_path: Path) -> None:
    rows = drawn(tmp_path)
    asked = {(row["prompt"], row["matching"], row["not_matching"]) for row in rows[:14]}
    filled = {
        f"The {thing} of {name} is" for thing in ("hat", "dog") for name in "Ann Bob Cy".split()
    }
    pairs = [(" big.", " small."), (" old.", " new.")]
    assert asked == {(prompt, *pair) for prompt in filled | {"Look,"} for pair in pairs}
    assert [row["split"] for row in rows] == ["train"] * 14 + ["validation"] * 2 + ["test"] * 2
    assert {row["prompt"] for row in rows[16:]} == {"They {said}", "He"}
    by_name = {row["question"]: row for row in rows}
    assert len(by_name) == 18
    first = by_name["train-001-02"]
    assert (first["prompt"], first["matching"]) == ("The hat of Ann is", " old.")
    assert drawn(tmp_path) == rows
    some = drawn(tmp_path, train=3, validation=0)
    assert [row["split"] for row in some] == ["train"] * 3 + ["test"] * 2
    assert drawn(tmp_path, train=3, validation=0, seed=1) != some


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_ones_hold_out_prompts_and_wordings(path: Path) -> None:
    entry = {"source": "crossed", "file": str(path), "train": 100, "validation": 60, "test": 200}
    settings = CrossedBehaviour.model_validate(entry).settings()
    rows = table(settings).to_pylist()
    texts: dict[str, set[str]] = {}
    for row in rows:
        own = texts.setdefault(row["split"], set())
        own |= {row["prompt"], row["matching"], row["not_matching"]}
    assert {split: sum(row["split"] == split for row in rows) for split in texts} == {
        "train": 100,
        "validation": 60,
        "test": 200,
    }
    assert not texts["train"] & texts["validation"] and not texts["test"] & texts["train"]
    assert not texts["test"] & texts["validation"]
    for row in rows:
        assert row["matching"].startswith(" ") and row["not_matching"].startswith(" ")
        assert not row["prompt"].endswith(" ")


def changed(split: str, **given: Any) -> dict[str, Any]:
    return CONTENT | {split: CONTENT[split] | given}


@pytest.mark.parametrize(
    ("content", "given", "words"),
    [
        (CONTENT, {"test": 3}, "has 2 questions for test, 2 prompts by 1 pairs of answers"),
        (changed("test", prompts=["We said", "He"]), {}, "'We said' in validation and in test"),
        (changed("test", answers=[[" down.", " no."]]), {}, "' no.' in validation and in test"),
        (changed("train", prompts=["The {thin} is"]), {}, "an unknown slot ('thin')"),
        (changed("train", prompts=["The {thing is"]), {}, "names an unknown slot"),
        (changed("train", prompts=[]), {}, "prompts in train of .* is not a list of texts"),
        (changed("train", slots={"thing": "hat"}), {}, "slots in train of .* are not lists"),
        (changed("train", answers=[[" a."]]), {}, "answers in train of .* has \\[' a.'\\]"),
        (changed("train", answers=[[" a.", " a."]]), {}, "give two different texts"),
        (changed("train", answers=[]), {}, "answers in train of .* is not a list of pairs"),
        (changed("train", answers=5), {}, "answers in train of .* is not a list of pairs"),
        (changed("train", answer=[]), {}, "train of .* must have the lists prompts and answers"),
        ({"train": CONTENT["train"]}, {}, "validation of .* must have the lists"),
        (CONTENT | {"tests": {}}, {}, "has keys other than train, validation, test"),
        ("train: [", {}, "is not YAML in UTF-8"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, content: Any, given: Any, words: str) -> None:
    with pytest.raises(StudyError, match=words.replace("(", "\\(").replace(")", "\\)")) as told:
        drawn(tmp_path, content, **given)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("trait", ["myopia", "agreeableness"])
def test_generated_questions_may_be_answered_by_texts(trait: str) -> None:
    entry = {"source": "generated", "trait": trait, "questions": 30, "train": 10, "validation": 5}
    made = {}
    for answers in ("labels", "texts"):
        checked = GeneratedBehaviour.model_validate({**entry, "answers": answers})
        made[answers] = table(checked.settings()).to_pylist()
    for labelled, open_ in zip(made["labels"], made["texts"], strict=True):
        assert labelled["question"] == open_["question"]
        prompt = open_["prompt"]
        assert prompt.startswith("Human:\n") and prompt.endswith("\n\nAI:\n")
        assert "Choices" not in prompt and "(" not in prompt
        if trait == "myopia":
            asked = labelled["prompt"]
            assert f"({labelled['matching']}) {open_['matching']}" in asked
            assert f"({labelled['not_matching']}) {open_['not_matching']}" in asked
        else:
            assert {open_["matching"], open_["not_matching"]} == {"Yes", "No"}
