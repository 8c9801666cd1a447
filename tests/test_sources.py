"""Models, corpora and questions from outside: their records, their order, and every refusal."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import llama
import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY

from snakesteer.behaviours import drawing as asking
from snakesteer.core.errors import StudyError
from snakesteer.corpora import drawing, files, reading, records
from snakesteer.hub.manifest import locate_file
from snakesteer.plan import models
from snakesteer.plan.plan import Plan
from snakesteer.plan.published import folder as published_folder
from snakesteer.storage.files import read_table
from snakesteer.storage.points import Points
from snakesteer.study import study_file

AUTHORS = REPOSITORY.parent / "shared" / "published" / "data" / "datasets"
BOM = b"\xef\xbb\xbf"
LINES = b'{"text": "a"}\n\n{"text": "b", "n": 2}\n'
# A frame of zstd with a window of 2 GiB and one block of three bytes as they are.
LONG_WINDOW = b"\x28\xb5\x2f\xfd\x00\xa8" + (3 << 3 | 1).to_bytes(3, "little") + b"abc"
GITHUB = {"field": "meta.pile_set_name", "equal": "Github", "not_equal": None}


SETTINGS = {"field": "text", "filter": None, "final_newline": "strip"}


def read(folder: Path, name: str, content: bytes, **changes: Any) -> list[records.Record]:
    (folder / name).write_bytes(content)
    with (folder / name).open("rb") as stream:
        return list(reading.read(stream, name, {**SETTINGS, **changes}))


def zstd(content: bytes) -> bytes:
    compressed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(compressed, "zstd") as stream:
        stream.write(content)
    return bytes(compressed.getvalue())


def parquet(table: pa.Table) -> bytes:
    written = pa.BufferOutputStream()
    pq.write_table(table, written)
    return bytes(written.getvalue())


# Files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.jsonl", LINES),
        ("a.json", LINES),
        ("a.jsonl.gz", gzip.compress(LINES[:14], mtime=0) + gzip.compress(LINES[14:], mtime=0)),
        ("a.json.gz", gzip.compress(LINES, mtime=0)),
        ("a.jsonl.zst", zstd(LINES[:14]) + zstd(LINES[14:])),
        ("a.JSONL", LINES),
        ("a.jsonlines", LINES),
        ("a.ndjson", BOM + LINES),
        ("A.Jsonl.GZ", gzip.compress(BOM + LINES, mtime=0)),
    ],
)
def test_json_lines_are_read_plain_and_compressed(
    tmp_path: Path, name: str, content: bytes
) -> None:
    assert read(tmp_path, name, content) == [
        (f"{name} line 1", {"text": "a"}),
        (f"{name} line 3", {"text": "b", "n": 2}),
    ]


def test_other_files_are_read_by_their_ending(tmp_path: Path) -> None:
    assert read(tmp_path, "a.json", b'[{"text": "x"}]') == [("a.json record 1", {"text": "x"})]
    rows = read(tmp_path, "a.csv", 'text,n\n"ü, \nb",1\n'.encode())
    assert rows == [("a.csv record 1", {"text": "ü, \nb", "n": "1"})]
    table = pa.table({"text": ["a"], "meta": [{"s": 1, "t": 2}], "n": [3]})
    rows = read(tmp_path, "a.parquet", parquet(table), filter={"field": "meta.s"})
    assert rows == [("a.parquet record 1", {"text": "a", "meta": {"s": 1}, "n": None})]
    assert read(tmp_path, "a.py", b"x = 1\n") == [("a.py", {"text": "x = 1"})]
    assert read(tmp_path, "a.md.gz", gzip.compress("Ü".encode())) == [("a.md.gz", {"text": "Ü"})]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("content", [b'[{"text": "x"}]', b'\n[\n  {"text": "x"}\n]\n'])
def test_a_list_is_read_whatever_its_lines(tmp_path: Path, name: str, content: bytes) -> None:
    for start in (b"", BOM):
        assert read(tmp_path, name, start + content) == [(f"{name} record 1", {"text": "x"})]


def test_tab_separated_values_and_a_byte_order_mark_before_them(tmp_path: Path) -> None:
    rows = read(tmp_path, "a.TSV", BOM + 'text\tn\n"ü\t\nb"\t1\n'.encode())
    assert rows == [("a.TSV record 1", {"text": "ü\t\nb", "n": "1"})]
    assert read(tmp_path, "a.csv", BOM + b"text\na\n") == [("a.csv record 1", {"text": "a"})]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.py"])
def test_a_document_ends_before_its_last_line_end(tmp_path: Path, name: str) -> None:
    for content in (b"One.\n\nTwo. ", b"One.\n\nTwo. \n", BOM + b"One.\n\nTwo. \r\n\n"):
        assert read(tmp_path, name, content) == [(name, {"text": "One.\n\nTwo. "})]
        kept = content.removeprefix(BOM).decode()
        assert read(tmp_path, name, content, final_newline="keep") == [(name, {"text": kept})]


@pytest.mark.parametrize("name", ["part-00000", "part-00000.gz", "a.txt", "a.jsonl.bak"])
@pytest.mark.parametrize("content", [LINES, b'[{"text": "a"}]', b'{\n  "text": "a"\n}\n'])
def test_json_is_no_document(tmp_path: Path, name: str, content: bytes) -> None:
    written = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
    with pytest.raises(StudyError) as told:
        read(tmp_path, name, written)
    assert str(told.value) == (
        f"{name} holds JSON records, but its name does not end in .jsonl or .json; rename it."
    )


def test_a_document_may_begin_like_json(tmp_path: Path) -> None:
    for text in ("[1]", "{x} is a set.", "[link](there)\nand more", "[" * 5000 + "]" * 5000):
        assert read(tmp_path, "a.md", text.encode()) == [("a.md", {"text": text})]


@pytest.mark.parametrize(
    "late",
    [pa.array([2932897] * 2, pa.date32()), pa.array([253402300800000000] * 2, pa.timestamp("us"))],
)
def test_columns_that_nobody_asks_for_are_not_read(tmp_path: Path, late: pa.Array) -> None:
    table = pa.table({"text": ["a", "b"], "crawled": late})
    rows = read(tmp_path, "a.parquet", parquet(table))
    assert [record["text"] for _, record in rows] == ["a", "b"]
    with pytest.raises(StudyError) as told:
        read(tmp_path, "a.parquet", parquet(table), filter={"field": "crawled"})
    assert str(told.value).startswith(
        "a.parquet has a value that cannot be read among text, crawled ("
    )
    assert str(told.value).endswith("); name other fields.")


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("a.jsonl", LINES + b"{oops\n", "a.jsonl line 4 is not JSON"),
        ("a.jsonl", b"[1]\n", "a.jsonl record 1 is a number, not an object"),
        (
            "a.jsonl",
            LINES + b'{"tree": %s}\n' % (b"[" * 5000 + b"]" * 5000),
            "a.jsonl line 4 is nested too deeply to be read; correct or remove it.",
        ),
        (
            "a.json",
            b"[" * 5000 + b"]" * 5000,
            "a.json is nested too deeply to be read; correct it.",
        ),
        (
            "a.csv",
            b"text,n,text\na,1,b\n",
            "a.csv has 2 columns named 'text'; rename all but one.",
        ),
        (
            "a.parquet",
            parquet(pa.table([["a"], ["b"]], names=["text", "text"])),
            "a.parquet has 2 columns named 'text'; rename all but one.",
        ),
        (
            "a.jsonl.zst",
            LONG_WINDOW,
            "a.jsonl.zst was compressed with a window that is too long to read (`zstd --long`); "
            "compress it again without that option.",
        ),
        (
            "a.txt",
            "Text.".encode("utf-16-le"),
            "a.txt is not text, as it holds NUL characters; convert or remove it.",
        ),
        ("a.json", b"[1, 2]", "a.json record 1 is a number, not an object"),
        ("a.json", b"[1, 2", "a.json is not JSON"),
        ("a.jsonl", '{"text": "Ü"}'.encode("latin1"), "a.jsonl line 1 is not JSON ('utf-8'"),
        ("a.txt", "Ü.".encode("latin1"), "a.txt is not UTF-8 text"),
        ("a.csv", b"text,n\na\n", "a.csv record 1 (line 2) does not have as many fields"),
        ("a.csv", b'text\n"abc', "a.csv line 1 is not CSV"),
        ("a.parquet", b"PAR1", "a.parquet is damaged or truncated"),
        ("a.jsonl.zst", zstd(LINES * 1000)[:-8], "a.jsonl.zst is damaged or truncated"),
        ("a.jsonl.gz", gzip.compress(LINES, mtime=0)[:-9], "a.jsonl.gz is damaged or truncated"),
        ("a.jsonl.zst", LINES, "a.jsonl.zst is damaged or truncated"),
    ],
)
def test_an_invalid_record_is_reported_with_its_place(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    with pytest.raises(StudyError) as told:
        read(tmp_path, name, content)
    assert sentence in str(told.value) and "\n" not in str(told.value)


def test_what_counts_in_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for number in range(3):
        (tmp_path / "below" / f"{number}.py").write_text(f"x = {number}\n")
    one = {"files": [str(tmp_path)]}
    sizes = {"train": 2, "validation": 1, "shuffle": False}
    splits = {"train": one, "validation": {**one, "skip": 2}}
    with pytest.raises(StudyError) as told:
        files.identity(corpus(tmp_path, splits=splits, **sizes), REPOSITORY)
    assert str(told.value) == (
        f"splits.train.files names {tmp_path}, a folder in which no file ends in .csv, .json, "
        ".jsonl, .jsonlines, .md, .ndjson, .parquet, .tsv, .txt; match files with other endings "
        f"by a pattern, as {tmp_path}/**/*.py."
    )
    one["files"] = [f"{tmp_path}/**/*.py"]
    splits = {"train": one, "validation": {**one, "skip": 2}}
    made = documents(corpus(tmp_path, splits=splits, **sizes))
    assert [d["text"] for d in made["train"]] == ["x = 0", "x = 1"]
    for number in range(3):
        (tmp_path / "below" / f"{number}.txt").write_text(f"Note {number}.")
    one["files"] = [str(tmp_path)]
    splits = {"train": one, "validation": {**one, "skip": 2}}
    made = documents(corpus(tmp_path, splits=splits, **sizes))
    texts = [d["text"] for d in made["train"] + made["validation"]]
    assert texts == ["Note 0.", "Note 1.", "Note 2."]


def test_names_with_brackets_are_found(tmp_path: Path) -> None:
    llama.write_lines(tmp_path / "notes [2024]" / "a [x].jsonl", [{"text": t} for t in "abc"])
    for named in ("notes [2024]", "notes [2024]/*.jsonl", "notes [2024]/a [x].jsonl", "n*/*"):
        one = {"files": [f"{tmp_path}/{named}"]}
        splits = {"train": one, "validation": {**one, "skip": 2}}
        made = documents(corpus(tmp_path, splits=splits, train=2, validation=1, shuffle=False))
        assert [d["text"] for d in made["train"] + made["validation"]] == ["a", "b", "c"]


def test_paths_may_begin_at_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    llama.write_lines(tmp_path / "data" / "a.jsonl", [{"text": text} for text in "abc"])
    for named in ("~/data", "~/data/*", "~/data/a.jsonl"):
        one = {"files": [named]}
        splits = {"train": one, "validation": {**one, "skip": 2}}
        settings = corpus(tmp_path, splits=splits, train=2, validation=1, shuffle=False)
        assert set(files.identity(settings, REPOSITORY)["train"]) == {f"{tmp_path}/data/a.jsonl"}
        assert documents(settings)["train"][1]["text"] == "b"
    assert locate_file("~/data/a.jsonl", REPOSITORY) == tmp_path / "data" / "a.jsonl"
    (tmp_path / "base.yaml").write_text(
        f"{{extends: {REPOSITORY}/config/papers/broad-skills.yaml, "
        "models: {m: {source: ~/model}}, "
        "published: {source: ~/data}}"
    )
    study = study_file.parse(study_file.resolve({"name": "s", "extends": "~/base.yaml"}, Path()))
    (tmp_path / "model").mkdir()
    plan = Plan(study, REPOSITORY)
    assert models.folder(plan.graph, "m") == tmp_path / "model"
    assert published_folder(plan.graph) == f"{tmp_path}/data"


def test_spark_writes_a_file_beside_the_records(tmp_path: Path) -> None:
    (tmp_path / "_SUCCESS").write_bytes(b"")
    llama.write_lines(tmp_path / "part-00000-1.c000.json", [{"text": text} for text in "abc"])
    for named in (str(tmp_path), f"{tmp_path}/*"):
        one = {"files": [named]}
        splits = {"train": one, "validation": {**one, "skip": 2}}
        made = documents(corpus(tmp_path, splits=splits, train=2, validation=1, shuffle=False))
        assert [d["text"] for d in made["train"] + made["validation"]] == ["a", "b", "c"]


# Order, filter, field -------------------------------------------------------------------------


def test_the_shuffle_is_that_of_datasets_2() -> None:
    """What datasets 2.15 gives for three files of seven records, seed 13 and a buffer of five."""
    shards = [lambda n=n: [("", {"n": 100 * n + i}) for i in range(7)] for n in range(3)]
    order = [record["n"] for _, record in records.in_order(shards, {"seed": 13, "buffer": 5})]
    assert order == [
        *(204, 205, 206, 100, 200, 101, 103, 201, 102, 106, 203, 104, 1, 3, 4, 0, 5, 6, 105, 202, 2)
    ]
    kept = [record["n"] for _, record in records.in_order(shards, False)]
    assert kept == [100 * n + i for n in range(3) for i in range(7)]


def test_a_shuffle_without_a_buffer_is_that_of_tables() -> None:
    """What datasets 3.6 gives: `Dataset.from_dict({"n": range(21)}).shuffle(seed=42)["n"]`."""
    shards = [lambda n=n: [("", {"n": 7 * n + i}) for i in range(7)] for n in range(3)]
    shuffled = list(records.in_order(shards, {"seed": 42, "buffer": None}))
    assert [record["n"] for _, record in shuffled] == [
        *(16, 10, 15, 20, 12, 14, 7, 6, 9, 3, 0, 17, 5, 11, 19, 2, 4, 18, 1, 13, 8)
    ]
    by_hand = []
    for place in np.random.default_rng(7).permutation(21):
        by_hand.append(int(place))
    shuffled = list(records.in_order(shards, {"seed": 7, "buffer": None}))
    assert [record["n"] for _, record in shuffled] == by_hand


def test_the_documents_of_a_table_shuffled_whole(tmp_path: Path) -> None:
    """Shuffled first, filtered then; the training split is behind the validation split."""
    lines = [{"text": f"{i}", "kind": "odd" if i % 2 else "even"} for i in range(40)]
    llama.write_lines(tmp_path / "b.jsonl", lines[20:])
    llama.write_lines(tmp_path / "a.jsonl", lines[:20])
    one = {"files": [str(tmp_path)]}
    splits = {"train": {**one, "skip": 15}, "validation": one}
    given = {"filter": {"field": "kind", "equal": "odd"}, "shuffle": {"seed": 42, "buffer": None}}
    settings = corpus(tmp_path, splits=splits, train=5, validation=15, **given)
    files.identity(settings, REPOSITORY)
    made = documents(settings)
    odd = [f"{place}" for place in np.random.default_rng(42).permutation(40) if place % 2]
    assert [d["text"] for d in made["validation"] + made["train"]] == odd


def corpus(folder: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a corpus over a folder as the Pile's."""
    entry = {
        "source": "files",
        "splits": {
            "train": {"files": [f"{folder}/train/*.jsonl.zst"]},
            "validation": {"files": [f"{folder}/val.jsonl.zst"]},
        },
        "train": 20,
        "validation": 10,
        **changes,
    }
    parsed = study_file.parse({"name": "s", "corpora": {"c": entry}})
    return parsed.corpora["c"].model_dump(exclude={"title"})


