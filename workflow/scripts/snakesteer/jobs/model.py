"""The model that a job runs, and the points of that job that are there already."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from snakesteer.core.errors import StudyError
from snakesteer.core.progress import Progress
from snakesteer.engine.compilation import with_compiled_blocks
from snakesteer.engine.models import LanguageModel, device_name, load
from snakesteer.engine.probe import check
from snakesteer.hub.manifest import context
from snakesteer.hub.model_folder import adapter_folder, model_folder
from snakesteer.jobs.job import repository
from snakesteer.jobs.specified import Running
from snakesteer.prompts.tokens import load_tokenizer, remarks
from snakesteer.storage.points import Points

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

RUNNING = ("dtype", "attention", "device_map", "kept_gb", "compile")


def load_job_tokenizer(
    snakemake: Any, manifest: Mapping[str, Any], cut: int | None
) -> PreTrainedTokenizerBase:
    """The tokenizer of the manifest's model, for what can be checked without the weights.

    `cut` is where documents are cut. The log says what is particular about the tokenizer, see
    `remarks`. Raises StudyError if documents are cut beyond the model's longest input: of a model
    of the hub only its configuration says it, once it is there.
    """
    folder = _folder(snakemake, manifest)
    longest = context(folder)
    if cut and longest and cut > longest:
        raise StudyError(
            f"documents are cut at {cut} tokens, but {manifest['source']} reads at most "
            f"{longest}; set `context: {longest}` for it under models."
        )
    tokenizer = load_tokenizer(folder)
    for sentence in remarks(tokenizer, folder):
        Progress().note(sentence)
    return tokenizer


def _folder(snakemake: Any, manifest: Mapping[str, Any]) -> Path:
    return model_folder(manifest, repository(snakemake), snakemake.input.model[0])


def load_job_model(snakemake: Any, manifest: Mapping[str, Any], running: Running) -> LanguageModel:
    """Load and probe the manifest's model as the job says, on the job's threads.

    The number of threads is part of what makes results reproducible to the byte. Raises StudyError
    as `load` and `check` do, and for a model that leaves no memory to run it in.
    """
    torch.set_num_threads(snakemake.threads)
    model = load(
        _folder(snakemake, manifest),
        manifest,
        dtype=running.dtype,
        attention=running.attention,
        device_map=running.device_map,
        adapter=adapter_folder(manifest, repository(snakemake)),
    )
    try:
        check(model)
        if getattr(running, "compile", False):
            model = with_compiled_blocks(model)
    except torch.OutOfMemoryError:
        raise StudyError(
            f"{manifest['source']} fills the device, leaving no memory to run in; free some "
            "memory, use a smaller dtype, or spread the model with device_map."
        ) from None
    return model


def job_points(
    snakemake: Any, model: LanguageModel, running: Running, batch_tokens: int, code: str
) -> Points:
    """The finished points of jobs that run this model in this way, beside the job's output.

    `batch_tokens` is the number that was taken, also where the study leaves it to the device;
    `code` is the digest of the code that all of them have in common.
    """
    identity = {
        "kind": snakemake.rule,
        "code": code,
        "model": model.identity,
        "settings": {name: getattr(running, name, None) for name in RUNNING},
        "batch_tokens": batch_tokens,
        "packages": {name: version(name) for name in ("torch", "transformers")},
        "device": device_name(model.device),
        "threads": snakemake.threads,
    }
    return Points.of(identity, Path(snakemake.output[0]).parent.parent / "points")
