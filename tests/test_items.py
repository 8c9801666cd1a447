"""Items of tasks out of files: prompts, choices, the right one, and what is told of wrong ones."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snakesteer.behaviours import items
from snakesteer.behaviours.drawing import table
from snakesteer.core.errors import StudyError
from snakesteer.study.behaviours import ItemsBehaviour

RECORDS = [
    {
        "question": f"Question {i}?",
        "choices": [f"first {i}", f"second {i}", f"third {i}"],
        "answer": i % 3,
        "key": "XYZ"[i % 3],
        "told": {"labels": ["X", "Y", "Z"], "marked": [int(i % 3 == k) for k in range(3)]},
        "right": f"{('first', 'second', 'third')[i % 3]} {i}",
        "good": "(A)",
        "bad": "(B)",
    }
    for i in range(7)
]


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)
    elif path.suffix == ".json":
        path.write_text(json.dumps(records))
    else:
        lines = "".join(json.dumps(record) + "\n" for record in records)
        path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return path


def settings(path: Path, **given: Any) -> dict[str, Any]:
    """The settings of an entry, as a study has them."""
    entry = {"source": "items", "file": str(path), "prompt": "question"}
    return ItemsBehaviour.model_validate(entry | given).settings()


FIELDS = {"choices": "choices", "matching": "answer"}
PAIR = {"choices": ["good", "bad"], "matching": "good"}


def test_prompts_are_stripped_where_that_is_asked_for(tmp_path: Path) -> None:
    """The choices stay as they are, and so does what ends a few-shot prompt unless it is asked."""
    records = [{**record, "question": f" {record['question']}\n\n"} for record in RECORDS]
    records[0]["choices"] = [" first", "second ", "third"]
    path = write(tmp_path / "items.jsonl", records)
    for strip in (False, True):
        made = items.questions(settings(path, strip=strip, **FIELDS), "")
        for item, plain, record in zip(made, RECORDS, records, strict=True):
            assert item.prompt == (plain if strip else record)["question"]
            assert list(item.choices) == record["choices"]
    assert "strip" not in settings(path, **FIELDS)
    write(path, [{**RECORDS[0], "question": " \n"}])
    with pytest.raises(StudyError, match=r"the field question of .* line 1 is empty; fill it"):
        items.questions(settings(path, strip=True, **FIELDS), "")


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".parquet", ".jsonl.gz"])
def test_how_the_right_choice_is_given(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"task{ending}", RECORDS)
    for given in (
        FIELDS,
        {"choices": "choices", "matching": "right"},
        {"choices": "choices", "matching": "key", "labels": "told.labels"},
        {"choices": "choices", "matching": "told.marked"},
    ):
        made = table(settings(path, **given)).to_pylist()
        assert sorted(row["question"] for row in made) == [f"{i:05d}" for i in range(1, 8)]
        assert {row["split"] for row in made} == {"test"}
        for row in made:
            record = RECORDS[int(row["question"]) - 1]
            assert row["prompt"] == record["question"]
            assert row["choices"] == record["choices"]
            assert row["place"] == record["answer"]
            assert row["matching"] == record["right"] != row["not_matching"]
            assert row["not_matching"] == record["choices"][0 if row["place"] else 1]


def test_fields_of_one_choice_each_and_numbers_in_csv(tmp_path: Path) -> None:
    """The CAA repository's MMLU and TruthfulQA files are such, and Winogrande."""
    path = write(tmp_path / "task.json", RECORDS)
    made = table(settings(path, **PAIR)).to_pylist()
    assert all(row["choices"] == ["(A)", "(B)"] and row["place"] == 0 for row in made)
    other = table(settings(path, **PAIR | {"matching": "bad"})).to_pylist()
    assert all((row["matching"], row["not_matching"]) == ("(B)", "(A)") for row in other)
    rows = [{"q": f"{i}?", "one": "yes", "two": "no", "answer": str(1 + i % 2)} for i in range(6)]
    path = write(tmp_path / "task.csv", rows)
    given = {"prompt": "q", "choices": ["one", "two"], "matching": "answer", "counted_from": 1}
    for row in table(settings(path, **given)).to_pylist():
        assert row["place"] == (int(row["question"]) - 1) % 2
        assert row["matching"] == ("yes", "no")[row["place"]]


