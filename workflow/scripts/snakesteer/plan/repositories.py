"""Files of repositories at one commit, which corpora and behaviours are read from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError, naming
from snakesteer.hub.commits import is_clone
from snakesteer.hub.http import is_address
from snakesteer.hub.manifest import absent_folder, file_identity, locate
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.graph import Graph, once


def repository_inputs(graph: Graph, name: str, paths: Iterable[str]) -> Inputs:
    """The `files` of a repository at these paths, and what is known of each (`origins`)."""
    made = [_file(graph, name, path) for path in paths]
    return {"files": [(each, 0) for each in made], "origins": [(each, 1) for each in made]}


def origin(graph: Graph, name: str) -> dict[str, str]:
    """Where the files of a repository come from: `source`, and of an address its `listing`."""
    entry = graph.study.repositories[name]
    return {"source": entry.source} | ({"listing": entry.tree} if entry.tree else {})


@once
def _tree(graph: Graph, name: str) -> Artefact:
    """The blob ids of the commit's files."""
    return graph.make("repository", name, {"commit": graph.study.repositories[name].commit})


@once
def _file(graph: Graph, name: str, path: str) -> Artefact:
    """A file of the commit: the same wherever it comes from, as it is verified.

    Its id is given, or in the commit's tree, which a folder that is no clone has not: there a file
    without an id is known by its hash.
    """
    entry = graph.study.repositories[name]
    settings: dict[str, Any] = {"commit": entry.commit, "path": path}
    if path in entry.blobs:
        settings["blob"] = entry.blobs[path]
    folder = _plain_folder(graph, name)
    if folder:
        with naming(f"repositories.{name}"):
            if not (folder / path).is_file():
                raise StudyError(f"there is no file {path} in {entry.source}; check the path.")
        if "blob" not in settings:
            settings["identity"] = {path: file_identity(folder / path)}
    if "blob" in settings or folder:
        return graph.make("repository_file", name, settings)
    return graph.make("repository_file", name, settings, {"tree": [_tree(graph, name)]})


@once
def _plain_folder(graph: Graph, name: str) -> Path | None:
    """The folder that is a source, unless that is a clone."""
    source = graph.study.repositories[name].source
    if is_address(source):
        return None
    folder = locate(source, graph.repository)
    if not folder.is_dir():
        with naming(f"repositories.{name}.source"):
            raise StudyError(absent_folder(source, graph.repository))
    return None if is_clone(folder) else folder