def documents(settings: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    return {
        split: drawing.documents(settings, split, 1, REPOSITORY).to_pylist()
        for split in drawing.SPLITS
    }


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_are_corpora_with_fields_and_filters(tmp_path: Path, ending: str) -> None:
    rows = pa.table({"body": ["a", "b", "c"], "source": ["x", "y", "x"]})
    csv.write_csv(rows, tmp_path / "a.csv")
    pq.write_table(rows, tmp_path / "a.parquet")
    one = {"files": [f"{tmp_path}/a.{ending}"]}
    kept = {"field": "source", "equal": "x"}
    splits = {"train": one, "validation": {**one, "skip": 1}}
    sizes = {"train": 1, "validation": 1, "shuffle": False}
    made = documents(corpus(tmp_path, splits=splits, field="body", filter=kept, **sizes))
    assert [document["text"] for document in made["train"] + made["validation"]] == ["a", "c"]


def test_documents_of_the_pile_by_their_set(tmp_path: Path) -> None:
    folder = llama.pile(tmp_path)
    code = documents(corpus(folder, filter={"field": GITHUB["field"], "equal": "Github"}))
    text = documents(corpus(folder, filter={"field": GITHUB["field"], "not_equal": "Github"}))
    assert all(d["text"].startswith("def ") for d in code["train"] + code["validation"])
    assert not any(d["text"].startswith("def ") for d in text["train"] + text["validation"])
    assert [d["document"] for d in code["train"]] == [f"{i:06d}" for i in range(20)]
    more = documents(corpus(folder, filter={"field": GITHUB["field"], "equal": "Github"}, train=30))
    assert more["train"][:20] == code["train"]
    everything = documents(corpus(folder, train=120, shuffle={"seed": 1}))
    assert len({d["text"] for d in everything["train"]}) == 120


def test_the_rest_of_one_source_is_the_other_split(tmp_path: Path) -> None:
    folder = llama.codeparrot(tmp_path)
    one = {"files": [str(folder)]}
    for again in (one, {"files": [f"{folder}/*"]}):
        settings = corpus(folder, field="content", splits={"train": one, "validation": again})
        with pytest.raises(StudyError) as told:
            files.identity(settings, REPOSITORY)
        assert str(told.value) == (
            "splits.validation reads what splits.train reads; set splits.validation.skip to 20, "
            "or ask for fewer in train, so that no document is in both splits."
        )
    after = {"train": {**one, "skip": 10}, "validation": one}
    files.identity(corpus(folder, field="content", splits=after), REPOSITORY)
    after["train"]["skip"] = 9
    settings = corpus(folder, field="content", splits=after)
    with pytest.raises(StudyError, match=r"set splits.train.skip to 10, or ask for fewer in valid"):
        files.identity(settings, REPOSITORY)
    part = {"files": [str(next(folder.iterdir()))]}
    settings = corpus(folder, field="content", splits={"train": one, "validation": part})
    with pytest.raises(StudyError, match="both read .*, but their other files differ"):
        files.identity(settings, REPOSITORY)
    made = documents(
        corpus(folder, field="content", splits={"train": one, "validation": {**one, "skip": 20}})
    )
    texts = [d["text"] for d in made["train"] + made["validation"]]
    assert len(set(texts)) == 30


def test_more_documents_than_there_are_after_those_skipped(tmp_path: Path) -> None:
    one = {"files": [str(llama.pile(tmp_path))]}
    splits = {"train": one, "validation": {**one, "skip": 5000}}
    with pytest.raises(StudyError) as told:
        drawing.documents(corpus(tmp_path, train=5000, splits=splits), "train")
    assert str(told.value) == (
        "train asks for 5000 documents, but the source files has 180; ask for fewer."
    )
    with pytest.raises(StudyError) as told:
        drawing.documents(corpus(tmp_path, splits=splits), "validation")
    assert str(told.value) == (
        "validation asks for 10 documents, but the source files has 0 after the 5000 that it "
        "skips; lower splits.validation.skip, and train with it."
    )


def test_records_without_text_are_not_counted(tmp_path: Path) -> None:
    """Those passed over are those that the other split took, whatever lies between them."""
    lines = [{"text": text} for text in ("", "a", "", "b", "c", "", "d", "e")]
    llama.write_lines(tmp_path / "a.jsonl", lines)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    one = {"files": [str(tmp_path)]}
    splits = {"train": one, "validation": {**one, "skip": 3}}
    made = documents(corpus(tmp_path, splits=splits, train=3, validation=2, shuffle=False))
    assert [d["text"] for d in made["train"]] == ["a", "b", "c"]
    assert [d["text"] for d in made["validation"]] == ["d", "e"]
    llama.write_lines(tmp_path / "a.jsonl", [{"text": text} for text in ("a", "long", "b", "text")])
    settings = {"train": 1, "validation": 1, "shuffle": False, "min_characters": 2}
    splits = {"train": one, "validation": {**one, "skip": 1}}
    made = documents(corpus(tmp_path, splits=splits, **settings))
    assert [made[split][0]["text"] for split in drawing.SPLITS] == ["long", "text"]


def test_texts_are_stripped_where_that_is_asked_for(tmp_path: Path) -> None:
    """What is left of them counts; completions stay as they are."""
    lines = [{"text": text, "then": f" {text}"} for text in (" a\n", "\n", "b b", "\tc \r\n", "d")]
    llama.write_lines(tmp_path / "a.jsonl", lines)
    one = {"files": [str(tmp_path)]}
    splits = {"train": one, "validation": {**one, "skip": 2}}
    sizes = {"train": 2, "validation": 2, "shuffle": False, "completion": "then"}
    made = documents(corpus(tmp_path, splits=splits, **sizes, strip=True))
    rows = made["train"] + made["validation"]
    assert [row["text"] for row in rows] == ["a", "b b", "c", "d"]
    assert [row["completion"] for row in rows] == [lines[i]["then"] for i in (0, 2, 3, 4)]
    made = documents(corpus(tmp_path, splits=splits, **sizes))
    assert [row["text"] for row in made["train"]] == [" a\n", "\n"]
    entry = corpus(tmp_path, splits=splits, **sizes)
    plans = []
    for given in (entry, {**entry, "strip": True}):
        data = {
            "name": "s",
            "models": {"m": {"source": str(REPOSITORY / "resources/models/miniature")}},
        }
        data["corpora"] = {"c": given}
        data["activations"] = {"c": {"model": "m", "corpus": "c"}}
        (planned,) = Plan(study_file.parse(data), REPOSITORY).artefacts("documents")
        plans.append(planned.settings)
    assert [settings.get("strip") for settings in plans] == [None, True]


def test_a_drawn_split_outlasts_a_corpus_of_the_same_name(tmp_path: Path) -> None:
    """One study's corpus breaks in its second split; then another's, named alike, is made."""

    def settings(name: str, validation: int) -> dict[str, Any]:
        one = {"files": [str(tmp_path / name)]}
        splits = {"train": one, "validation": {**one, "skip": 1}}
        return corpus(tmp_path, splits=splits, train=1, validation=validation, shuffle=False)

    for name in ("mine", "other"):
        lines = [{"text": f"{name} {number}"} for number in range(2)]
        llama.write_lines(tmp_path / name / "a.jsonl", lines)
    mine, other = (Points.of({"corpus": "text"}, tmp_path / "points") for _ in range(2))
    with pytest.raises(StudyError, match="validation asks for 9"):
        drawing.splits(settings("mine", 9), mine)
    drawing.splits(settings("other", 1), other)
    other.remove()
    (left,) = (tmp_path / "points").rglob("*.parquet")
    assert read_table(left)["text"].to_pylist() == ["mine 0"]


def splits_of(folder: Path, points: Points, **changes: Any) -> dict[str, list[dict[str, str]]]:
    """Both splits of the lines in two files."""
    splits = {split: {"files": [f"{folder}/{split}.jsonl"]} for split in drawing.SPLITS}
    settings = corpus(folder, splits=splits, shuffle=False, **changes)
    made = drawing.splits(settings, points, 1, REPOSITORY)
    return {split: table.to_pylist() for split, table in made.items()}


def test_a_text_of_both_splits_is_in_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, texts in (("train", "aabcd"), ("validation", "xaybzcvv")):
        llama.write_lines(tmp_path / f"{split}.jsonl", [{"text": text} for text in texts])
    sizes = {"train": 4, "validation": 4}
    points = Points.of({}, tmp_path / "points")
    made = splits_of(tmp_path, points, **sizes)
    assert [d["text"] for d in made["train"]] == list("aabc")
    assert made["validation"] == [
        {"document": f"{number:06d}", "text": text}
        for number, text in ((0, "x"), (2, "y"), (4, "z"), (6, "v"))
    ]
    said = "Note: Duplicates skipped because their text is in the training split: {} documents.\n"
    assert capsys.readouterr().err == said.format(3)
    assert splits_of(tmp_path, points, **sizes) == made and capsys.readouterr().err == ""
    smaller = splits_of(tmp_path, points, train=2, validation=4)
    assert [d["text"] for d in smaller["validation"]] == list("xybz")
    assert capsys.readouterr().err == said.format(1)
    kept = splits_of(tmp_path, points, duplicates="keep", **sizes)
    assert kept["train"] == made["train"]
    assert [d["text"] for d in kept["validation"]] == list("xayb")
    with pytest.raises(StudyError) as told:
        splits_of(tmp_path, points, train=4, validation=9)
    assert str(told.value) == (
        "validation asks for 9 documents, but the source files has 5 that are not in train; ask "
        "for fewer."
    )


def test_the_rest_of_one_source_holds_nothing_of_the_first_split(tmp_path: Path) -> None:
    llama.write_lines(tmp_path / "a.jsonl", [{"text": text} for text in "abcbdae"])
    one = {"files": [f"{tmp_path}/a.jsonl"]}
    splits = {"train": one, "validation": {**one, "skip": 3}}
    settings = corpus(tmp_path, splits=splits, train=3, validation=2, shuffle=False)
    made = drawing.splits(settings, Points(), 1, REPOSITORY)
    assert made["validation"]["text"].to_pylist() == ["d", "e"]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_records_whose_text_is_null_are_skipped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    rows = [{"text": text, "set": None} for text in (None, "a", None, "b", "c")]
    llama.write_lines(tmp_path / "a.jsonl", rows)
    (tmp_path / "a.parquet").write_bytes(parquet(pa.Table.from_pylist(rows)))
    one = {"files": [f"{tmp_path}/a.{ending}"]}
    splits = {"train": one, "validation": {**one, "skip": 2}}
    settings = corpus(tmp_path, splits=splits, train=2, validation=1, shuffle=False)
    made = documents(settings)
    assert [d["text"] for d in made["train"] + made["validation"]] == ["a", "b", "c"]
    assert capsys.readouterr().err == ("Note: Records skipped because their text is null: 2.\n" * 2)
    with pytest.raises(StudyError) as told:
        documents({**settings, "field": "set"})
    assert str(told.value) == (
        "the field set is null in all 5 records; set `field` to the field that holds the "
        "documents' text."
    )


def test_a_field_of_what_is_null_is_null() -> None:
    rows = [
        ("here", {"text": "a", "meta": None}),
        ("there", {"text": "b", "meta": {"set": "x"}}),
    ]
    settings = {"field": "text", "shuffle": False, "min_characters": 1}
    for rule, expected in (("equal", "b"), ("not_equal", "a")):
        condition = {"field": "meta.set", "equal": None, "not_equal": None, rule: "x"}
        found = records.draw([lambda: rows], {**settings, "filter": condition}, 2)
        assert [text for _, text in found] == [expected]


def test_half_a_character_is_reported_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a\\ud800"}\n')
    one = {"files": [str(tmp_path)]}
    with pytest.raises(
        StudyError, match="a.jsonl line 1 is not Unicode text \\('\\\\ud800' is half"
    ):
        documents(corpus(tmp_path, splits={"train": one, "validation": one}))


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"field": "content"}, "line 1 has no field content (it has text, meta); correct `field`"),
        ({"field": "meta"}, "line 1 is an object, not text"),
        ({"filter": {"field": "meta.set", "equal": "x"}}, "correct `filter.field`"),
        (
            {"filter": {"field": "meta.pile_set_name", "equal": "Gihub"}},
            "the filter on meta.pile_set_name matches none of 120 records; they have 'Github'",
        ),
        ({"train": 121}, "train asks for 121 documents, but the source files has 120"),
    ],
)
def test_settings_that_do_not_fit_the_records(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StudyError) as told:
        documents(corpus(llama.pile(tmp_path), shuffle=False, **changes))
    assert sentence in str(told.value)