def test_prompts_stand_as_in_the_file_and_letters_are_given(tmp_path: Path) -> None:
    """As in tables of tinyBenchmarks: `input_formatted` has examples, choices and `Answer:`."""
    shots = "Q: a?\nA. x\nB. y\nAnswer: B\n\nQ: b?\nA. x\nB. y\nAnswer: "
    rows = [{"input_formatted": shots + str(i), "answer": i % 2} for i in range(5)]
    path = write(tmp_path / "tiny.parquet", rows)
    given = {"prompt": "input_formatted", "answers": ["A", "B"], "matching": "answer"}
    for row in table(settings(path, **given)).to_pylist():
        assert row["prompt"] == shots + str(int(row["question"]) - 1)
        assert row["matching"] == "BA"[int(row["question"]) % 2]


def test_splits_draws_and_duplicates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "task.jsonl", [*RECORDS, *RECORDS[:3]])
    split = {"train": 3, "validation": 2}
    made = table(settings(path, **FIELDS, **split)).to_pylist()
    assert [row["split"] for row in made] == ["train"] * 3 + ["validation"] * 2 + ["test"] * 2
    said = f"Duplicates dropped before the draw: 3 of the 10 items of {path}."
    assert said in capsys.readouterr().err
    assert len(table(settings(path, **FIELDS, duplicates="keep"))) == 10
    drawn = items.questions(settings(path, **FIELDS, questions=4), "")
    assert len({one.prompt for one in drawn}) == 4
    assert items.readers(settings(path, **FIELDS)) == ["json-records"]


def test_a_file_without_items_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "task.json", [])
    with pytest.raises(StudyError, match=f"^{path} has no items; name another file.$"):
        items.questions(settings(path, **FIELDS), "")


@pytest.mark.parametrize(
    ("given", "spoilt", "named"),
    [
        (FIELDS | {"prompt": "text"}, {}, "has no field text"),
        (FIELDS | {"choices": "options"}, {}, "has no field options"),
        (FIELDS | {"matching": "gold"}, {}, "has no field gold"),
        (FIELDS | {"labels": "letters"}, {}, "has no field letters"),
        (FIELDS | {"choices": "right"}, {}, "is text, not a list of choices"),
        (FIELDS, {"choices": ["only"], "answer": 0}, "line 1 has 1 choice, but at least two"),
        (FIELDS, {"choices": []}, "line 1 has 0 choices"),
        (FIELDS, {"choices": ["a", None]}, "choice 2 of"),
        (FIELDS, {"choices": ["a", ""]}, "choice 2 of"),
        (FIELDS, {"choices": ["a", 4]}, "is a number, not text"),
        (FIELDS, {"answer": 3}, "is 3, but its 3 choices are counted from 0 to 2"),
        (FIELDS, {"answer": -1}, "is -1, but its 3 choices are counted from 0 to 2"),
        (FIELDS | {"counted_from": 1}, {"answer": 0}, "is 0, but its 3 choices are counted from 1"),
        (FIELDS, {"answer": "fourth"}, "is 'fourth', which is neither one of its choices nor"),
        (FIELDS, {"answer": None}, "is empty, which is neither one of its choices nor"),
        (FIELDS, {"answer": True}, "is true or false, which is neither one of its choices nor"),
        (FIELDS, {"answer": [1, 1, 0]}, "is a list, but not of 3 numbers"),
        (FIELDS, {"answer": [0, 1]}, "is a list, but not of 3 numbers"),
        (FIELDS | {"labels": "told.labels"}, {"told": {"labels": ["X"]}}, "does not hold 3 labels"),
        (FIELDS, {"question": ""}, "the field question of"),
        (FIELDS, {"question": None}, "the field question of"),
        (FIELDS, {"question": 7}, "is a number, not text"),
        (PAIR, {"bad": None}, "the field bad of"),
        (PAIR, {"good": "\ud83d"}, "is not Unicode text"),
    ],
)
def test_errors_are_reported_with_their_place(tmp_path: Path, given, spoilt, named) -> None:
    path = write(tmp_path / "task.jsonl", [RECORDS[2] | spoilt, *RECORDS])
    with pytest.raises(StudyError) as raised:
        items.questions(settings(path, **given), "")
    assert named in str(raised.value) and f"{path} line 1" in str(raised.value)
    assert "\n" not in str(raised.value)
