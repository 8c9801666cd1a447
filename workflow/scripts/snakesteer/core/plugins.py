"""Plugins: what a study names, each a module of its own in the room of its kind.

A plugin is loaded by name when it is needed, so that a new one changes no code that is there, and
no key of what was made without it. Its name in a study is that of its module, with hyphens for
underscores.
"""

from __future__ import annotations

import ast
import difflib
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from snakesteer.core.errors import StudyError

PACKAGE = Path(__file__).parent.parent

# Kind -> what a module must have to be a plugin of it.
KINDS: dict[str, tuple[str, ...]] = {
    "corpora": ("documents", "identity"),
    "readers": ("read",),
    "behaviours": ("questions",),
    "operators": ("apply",),
    "vectors": ("fit",),
    "figures": ("draw",),
    "measures": ("samples", "counted", "rows"),
    "scorers": ("score",),
    "tables": ("table",),
    "papers": ("read", "table"),
    "exports": ("write",),
}
# Where a kind has not a room of its own.
FOLDERS = {
    "readers": "corpora/readers",
    "operators": "engine/operators",
    "scorers": "measures/scorers",
}


def load(kind: str, name: str) -> ModuleType:
    """The plugin of a kind (a key of `KINDS`) and a name.

    Raises StudyError naming those there are if there is none of that name, and naming its file if
    it cannot be imported or lacks what its kind must have.
    """
    path = file_of(kind, name)
    try:
        module = import_module(f"snakesteer.{_folder(kind).replace('/', '.')}.{path.stem}")
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise StudyError(f"{path} cannot be imported ({reason}); correct it.") from error
    for required in KINDS[kind]:
        if not hasattr(module, required):
            raise StudyError(
                f"{path} has no `{required}`, which every plugin of its kind must have; add it."
            )
    return module


def file_of(kind: str, name: str, package: Path | None = None) -> Path:
    """The file of a plugin, of this package or of a copy in the folder `package`.

    Raises StudyError naming those there are if there is none.
    """
    path = (package or PACKAGE) / _folder(kind) / f"{name.replace('-', '_')}.py"
    if not re.fullmatch(r"[a-zA-Z0-9][\w-]*", name) or not path.is_file():
        known = names(kind)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"correct it, or add {path}."
        raise StudyError(f"there is no {name} among the {kind} {', '.join(known)}; {hint}")
    return path


def names(kind: str) -> list[str]:
    """The names of all plugins of a kind, without importing any."""
    return [
        path.stem.replace("_", "-")
        for path in sorted((PACKAGE / _folder(kind)).glob("*.py"))
        if set(KINDS[kind]) <= functions(path)
    ]


def constant(path: Path, name: str, otherwise: Any = None) -> Any:
    """The value that a plugin's file gives a name at its top, written out there, without importing
    it.

    Where it gives none, what it is `otherwise`; StudyError if that is not said.
    """
    for node in parsed(path).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                raise StudyError(
                    f"{path} line {node.lineno} must give {name} a plain value; write it out."
                ) from None
    if otherwise is None:
        raise StudyError(f"{path} has no {name}; add it.")
    return otherwise


def _folder(kind: str) -> str:
    return FOLDERS.get(kind, kind)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a module; StudyError if it is no Python."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        reason = f"line {error.lineno} is not Python ({error.msg})"
        raise StudyError(f"{path} {reason}; correct it.") from None


def functions(path: Path) -> set[str]:
    """The functions that a module defines at its top."""
    return {node.name for node in parsed(path).body if isinstance(node, ast.FunctionDef)}
