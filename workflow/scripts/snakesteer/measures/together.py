"""One pass for all measures that read nothing but logits, of the same texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import torch

from snakesteer.core.progress import Progress
from snakesteer.engine import head
from snakesteer.engine.batches import Batch, Tokens
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, final_states

Found = tuple[np.ndarray, ...]


class Reader(Protocol):
    """What a measure reads of logits on some samples: at the places of a batch that `tokens` names.

    `counted` are by sample the tokens that progress is counted in.
    """

    @property
    def tokens(self) -> Tokens: ...

    @property
    def counted(self) -> Sequence[int]: ...

    def read(self, batch: Batch, injection: Injection, coefficient: float | None) -> head.Read:
        """What is read of the logits at the places of a batch."""
        ...

    def table(
        self,
        injection: Injection,
        coefficient: float | None,
        order: Sequence[int],
        found: Found,
        progress: Progress,
    ) -> pa.Table:
        """The rows of one point, from what was read of the samples in this order.

        Raises Overflow for NaN or infinity.
        """
        ...


def read(
    model: LanguageModel,
    injection: Injection,
    coefficient: float | None,
    readers: Sequence[Reader],
    batches: list[Batch],
    progress: Progress,
) -> tuple[list[int], list[Found]]:
    """Run the model once for all readers: the order of the samples, and what each reader found.

    The head, too, runs once for those that read at the same places.
    """

    def act(batch: Batch) -> list[tuple[torch.Tensor, ...]]:
        states = final_states(model, batch, injection, coefficient).flatten(0, 1)
        outcomes: dict[int, tuple[torch.Tensor, ...]] = {}
        for tokens in dict.fromkeys(reader.tokens for reader in readers):
            here = [place for place, reader in enumerate(readers) if reader.tokens == tokens]
            reads = [readers[place].read(batch, injection, coefficient) for place in here]
            places = getattr(batch, tokens).to(states.device)
            outcomes |= zip(here, head.read(model, states[places], reads), strict=True)
        return [outcomes[place] for place in range(len(readers))]

    found: list[list[tuple[torch.Tensor, ...]]] = [[] for _ in readers]
    order: list[int] = []
    for batch, outcomes in on_each(batches, act):
        for parts, outcome in zip(found, outcomes, strict=True):
            parts.append(outcome)
        order += batch.samples
        for reader in readers:
            progress.step(sum(reader.counted[sample] for sample in batch.samples))
    joined = []
    for parts in found:
        joined.append(tuple(torch.cat(some).cpu().numpy() for some in zip(*parts, strict=True)))
    return order, joined


def rows(
    model: LanguageModel,
    injection: Injection,
    coefficient: float | None,
    reader: Reader,
    batches: list[Batch],
    progress: Progress,
) -> pa.Table:
    """The rows of one point of a measure by itself."""
    order, (found,) = read(model, injection, coefficient, [reader], batches, progress)
    return reader.table(injection, coefficient, order, found, progress)
