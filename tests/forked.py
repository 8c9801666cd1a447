"""Snakemake whose script jobs are forks of itself, with what they import loaded once.

    python tests/forked.py SNAKEMAKE-ARGUMENTS

A job then costs its own work, and not the start of an interpreter with torch, transformers, pandas
and matplotlib. All else is Snakemake's.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import traceback
from subprocess import CalledProcessError

import matplotlib.backends.backend_agg
import matplotlib.backends.backend_pdf
import matplotlib.figure  # noqa: F401
import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import torch  # noqa: F401
from snakemake.benchmark import benchmarked
from snakemake.cli import main
from snakemake.script import PythonScript

# By name: of `transformers.models.llama` alone nothing is loaded until it is used.
from transformers import (  # noqa: F401
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaForCausalLM,
    LlamaTokenizer,
)


def fork(script: PythonScript, fname: str, edit: bool = False) -> None:
    """Run the script that Snakemake has written in a child process."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not Snakemake's: a job ends its workers so
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = 1
        try:
            runpy.run_path(fname, run_name="__main__")
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    with benchmarked(child, script.bench_record):
        _, outcome = os.waitpid(child, 0)
    if status := os.waitstatus_to_exitcode(outcome):
        raise CalledProcessError(status, fname)


if __name__ == "__main__":
    PythonScript.execute_script = fork
    main(sys.argv[1:])
