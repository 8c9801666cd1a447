"""What a vector was made from, up to the models and the data: to be written into its file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.graph import Graph
from snakesteer.storage.provenance import portable

Made = dict[str, Any]

REPOSITORIES = ("repository", "repository_file")
# What a choice looked at: their settings fill pages, and their keys determine them.
LOOKED_AT = ("sweep", "candidate")


def lineage(graph: Graph, artefact: Artefact) -> dict[str, Any]:
    """The `site` that a vector's activations were read at, and its `lineage`, as plain JSON.

    `lineage` has an item for each artefact that it was made from, directly or not, before those
    that are made of it: `stage`, `name`, `key`, `settings` (not of what a choice looked at),
    `code`, the keys of its `inputs` by role, and its `path`; of a repository its `source`, too. The
    activations among them say format and positions, the documents and questions where they come
    from. Where sites differ, `site` names all; a vector from a file is of the site output.
    """
    sites = list(dict.fromkeys(_sites(artefact))) or ["output"]
    found: dict[tuple[str, str], Made] = {}
    for made in _above(artefact):
        found.setdefault((made.stage, made.key), _item(graph, made))
    return {"site": " and ".join(sites), "lineage": list(found.values())}


def _above(artefact: Artefact) -> Iterator[Artefact]:
    """What an artefact is made from, inputs first."""
    for given in artefact.inputs.values():
        for made, _ in given:
            yield from _above(made)
            yield made


def _sites(artefact: Artefact) -> Iterator[str]:
    """The sites of the activations behind a vector; not of those that a choice looked at."""
    if artefact.stage == "activations":
        yield artefact.settings["site"]
    for role, given in artefact.inputs.items():
        for made, _ in given if role != "choice" else ():
            yield from _sites(made)


def _item(graph: Graph, made: Artefact) -> Made:
    item: Made = {"stage": made.stage, "name": made.name, "key": made.key}
    if made.stage not in LOOKED_AT:
        item["settings"] = _portable(made.settings)
    if made.stage in REPOSITORIES:
        item["source"] = portable(graph.study.repositories[made.name].source)
    return {
        **item,
        "code": made.code,
        "inputs": {role: [each.key for each, _ in given] for role, given in made.inputs.items()},
        "path": made.paths[0],
    }


def _portable(settings: Any) -> Any:
    """Settings without the folders of this machine above files."""
    if isinstance(settings, Mapping):
        return {_portable(key): _portable(value) for key, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [_portable(value) for value in settings]
    if isinstance(settings, str) and _on_this_machine(settings):
        return portable(settings)
    return settings


def _on_this_machine(text: str) -> bool:
    """Whether a text is the path of something in a folder that is there."""
    path = PurePath(text)
    return path.is_absolute() and len(path.parts) > 2 and os.path.isdir(path.parent)  # noqa: PTH112
