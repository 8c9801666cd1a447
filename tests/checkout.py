"""A copy of the repository in which the small study can be run."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What Snakemake and the Snakefile import while they run: loaded once for all forks.
import described
import jsonschema  # noqa: F401
import nbformat  # noqa: F401
import smart_open  # noqa: F401
import yaml
from conftest import REPOSITORY
from snakemake.cli import get_argument_parser
from snakemake.cli import main as snakemake_main

get_argument_parser()  # finds Snakemake's plugins, also for all forks

SMALL = REPOSITORY / "tests" / "small.yaml"
PARTS = "Snakefile rules workflow config profiles slurm docs envs resources".split()


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository, with the small study run in it."""

    folder: Path

    def snakemake(self, *arguments: str, config: Path | None = None) -> str:
        """What Snakemake prints; it must succeed."""
        done = self.attempt(*arguments, config=config)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def attempt(self, *arguments: str, config: Path | None = None) -> Any:
        return subprocess.run(
            self.command(*arguments, config=config),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def forked(self, *arguments: str, config: Path | None = None) -> None:
        """Runs Snakemake with jobs that are forks of it, see `forked`.

        Every column of what it makes must be described (`described`).
        """
        forked = REPOSITORY / "tests" / "forked.py"
        command = [sys.executable, str(forked), *self.command(*arguments, config=config)[3:]]
        subprocess.run(command, cwd=self.folder, check=True)
        described.check(self.folder / "results")

    def reduced(self, study: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        """Runs a study, kept as `tests/reduced.yaml`, with jobs that are forks of Snakemake and
        further variables of the environment; it must succeed, and describe every column."""
        config = self.folder / "tests" / "reduced.yaml"
        config.write_text(yaml.safe_dump(study))
        forked = str(REPOSITORY / "tests" / "forked.py")
        done = subprocess.run(
            [sys.executable, forked, "--cores", "2", "--configfile", str(config)],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        described.check(self.folder / "results")

    def command(self, *arguments: str, config: Path | None = None) -> list[str]:
        config = config or self.folder / "tests" / "small.yaml"
        return [sys.executable, "-m", "snakemake", "--configfile", str(config), *arguments]

    def planned(self, config: Path | None = None) -> dict[str, int]:
        """The jobs a dry run lists, by rule."""
        text = self.dry_run("--quiet", "reason", config=config)
        return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.M)}

    def dry_run(self, *arguments: str, config: Path | None = None) -> str:
        """What a dry run prints."""
        return self.printed("-n", *arguments, config=config)

    def printed(self, *arguments: str, config: Path | None = None) -> str:
        """What Snakemake prints, in a fork of this process, which need not import it again."""
        return printed_by(self.folder, self.command(*arguments, config=config)[3:])

    def variant(self, change: dict[str, Any]) -> Path:
        """The small study with some entries changed, under the same name."""
        path = self.folder / "tests" / "variant.yaml"
        path.write_text(yaml.safe_dump({"extends": "small.yaml", **change}, sort_keys=False))
        return path

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath("results", "small", *parts)


def printed_by(folder: Path, arguments: list[str], status: int = 0) -> str:
    """What Snakemake prints in a folder, in a fork of this process, which must end so."""
    printed = folder / "printed.txt"
    process = multiprocessing.get_context("fork").Process(
        target=_in_place, args=(folder, printed, arguments)
    )
    process.start()
    process.join()
    text = printed.read_text()
    assert process.exitcode == status, text
    return text


def _in_place(folder: Path, printed: Path, arguments: list[str]) -> None:
    """Snakemake in `folder`, with all that it prints in a file."""
    os.chdir(folder)
    sys.stdout = sys.stderr = printed.open("w", buffering=1)
    for stream in (1, 2):
        os.dup2(sys.stdout.fileno(), stream)
    snakemake_main(arguments)


def copy_of_repository(folder: Path) -> Checkout:
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            shutil.copy2(source, folder / part)
    (folder / "tests").mkdir()
    shutil.copy2(SMALL, folder / "tests" / "small.yaml")
    return Checkout(folder)
