"""What an artefact is made of, written into it.

No timestamps, run times or paths of a machine: the same run gives the same bytes.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import PurePath
from typing import Any

import numpy as np

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_provenance, read_tensors

# What runs a model, beside the packages that every artefact is made with.
MODEL_PACKAGES = ("torch", "transformers", "tokenizers")


def provenance(
    snakemake: Any, model: Mapping[str, Any] | None = None, device: str | None = None
) -> dict[str, Any]:
    """Kind, settings, key, code digest, input keys, model, device and package versions.

    `model` is a model's manifest; of it source, revision and fingerprint are kept, of an
    absolute path its last part, and of a GGUF file what it was and how it was converted.
    """
    packages = ["numpy", "pyarrow", "safetensors"]
    described: dict[str, Any] = {}
    if model:
        packages += MODEL_PACKAGES
        described["model"] = {
            "source": portable(model["source"]),
            **{name: model.get(name) for name in ("revision", "fingerprint", "hidden")},
            **({"adapter": portable(model["adapter"])} if model.get("adapter") else {}),
            **({"gguf": model["gguf"]} if model.get("gguf") else {}),
        }
        described["device"] = device or "cpu"
    return {
        "kind": snakemake.rule,
        "key": snakemake.wildcards.get("key"),
        "settings": snakemake.params.settings,
        "code": snakemake.params.code,
        "inputs": {
            role: [_key(path) for path in _as_list(paths)]
            for role, paths in snakemake.input.items()
        },
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        **described,
    }


def derived(snakemake: Any, origins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Provenance of something made from artefacts of one model, without running it.

    Raises StudyError if `origins`, the inputs' provenances, name different models.
    """
    models = [origin["model"] for origin in origins]
    for model in models[1:]:
        if model["fingerprint"] != models[0]["fingerprint"]:
            raise StudyError(
                f"{snakemake.rule} {snakemake.wildcards.name} is made from activations of two "
                f"models, {models[0]['source']} and {model['source']}; use one model for both."
            )
    return {**provenance(snakemake), "model": models[0]}


def read_positions(names: Iterable[str], paths: Iterable[str]) -> dict[str, list[int]]:
    """The positions of vectors by name, of those that are of several."""
    found = {}
    for name, path in zip(names, paths, strict=True):
        if positions := read_provenance(path).get("positions"):
            found[name] = positions
    return found


def read_vectors(
    names: Iterable[str],
    paths: Iterable[str],
    manifest: Mapping[str, Any],
    several: Mapping[str, int] | None = None,
    transfer: bool = False,
) -> dict[str, np.ndarray]:
    """Steering vectors [n_layers, hidden] by name, refused unless they are of this model.

    Those of several positions are [positions, n_layers, hidden], in the order that `positions` of
    their provenance has. Of those named in `several`, the files hold so many, resamples or draws,
    along an axis before the others. With `transfer` they may be of any model with as many layers of
    this width.
    """
    vectors = {}
    for name, path in zip(names, paths, strict=True):
        made = read_provenance(path)
        origin = made["model"]
        if origin["fingerprint"] != manifest["fingerprint"] and not transfer:
            raise StudyError(
                f"vectors.{name} comes from the model {origin['source']} "
                f"(fingerprint {origin['fingerprint'][:12]}), not from {manifest['source']} "
                f"({manifest['fingerprint'][:12]}); steer the model that the vector is from, or "
                "allow it with transfer: true."
            )
        times = (several or {}).get(name)
        vector = read_tensors(path)["vectors" if times else "vector"]
        expected: tuple[int, ...] = (manifest["n_layers"], manifest["hidden"])
        if positions := made.get("positions"):
            expected = (len(positions), *expected)
        if times:
            expected = (times, *expected)
        if transfer and vector.shape != expected:
            raise StudyError(
                f"vectors.{name} has shape {vector.shape} from the model {origin['source']}, but "
                f"{manifest['source']} needs {expected}; transfer needs models of the same depth "
                "and width."
            )
        if vector.shape != expected or not np.isfinite(vector).all():
            raise StudyError(
                f"vectors.{name} has shape {vector.shape} or values that are not finite; "
                f"{manifest['source']} needs finite {expected}; delete {path} and run again."
            )
        vectors[name] = vector
    return vectors


def portable(source: str) -> str:
    """A source, as of a model, without the folders of this machine above it."""
    return PurePath(source).name if PurePath(source).is_absolute() else source


def _as_list(paths: Any) -> list[str]:
    return [paths] if isinstance(paths, str) else list(paths)


def _key(path: str) -> str:
    return PurePath(path).name.split(".")[-2]
