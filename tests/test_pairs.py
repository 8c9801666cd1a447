"""Pairs and instructions out of files: which texts they are, and what is told of wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snakesteer.behaviours import pairs
from snakesteer.behaviours.drawing import table
from snakesteer.core.errors import StudyError
from snakesteer.corpora import files
from snakesteer.corpora.drawing import documents
from snakesteer.study.behaviours import PairsBehaviour
from snakesteer.study.corpora import FilesCorpus

RECORDS = [
    {"q": f"Question {i}?", "yes": "(A)", "no": "(B)", "kind": "Be kind.", "rude": f"Be rude {i}."}
    for i in range(8)
]


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    match path.suffix:
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(records), path)
        case ".csv":
            lines = [records[0].keys(), *(record.values() for record in records)]
            path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
        case ".json":
            path.write_text(json.dumps(records))
        case _:
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def settings(path: Path, **given: Any) -> dict[str, Any]:
    """The settings of an entry, as a study has them."""
    entry = {"source": "pairs", "file": str(path), "train": 4, "validation": 2, "questions": 8}
    return PairsBehaviour.model_validate(entry | given).settings()


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".parquet"])
def test_the_two_sides_of_a_pair(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"pairs{ending}", RECORDS)
    answers = {"prompt": "q", "matching": "yes", "not_matching": "no"}
    systems = {"prompt": "q", "system_matching": "kind", "system_not_matching": "rude"}
    whole = {"matching": "kind", "not_matching": "rude"}
    for given, expected in (
        (answers, [("Question 2?", "(A)", "(B)", None, None)]),
        (systems, [("Question 2?", "", "", "Be kind.", "Be rude 2.")]),
        (answers | systems, [("Question 2?", "(A)", "(B)", "Be kind.", "Be rude 2.")]),
        (whole, [("", "Be kind.", "Be rude 2.", None, None)]),
    ):
        made = table(settings(path, **given)).to_pylist()
        assert len(made) == 8
        assert sorted(row["question"] for row in made) == [f"{i:05d}" for i in range(1, 9)]
        columns = ["prompt", "matching", "not_matching", "system_matching", "system_not_matching"]
        assert list(made[0]) == ["question", "split", *columns]
        third = [row for row in made if row["question"] == "00003"]
        assert [tuple(row[column] for column in columns) for row in third] == expected
        splits = [row["split"] for row in made]
        assert splits == ["train"] * 4 + ["validation"] * 2 + ["test"] * 2


def test_prompts_are_stripped_where_that_is_asked_for(tmp_path: Path) -> None:
    """As `question.strip()` does; answers and system prompts stay as they are."""
    prompts = [" Is it?\n\nChoices:\n (A) Yes\n", "\t Is it? \r\n", "Is it?", "\u00a0So?\u2003"]
    records = [
        {"q": f"{prompt}", "yes": f" {i} ", "no": "(B)\n", "kind": " Be.\n", "rude": " No."}
        for i, prompt in enumerate(prompts * 2)
    ]
    path = write(tmp_path / "pairs.jsonl", records)
    given = {"prompt": "q", "matching": "yes", "not_matching": "no"}
    given |= {"system_matching": "kind", "system_not_matching": "rude"}
    for strip, expected in ((False, prompts * 2), (True, [each.strip() for each in prompts * 2])):
        made = table(settings(path, strip=strip, **given)).sort_by("question").to_pylist()
        assert [row["prompt"] for row in made] == expected
        for row, record in zip(made, records, strict=True):
            assert row["matching"] == record["yes"]
            assert row["system_matching"] == record["kind"]
    assert "strip" not in settings(path, **given)
    write(path, [{"q": " \n", "yes": "a", "no": "b"}])
    with pytest.raises(StudyError, match=r"the field q of .* line 1 is empty; fill it, or remove"):
        pairs.questions(
            settings(path, strip=True, prompt="q", matching="yes", not_matching="no"), ""
        )
    with pytest.raises(
        ValueError,
        match="strip applies to prompts, but here the two sides are entire texts; remove strip",
    ):
        settings(path, strip=True, matching="yes", not_matching="no")


def test_pairs_are_drawn_once_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "pairs.jsonl", [*RECORDS, *RECORDS[:3]])
    given = settings(path, prompt="q", matching="yes", not_matching="no", train=2, questions=7)
    drawn = pairs.questions(given, "")
    assert len(drawn) == 7 == len({pair.prompt for pair in drawn})
    assert drawn == pairs.questions(given, "")
    assert f"Duplicates dropped before the draw: 3 of the 11 pairs of {path}." in (
        capsys.readouterr().err
    )
    assert pairs.readers(given) == ["json-records"]


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ({"no": "(A)"}, "the two sides of {path} line 2 are the same; correct or remove the pair."),
        ({"no": None}, "the field no of {path} line 2 is empty; fill it, or remove the pair."),
        ({"no": ""}, "the field no of {path} line 2 is empty; fill it, or remove the pair."),
        (
            {"no": 3},
            "the field no of {path} line 2 is a number, not text; set `not_matching` to the "
            "field that holds a text of the pair.",
        ),
        (
            {"no": "\ud83d"},
            "the field no of {path} line 2 is not Unicode text ('\\ud83d' is half of a "
            "character); correct it.",
        ),
    ],
)
def test_an_invalid_pair_is_reported(tmp_path: Path, spoilt: Any, sentence: str) -> None:
    path = write(tmp_path / "pairs.jsonl", [RECORDS[0], RECORDS[1] | spoilt, *RECORDS[2:]])
    with pytest.raises(StudyError) as told:
        pairs.questions(settings(path, prompt="q", matching="yes", not_matching="no"), "")
    assert str(told.value) == sentence.format(path=path)


def test_a_field_that_is_not_there_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", RECORDS)
    with pytest.raises(StudyError) as told:
        pairs.questions(settings(path, matching="positive", not_matching="no"), "")
    assert str(told.value) == (
        f"{path} line 1 has no field positive (it has q, yes, no, kind, rude); correct `matching`."
    )


def corpus(path: Path, **given: Any) -> dict[str, Any]:
    both = {"files": [str(path)]}
    entry = {
        "source": "files",
        "splits": {"train": both, "validation": {**both, "skip": 4}},
        "train": 4,
        "validation": 2,
        "field": "q",
        "shuffle": False,
    }
    return FilesCorpus.model_validate(entry | given).model_dump(exclude={"title"})


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_instructions_have_completions(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"instructions{ending}", RECORDS)
    with_answers = documents(corpus(path, completion="rude"), "train")
    assert with_answers.to_pylist() == [
        {"document": f"{i:06d}", "text": f"Question {i}?", "completion": f"Be rude {i}."}
        for i in range(4)
    ]
    without = documents(corpus(path), "train")
    assert without == with_answers.drop_columns(["completion"])
    assert documents({**corpus(path), "completion": None}, "train") == without


def test_records_without_a_completion_are_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = [RECORDS[0] | {"rude": None}, RECORDS[1] | {"rude": ""}, *RECORDS[2:]]
    path = write(tmp_path / "instructions.jsonl", spoilt)
    drawn = files.documents(corpus(path, completion="rude"), "train", 1, "")
    assert [text for _, text, _ in drawn] == [f"Question {i}?" for i in range(2, 6)]
    assert "Records skipped because their text is null: 1." in capsys.readouterr().err
    with pytest.raises(StudyError, match="line 1 has no field answer .*; correct `completion`"):
        files.documents(corpus(path, completion="answer"), "train", 1, "")
