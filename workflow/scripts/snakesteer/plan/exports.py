"""The files of other tools that a study's vectors are written as."""

from __future__ import annotations

from typing import Any

from snakesteer.core.errors import StudyError, naming
from snakesteer.core.plugins import constant, file_of
from snakesteer.exports.use import Use, check
from snakesteer.plan.artefacts import Product
from snakesteer.plan.graph import Graph, script_code
from snakesteer.plan.lineage import lineage
from snakesteer.plan.models import layer_sets, model
from snakesteer.plan.vectors import vector
from snakesteer.study.designs import plain_positions
from snakesteer.study.exports import Export


def exports(graph: Graph) -> dict[tuple[str, str], Product]:
    """What is exported, by the name of its entry and that of its file or folder.

    Raises StudyError for what a format cannot say, and for layers that a model does not have.
    """
    made = {}
    for name, entry in graph.study.exports.items():
        for of in entry.vectors or graph.study.vectors:
            ending = constant(file_of("exports", entry.format), "ENDING")
            with naming(f"exports.{name}, vectors.{of}"):
                made[name, f"{of}{ending}"] = _export(graph, name, entry, of)
    return made


def is_folder(product: Product) -> bool:
    """Whether a folder of files is written."""
    found: bool = constant(file_of("exports", product.settings["format"]), "FOLDER", False)
    return found


def _export(graph: Graph, name: str, entry: Export, of: str) -> Product:
    study = graph.study
    positions = plain_positions(entry.positions)
    use = Use(entry.operator, entry.coefficient, positions)
    layers = entry.layers
    if layers is not None:
        layer_sets(graph, "layers", study.model_of(of), layers)
    site = entry.site or lineage(graph, vector(graph, of))["site"]
    check(entry.format, site, use, map(int, layers or ()))
    several = study.positions_of(of)
    if several and entry.position is None:
        raise StudyError(
            f"the vector has several positions, {several}, but a file holds one; give `position`."
        )
    if entry.position is not None and not several:
        raise StudyError("the vector has one position; remove `position`.")
    settings: dict[str, Any] = {
        "format": entry.format,
        "layers": layers,
        "position": entry.position,
        "site": entry.site,
        "operator": entry.operator,
        "coefficient": entry.coefficient,
        "positions": positions,
    }
    inputs = {
        "vector": (graph.path("vectors", f"{of}.safetensors"),),
        "model": (model(graph, study.model_of(of)).paths[0],),
    }
    code = script_code(graph, "export", ("exports", entry.format))
    return Product(of, settings, inputs, code)
