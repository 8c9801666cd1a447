"""From the last block's outputs to predictions, without keeping the logits of a whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.nn import functional

from snakesteer.engine.batches import PAD
from snakesteer.engine.compilation import when_called
from snakesteer.engine.hooks import replaced
from snakesteer.engine.models import LanguageModel

HEAD_LOGITS = {"cpu": 2**22}
HEAD_LOGITS_ELSEWHERE = 2**27
READ_LOGITS = {"cpu": 2**18}

Read = Callable[[torch.Tensor, slice], tuple[torch.Tensor, ...]]
"""(logits [m, vocabulary], which of the n states they are of) -> what is read of them, [m, …]."""


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


@torch.inference_mode()
def read(
    model: LanguageModel, states: torch.Tensor, reads: Sequence[Read]
) -> list[tuple[torch.Tensor, ...]]:
    """What each of `reads` makes of the logits of outputs of the last block, `states` [n, hidden].

    The logits are made once for all, some rows at a time; returns for each its tensors, [n, …].
    """
    found: list[list[tuple[torch.Tensor, ...]]] = [[] for _ in reads]
    for logits, rows in _in_chunks(model, states):
        for parts, one in zip(found, reads, strict=True):
            parts.append(one(logits, rows))
    return [tuple(map(torch.cat, zip(*parts, strict=True))) for parts in found]


def predictions(
    model: LanguageModel, states: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rank and negative log-probability of each target, see `judging`, from outputs of the last
    block, `states` [n, hidden].
    """
    ((rank, loss),) = read(model, states, [judging(model, targets)])
    return rank, loss


def judging(model: LanguageModel, targets: torch.Tensor) -> Read:
    """Reads the rank of each of `targets` [n] and its negative log-probability.

    They are [n] int32 and [n] float32, on the head's device. The rank counts the tokens that beat
    the target: a greater logit, or an equal one and a lower id, as argmax breaks ties. So rank 0 is
    a hit of the top 1 and a rank below 10 one of the top 10. The log-probability is taken in
    float32.
    """
    judge = when_called(_judged_to_compile) if model.compiled else _judged
    return lambda logits, rows: judge(logits, targets[rows].to(logits.device))


def answers(
    model: LanguageModel, states: torch.Tensor, choices: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The greedy next tokens and how the `choices` [n, n_choices] do, see `answering`, from outputs
    of the last block, `states` [n, hidden].
    """
    ((tokens, offered, mass),) = read(model, states, [answering(choices)])
    return tokens, offered, mass


def answering(choices: torch.Tensor) -> Read:
    """Reads the greedy next tokens and how the `choices` [n, n_choices] do.

    They are tokens [n], the choices' logits [n, n_choices] and the probability of all of them
    together [n], in float64 and on the head's device. The softmax is taken in float32.
    """

    def answer(logits: torch.Tensor, rows: slice) -> tuple[torch.Tensor, ...]:
        ids = choices[rows].to(logits.device)
        masses = logits.float().softmax(dim=1).gather(1, ids).double().sum(dim=1)
        return greedy(logits), logits.gather(1, ids).double(), masses

    return answer


def _in_chunks(model: LanguageModel, states: torch.Tensor) -> Iterator[tuple[torch.Tensor, slice]]:
    """Logits and which of the states they are of, some rows at a time.

    As many are made at once as keep a matrix product fast. A CPU is handed fewer of them at a time,
    which stay in its cache while they are read several times.
    """
    device = states.device.type
    made = HEAD_LOGITS.get(device, HEAD_LOGITS_ELSEWHERE)
    rows = max(1, made // model.vocabulary)
    at_once = max(1, READ_LOGITS.get(device, made) // model.vocabulary)
    place = 0
    for some in states.split(rows):
        for logits in logits_of(model, some).split(at_once):
            yield logits, slice(place, place + len(logits))
            place += len(logits)


def _judged(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return rank_of(logits, targets), _losses(logits, targets)


def _judged_to_compile(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, in a form of which compiling makes one pass over the logits."""
    beats = _beating(logits, targets[:, None])
    return beats.sum(dim=1, dtype=torch.int32), _losses(logits, targets)


def _losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits.float(), targets, reduction="none")


def rank_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """How many of `logits` [n, vocabulary] beat that of each of `targets` [n], as int32 [n]."""
    count = _beating_if_tied if logits.device.type == "cpu" else _beating_at_once
    return count(logits, targets[:, None])


def _beating_at_once(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return _counts(_beating(logits, targets))


def _beating(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    target = logits.gather(1, targets)
    beats = logits == target
    beats &= _ids(logits) < targets
    beats |= logits > target
    return beats


def _beating_if_tied(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Looks for ties first: that is faster on a CPU, but must wait for a GPU."""
    target = logits.gather(1, targets)
    rank, not_less = _counts(logits > target), _counts(logits >= target)
    tied = (not_less - rank > 1).nonzero()[:, 0]
    if len(tied):
        earlier = (logits[tied] == target[tied]) & (_ids(logits) < targets[tied])
        rank[tied] += _counts(earlier)
    return rank


def _ids(logits: torch.Tensor) -> torch.Tensor:
    return torch.arange(logits.shape[1], device=logits.device)


def _counts(true: torch.Tensor) -> torch.Tensor:
    """How many are true in each row [n, vocabulary]; several times as fast as count_nonzero."""
    return true.view(torch.uint8).sum(dim=1, dtype=torch.int32)


def greedy(logits: torch.Tensor) -> torch.Tensor:
    """The token [n] with the greatest of `logits` [n, vocabulary]; the lower id of equal ones."""
    greatest = logits == logits.amax(dim=1, keepdim=True)
    return torch.where(greatest, _ids(logits), logits.shape[1]).amin(dim=1)
