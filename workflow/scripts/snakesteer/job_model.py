"""The model that a job runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from snakesteer.manifest import locate
from snakesteer.models import LanguageModel, load


def load_job_model(snakemake: Any, manifest: Mapping[str, Any]) -> LanguageModel:
    """Load the manifest's model as the job's settings say, on as many threads as the job has.

    The number of threads is part of what makes results reproducible to the byte.
    """
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.settings
    return load(
        locate(manifest["source"], snakemake.params.repository),
        manifest,
        dtype=settings["dtype"],
        attention=settings["attention"],
    )
