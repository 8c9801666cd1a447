"""What every script does around its work: log to the job's file, fail in one sentence."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakesteer.core.errors import DamagedFile, StudyError, naming


@contextlib.contextmanager
def job(snakemake: Any, section: str | None = None) -> Iterator[None]:
    """Send output to the job's log; end on a StudyError with its sentence, without a traceback.

    With a `section` of the study the sentence begins with the entry whose job this is. A damaged
    file of the results is put aside, so that the next run makes it again.
    """
    log = os.open(snakemake.log[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    entry = snakemake.wildcards.name.split(".")[0] if section else None
    try:
        with naming(f"{section}.{entry}") if entry else contextlib.nullcontext(), _putting_aside():
            yield
    except StudyError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


@contextlib.contextmanager
def _putting_aside() -> Iterator[None]:
    try:
        yield
    except DamagedFile as error:
        if Path("results") not in error.path.parents:
            raise
        aside = error.path.with_name(f"{error.path.name}.damaged")
        with contextlib.suppress(FileNotFoundError):  # another job came first
            error.path.rename(aside)
        raise StudyError(
            f"{error.path} is damaged ({error.reason}); it was renamed to {aside.name}, and "
            "running again rebuilds it."
        ) from None


def repository(snakemake: Any) -> Path:
    """The folder of the workflow; no param, so that a clone elsewhere finds its results done."""
    return Path(snakemake.scriptdir).parent.parent
