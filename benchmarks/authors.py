"""The skill sweep as the authors ran it: one document, the whole model, every coefficient.

Written anew after what their code does: a document at a time goes through the whole model, what is
injected is added to a block's output, and the logits of all its tokens are compared with the next
tokens. (Theirs takes the ten best and the best one by two calls of `topk`; here one serves both.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from snakesteer.engine.models import LanguageModel, states_of

MEASURES = ("top1", "top10", "kept", "kept_top1", "kept_top10")
NEAR = 16


def counts(
    model: LanguageModel, sequences: Sequence[Sequence[int]], skipped: Sequence[int]
) -> np.ndarray:
    """Counts of `MEASURES` of each document, [n_documents, 5], under what is injected now."""
    left_out = torch.tensor(skipped, device=model.device)
    return np.array([_counts_of(model, ids, left_out) for ids in sequences])


def sweep(
    model: LanguageModel,
    layer: int,
    vector: np.ndarray,
    coefficients: Sequence[float],
    sequences: Sequence[Sequence[int]],
    skipped: Sequence[int],
) -> np.ndarray:
    """Counts [n_coefficients, n_documents, 5] under coefficient × vector [hidden] at `layer`."""
    found = []
    for coefficient in coefficients:
        with injected(model, layer, vector, coefficient):
            found.append(counts(model, sequences, skipped))
    return np.stack(found)


@contextmanager
def injected(
    model: LanguageModel, layer: int, vector: np.ndarray, coefficient: float
) -> Iterator[None]:
    """Adds coefficient × vector [hidden] to the output of block `layer`, at every position."""
    addition = (coefficient * torch.as_tensor(vector)).to(model.device, model.dtype)

    def add(_module: torch.nn.Module, _inputs: Any, output: Any) -> Any:
        states = states_of(output) + addition
        return (states, *output[1:]) if isinstance(output, tuple) else states

    handle = model.blocks[layer].register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def near_ties(model: LanguageModel, ids: Sequence[int]) -> tuple[int, int]:
    """Predictions of a document, under what is injected now, that rounding may decide otherwise.

    Those for which the target and the logit that it must beat, or does not reach, to be the best
    one, or among the ten best, are no more than `NEAR` roundings of the largest logit apart.
    """
    encoded = torch.tensor([ids], device=model.device)
    logits = model.network(encoded).logits[0, :-1].float()
    best = logits.topk(11).values
    target = logits.gather(1, encoded[0, 1:, None])[:, 0]
    rounding = NEAR * torch.finfo(model.dtype).eps * logits.abs().amax(dim=1)
    found = []
    for count in (1, 10):
        rival = torch.where(target >= best[:, count - 1], best[:, count], best[:, count - 1])
        found.append(int(((target - rival).abs() <= rounding).sum()))
    return found[0], found[1]


@torch.no_grad()
def _counts_of(model: LanguageModel, ids: Sequence[int], skipped: torch.Tensor) -> list[int]:
    encoded = torch.tensor([ids], device=model.device)
    logits = model.network(encoded).logits
    targets = encoded[0, 1:]
    hits = logits[0, :-1].topk(10).indices == targets[:, None]
    top1, top10 = hits[:, 0], hits.any(dim=1)
    kept = ~torch.isin(targets, skipped)
    return [int(found.sum()) for found in (top1, top10, kept, kept & top1, kept & top10)]
