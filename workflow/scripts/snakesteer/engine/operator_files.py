"""Operators by name: plugins (`engine.operators`), and Python files of a study's author."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from snakesteer.core import own_code, plugins
from snakesteer.hub.manifest import locate_file


def file_of(name: str) -> Path:
    """The file of an operator: of a plugin, or one in the working directory or the repository.

    Raises StudyError if there is none.
    """
    if own_code.is_own(name):
        return locate_file(name, plugins.PACKAGE.parents[2])
    return plugins.file_of("operators", name)


def unsteered_at_0(name: str) -> bool:
    """Whether states stay as they are at coefficient 0 of an operator."""
    return bool(plugins.constant(file_of(name), "UNSTEERED_AT_0", True))


def needs_direction(name: str) -> bool:
    """Whether an operator takes of a vector its direction alone."""
    return bool(plugins.constant(file_of(name), "DIRECTION", False))


def called(operator: ModuleType) -> str:
    """What an operator is called in sentences."""
    return operator.__name__.rpartition(".")[2].removeprefix(own_code.OWN)


def load(name: str) -> ModuleType:
    """An operator. Raises StudyError if there is none, or if its file cannot be imported."""
    if own_code.is_own(name):
        return own_code.load(file_of(name), "apply")
    return plugins.load("operators", name)
