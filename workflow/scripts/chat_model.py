from pathlib import Path

import torch

from script_job import job
from snakesteer.training.tune import ChatSettings, tune

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    tune(
        ChatSettings(),
        Path(snakemake.input[0]).parent,
        Path(snakemake.params.work),
        Path(snakemake.output[0]).parent,
    )
