"""What every script here imports first: its own copy of the package, whichever is installed.

Snakemake puts this folder last in a script's search path, behind installed packages; the code whose
digest stands in a job's key is that of this folder. Ctrl-C is told from here on, also while a
script imports torch.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from snakesteer.core.interruption import tell_interruptions
from snakesteer.jobs.job import job, repository

tell_interruptions()

__all__ = ["job", "repository"]
