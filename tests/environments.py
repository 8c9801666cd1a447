"""Environments with some of the installed distributions alone, made without a network."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from conftest import REPOSITORY

_spec = importlib.util.spec_from_file_location(
    "write_conda", REPOSITORY / "envs" / "write_conda.py"
)
assert _spec and _spec.loader
write_conda = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(write_conda)


def environment_of(folder: Path, names: Iterable[str]) -> Path:
    """The Python of a new virtual environment in `folder` that has these distributions alone, as
    links to those that the tests run with."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (libraries,) = folder.glob("lib/python*/site-packages")
    for name in names:
        distribution = metadata.distribution(name)
        for part in {file.parts[0] for file in distribution.files or []}:
            link = libraries / part
            if part != ".." and not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(part))))
    return folder / "bin" / "python"