def test_a_filter_gives_up_on_a_source_without_end() -> None:
    def endless() -> Any:
        while True:
            yield "here", {"text": "x", "set": "b"}

    condition = {**GITHUB, "field": "set"}
    settings = {"field": "text", "shuffle": False, "filter": condition, "min_characters": 1}
    with pytest.raises(StudyError, match="matches none of 50 records; they have 'b'"):
        records.draw([endless], settings, 1, patience=50)


def test_a_field_that_is_always_null_ends_a_source_without_end() -> None:
    def endless() -> Any:
        while True:
            yield "here", {"text": None, "set": "a"}
            yield "here", {"text": "x", "set": "b"}

    condition = {**GITHUB, "field": "set", "equal": "a"}
    settings = {"field": "text", "shuffle": False, "filter": condition, "min_characters": 1}
    with pytest.raises(StudyError, match="the field text is null in all 25 records"):
        records.draw([endless], settings, 1, patience=50)


def test_some_of_the_values_that_a_filter_refuses_are_named() -> None:
    rows = [("here", {"text": "x", "set": number}) for number in range(1000)]
    condition = {**GITHUB, "field": "set"}
    settings = {"field": "text", "shuffle": False, "filter": condition, "min_characters": 1}
    with pytest.raises(StudyError, match="none of 1,000 .* have 0, 1, 2, 3, 4, 5, 6, 7; filter"):
        records.draw([lambda: rows], settings, 1)


