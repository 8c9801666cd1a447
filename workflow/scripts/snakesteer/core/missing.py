"""What reads and writes tables and arrays may be missing where rules are only planned.

Lint, a dry run and a rule graph need nothing but Snakemake. Modules of this package that import
numpy and its like at their top are imported with `standing_in` there, and say what is missing when
they come to call any of it.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from snakesteer.core.errors import StudyError

PACKAGES = ("numpy", "pandas", "pyarrow", "safetensors")


def packages() -> list[str]:
    """Those of `PACKAGES` that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def check() -> None:
    """Raise StudyError that names what a run needs beside Snakemake, if any of it is missing."""
    if names := packages():
        raise _needed(names)


@contextlib.contextmanager
def standing_in() -> Iterator[None]:
    """While this lasts, a missing package is imported as a module of which nothing can be called.

    Outside, it is missing for all others: nothing of it stays in `sys.modules`.
    """
    finder = _Finder()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, module in list(sys.modules.items()):
            if isinstance(module, _StandIn):
                del sys.modules[name]


class _StandIn(ModuleType):
    """A package that is missing, a module of it, or what that holds.

    To call it is a StudyError, but for the constants that modules make at their top, which come to
    nothing as well.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandIn(f"{self.__name__}.{name}")

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if sys._getframe(1).f_code.co_name == "<module>":
            return self
        raise _needed([self.__name__.partition(".")[0]])


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds missing packages and their modules, after all others were asked."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in PACKAGES:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


def _needed(names: Sequence[str]) -> StudyError:
    return StudyError(
        f"{', '.join(names)} must be installed next to Snakemake to run a study; run `pip "
        f"install {' '.join(names)}`."
    )
