"""Seconds and bytes of a call, and the file that figures are kept in."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import torch

from snakesteer.storage.files import write_table

FOLDER = Path(__file__).resolve().parent.parent / "results" / "benchmarks"

Outcome = TypeVar("Outcome")


def timed(device: torch.device, act: Callable[[], Outcome]) -> tuple[float, Outcome]:
    """Wall seconds of a call, until the device is done, and its outcome."""
    _wait_for(device)
    started = time.perf_counter()
    outcome = act()
    _wait_for(device)
    return time.perf_counter() - started, outcome


def processor_seconds(device: torch.device, act: Callable[[], Any]) -> float:
    """Seconds of all processors that a call takes; on a GPU those of the wall.

    So what else runs on the machine counts less.
    """
    started = time.process_time()
    wall, _ = timed(device, act)
    return time.process_time() - started if device.type == "cpu" else wall


def seconds(device: torch.device, act: Callable[[], Any], repeats: int = 5) -> float:
    """Median wall seconds of a call, after one that does not count."""
    act()
    return statistics.median(timed(device, act)[0] for _ in range(repeats))


def in_turns(
    device: torch.device, ways: Mapping[str, Callable[[], Any]], repeats: int
) -> dict[str, list[float]]:
    """Wall seconds of each way's calls, [repeats], one after the other again and again.

    So a busier minute of the machine meets all of them.
    """
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, act in ways.items():
            taken[way].append(timed(device, act)[0])
    return taken


def peak_bytes(device: torch.device, act: Callable[[], Any]) -> int:
    """Bytes that a call holds at its peak beyond what is held before it.

    On a GPU those that torch has allocated there, else the process's resident memory, whose peak
    Linux counts anew on request. (The peak in `getrusage` cannot be used: a new process starts with
    that of the one which started it.)
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        act()
        return torch.cuda.max_memory_allocated(device) - before
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak_resident()
    act()
    return _peak_resident() - before


def write(name: str, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> None:
    """Keep the figures and say where."""
    path = keep(name, rows, settings)
    print(f"Written: {path.relative_to(FOLDER.parent.parent)}")


def keep(name: str, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> Path:
    """Keep the figures as results/benchmarks/<name>.parquet, with what they were made with."""
    packages = {package: version(package) for package in ("torch", "transformers")}
    path = FOLDER / f"{name}.parquet"
    about = {"kind": "benchmark", "settings": dict(settings), "packages": packages}
    write_table(path, pa.Table.from_pylist([dict(row) for row in rows]), about)
    return path


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
