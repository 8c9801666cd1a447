from pathlib import Path

import torch

from script_job import job
from snakesteer.training.pretrain import BaseSettings, pretrain

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    pretrain(BaseSettings(), Path(snakemake.params.work), Path(snakemake.output[0]).parent)
