"""What a job that ran a model knows of itself: tokens, their rate, the device and its memory.

Snakemake's `benchmark` measures time and memory of the process; this lies beside the job's log.
Neither is part of an artefact.
"""

from __future__ import annotations

from pathlib import Path

import torch

from snakesteer.core.progress import Progress
from snakesteer.core.spent import SPENT
from snakesteer.engine.models import device_name
from snakesteer.storage.files import write_json


def write_usage(log: str, device: torch.device, progress: Progress) -> None:
    """Write tokens, their rate, the device and its peak memory beside the job's log.

    Tokens are those of passes made now: finished points are not counted again. What was spent
    elsewhere (`SPENT`) stands there, too.
    """
    peaks = map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count()))
    rate = progress.done / progress.seconds if progress.seconds else None
    write_json(
        Path(log).with_suffix(".usage.json"),
        {
            "tokens": progress.done,
            "tokens_per_second": rate,
            "device": device_name(device),
            "device_memory_mb": sum(peaks) / 1e6 if device.type == "cuda" else None,
            **SPENT,
        },
    )