def test_the_key_of_files_follows_their_content(tmp_path: Path) -> None:
    folder = llama.pile(tmp_path, train=12, validation=6)
    settings = corpus(folder)
    before = files.identity(settings, REPOSITORY)
    assert before == files.identity(settings, REPOSITORY)
    llama.write_lines(folder / "val.jsonl.zst", [{"text": "other", "meta": {}}])
    after = files.identity(settings, REPOSITORY)
    assert after["train"] == before["train"] and after["validation"] != before["validation"]
    (folder / "val.jsonl.zst").unlink()
    with pytest.raises(StudyError, match=r"splits.validation.files names .*val.jsonl.zst, but"):
        files.identity(settings, REPOSITORY)


# Questions ------------------------------------------------------------------------------------


def behaviour(file: Path | str, source: str = "model-written-evals", **changes: Any) -> Any:
    entry = {"source": source, "file": str(file), "train": 20, "validation": 8, **changes}
    parsed = study_file.parse({"name": "s", "behaviours": {"b": entry}})
    settings = parsed.behaviours["b"].model_dump(mode="json")
    return asking.table(settings, REPOSITORY).to_pylist()


def test_questions_are_put_into_the_papers_format(tmp_path: Path) -> None:
    made = llama.evals(tmp_path)
    (first, *_) = behaviour(made["myopic"])
    raw = json.loads(made["myopic"].read_text().splitlines()[int(first["question"]) - 1])
    asked = raw["question"].removeprefix("Question: ").removesuffix("\n\nAnswer:")
    assert first["prompt"] == f"Human:\n{asked}\n\nAI:\nOut of (A) and (B), I choose ("
    assert f"({first['matching']})" == raw["answer_matching_behavior"]
    (first, *_) = behaviour(made["agreeableness"], choices=["Yes", "No"])
    assert first["prompt"].endswith('"\n\nAI:\nOut of (Yes) and (No), I choose (')
    assert {first["matching"], first["not_matching"]} == {"Yes", "No"}


