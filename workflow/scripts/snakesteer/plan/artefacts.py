"""What is made: the stages with their files, cached artefacts with their keys, and products."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from snakesteer.core.own_code import is_own

CACHE = "results/cache"
LOGS = "results/logs"


@dataclass(frozen=True)
class Stage:
    """A kind of cached artefact: its folder under the cache and the endings of its files.

    `plugins` says which settings name a plugin, and of which kind: {setting: kind}; there a file of
    the study's author may be named as well, which is none. `nested` are settings that hold such
    settings themselves, one or a list of them. `script` makes it, where that is not named as the
    stage is.
    """

    folder: str
    endings: tuple[str, ...]
    plugins: Mapping[str, str] = field(default_factory=dict)
    nested: tuple[str, ...] = ()
    script: str | None = None

    def plugins_of(self, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The plugins that settings of this stage name, each as (kind, name)."""
        found = []
        for path, kind in self.plugins.items():
            for name in _named(settings, path.split(".")):
                if not is_own(name):
                    found.append((kind, name))
        for setting in self.nested:
            inside = settings.get(setting, [])
            for each in [inside] if isinstance(inside, Mapping) else inside:
                found += self.plugins_of(each)
        return list(dict.fromkeys(found))

    def paths(self, name: str, key: str) -> list[str]:
        """One path per ending; `{}` in an ending stands for name and key."""
        return [
            f"{CACHE}/{self.folder}/{ending.format(name=name, key=key)}" for ending in self.endings
        ]


def _named(settings: Any, path: Sequence[str]) -> list[str]:
    """The texts at a path of keys, of all items where there is a list on the way."""
    if isinstance(settings, list):
        return [name for item in settings for name in _named(item, path)]
    if not path:
        return [settings] if isinstance(settings, str) else []
    return _named(settings.get(path[0], []), path[1:]) if isinstance(settings, Mapping) else []


METHODS = {"method": "vectors"}
OTHERS = ("of", "vectors")  # of which a vector is made
SEVERAL = "several_vectors"

STAGES = {
    "package": Stage("packages", ("{name}.{key}.whl",)),
    "gguf_model": Stage(
        "gguf_models",
        tuple(
            f"{{name}}.{{key}}/{file}"
            for file in (
                "config.json",
                "generation_config.json",
                "gguf.json",
                "model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json",
            )
        ),
    ),
    "model": Stage("models", ("{name}.{key}.json",)),
    "repository": Stage("repositories", ("{name}.{key}.json",)),
    "repository_file": Stage("repository_files", ("{name}.{key}.file", "{name}.{key}.json")),
    "documents": Stage(
        "documents",
        ("{name}-train.{key}.parquet", "{name}-validation.{key}.parquet"),
        {"source": "corpora", "readers": "readers"},
    ),
    "selected_documents": Stage(
        "documents",
        ("{name}-train.{key}.parquet", "{name}-validation.{key}.parquet"),
    ),
    "questions": Stage(
        "questions",
        ("{name}.{key}.parquet",),
        {"source": "behaviours", "readers": "readers"},
    ),
    "skip_tokens": Stage("skip_tokens", ("{name}.{key}.json",)),
    "activations": Stage("activations", ("{name}.{key}.safetensors",)),
    "mean": Stage("vectors", ("{name}-mean.{key}.safetensors",)),
    "vector_file": Stage("vectors", ("{name}-file.{key}.safetensors",)),
    "chosen_vector": Stage("vectors", ("{name}-chosen.{key}.safetensors",)),
    "vector": Stage("vectors", ("{name}.{key}.safetensors",), METHODS, OTHERS),
    "resampled_vectors": Stage(
        "vectors", ("{name}-resampled.{key}.safetensors",), METHODS, OTHERS, SEVERAL
    ),
    "drawn_vectors": Stage(
        "vectors", ("{name}-draws.{key}.safetensors",), METHODS, OTHERS, SEVERAL
    ),
    "sweep": Stage(
        "sweeps",
        ("{name}.{key}.parquet",),
        {
            "measures.measure": "measures",
            "injections.parts.operator": "operators",
            "measures.asked.scores.scorer": "scorers",
        },
    ),
    "choice": Stage(
        "choices",
        ("{name}.{key}.json",),
        {"picked.grid.measure": "tables", "picked.costs.measure": "tables"},
    ),
    "candidate": Stage(
        "choices",
        ("{name}.{key}.json", "{name}.{key}.parquet"),
        {"tables.own.measure": "tables"},
    ),
    "samples": Stage(
        "samples",
        ("{name}.{key}.parquet",),
        {"operator": "operators", "candidates.parts.operator": "operators"},
    ),
    "published_source": Stage("published", ("{name}.{key}.json",)),
    "published_table": Stage("published", ("{name}.{key}.parquet",), {"reader": "papers"}),
    "published_vector": Stage("vectors", ("{name}-published.{key}.safetensors",)),
    "published_histogram": Stage("published", ("{name}-histogram.{key}.parquet",)),
}


@dataclass(frozen=True)
class Artefact:
    """A cached artefact.

    `settings` are plain JSON. `inputs` name the artefacts it is made from, in order, each with
    the number of the file it reads (documents: 0 train, 1 validation).
    """

    stage: str
    name: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, tuple[tuple[Artefact, int], ...]]
    code: str

    @cached_property
    def key(self) -> str:
        """16 hex digits that determine the content.

        Inputs count by their paths, which hold their names and keys: Snakemake makes a file again
        whose inputs have other paths than before, as they would under another study's names.
        """
        determines = {
            "stage": self.stage,
            "settings": self.settings,
            "inputs": self.input_paths,
            "code": self.code,
        }
        encoded = json.dumps(determines, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(encoded.encode()).hexdigest()[:16]

    @property
    def paths(self) -> list[str]:
        """Where its files lie, relative to the working directory."""
        return STAGES[self.stage].paths(self.name, self.key)

    @property
    def input_paths(self) -> dict[str, list[str]]:
        """Input files by name."""
        return {
            name: [artefact.paths[file] for artefact, file in artefacts]
            for name, artefacts in self.inputs.items()
        }


Inputs = dict[str, list[Artefact | tuple[Artefact, int]]]


@dataclass(frozen=True)
class Product:
    """What a person opens: a table or a figure of the study, made from cached artefacts."""

    name: str
    settings: Any
    inputs: Mapping[str, tuple[str, ...]]
    code: str = ""
