"""The vectors that a sweep's job injects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from snakesteer.storage.provenance import read_vectors
from snakesteer.sweeps.job import SweepJob
from snakesteer.vectors.rounding import rounded


def job_vectors(
    paths: Iterable[str], job: SweepJob, manifest: Mapping[str, Any]
) -> list[dict[str, np.ndarray]]:
    """The vectors [n_layers, hidden] by name, rounded to the sweep's `vector_dtype`.

    `paths` are in the order of `job.vectors`. One dictionary, or with `resamples` one for each.
    """
    read = read_vectors(job.vectors, paths, manifest, job.resamples, transfer=job.transfer)
    vectors = {name: rounded(vector, job.vector_dtype) for name, vector in read.items()}
    if not job.resamples:
        return [vectors]
    return [{name: each[i] for name, each in vectors.items()} for i in range(job.resamples)]
