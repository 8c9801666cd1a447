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
    """The vectors [n_layers, hidden] by name, rounded to the sweep's `vector_dtype`; those of
    several positions [positions, n_layers, hidden], and of several `draws` [draws, …].

    `paths` are in the order of `job.vectors`. One dictionary, or with `resamples` one for each.
    """
    several = dict.fromkeys(job.vectors, job.resamples) if job.resamples else job.draws
    read = read_vectors(job.vectors, paths, manifest, several, transfer=job.transfer)
    vectors = {name: rounded(vector, job.vector_dtype) for name, vector in read.items()}
    if not job.resamples:
        return [vectors]
    return [{name: each[i] for name, each in vectors.items()} for i in range(job.resamples)]
