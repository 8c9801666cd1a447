"""Token sequences in batches: of like lengths, padded on the right, without an attention mask.

In a causal model the positions after a sequence's last token cannot reach its real ones, and are
not read; so padding costs time but changes nothing.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine.compilation import compiled_blocks
from snakesteer.engine.models import LanguageModel
from snakesteer.prompts.which_tokens import COMPLETION

PAD = 0
MOST_PADDING = 0.1

Tokens = Literal["predicting", "completing", "continuing", "every", "last"]
"""Which tokens of a batch, by the name of their places."""
SCORED = "scored"  # the mark of the first token of a continuation

PASS_TOKENS = {"cpu": 64}  # what a pass costs beside its tokens, in tokens
PASS_TOKENS_ELSEWHERE = 200
TRIAL_TOKENS = 2048
WORTH_IT = 1.05
MOST_MASKED = 2**25  # values of a mask that says for every two tokens whether one sees the other

Forks = tuple[int, ...]
"""The columns where the branches of a sequence begin, none of one text; see `engine.branches`."""


@dataclass(frozen=True)
class Batch:
    """Some sequences, padded on the right to one length.

    `samples` are their places in the list they come from, `ids` [batch, tokens], `lengths`
    [batch]. `kept` is the output [batch, tokens, hidden] of block `layer`, None on the plain path.
    `marks` [batch] are by name the places in each sequence from which something begins
    (`engine.positions`). `unsteered` is what measures keep of the untouched model's outputs, by
    what it is; a batch with another layer's output kept has it, too, its halves have not. `first`
    [batch] are the places of the first column in each text, 0 where there is none; it is below 0
    where a text is padded on the left. `forks` are those of each row, where rows are several texts
    (`engine.branches`).
    """

    samples: tuple[int, ...]
    ids: torch.Tensor
    lengths: torch.Tensor
    layer: int = -1
    kept: torch.Tensor | None = None
    marks: Mapping[str, torch.Tensor] = field(default_factory=dict)
    unsteered: dict[Any, Any] = field(default_factory=dict)
    first: torch.Tensor | None = None
    forks: tuple[Forks, ...] = ()

    @functools.cached_property
    def places(self) -> torch.Tensor:
        """The place of each column in its text, [tokens], or [batch, tokens] where rows differ."""
        columns = torch.arange(self.ids.shape[1], device=self.ids.device)
        if self.forks:
            begun = columns.new_tensor([[0, *forks] for forks in self._filled])
            stems = begun[:, 1:2] * (self._branches > 0)
            return columns - begun.gather(1, self._branches) + stems
        return columns if self.first is None else self.first[:, None] + columns

    @functools.cached_property
    def _branches(self) -> torch.Tensor:
        """The branch of each column, counted from 1, 0 in the stem, [batch, tokens]."""
        columns = torch.arange(self.ids.shape[1], device=self.ids.device)
        begun = columns.new_tensor(self._filled)
        return (columns[:, None] >= begun[:, None]).sum(dim=2)

    @property
    def _filled(self) -> list[Forks]:
        """The forks of each row, as many of each; those behind all columns begin nothing."""
        most = max(map(len, self.forks))
        return [(*forks, *[self.ids.shape[1]] * (most - len(forks))) for forks in self.forks]

    def inputs(self, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """What the model is called with, whose weights are of this dtype."""
        if not self.forks:
            return {"input_ids": self.ids}
        own = self._branches
        seen = (own[:, :, None] == own[:, None]) | (own[:, None] == 0)
        hidden = ~seen.tril()[:, None]
        mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        mask.masked_fill_(hidden, torch.finfo(dtype).min)
        return {"input_ids": self.ids, "attention_mask": mask, "position_ids": self.places}

    def part(self, some: slice) -> Batch:
        """Some of the rows, as views."""
        return replace(
            self,
            samples=self.samples[some],
            ids=self.ids[some],
            lengths=self.lengths[some],
            kept=None if self.kept is None else self.kept[some],
            marks={name: places[some] for name, places in self.marks.items()},
            unsteered={},
            first=None if self.first is None else self.first[some],
            forks=self.forks[some],
        )

    @functools.cached_property
    def predicting(self) -> torch.Tensor:
        """Places in the flat `ids` of all tokens that a token of their sequence follows, [n]."""
        return self._places_below(self.lengths - 1)

    @functools.cached_property
    def completing(self) -> torch.Tensor:
        """Those among them before a token of the completion, which is marked, [n]."""
        places, width = self.predicting, self.ids.shape[1]
        return places[places % width + 1 >= self.marks[COMPLETION][places // width]]

    @functools.cached_property
    def continuing(self) -> torch.Tensor:
        """Places in the flat `ids` from the last token before a continuation on, which is marked
        (`SCORED`), of one text after the other, [n]."""
        width = self.ids.shape[1]
        starts, lengths = self.marks[SCORED].tolist(), self.lengths.tolist()
        found = []
        for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            for path in paths(self.forks[row] if self.forks else (), length):
                found += [row * width + column for column in path[start - 1 :]]
        return torch.tensor(found, device=self.ids.device)

    @functools.cached_property
    def every(self) -> torch.Tensor:
        """Places in the flat `ids` of all tokens of sequences, [n]."""
        return self._places_below(self.lengths)

    @functools.cached_property
    def last(self) -> torch.Tensor:
        """Places in the flat `ids` of the last token of each sequence, [batch]."""
        rows = torch.arange(len(self.samples), device=self.ids.device)
        return rows * self.ids.shape[1] + self.lengths.to(rows.device) - 1

    def _places_below(self, ends: torch.Tensor) -> torch.Tensor:
        places = torch.arange(self.ids.shape[1], device=self.ids.device)
        return (places < ends[:, None]).flatten().nonzero()[:, 0]


def paths(forks: Forks, length: int) -> list[list[int]]:
    """The columns of each text of a sequence: those before all forks, and those of its branch."""
    if not forks:
        return [list(range(length))]
    ends = [*forks[1:], length]
    return [[*range(forks[0]), *range(start, end)] for start, end in zip(forks, ends, strict=True)]


def batch_plan(
    lengths: Sequence[int], batch_tokens: int, pass_tokens: int, apart: int | None = None
) -> list[tuple[int, ...]]:
    """Places of the sequences in each batch, by ascending length.

    A batch holds at most `batch_tokens` tokens, padding included; a longer sequence is its own
    batch. Its padding is at most the larger of `MOST_PADDING` times its real tokens and
    `pass_tokens`. Sequences of up to `apart` tokens share no batch with longer ones. Of all such
    plans it is the cheapest one, where a pass costs its tokens, padding included, and `pass_tokens`
    more.
    """
    order = np.argsort(lengths, kind="stable")
    ordered = np.asarray(lengths, dtype=np.int64)[order]
    before = np.concatenate([[0], np.cumsum(ordered)])
    costs = np.zeros(len(ordered) + 1, dtype=np.int64)
    starts = np.zeros(len(ordered) + 1, dtype=np.int64)
    for end, longest in enumerate(ordered.tolist(), 1):
        firsts = np.arange(max(0, end - max(1, batch_tokens // longest)), end)
        padded, real = longest * (end - firsts), before[end] - before[firsts]
        allowed = padded - real <= np.maximum(pass_tokens, MOST_PADDING * real)
        if apart is not None and longest > apart:
            allowed &= ordered[firsts] > apart
        firsts, padded = firsts[allowed], padded[allowed]
        totals = costs[firsts] + padded + pass_tokens
        best = totals.argmin()
        costs[end], starts[end] = totals[best], firsts[best]
    plan, end = [], len(ordered)
    while end:
        plan.append(tuple(order[starts[end] : end].tolist()))
        end = int(starts[end])
    return plan[::-1]


def batches_of(
    model: LanguageModel,
    sequences: Sequence[Sequence[int]],
    batch_tokens: int,
    marks: Mapping[str, Sequence[int]] | None = None,
    forks: Sequence[Forks] = (),
) -> list[Batch]:
    """The sequences in batches of `batch_plan`, with their marks, on the model's device.

    Those with `forks`, if any are given, share no batch with those without, and one that takes no
    mask of more than `MOST_MASKED` values, unless a sequence alone does.
    """
    planned = []
    for samples in _planned(model, sequences, batch_tokens, forks):
        chosen = [sequences[sample] for sample in samples]
        lengths = torch.tensor([len(sequence) for sequence in chosen], device=model.device)
        marked = {
            name: torch.tensor([places[sample] for sample in samples], device=model.device)
            for name, places in (marks or {}).items()
        }
        branching = tuple(forks[sample] for sample in samples if forks and forks[sample])
        ids = pad(model, chosen)
        planned.append(Batch(samples, ids, lengths, marks=marked, forks=branching))
    return planned


def _planned(
    model: LanguageModel,
    sequences: Sequence[Sequence[int]],
    batch_tokens: int,
    forks: Sequence[Forks],
) -> Iterator[tuple[int, ...]]:
    """The places of the sequences in each batch."""
    pass_tokens = PASS_TOKENS.get(model.device.type, PASS_TOKENS_ELSEWHERE)
    forked = {place for place, of_it in enumerate(forks) if of_it}
    single = [place for place in range(len(sequences)) if place not in forked]
    for places in (single, sorted(forked)):
        counts = [len(sequences[place]) for place in places]
        for samples in batch_plan(counts, batch_tokens, pass_tokens, model.short_context):
            batch = tuple(places[sample] for sample in samples)
            masked = places is not single
            most = max(1, MOST_MASKED // counts[samples[-1]] ** 2) if masked else len(batch)
            for start in range(0, len(batch), most):
                yield batch[start : start + most]


def tokens_per_batch(
    model: LanguageModel, sequences: Sequence[Sequence[int]], given: int | str
) -> int:
    """Tokens in a batch: as given, or for "auto" what this device is fastest with.

    Tried on some of the sequences: first one at a time, then with budgets that grow fourfold while
    they run faster and fit into memory. Where no budget helps, sequences run one at a time. The
    outcome depends on the clock, and with it, by rounding, the results: they are not the same to
    the byte every time.
    """
    if isinstance(given, int):
        return given
    ordered = sorted(sequences, key=len)
    longest, total = len(ordered[-1]), sum(map(len, ordered))
    best, speed = 1, _speed(model, ordered, 1)
    budget = max(1024, 2 * longest)
    while speed and budget <= total:
        tried = _speed(model, ordered, budget)
        if tried < speed * WORTH_IT:
            break
        best, speed, budget = budget, tried, 4 * budget
    batches = f"Batches of at most {best:,} tokens" if best > 1 else "One sequence at a time"
    pace = (
        f"{speed:,.0f} tokens a second through all layers"
        if speed
        else "larger batches did not fit"
    )
    print(f"{batches} ({pace}).", file=sys.stderr, flush=True)
    return best


@torch.inference_mode()
def _speed(model: LanguageModel, ordered: Sequence[Sequence[int]], budget: int) -> float:
    """Tokens a second in batches of this budget, of middling sequences; 0 if they do not fit."""
    start = end = len(ordered) // 2
    while end < len(ordered) and sum(map(len, ordered[start:end])) < max(budget, TRIAL_TOKENS):
        end += 1
    while start and sum(map(len, ordered[start:end])) < max(budget, TRIAL_TOKENS):
        start -= 1
    batches = batches_of(model, ordered[start:end], budget)
    seconds = []
    try:
        for _ in range(2):
            started = time.perf_counter()
            for batch in batches:
                with compiled_blocks(model):
                    output = model.network.base_model(input_ids=batch.ids, use_cache=False)
            output.last_hidden_state[0, 0, 0].item()
            seconds.append(time.perf_counter() - started)
    except torch.OutOfMemoryError:
        return 0.0
    return sum(map(len, ordered[start:end])) / min(seconds)


def refuse_unknown(model: LanguageModel, token: int) -> None:
    """Refuse (StudyError) the id of a token beyond the model's vocabulary."""
    if token >= model.vocabulary:
        raise StudyError(
            f"the tokenizer gives {model.tokenizer.convert_ids_to_tokens(token)!r} the id "
            f"{token}, but the model has embeddings only for ids up to {model.vocabulary - 1}; "
            "use the model's own tokenizer, or resize its embeddings."
        )


def refuse_unreadable(model: LanguageModel, sequences: Sequence[Sequence[int]]) -> None:
    """Refuse (StudyError) sequences longer than the model's context, and tokens unknown to it."""
    longest = max(map(len, sequences))
    if model.context is not None and longest > model.context:
        raise StudyError(
            f"A text of {longest} tokens is longer than the model's context of {model.context}; "
            "lower max_tokens, or shorten the question."
        )
    refuse_unknown(model, max(map(max, sequences)))


def pad(model: LanguageModel, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
    """Token ids [batch, tokens], padded on the right.

    Raises StudyError for a sequence that is longer than the model's context, and for a token that
    the model has no embedding for.
    """
    refuse_unreadable(model, sequences)
    longest = max(map(len, sequences))
    rows = [[*sequence, *[PAD] * (longest - len(sequence))] for sequence in sequences]
    return torch.tensor(rows, device=model.device)
