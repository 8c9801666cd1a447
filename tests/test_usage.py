"""What jobs took: written beside their logs, gathered into a table and a page."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from snakesteer.core import progress as progress_module
from snakesteer.core.progress import Progress
from snakesteer.jobs.usage import write_usage
from snakesteer.reports.usage import COLUMNS, page, usage


def test_a_job_says_its_tokens_and_their_rate(tmp_path: Path) -> None:
    progress = Progress(stream=io.StringIO())
    progress.start(100)
    progress.step(60)
    progress.finish()
    write_usage(str(tmp_path / "code.layer-3.log"), torch.device("cpu"), progress)
    written = json.loads((tmp_path / "code.layer-3.usage.json").read_text())
    assert (written["tokens"], written["device"]) == (60, "cpu")
    assert written["tokens_per_second"] == pytest.approx(60 / progress.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A time that tests set."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


def test_progress_is_lines_without_control_characters(clock: SimpleNamespace) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream)
    progress.start(100)
    clock.now += 5
    progress.step(25)
    line = stream.getvalue()
    assert line == "25 of at most 100 tokens, 5 a second, at most 0:15 left\n"
    assert line.strip().isprintable()


def test_a_long_job_writes_few_lines(clock: SimpleNamespace) -> None:
    """A failing job's log is printed whole."""
    stream = io.StringIO()
    progress = Progress(stream=stream)
    progress.start(4 * 3600)
    lines = []
    for _ in range(4 * 3600):
        clock.now += 1
        progress.step(1)
        lines.append(stream.getvalue().count("\n"))
    assert lines[59] == 60 / 5
    assert lines[3599] == 12 + 59
    assert lines[-1] == 12 + 59 + 3 * 12


def test_what_an_earlier_job_has_done_is_not_waited_for(clock: SimpleNamespace) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream)
    progress.start(100)
    progress.skip(60)
    clock.now += 5
    progress.step(10)
    assert stream.getvalue() == "10 of at most 40 tokens, 2 a second, at most 0:15 left\n"


def test_what_was_not_measured_is_empty(tmp_path: Path) -> None:
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    (tmp_path / "a.tsv").write_text(header + "12.5\t0:00:12\t480.5\t-\t-\t-\t0.0\t0.0\t90\t11.25\n")
    (tmp_path / "a.usage.json").write_text(
        '{"tokens": 500, "tokens_per_second": 50.0, "device": "cpu", "device_memory_mb": null}'
    )
    jobs = [
        {"rule": "sweep", "name": name, "key": "0"}
        | {"benchmark": str(tmp_path / f"{name}.tsv")}
        | {"usage": str(tmp_path / f"{name}.usage.json")}
        for name in ("a", "b")
    ]
    used = usage(jobs)
    assert list(used) == COLUMNS
    first, second = used.to_dict("records")
    assert (first["seconds"], first["cpu_seconds"], first["memory_mb"]) == (12.5, 11.25, 480.5)
    assert (first["tokens"], first["tokens_per_second"]) == (500, 50.0)
    assert used.loc[1, COLUMNS[3:]].isna().all()
    assert second["name"] == "b"
    shown = page(used)
    assert "<td>a" in shown
    assert "<td>cpu" in shown
    assert "nan" not in shown