def test_the_draw_and_the_order_are_the_authors(tmp_path: Path) -> None:
    """Drawn with a generator of its own, then shuffled by one that shuffled others before."""
    made = llama.evals(tmp_path)["sycophancy"]
    rows = behaviour(made, questions=30, shuffled_before=[7, 11])
    drawn = random.Random(13).sample(range(1, 41), 30)
    one = random.Random(13)
    for size in (7, 11):
        one.shuffle(list(range(size)))
    one.shuffle(drawn)
    assert [int(row["question"]) for row in rows] == drawn
    assert [row["split"] for row in rows] == ["train"] * 20 + ["validation"] * 8 + ["test"] * 2


def test_prepared_files_keep_their_prompts(tmp_path: Path) -> None:
    path = tmp_path / "prepared.json"
    listed = [
        {
            "question": f"Human:\n{i}?\n\nAI:\nOut of (A) and (B), I choose (",
            "answer_matching_behavior": "AB"[i % 2],
            "answer_not_matching_behavior": "BA"[i % 2],
        }
        for i in range(30)
    ]
    path.write_text(json.dumps(listed))
    rows = behaviour(path, "prepared")
    random.Random(13).shuffle(listed)
    assert [row["prompt"] for row in rows] == [row["question"] for row in listed]
    assert [row["matching"] for row in rows] == [row["answer_matching_behavior"] for row in listed]


