"""A digest of the code behind an artefact, so that an edit re-runs its dependants and no more.

The digest covers the artefact's script, the plugins that its settings name, and every module of
this project that these import, directly or indirectly, as syntax trees without comments and
docstrings: re-wording those changes nothing. Nor does an edit of a module that is `INERT`. The
package's own `__init__` counts as empty: no module here uses the names that it offers to others.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from snakesteer.core import own_code
from snakesteer.core.plugins import parsed

PACKAGE = "snakesteer"
NOTHING = "pass"

# Modules that cannot change a number: what they do is to report, to load, to try again, and to get
# what a hash in the settings names.
INERT = frozenset(
    f"{PACKAGE}/{module}.py"
    for module in (
        "core/attempts",
        "core/errors",
        "core/interruption",
        "core/notes",
        "core/own_code",
        "core/plugins",
        "core/progress",
        "core/spent",
        "hub/packages",
        "jobs/job",
        "jobs/usage",
    )
)


def code_digest(files: Iterable[Path], root: Path) -> str:
    """Hex digest over the import closure of files in the folder `root` of scripts, or below it."""
    digest = hashlib.sha256()
    for path in sorted(closure(files, root)):
        canonical = _read(path, path.stat().st_mtime_ns).canonical
        digest.update(f"{path.relative_to(root)}\n{canonical}\n".encode())
    return digest.hexdigest()[:16]


def own_digest(path: Path, root: Path) -> str:
    """Hex digest over a file of the study's author, what it imports from its own folder, and the
    modules of this project under `root` that these import."""
    digest = hashlib.sha256()
    own = own_code.files(path)
    ours = closure(own, root) - {*own}
    for folder, paths in ((path.parent, own), (root, sorted(ours))):
        for each in paths:
            canonical = _read(each, each.stat().st_mtime_ns).canonical
            digest.update(f"{each.relative_to(folder)}\n{canonical}\n".encode())
    return digest.hexdigest()[:16]


def closure(files: Iterable[Path], root: Path) -> frozenset[Path]:
    """The files and all project modules they import, directly or indirectly, but for those that are
    inert."""
    inert = {root / module for module in INERT}
    seen: set[Path] = set()
    waiting = [*files]
    while waiting:
        path = waiting.pop()
        if path not in seen and path not in inert:
            seen.add(path)
            waiting.extend(_imported(path, path.stat().st_mtime_ns, root))
    return frozenset(seen)


@dataclass(frozen=True)
class _Code:
    """What a file imports, as dotted names, and its code without comments and docstrings."""

    imports: frozenset[str]
    canonical: str


@functools.cache
def _read(path: Path, modified: int) -> _Code:
    """The code of a file as it was at its time of change, in ns."""
    if path.parts[-2:] == (PACKAGE, "__init__.py"):
        return _Code(frozenset(), NOTHING)
    tree = parsed(path)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return _Code(frozenset(names), ast.unparse(_WithoutStrings().visit(tree)))


@functools.cache
def _imported(path: Path, modified: int, root: Path) -> frozenset[Path]:
    """Project files that one file imports; a package brings its `__init__` along."""
    files = set()
    for name in _read(path, modified).imports:
        parts = name.split(".")
        if parts[0] != PACKAGE:
            continue
        for depth in range(1, len(parts) + 1):
            module = root.joinpath(*parts[:depth])
            for file in (module / "__init__.py", module.with_suffix(".py")):
                if file.is_file():
                    files.add(file)
    return frozenset(files)


class _WithoutStrings(ast.NodeTransformer):
    """Drops strings that stand alone: docstrings of modules, classes, functions, attributes."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if alone else node
