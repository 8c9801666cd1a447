"""What does not fit into the device's memory is tried again in halves."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine.batches import Batch

Outcome = TypeVar("Outcome")


def on_each(
    batches: list[Batch], act: Callable[[Batch], Outcome]
) -> Iterator[tuple[Batch, Outcome]]:
    """Each batch and what `act` makes of it.

    A batch that does not fit into the device's memory is halved in the list itself and tried again.
    Later passes over the list start with the halves. Their results, too, differ by rounding from
    those of the original plan. Raises StudyError when a single sequence does not fit.
    """
    place = 0
    while place < len(batches):
        try:
            outcome = act(batches[place])
        except torch.OutOfMemoryError:
            fits = False  # what the failed call holds is let go of only after this clause
        else:
            fits = True
        if fits:
            yield batches[place], outcome
            place += 1
        else:
            _free()
            batches[place : place + 1] = _halves(batches[place])


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _halves(batch: Batch) -> list[Batch]:
    """Both halves of a batch, as views, since there may be no memory for copies."""
    rows, tokens = batch.ids.shape
    if rows == 1:
        raise StudyError(
            f"One sequence of {tokens} tokens does not fit into the device's memory; lower kept_gb "
            "or max_tokens, use a smaller dtype, or spread the model with device_map."
        )
    print(
        f"Out of memory at {rows} × {tokens} tokens: continuing with half the batch. Lower "
        "batch_tokens to keep results identical to the byte.",
        file=sys.stderr,
        flush=True,
    )
    return [batch.part(slice(rows // 2)), batch.part(slice(rows // 2, None))]