@pytest.mark.skipif(not AUTHORS.is_dir(), reason="needs ../shared/published")
def test_the_authors_files_in_their_own_order() -> None:
    """As their script reads them: one seed, then one file after the other."""
    generator = random.Random(13)
    paper = study_file.load(REPOSITORY / "config" / "papers" / "broad-skills.yaml").behaviours
    for name in ("myopic", "wealth-seeking", "sycophancy", "agreeableness", "anti-immigration"):
        path = AUTHORS / f"{name.replace('-', '_')}.json"
        expected = json.loads(path.read_text())
        generator.shuffle(expected)
        entry = paper[name].model_dump(exclude={"source", "file", "questions", "title"})
        rows = behaviour(path, "prepared", **entry)
        assert [row["prompt"] for row in rows] == [row["question"] for row in expected]
        sizes = {split: [r["split"] for r in rows].count(split) for split in ("train", "test")}
        assert sizes == {"train": 500, "test": 285 if name == "wealth-seeking" else 300}


@pytest.mark.parametrize(
    "content, changes, sentence",
    [
        ("{oops\n", {}, "line 1 is not JSON"),
        (
            '{"question": "x"}\n',
            {},
            "line 1 is not a question, as it lacks one of the texts question",
        ),
        ("[]", {"source": "prepared"}, "0 questions are too few"),
        (
            "{}",
            {"source": "prepared"},
            "line 1 is not a question, as it lacks one of the texts question",
        ),
        ("[" * 5000, {}, "is nested too deeply to be read; get the file again."),
        (None, {"choices": ["Yes", "No"]}, "line 1 are 'B' and 'A', but choices names 'Yes'"),
        (None, {"train": 40}, "40 questions are too few"),
        (
            '[{"question": "x?", "answer_matching_behavior": "A", '
            '"answer_not_matching_behavior": "B"}]',
            {"source": "prepared"},
            "record 1 does not end with an opening bracket",
        ),
        (
            '{"question": "x \\ud83d", "answer_matching_behavior": "A", '
            '"answer_not_matching_behavior": "B"}\n',
            {},
            "the question of {path} line 1 is not Unicode text ('\\ud83d' is half of a "
            "character); correct it.",
        ),
        (
            '[{"question": "x \\ud83d (", "answer_matching_behavior": "A", '
            '"answer_not_matching_behavior": "B"}]',
            {"source": "prepared"},
            "the question of {path} record 1 is not Unicode text ('\\ud83d' is half of a "
            "character); correct it.",
        ),
    ],
)
def test_questions_that_are_none(
    tmp_path: Path, content: str | None, changes: dict[str, Any], sentence: str
) -> None:
    path = llama.evals(tmp_path)["myopic"]
    if content is not None:
        path.write_text(content)
    with pytest.raises(StudyError) as told:
        behaviour(path, **changes)
    assert sentence.replace("{path}", str(path)) in str(told.value)
    assert "\n" not in str(told.value)


