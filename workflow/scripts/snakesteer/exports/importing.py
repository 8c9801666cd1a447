"""A vector of another tool as one of ours: what `method: file` reads, as a file by itself."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.exports.caa import PREFIX
from snakesteer.exports.export import beside
from snakesteer.hub.manifest import sha256
from snakesteer.storage.files import read_json, read_provenance
from snakesteer.storage.provenance import portable
from snakesteer.vectors.foreign import read_vector
from snakesteer.vectors.steering_vector import SteeringVector, of_rows

CAA_FILE = re.compile(rf"{PREFIX}(\d+)(?!\d).*\.pt")


def imported(
    path: Path,
    manifest: Mapping[str, Any],
    *,
    tensor: str | None = None,
    layer: int | None = None,
    offset: int = 0,
    site: str | None = None,
) -> SteeringVector:
    """The vector in a file, or in a folder of CAA's files, for the model of a manifest.

    `tensor`, `layer` and `offset` are those of `vectors.foreign.read_vector`. Where the `.json`
    lies beside it that an export writes, that says the site and, of a file of one layer, which; a
    file of ours says its site itself; else that is `output`. Raises StudyError as that reader does,
    and for a vector that says it is of another model.
    """
    if not path.exists():
        raise StudyError(f"there is no file {path}; check the path.")
    about = _told(path)
    _same_model(path, about.get("model", {}), manifest)
    rows = np.zeros((manifest["n_layers"], manifest["hidden"]), np.float32)
    files = {}
    for file, number in _files(path, layer, about if tensor is None else {}):
        settings = {"tensor": tensor, "layer": number, "offset": offset}
        found, layers = read_vector(file, settings, manifest)
        rows[layers] = found[layers]
        files[file.name] = sha256(file)
    model = {key: manifest.get(key) for key in ("revision", "fingerprint", "hidden", "n_layers")}
    model = {"source": portable(manifest["source"]), **model}
    site = site or about.get("site") or "output"
    made = {
        "kind": "import",
        "settings": {"files": files, "tensor": tensor, "layer": layer, "offset": offset},
        "model": model,
        "site": site,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "safetensors", "torch")},
        **({"exported": about["made"]} if about.get("made") else {}),
    }
    return of_rows(rows, site, model, made)


def _told(path: Path) -> dict[str, Any]:
    """What is known of a file: from beside it, or from its own metadata where it is one of ours."""
    if beside(path).is_file():
        about = read_json(beside(path))
        if isinstance(about, dict) and about.keys() >= {"format", "model", "site", "layers"}:
            return about
    if path.suffix != ".safetensors":
        return {}
    try:
        made = read_provenance(path)
    except StudyError:  # none of ours, or damaged, which its reader tells
        return {}
    return {"model": made.get("model", {}), "site": made.get("site"), "made": made}


def _same_model(path: Path, exported: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Raise StudyError for a vector that says it is of other weights."""
    known = exported.get("fingerprint")
    if known and known != manifest["fingerprint"]:
        raise StudyError(
            f"{path} comes from the model {exported.get('source')} (fingerprint "
            f"{known[:12]}), not from {manifest['source']} ({manifest['fingerprint'][:12]}); name "
            "its own model."
        )


def _files(
    path: Path, layer: int | None, about: Mapping[str, Any]
) -> list[tuple[Path, int | None]]:
    """The files to be read, each with the layer that it is of where it does not say it itself."""
    if path.is_dir():
        matched = [(file, CAA_FILE.fullmatch(file.name)) for file in sorted(path.iterdir())]
        found = [(file, int(match[1])) for file, match in matched if match]
        if not found:
            raise StudyError(f"{path} holds no file {PREFIX}N_MODEL.pt; name a file.")
        numbers = [number for _, number in found]
        for number in numbers:
            if numbers.count(number) > 1:
                raise StudyError(
                    f"{path} holds several files of layer {number}; keep those of one model there."
                )
        return [(file, number) for file, number in found]
    match = CAA_FILE.fullmatch(path.name)
    if layer is None and match:
        return [(path, int(match[1]))]
    told = about.get("layers", [])
    if layer is None and len(told) == 1 and path.suffix == ".pt":
        return [(path, told[0])]
    return [(path, layer)]
