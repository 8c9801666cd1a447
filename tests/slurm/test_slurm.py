"""Most of the small study on a real Slurm, on a bad day: whatever happens to it, it ends with the
bytes of an undisturbed local run, and nothing that was finished is made twice.

One run goes through all faults, since each job costs seconds; the tests look at what it left.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from checkout import Checkout, copy_of_repository

pytestmark = pytest.mark.skipif(
    "SNAKESTEER_TEST_SLURM" not in os.environ,
    reason="no Slurm was started for the tests; `make test-slurm` starts one",
)

SLURM = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "1")
FEWER: dict[str, Any] = {
    "models": {"miniature-chat": {"job_tokens": 1}},  # a job for each layer
    "corpora": {"python": None, "all": None},
    "activations": {"python": None, "all": None},
    "vectors": {"python": None},
    "sweeps": {"python": None, "combined": None, "alignment-tax": None},
    "figures": {
        "python-ability": None,
        "combined-steering": None,
        "simultaneous-steering": {"tax": None},
    },
}
MODEL_RULES = {"activations", "sweep", "samples"}
OTHER_RULES = {"skip_tokens", "mean", "vector"}
Found = TypeVar("Found")


@dataclass(frozen=True)
class Job:
    """A Slurm job as slurmctld remembers it. `minutes` is its time limit."""

    number: str
    rule: str
    name: str
    state: str
    gpus: str
    minutes: int
    memory: str
    restarts: int

    @property
    def made(self) -> tuple[str, str]:
        return self.rule, self.name

    @property
    def key(self) -> str:
        """The key of what the job makes."""
        return self.name.rpartition("_")[2]


@dataclass(frozen=True)
class Day:
    """What was done to the run, and to which jobs."""

    checkout: Checkout
    left_behind: list[Job]
    unfinished: set[str]
    environment: list[bytes]
    refused_after_kill: Any
    refused_beside: Any
    hit: dict[str, Job]
    output: str
    jobs: list[Job]

    def tries(self, fault: str) -> list[Job]:
        """The jobs that made what the job hit by a fault was to make, in order."""
        return [job for job in self.jobs if job.made == self.hit[fault].made]


def slurm(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def jobs() -> list[Job]:
    return list(_jobs())


def _jobs() -> Iterator[Job]:
    for line in slurm("scontrol", "show", "job", "--oneliner").splitlines():
        given = dict(item.split("=", 1) for item in line.split() if "=" in item)
        if "rule_" in given.get("Comment", ""):
            rule, _, name = given["Comment"].removeprefix("rule_").partition("_wildcards_")
            hours, minutes, _ = given["TimeLimit"].split(":")
            yield Job(
                given["JobId"],
                rule,
                name,
                given["JobState"],
                given.get("TresPerJob", ""),
                60 * int(hours) + int(minutes),
                given["MinMemoryNode"],
                int(given["Restarts"]),
            )


def until(condition: Callable[[], Found | None], process: subprocess.Popen | None = None) -> Found:
    """What the condition finds, once it finds something, while the process runs."""
    end = time.monotonic() + 240
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        assert process is None or process.poll() is None, "Snakemake ended too early"
        time.sleep(0.1)
    return found


def script_of(job: Job) -> int | None:
    """The process that runs a job's script."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if (
            f"SLURM_JOB_ID={job.number}".encode() in environment
            and b"snakemake/scripts/" in command
        ):
            return int(process.name)
    return None


def running_scripts(rules: set[str], but: set[tuple[str, str]] = frozenset()) -> dict[Job, int]:
    """Jobs of these rules whose script is running, and its process."""
    return {
        job: script
        for job in jobs()
        if job.state == "RUNNING" and job.rule in rules and job.made not in but
        if (script := script_of(job))
    }


