"""Python files of a study's author: what belongs to one, and loading it.

To a file belong the modules beside it that it imports, and those that these import.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from snakesteer.core.errors import StudyError, reason_of
from snakesteer.core.plugins import functions, parsed

OWN = "own_"


def is_own_module(module: ModuleType) -> bool:
    """Whether a module is that of such a file."""
    return module.__name__.startswith(OWN)


def is_own(name: str) -> bool:
    """Whether what stands in place of a plugin's name is a file."""
    return name.endswith(".py")


def files(path: Path) -> list[Path]:
    """A file and all that it imports from its own folder, directly or indirectly, sorted.

    Raises StudyError for a file that is no Python.
    """
    folder = path.parent
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += _beside(each, folder)
    return sorted(found)


def _beside(path: Path, folder: Path) -> Iterator[Path]:
    """The files under a folder that one file imports; a package brings its `__init__` along."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = path.parent.relative_to(folder).parts
            package = above[: len(above) + 1 - node.level] if node.level else ()
            module = ".".join([*package, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                module_path = folder.joinpath(*parts[:depth])
                for file in (module_path.with_suffix(".py"), module_path / "__init__.py"):
                    if file.is_file():
                        yield file


def defines(path: Path, function: str) -> None:
    """Raise StudyError unless a file defines a function at its top, without running it."""
    if function not in functions(path):
        raise StudyError(f"{path} has no function `{function}`; add it.")


def load(path: Path, function: str) -> ModuleType:
    """The module of a file, whose folder is searched first for what it imports.

    Raises StudyError if it cannot be imported, if it has no `function`, or if a module beside it
    has the name of another one that is loaded already, and would not be read.
    """
    for each in files(path):
        name = each.relative_to(path.parent).with_suffix("").as_posix().replace("/", ".")
        loaded = sys.modules.get(name.removesuffix(".__init__"))
        file = getattr(loaded, "__file__", None)
        if loaded and each != path and (file is None or Path(file).resolve() != each.resolve()):
            raise StudyError(
                f"{path} imports {each.name}, which has the name of another module; rename it."
            )
    if str(path.parent.resolve()) not in sys.path:
        sys.path.insert(0, str(path.parent.resolve()))
    name = f"{OWN}{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path.resolve())
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise StudyError(f"{failed(path, error)}; correct it.") from error
    if not callable(getattr(module, function, None)):
        raise StudyError(f"{path} has no function `{function}`; add it.")
    return module


def failed(path: Path, error: Exception) -> str:
    """What went wrong in a file, with the last line of it that was run."""
    line = None
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(path.resolve()):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{path}{f', line {line},' if line else ''} failed ({reason_of(error)})"
