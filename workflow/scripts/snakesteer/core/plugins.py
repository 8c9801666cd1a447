"""Plugins: what a study names, each a module of its own in the room of its kind.

A plugin is loaded by name when it is needed, so that a new one changes no code that is there, and
no key of what was made without it. Its name in a study is that of its module, with hyphens for
underscores.
"""

from __future__ import annotations

import ast
import difflib
from importlib import import_module
from pathlib import Path
from types import ModuleType

from snakesteer.core.errors import StudyError

PACKAGE = Path(__file__).parent.parent

# Room -> what a module must have to be a plugin of it.
KINDS: dict[str, tuple[str, ...]] = {
    "corpora": ("documents", "identity"),
    "behaviours": ("questions",),
    "figures": ("draw",),
}


def load(kind: str, name: str) -> ModuleType:
    """The plugin of a kind (a key of `KINDS`) and a name.

    Raises StudyError naming those there are if there is none of that name, and naming its file if
    it cannot be imported or lacks what its kind must have.
    """
    path = file_of(kind, name)
    try:
        module = import_module(f"snakesteer.{kind}.{path.stem}")
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise StudyError(f"{path} cannot be imported ({reason}); correct it.") from error
    for required in KINDS[kind]:
        if not hasattr(module, required):
            raise StudyError(
                f"{path} has no `{required}`, which every plugin in {kind}/ must have; add it."
            )
    return module


def file_of(kind: str, name: str) -> Path:
    """The file of a plugin; StudyError naming those there are if there is none."""
    path = PACKAGE / kind / f"{name.replace('-', '_')}.py"
    if not path.is_file():
        known = names(kind)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"add {kind}/{path.name}, or correct it."
        raise StudyError(f"there is no {name} among {', '.join(known)} in {kind}/; {hint}")
    return path


def names(kind: str) -> list[str]:
    """The names of all plugins of a kind, without importing any."""
    return [
        path.stem.replace("_", "-")
        for path in sorted((PACKAGE / kind).glob("*.py"))
        if set(KINDS[kind]) <= _defined(path)
    ]


def _defined(path: Path) -> set[str]:
    """The functions that a module defines at its top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