def start(checkout: Checkout, log: Path, *arguments: str) -> subprocess.Popen:
    with log.open("w") as stream:
        return subprocess.Popen(
            checkout.command(*arguments, config=checkout.variant(FEWER)),
            cwd=checkout.folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Day, Checkout]]:
    """The run with its faults, and beside it the same study run locally and undisturbed."""
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("local", "slurm"):
        (folder / name).mkdir()
    local, checkout = (copy_of_repository(folder / name) for name in ("local", "slurm"))
    undisturbed = start(local, folder / "local.log", "--cores", "2")
    log = folder / "slurm.log"
    started = [undisturbed]

    def run() -> subprocess.Popen:
        started.append(start(checkout, log, *SLURM))
        return started[-1]

    try:
        # Snakemake is killed; its jobs run on, one of them slowly.
        first = run()
        stopped, script = next(iter(until(lambda: running_scripts({"activations"}), first).items()))
        os.kill(script, signal.SIGSTOP)
        environment = Path(f"/proc/{script}/environ").read_bytes().split(b"\0")
        first.kill()
        first.wait()
        refused_after_kill = checkout.attempt(*SLURM, config=checkout.variant(FEWER))
        unfinished = begun(checkout.folder)
        checkout.snakemake("--cores", "1", "--unlock")
        left_behind = jobs()

        # Started again, it gives the same jobs to Slurm once more: two writers.
        second = run()
        until(lambda: any((checkout.folder / ".snakemake" / "locks").glob("*")), second)
        refused_beside = checkout.attempt(*SLURM, config=checkout.variant(FEWER))
        until(lambda: stopped.made in {job.made for job in completed()}, second)
        os.kill(script, signal.SIGCONT)
        until(lambda: {job.number for job in left_behind} <= {job.number for job in completed()})

        # A job of higher priority takes all GPUs.
        sweeps = {"sweep"}
        until(lambda: running_scripts(sweeps), second)
        slurm("sbatch", "--partition=urgent", "--gpus=3", "--output=/dev/null", "--wrap=true")
        again = until(
            lambda: [job for job in jobs() if job.restarts and job.rule in sweeps], second
        )
        hit = {"preempted": again[0]}

        def next_one() -> tuple[Job, int]:
            found = until(
                lambda: running_scripts(sweeps, {job.made for job in hit.values()}), second
            )
            return next(iter(found.items()))

        hit["stalled"], script = next_one()
        os.kill(script, signal.SIGSTOP)
        slurm("scontrol", "update", f"JobId={hit['stalled'].number}", "TimeLimit=1")
        hit["killed"], script = next_one()
        os.kill(script, signal.SIGKILL)
        hit["cancelled"], _ = next_one()
        slurm("scancel", hit["cancelled"].number)

        assert second.wait(400) == 0, log.read_text()
        assert undisturbed.wait(400) == 0, (folder / "local.log").read_text()
        until(lambda: not slurm("squeue", "-h"))
        yield (
            Day(
                checkout,
                left_behind,
                unfinished,
                environment,
                refused_after_kill,
                refused_beside,
                hit,
                log.read_text(),
                jobs(),
            ),
            local,
        )
    finally:
        for process in started:
            process.kill()


def completed() -> list[Job]:
    return [job for job in jobs() if job.state == "COMPLETED"]


def begun(folder: Path) -> set[str]:
    """The keys of what Snakemake has begun, and not seen finished."""
    marked = (folder / ".snakemake" / "incomplete").iterdir()
    paths = [base64.b64decode(mark.name).decode() for mark in marked]
    return {path.split(".")[-2] for path in paths}


@pytest.fixture(scope="module")
def day(days: tuple[Day, Checkout]) -> Day:
    return days[0]


def test_the_bytes_are_those_of_a_local_run(days: tuple[Day, Checkout]) -> None:
    day, local = days
    made = {
        path.relative_to(local.folder)
        for part in ("cache", "small")
        for path in (local.folder / "results" / part).rglob("*")
        if path.is_file() and path.stem not in ("usage", "index")  # what the jobs took
    }
    assert len(made) > 80
    for path in made:
        assert (day.checkout.folder / path).read_bytes() == (local.folder / path).read_bytes(), path


def test_models_hold_a_gpu_and_nothing_else_does(day: Day) -> None:
    assert {job.rule for job in day.jobs} == MODEL_RULES | OTHER_RULES
    for job in day.jobs:
        assert job.gpus == ("gres:gpu:1" if job.rule in MODEL_RULES else "")


def test_jobs_that_run_a_model_look_for_nothing_in_a_network(day: Day) -> None:
    assert b"HF_HUB_OFFLINE=1" in day.environment


def test_nothing_that_was_finished_is_made_twice(day: Day) -> None:
    done = [job.key for job in day.jobs if job.state == "COMPLETED"]
    twice = {key for key in done if done.count(key) > 1}
    assert twice <= day.unfinished
    variant = day.checkout.variant(FEWER)
    assert "Nothing to be done" in day.checkout.snakemake("--cores", "1", config=variant)


def test_a_lock_left_by_a_killed_snakemake_is_explained(day: Day) -> None:
    assert day.refused_after_kill.returncode != 0
    assert "--unlock" in day.refused_after_kill.stdout


def test_a_second_snakemake_on_the_same_results_is_refused(day: Day) -> None:
    assert day.refused_beside.returncode != 0
    assert "Directory cannot be locked" in day.refused_beside.stdout


def test_jobs_left_behind_end_as_second_writers(day: Day) -> None:
    ended = {job.number: job.state for job in day.jobs}
    assert {ended[job.number] for job in day.left_behind} == {"COMPLETED"}


@pytest.mark.parametrize(
    ("fault", "state"), [("killed", "FAILED"), ("cancelled", "CANCELLED"), ("stalled", "TIMEOUT")]
)
def test_a_job_that_was_cut_short_is_tried_again_with_more(
    day: Day, fault: str, state: str
) -> None:
    first, second = day.tries(fault)
    assert (first.state, second.state) == (state, "COMPLETED")
    assert second.minutes == 2 * day.hit[fault].minutes
    assert int(second.memory.rstrip("M")) == 2 * int(first.memory.rstrip("M"))


def test_a_preempted_job_runs_again_when_it_may(day: Day) -> None:
    (job,) = day.tries("preempted")
    assert (job.state, job.restarts) == ("COMPLETED", 1)
