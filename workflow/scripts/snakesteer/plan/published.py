"""From the entries of published results to their artefacts and tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.hub.commits import tree_ids
from snakesteer.hub.http import is_address
from snakesteer.hub.manifest import locate
from snakesteer.papers.source import folder_files
from snakesteer.plan.artefacts import CACHE, Artefact, Product
from snakesteer.plan.graph import Graph, once
from snakesteer.study import schema

# By paper the shipped tables, and by commit the blob ids of its files.
SHIPPED = "resources/published"


def tables(graph: Graph) -> dict[str, Product]:
    """The tables of the published results: copied from the shipped ones, or made."""
    made = {}
    for stage, name, settings in _settings(graph):
        inputs: dict[str, tuple[str, ...]]
        if _section(graph).source == "shipped":
            shipped = shipped_in(graph) / f"{name}.parquet"
            if not shipped.is_file():
                raise StudyError(
                    f"published names {name}, for which {SHIPPED}/{_section(graph).paper} has no "
                    "table; set published.source to a folder or an address with its files."
                )
            inputs = {"table": (os.path.relpath(shipped),)}  # so that a clone re-runs nothing
        elif stage == "published_table":
            artefact = graph.make(stage, name, settings, {"source": [source(graph)]})
            inputs = {"table": (artefact.paths[0],)}
        else:
            role = {key: settings[key] for key in ("role", "file", "commit")}
            vector = graph.make("published_vector", name, role, {"source": [source(graph)]})
            artefact = graph.make(stage, name, settings, {"vector": [vector]})
            inputs = {"table": (artefact.paths[0],)}
        made[name] = Product(name, settings, inputs)
    return made


def _settings(graph: Graph) -> list[tuple[str, str, dict[str, Any]]]:
    """Stage, name and settings of every table of the published results."""
    published = _section(graph)
    listed: list[tuple[str, str, dict[str, Any]]] = []
    for name, sweep in published.sweeps.items():
        settings: dict[str, Any] = {"sweep": name, "kind": sweep.kind, "reader": sweep.READER}
        settings |= {"commit": published.commit, "files": sweep.files_of(published)}
        settings |= sweep.settings(published)
        if isinstance(settings["files"], dict):
            _check_distinct(name, settings["files"])
        if sweep.BOOTSTRAPPED:
            settings["statistics"] = graph.study.statistics.model_dump()
        if sweep.COLLAPSES:
            settings["collapse"] = graph.study.collapse_of(name)
        listed.append(("published_table", name, settings))
    for role, files in (("mean", published.activations), ("vector", published.vectors)):
        for name, file in files.items():
            settings = {"role": role, "file": file, "name": name, "commit": published.commit}
            settings |= {"layers": published.layers, "bins": published.bins}
            listed.append(("published_histogram", f"{name}-{role}", settings))
    return listed


def _check_distinct(sweep: str, files: dict[str, str]) -> None:
    """Raises StudyError if the files of a sweep's parts are one."""
    if len(set(files.values())) < len(files):
        raise StudyError(
            f"published.sweeps.{sweep} names {next(iter(files.values()))} for both "
            f"{' and '.join(files)}; name a file for each."
        )


def shipped_in(graph: Graph) -> Path:
    """Where the tables of the paper are shipped, and the blob ids of its files."""
    return graph.repository / SHIPPED / _section(graph).paper


def _section(graph: Graph) -> schema.Published:
    assert graph.study.published
    return graph.study.published


@once
def source(graph: Graph) -> Artefact:
    """The list of the published files with their ids, which all that is made of them comes from."""
    published = _section(graph)
    paths = [*published.activations.values(), *published.vectors.values()]
    for _, _, settings in _settings(graph):
        files = settings.get("files", [])
        paths += files.values() if isinstance(files, dict) else files
    settings = {"source": published.source}
    if is_address(published.source):
        settings |= {"listing": published.tree, "files": sorted(set(paths))}
    else:
        place = locate(published.source, graph.repository)
        if not place.is_dir():
            raise StudyError(
                f"published.source names {published.source}, which is not a folder; name a "
                "folder, an address, or `shipped`."
            )
        ids = shipped_in(graph) / f"{published.commit}.json"
        expected = tree_ids(ids.read_bytes()) if ids.is_file() else {}
        files = folder_files(place, sorted(set(paths)), published.commit, expected)
        settings |= {"files": files}
    return graph.make("published_source", "source", settings)


def folder(graph: Graph) -> str:
    """Where the published files lie, or are downloaded to."""
    published = graph.study.published
    if published is None or published.source == "shipped":
        return ""
    if is_address(published.source):
        return f"{CACHE}/published/{source(graph).key}"
    return str(locate(published.source, graph.repository))


def licence(graph: Graph) -> dict[str, str]:
    """What tables say of the licence in their provenance, which is no part of a key."""
    published = graph.study.published
    return {"licence": published.licence} if published and published.licence else {}
