"""What the jobs of both kinds of sweep share: vectors, a model, a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from snakesteer.core.progress import Progress
from snakesteer.engine.batches import tokens_per_batch
from snakesteer.jobs.model import job_points, load_job_model
from snakesteer.jobs.usage import write_usage
from snakesteer.storage.files import write_table
from snakesteer.storage.provenance import provenance, read_vectors
from snakesteer.sweeps.resampled import joined
from snakesteer.vectors.rounding import rounded


def job_vectors(snakemake: Any, manifest: Mapping[str, Any]) -> list[dict[str, np.ndarray]]:
    """The vectors [n_layers, hidden] by name, rounded to the sweep's `vector_dtype`.

    One dictionary, or with `resamples` one for each resample.
    """
    settings = snakemake.params.settings
    resamples = settings.get("resamples")
    read = read_vectors(
        settings["layers"],
        snakemake.input.vectors,
        manifest,
        resamples,
        transfer=settings.get("transfer", False),
    )
    vectors = {name: rounded(vector, settings["vector_dtype"]) for name, vector in read.items()}
    if not resamples:
        return [vectors]
    return [{name: each[i] for name, each in vectors.items()} for i in range(resamples)]


def run_sweep(
    snakemake: Any,
    manifest: Mapping[str, Any],
    sequences: Sequence[Sequence[int]],
    evaluate: Callable[..., list[pa.Table]],
) -> None:
    """Load the model, evaluate with it, write the job's table and what it took.

    `sequences` are all that the sweep reads. `evaluate` is given the model and, by name, what the
    two `run` functions share; with `resamples` it returns as many tables for each, in turn.
    """
    settings = snakemake.params.settings
    model = load_job_model(snakemake, manifest)
    batch_tokens = tokens_per_batch(model, sequences, settings["batch_tokens"])
    points = job_points(snakemake, model, batch_tokens)
    progress = Progress()
    tables = evaluate(
        model,
        batch_tokens=batch_tokens,
        path=settings["path"],
        kept_bytes=settings["kept_gb"] * 1e9,
        points=points,
        progress=progress,
    )
    resamples = settings.get("resamples")
    write_table(
        snakemake.output[0],
        joined(tables, resamples) if resamples else pa.concat_tables(tables),
        provenance(snakemake, manifest, model.device.type) | {"points": points.name},
    )
    write_usage(snakemake.log[0], model.device, progress)
