"""What stands last in the terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY

from snakesteer.core import notes
from snakesteer.core.interruption import INTERRUPTED
from snakesteer.plan import closing_notes
from snakesteer.study.corpora import SelectedCorpus
from snakesteer.study.sweeps import SweepEntry
from snakesteer.study.tables import Table, tables_of


def test_jobs_that_failed_say_why_once(tmp_path: Path) -> None:
    logs = {
        "sentence": "3 of 9 tokens\nError: corpora.a: it is so.\n",
        "again": "Error: corpora.a: it is so.\n\n",
        "traceback": "Traceback:\n  at b\nMemoryError\n",
        "empty": "",
    }
    for name, content in logs.items():
        (tmp_path / name).write_text(content)
    paths = [str(tmp_path / name) for name in [*logs, "none"]]
    assert closing_notes.reasons(paths) == [
        "Error: corpora.a: it is so.",
        f"Error: {tmp_path}/traceback: MemoryError",
        f"Error: {tmp_path}/empty: nothing",
        (
            f"Error: {tmp_path}/none was not written: its job was killed, or failed before it "
            "started."
        ),
    ]


@pytest.mark.parametrize("logs", [{}, {"a": f"{INTERRUPTED}\n"}, {"a": INTERRUPTED, "b": "c"}])
def test_an_interrupted_run_says_nothing_else(tmp_path: Path, logs: dict[str, str]) -> None:
    for name, content in logs.items():
        (tmp_path / name).write_text(content)
    assert closing_notes.reasons(str(tmp_path / name) for name in logs) == [INTERRUPTED]


def test_sentences_come_after_all_else_and_in_their_order() -> None:
    program = (
        "from snakesteer.plan.closing_notes import say_last\n"
        "import sys; say_last(['one', 'two']); print('before', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(REPOSITORY / "workflow" / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "before\none\ntwo\n"


@pytest.mark.parametrize(
    ("imported", "told"), [("snakesteer.plan.closing_notes", False), ("script_job", True)]
)
def test_ctrl_c_is_a_sentence_in_jobs_and_not_in_who_imports_the_package(
    imported: str, told: bool
) -> None:
    printed = {}
    for fault in ("KeyboardInterrupt", "ValueError('x')"):
        printed[fault] = subprocess.run(
            [sys.executable, "-c", f"import {imported}; raise {fault}"],
            env={"PYTHONPATH": str(REPOSITORY / "workflow" / "scripts")},
            capture_output=True,
            text=True,
            check=False,
        ).stderr
    assert (printed["KeyboardInterrupt"] == f"{INTERRUPTED}\n") is told
    assert printed["KeyboardInterrupt"].endswith("\nKeyboardInterrupt\n") is not told
    assert printed["ValueError('x')"].endswith("\nValueError: x\n")


def sweep(*tokens: int, **more: Any) -> SweepEntry:
    """A sweep with a measure of so many tokens each."""
    measures = {}
    for place, most in enumerate(tokens):
        asked = {"measure": "next_token", "corpora": ["a", "b"], "tokens": most}
        measures[f"next{place}"] = asked | more
    given = {"model": "m", "inject": {"vector": "v", "layers": [1, 2]}, "coefficients": [0, 1]}
    return SweepEntry.model_validate(given | {"measures": measures})


RAW = ("measure", "injection", "coefficient", "corpus", "tokens")


def test_a_corpus_shorter_than_a_sweep_asks_for_is_reported(tmp_path: Path) -> None:
    """By the injection that stands first, and by each measure's own rows; not of a selection."""
    sweeps = {"s": sweep(900), "t": sweep(900), "short": sweep(300), "none": sweep(900)}
    sweeps |= {"precise": sweep(900, precision=0.1), "damaged": sweep(900)}
    sweeps |= {"two": sweep(300, 900)}
    of_one = [(0.0, "a", 500), (0.0, "b", 901), (0.0, "a", 12), (1.0, "a", 12)]
    of_one.append((0.0, "kept", 5))
    kept = {"source": "selected", "of": "a", "model": "m", "tokens": [1], "above": 0}
    corpora: dict[str, Any] = {"a": None, "b": None, "kept": SelectedCorpus.model_validate(kept)}
    for name in sweeps.keys() - {"none"}:
        rows = []
        for measure in sweeps[name].measures:
            for injection in ("v at 1", "v at 2"):
                rows += [(measure, injection, *row) for row in of_one]
        columns = zip(RAW, zip(*rows, strict=True), strict=True)
        table = {column: list(values) for column, values in columns}
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    made = {name: [SimpleNamespace(paths=[str(tmp_path / f"{name}.parquet")])] for name in sweeps}
    tabled: dict[str, Table] = {}
    for name, one in sweeps.items():
        tabled |= tables_of(name, one)
    plan: Any = SimpleNamespace(study=SimpleNamespace(tabled=tabled, corpora=corpora), sweeps=made)
    assert closing_notes.short_corpora(plan) == [
        "corpora.a.validation holds 512 of the 900 tokens that sweeps.s and sweeps.t and "
        "sweeps.two.next1 asks for; raise it, or lower `tokens`."
    ]


def test_what_jobs_noted_in_their_logs_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = "Records skipped because their text is null: 2."
    notes.note(sentence)
    logs = dict.fromkeys(
        ("documents/a.1", "documents/of-another-run.1", "questions/b.2", "figure/s/c"),
        f"1 of 2 tokens\n{capsys.readouterr().err}Done.\n",
    )
    logs["scorecard/s/d"] = logs["figure/s/c"]
    for name, content in logs.items():
        path = tmp_path / "results" / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    made = {
        "documents": [SimpleNamespace(name="a", key="1"), SimpleNamespace(name="a", key="0")],
        "questions": [SimpleNamespace(name="b", key="2")],
    }
    plan: Any = SimpleNamespace(
        study=SimpleNamespace(name="s", tabled={}),
        published={},
        path="/".join,
        artefacts=lambda stage: made.get(stage, []),
        controls={"f": None},
        figures={"c": None, "e": None},
        scorecards={"d": None},
    )
    assert closing_notes.notes(plan) == [
        f"corpora.a: {sentence}",
        f"behaviours.b: {sentence}",
        sentence,
    ]
