"""Paths shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))
sys.path.insert(0, str(REPOSITORY / "tests"))

from checkout import Checkout, copy_of_repository  # noqa: E402
from snakesteer.plan.code_digest import code_digest  # noqa: E402


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A run of the small study on the shipped models, to its end."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    checkout.forked("--cores", "2")
    scripts = checkout.folder / "workflow" / "scripts"
    for script in scripts.glob("*.py"):
        code_digest(
            [script], scripts
        )  # remembered for the dry runs, which are forks of this process
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


# Files that share the finished study, and then those that take longest: they are begun first.
SHARING = ("test_rerunning.py", "test_workflow.py", "test_tables_page.py")
FIRST = (*SHARING, "test_gates.py", "test_paper.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that none of them is alone at the end."""
    items.sort(key=lambda item: [item.path.name != name for name in FIRST])


class ByStudy(LoadScopeScheduling):
    """A file's tests on one worker, and all that share the finished study on one as well."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.split("::")[0]).name
        return "finished" if file in SHARING else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByStudy:
    return ByStudy(config, log)
