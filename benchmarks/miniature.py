"""What `make` costs a newcomer: seconds and memory, in a fresh clone of this checkout.

    .venv/bin/python benchmarks/miniature.py

Prints the seconds of installation, of the workflow and of the report, and the largest memory that
all processes held together at any time (proportional set size, looked at twice a second).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
STEPS = {
    "installation": ["make", ".venv/installed"],
    "workflow": [".venv/bin/snakemake", "--cores", "2", "--configfile", "config/miniature.yaml"],
    "again": [".venv/bin/snakemake", "--cores", "2", "--configfile", "config/miniature.yaml"],
    "whole make": ["make", "CORES=2"],
}


def held(process: psutil.Process) -> int:
    """Bytes that a process and its descendants hold now."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def measure(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall seconds and peak gigabytes of a command."""
    peak = 0
    started = time.monotonic()
    running = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.5):
            peak = max(peak, held(psutil.Process(running.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = running.wait()
    done.set()
    watcher.join()
    if status:
        sys.exit(f"{' '.join(command)} ended with status {status}")
    return time.monotonic() - started, peak / 1e9


def main() -> None:
    """Measure each step and print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "snakesteer"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(folder)], check=True)
        print(f"{psutil.cpu_count()} cores, Python {sys.version.split()[0]}")
        for step, command in STEPS.items():
            seconds, gigabytes = measure(command, folder)
            print(f"{step:14} {seconds:7.1f} s   {gigabytes:5.2f} GB", flush=True)


if __name__ == "__main__":
    main()
