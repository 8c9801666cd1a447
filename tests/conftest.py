"""Paths shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))
sys.path.insert(0, str(REPOSITORY / "tests"))

from checkout import Checkout, copy_of_repository  # noqa: E402
from snakesteer.code_digest import code_digest  # noqa: E402


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A run of the small study on the shipped models, to its end."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    checkout.snakemake("--cores", "2")
    for script in (checkout.folder / "workflow" / "scripts").glob("*.py"):
        code_digest(script)  # remembered for the dry runs, which are forks of this process
    return checkout


@pytest.fixture
def edited(finished: Checkout) -> Iterator[Callable[[str, str, str], None]]:
    """Edits files of the checkout; they are restored afterwards."""
    originals: dict[Path, tuple[str, os.stat_result]] = {}

    def edit(name: str, old: str, new: str) -> None:
        path = finished.folder / name
        text = path.read_text()
        assert old in text
        originals.setdefault(path, (text, path.stat()))
        path.write_text(text.replace(old, new, 1))

    yield edit
    for path, (text, stat) in originals.items():
        path.write_text(text)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests on one worker, and all that share the finished study on one as well."""
    for item in items:
        shared = "finished" in getattr(item, "fixturenames", ())
        group = "finished" if shared else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
