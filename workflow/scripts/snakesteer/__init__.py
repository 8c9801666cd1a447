"""snakesteer: activation steering studies as a cached, traceable workflow.

Whatever imports this package is stopped by Ctrl-C with one sentence in place of a traceback: a job
that is still importing torch, one at work, Snakemake itself.
"""

import sys
from types import TracebackType

INTERRUPTED = "Interrupted: what is finished is kept, and the same command goes on from there."

_told = sys.excepthook


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr, flush=True)
    else:
        _told(kind, error, trace)


sys.excepthook = _tell
