"""Ctrl-C told in one sentence in place of a traceback, by the processes that are snakesteer's."""

from __future__ import annotations

import sys
from types import TracebackType

INTERRUPTED = "Interrupted: finished work is kept, and the same command continues from there."


def tell_interruptions() -> None:
    """End this process with that sentence when Ctrl-C stops it; other errors are told as before."""
    told = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print(INTERRUPTED, file=sys.stderr, flush=True)
        else:
            told(kind, error, trace)

    sys.excepthook = tell
