"""From the last block's outputs to predictions, without keeping the logits of a whole batch."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from snakesteer.batches import PAD
from snakesteer.hooks import replaced
from snakesteer.models import LanguageModel

HEAD_LOGITS = {"cpu": 2**21}
HEAD_LOGITS_ELSEWHERE = 2**27


@torch.inference_mode()
def logits_of(model: LanguageModel, states: torch.Tensor) -> torch.Tensor:
    """Logits [n, vocabulary] of outputs of the last block, `states` [n, hidden].

    The model's own final norm and head, in its dtype, with whatever capping or scaling it does:
    its forward pass over n sequences of one token, all blocks replaced. The logits are where the
    states are, also in a model spread over several devices, which hands them to the ids' device.
    """
    every = {layer: lambda: states[:, None] for layer in range(model.n_layers)}
    ids = torch.full((len(states), 1), PAD, device=states.device)
    with replaced(model, every):
        return model.network(input_ids=ids, use_cache=False).logits[:, 0]


def predictions(
    model: LanguageModel, states: torch.Tensor, targets: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Rank of each target and its negative log-probability, from outputs of the last block.

    `states` [n, hidden], `targets` [n]. The rank counts the tokens that beat the target: a greater
    logit, or an equal one and a lower id, as argmax breaks ties. So rank 0 is a hit of the top 1
    and a rank below 10 one of the top 10. The log-probability is taken in float32. Only as many
    rows of logits exist at a time as make some millions of them.
    """
    rows = max(1, HEAD_LOGITS.get(states.device.type, HEAD_LOGITS_ELSEWHERE) // model.vocabulary)
    ranks, losses = [], []
    for some, wanted in zip(states.split(rows), targets.split(rows), strict=True):
        logits = logits_of(model, some)
        rank, loss = _rank_and_loss(logits, wanted.to(logits.device))
        ranks.append(rank)
        losses.append(loss)
    return torch.cat(ranks).cpu().numpy(), torch.cat(losses).cpu().numpy()


@torch.inference_mode()
def _rank_and_loss(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    target = logits.gather(1, targets[:, None])
    rank, not_less = _counts(logits > target), _counts(logits >= target)
    tied = (not_less - rank > 1).nonzero()[:, 0]
    if len(tied):
        ids = torch.arange(logits.shape[1], device=logits.device)
        earlier = (logits[tied] == target[tied]) & (ids < targets[tied, None])
        rank[tied] += _counts(earlier)
    return rank, functional.cross_entropy(logits.float(), targets, reduction="none")


def _counts(true: torch.Tensor) -> torch.Tensor:
    """How many are true in each row [n, vocabulary]; several times as fast as count_nonzero."""
    return true.view(torch.uint8).sum(dim=1, dtype=torch.int32)


def greedy(logits: torch.Tensor) -> torch.Tensor:
    """The token [n] with the greatest of `logits` [n, vocabulary]; the lower id of equal ones."""
    ids = torch.arange(logits.shape[1], device=logits.device)
    greatest = logits == logits.amax(dim=1, keepdim=True)
    return torch.where(greatest, ids, logits.shape[1]).amin(dim=1)