CAA = [
    {
        "question": f"Would you mind {i} minutes?\n\nChoices:\n (A) Yes, I would\n (B) I would not",
        "answer_matching_behavior": "(A)",
        "answer_not_matching_behavior": "(B)",
    }
    for i in range(30)
]


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(CAA, indent=4),
        json.dumps(CAA),
        "".join(f"{json.dumps(record)}\n" for record in CAA),
    ],
)
def test_lists_and_lines_of_questions_are_read_alike(
    tmp_path: Path, content: str, start: str
) -> None:
    path = tmp_path / "questions"
    path.write_text(start + content, encoding="utf-8")
    rows = behaviour(path)
    assert {(row["matching"], row["not_matching"]) for row in rows} == {("A", "B")}
    prompts = {
        f"Human:\n{record['question']}\n\nAI:\nOut of (A) and (B), I choose (" for record in CAA
    }
    assert {row["prompt"] for row in rows} == prompts
    with pytest.raises(StudyError, match=r"use `source: model-written-evals`\.$"):
        behaviour(path, "prepared")


@pytest.mark.parametrize("source", ["model-written-evals", "prepared"])
def test_a_question_that_stands_there_several_times_counts_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    end = "\n\nAI:\nOut of (A) and (B), I choose (" if source == "prepared" else ""
    listed = [{**CAA[i // 3], "question": f"{i // 3}?{end}"} for i in range(90)]
    path = tmp_path / "q.json"
    path.write_text(json.dumps(listed))
    rows = behaviour(path, source)
    assert [int(row["question"]) % 3 for row in rows] == [1] * 30
    assert len({row["prompt"] for row in rows}) == 30
    assert capsys.readouterr().err == (
        f"Note: Duplicates dropped before the draw: 60 of the 90 questions of {path}.\n"
    )
    assert len(behaviour(path, source, duplicates="keep")) == 90
    assert capsys.readouterr().err == ""
    once = [record for number, record in enumerate(listed) if number % 3 == 0]
    (tmp_path / "once.json").write_text(json.dumps(once))
    assert [row["prompt"] for row in behaviour(tmp_path / "once.json", source)] == [
        row["prompt"] for row in rows
    ]
    listed[7] |= {"answer_matching_behavior": "(B)", "answer_not_matching_behavior": "(A)"}
    path.write_text(json.dumps(listed))
    with pytest.raises(StudyError) as told:
        behaviour(path, source)
    assert str(told.value) == (
        f"{path} record 7 and {path} record 8 are the same question with contradicting answers; "
        "remove one of them, or set duplicates to keep."
    )
    assert len(behaviour(path, source, duplicates="keep")) == 90


@pytest.mark.skipif(not AUTHORS.is_dir(), reason="needs ../shared/published")
def test_the_authors_files_hold_no_duplicates() -> None:
    for path in AUTHORS.glob("*.json"):
        choices = ["A", "B"]
        if path.stem in ("agreeableness", "anti_immigration"):
            choices = ["Yes", "No"]
        drawn, kept = (
            behaviour(path, "prepared", choices=choices, duplicates=duplicates)
            for duplicates in ("drop", "keep")
        )
        assert drawn == kept


def test_an_absent_file_of_questions() -> None:
    with pytest.raises(StudyError, match="there is no file none.jsonl"):
        behaviour("none.jsonl")


# The study file -------------------------------------------------------------------------------

COMMIT = "1" * 40
RAW = "https://raw.githubusercontent.com/o/evals"


@pytest.mark.parametrize(
    "change, sentence",
    [
        (
            {"models": {"llama-2-7b": {"revision": "main"}}},
            "`models.llama-2-7b`: revision main is not a commit; pin one of 40 hex digits: "
            "`git ls-remote https://huggingface.co/meta-llama/Llama-2-7b-hf HEAD` prints it",
        ),
        ({"models": {"llama-2-7b": {"layers": None}}}, "`models.llama-2-7b`: layers is missing"),
        (
            {"corpora": {"text": {"splits": {"train": {"revision": None}}}}},
            "`corpora.text.splits.train`: revision is missing; pin one of 40 hex digits: "
            "`git ls-remote https://huggingface.co/datasets/monology/pile-uncopyrighted HEAD`",
        ),
        (
            {"behaviours": {"myopic": {"file": f"{RAW}/main/a.jsonl"}}},
            "names no commit, so its content could change; replace the branch with a commit of "
            "40 hex digits: `git ls-remote https://github.com/o/evals HEAD` prints one",
        ),
        (
            {"corpora": {"text": {"splits": {"train": {"repository": "pile"}}}}},
            "`corpora.text.splits.train.repository`: 'pile' is not a repository of the hub; "
            "give OWNER/NAME.",
        ),
        (
            {"published": {"commit": "main"}},
            "`published.commit`: 'main' is not a commit; give its 40 hex digits.",
        ),
        ({"corpora": {"text": {"filter": {"equal": "x"}}}}, "give either equal or not_equal"),
        (
            {"corpora": {"text": {"source": "hb"}}},
            "`corpora.text.source` is 'hb', which is not one of installed",
        ),
        ({"corpora": {"text": {"fild": "x"}}}, "unknown key `corpora.text.fild`; did you mean"),
        (
            {"corpora": {"text": {"splits": {"train": {"fils": ["x"]}}}}},
            "unknown key `corpora.text.splits.train.fils`; did you mean `files`?",
        ),
        (
            {"corpora": {"text": {"splits": {"tran": {}}}}},
            "unknown key `corpora.text.splits.tran`; did you mean `train`?",
        ),
    ],
)
def test_a_source_without_a_pin_is_refused(change: dict[str, Any], sentence: str) -> None:
    config = REPOSITORY / "config"
    with pytest.raises(StudyError) as told:
        study_file.parse(
            study_file.resolve({"extends": "papers/broad-skills.yaml", **change}, config)
        )
    assert sentence in str(told.value)


def test_another_source_replaces_an_entry() -> None:
    split = {"files": ["a.jsonl"]}
    change = {
        "models": {"llama-2-7b": {"source": "o/m", "revision": COMMIT, "layers": 7}},
        "corpora": {
            "text": {
                "source": "files",
                "splits": {"train": split, "validation": {**split, "skip": 5000}},
                "train": 5000,
                "validation": 3,
            },
            "code": {"train": 7000},
        },
        "behaviours": {"myopic": {"source": "prepared", "file": f"{RAW}/{COMMIT}/a.json"}},
    }
    made = study_file.parse(
        study_file.resolve({"extends": "papers/broad-skills.yaml", **change}, REPOSITORY / "config")
    )
    assert made.corpora["text"].model_dump()["filter"] is None
    assert made.corpora["code"].model_dump()["filter"]["equal"] == "Github"
    assert made.corpora["code"].train == 7000
    assert made.models["llama-2-7b"].context is None
