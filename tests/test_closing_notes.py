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

from snakesteer.core.interruption import INTERRUPTED
from snakesteer.plan import closing_notes
from snakesteer.study.schema import SkillSweep


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
        f"Error: {tmp_path}/none was not written: its job ended before it began, or was killed.",
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


def sweep(tokens: int, **more: Any) -> SkillSweep:
    given = {"kind": "skill", "model": "m", "inject": "v", "layers": [1], "corpora": ["a", "b"]}
    return SkillSweep.model_validate(given | {"coefficients": [0, 1], "tokens": tokens} | more)


def test_a_corpus_shorter_than_a_sweep_asks_for_is_said(tmp_path: Path) -> None:
    sweeps = {"s": sweep(900), "t": sweep(900), "short": sweep(300), "none": sweep(900)}
    sweeps |= {"precise": sweep(900, precision=0.1), "damaged": sweep(900)}
    for name in sweeps.keys() - {"none"}:
        rows = [(0.0, "a", 500), (0.0, "b", 901), (0.0, "a", 12), (1.0, "a", 12)]
        columns = zip(("coefficient", "corpus", "tokens"), zip(*rows, strict=True), strict=True)
        table = {column: list(values) for column, values in columns}
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    made = {name: [SimpleNamespace(paths=[str(tmp_path / f"{name}.parquet")])] for name in sweeps}
    study = SimpleNamespace(sweeps=sweeps)
    plan: Any = SimpleNamespace(
        study=study, sweeps=made, published={}, path="/".join, artefacts=lambda stage: []
    )
    assert closing_notes.notes(plan) == [
        "corpora.a.validation holds 512 of the 900 tokens that sweeps.s and sweeps.t should read; "
        "raise it, or lower `tokens`."
    ]
