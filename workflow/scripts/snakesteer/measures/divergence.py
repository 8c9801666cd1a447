"""How far steering moves the next token: KL(unsteered ‖ steered), in nats.

At a token it is the sum over the vocabulary of p · (log p - log q). p are the next-token
probabilities of the untouched model, q those under steering. It is 0 where nothing is changed. Sums
and logarithms are in float64, p is kept in float32. With `epsilon` that is added to p and q inside
both logarithms, as the code of Arditi et al. does with 1e-6 ("Refusal in Language Models Is
Mediated by a Single Direction", 2024).

The untouched model's probabilities are kept while a chunk is measured: 4 bytes each, which is part
of what a chunk may keep. Where they are not there, as in a job that goes on after its point at 0,
they are computed once more.

Columns, a row for each injection, coefficient and sample:
    source
    sample (text): The id of the document or question.
    positions (whole number): The tokens that `kl` is the mean over.
    kl (number): KL(unsteered ‖ steered) of the next token, in nats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import pyarrow as pa
import torch

from snakesteer.core.labels import coefficient_label, layer_label
from snakesteer.core.progress import Progress
from snakesteer.core.records import unless_said
from snakesteer.engine import head
from snakesteer.engine.batches import Batch, Tokens
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, final_states, refuse_overflow
from snakesteer.measures import first_token, next_token, together, two_choice
from snakesteer.measures.first_token import DOCUMENTS as DOCUMENTS
from snakesteer.measures.first_token import QUESTIONS as QUESTIONS
from snakesteer.measures.read import Read, marks_at
from snakesteer.measures.together import Found
from snakesteer.storage.files import read_table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SOURCE, SAMPLE = "source", "sample"
# `positions` are the tokens that `kl` is the mean over, in nats.
SCHEMA = pa.schema(
    [
        ("coefficient", pa.float64()),
        (SOURCE, pa.string()),
        (SAMPLE, pa.string()),
        ("positions", pa.int64()),
        ("kl", pa.float64()),
    ]
)
KEPT_ITEM_BYTES = 4
UNSTEERED = Injection(())


@dataclass(frozen=True)
class Settings:
    """At which tokens it is taken, the `last` of each text or the mean over `all`; what is added to
    probabilities inside the logarithms; and what is begun of an answer to a question."""

    over: Literal["last", "all"] = "last"
    epsilon: float = 0.0
    answer_prefix: str = unless_said("")


@dataclass(frozen=True)
class Texts:
    """Documents or questions as tokens; `of` is what they are called, and the section of a study.

    Of documents all tokens are those that another one follows. `marks`: see `engine.positions`.
    """

    names: list[str]
    sequences: list[list[int]]
    of: tuple[str, str]
    over: Literal["last", "all"] = "last"
    epsilon: float = 0.0
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def tokens(self) -> Tokens:
        """The places in a batch at which it is taken."""
        if self.over == "last":
            return "last"
        return "predicting" if self.of == DOCUMENTS else "every"

    def positions(self, sequence: Sequence[int]) -> int:
        """How many places of a sequence these are."""
        return {"last": 1, "predicting": len(sequence) - 1, "every": len(sequence)}[self.tokens]

    def taken(self, places: Sequence[int]) -> Self:
        """The texts at these places alone."""
        return replace(
            self,
            names=[self.names[place] for place in places],
            sequences=[self.sequences[place] for place in places],
            marks=marks_at(self.marks, places),
        )


def samples(
    tokenizer: PreTrainedTokenizerBase,
    files: Mapping[str, Sequence[str]],
    read: Read,
    settings: Settings,
) -> dict[str, Texts]:
    """The texts of a job, by name: their `documents` or `questions` lie in `files`."""
    of, found = QUESTIONS, {}
    given: Mapping[str, next_token.Corpus | two_choice.Prompts] = {}
    if "documents" in files:
        of, given = DOCUMENTS, next_token.samples(tokenizer, files, read, next_token.Settings())
    elif settings.answer_prefix:
        begun = two_choice.Settings(answer_prefix=settings.answer_prefix)
        given = two_choice.samples(tokenizer, files, read, begun)
    else:
        for behaviour, path in zip(read.sources, files["questions"], strict=True):
            rows = read_table(path).to_pylist()
            names, sequences, marks = first_token.read_questions(tokenizer, behaviour, rows, read)
            found[behaviour] = Texts(names, sequences, of, settings.over, settings.epsilon, marks)
    for name, each in given.items():
        found[name] = Texts(
            each.names, each.sequences, of, settings.over, settings.epsilon, each.marks
        )
    return found


def counted(sequence: Sequence[int]) -> int:
    """Tokens of a text."""
    return len(sequence)


def kept_bytes(model: LanguageModel, texts: Texts, sequence: Sequence[int]) -> int:
    """What is kept of a text's unsteered probabilities while its chunk is measured."""
    return texts.positions(sequence) * model.vocabulary * KEPT_ITEM_BYTES


class Known:
    """The unsteered next tokens at `count` places, put there some at a time."""

    def __init__(self, count: int, epsilon: float) -> None:
        self.count, self.epsilon = count, epsilon
        self.probabilities = torch.empty(0)
        self.own = torch.empty(0)

    def put(self, logits: torch.Tensor, rows: slice) -> torch.Tensor:
        """Keep the distributions of some places; returns the mean of their own logarithm [m]."""
        if rows.start == 0:
            shape, device = (self.count, logits.shape[1]), logits.device
            self.probabilities = torch.empty(shape, dtype=torch.float32, device=device)
            self.own = torch.empty(self.count, dtype=torch.float64, device=device)
        logarithms = logits.double().log_softmax(dim=-1)
        self.probabilities[rows] = logarithms.exp().float()
        self.own[rows] = self._mean_of(logarithms, rows)
        return self.own[rows]

    def divergences(self, logits: torch.Tensor, rows: slice) -> torch.Tensor:
        """KL of these distributions from those of `logits` [m, vocabulary] at the same places, [m]
        float64."""
        return self.own[rows] - self._mean_of(logits.double().log_softmax(dim=-1), rows)

    def _mean_of(self, logarithms: torch.Tensor, rows: slice) -> torch.Tensor:
        if self.epsilon:
            logarithms = (logarithms.exp() + self.epsilon).log()
        return torch.linalg.vecdot(self.probabilities[rows].double(), logarithms)


@dataclass(frozen=True)
class Reader:
    """What is read of the logits on texts."""

    model: LanguageModel
    source: str
    texts: Texts

    @property
    def tokens(self) -> Tokens:
        """The places in a batch at which it is taken."""
        return self.texts.tokens

    @cached_property
    def counted(self) -> list[int]:
        """Tokens, by text."""
        return [counted(ids) for ids in self.texts.sequences]

    def read(self, batch: Batch, injection: Injection, coefficient: float | None) -> head.Read:
        """The divergence at each place; unsteered 0, while the distributions are kept."""
        kept = (__name__, self.tokens, self.texts.epsilon)
        places = getattr(batch, self.tokens)
        if not injection.steers(coefficient):
            known = batch.unsteered[kept] = Known(len(places), self.texts.epsilon)

            def keeping(logits: torch.Tensor, rows: slice) -> tuple[torch.Tensor]:
                own = known.put(logits, rows)
                return (own - own,)  # NaN where they are not finite

            return keeping
        if kept not in batch.unsteered:
            states = final_states(self.model, batch, UNSTEERED, 0.0).flatten(0, 1)
            states = states[places.to(states.device)]
            head.read(self.model, states, [self.read(batch, UNSTEERED, 0.0)])
        known = batch.unsteered[kept]
        return lambda logits, rows: (known.divergences(logits, rows),)

    def table(
        self,
        injection: Injection,
        coefficient: float | None,
        order: Sequence[int],
        found: Found,
        progress: Progress,
    ) -> pa.Table:
        """The rows of one point, coefficient × injection on these texts."""
        (divergences,), texts = found, self.texts
        positions = np.array([texts.positions(ids) for ids in texts.sequences])
        starts = np.cumsum([0, *positions[order][:-1]])
        kl = np.add.reduceat(divergences, starts)[np.argsort(order)] / positions
        sample, section = texts.of
        names = [f"{sample} {name} of {section}.{self.source}" for name in texts.names]
        refuse_overflow(kl, names, layer_label(injection.layers), coefficient)
        progress.note(
            f"{coefficient_label(coefficient)}: KL {kl.mean():.3g} on {len(kl)} {sample}s of "
            f"{self.source}"
        )
        columns = {
            "coefficient": [coefficient] * len(kl),
            SOURCE: [self.source] * len(kl),
            SAMPLE: texts.names,
            "positions": positions,
            "kl": kl,
        }
        return pa.table(columns, schema=SCHEMA)


def rows(
    model: LanguageModel,
    injection: Injection,
    coefficient: float | None,
    source: str,
    texts: Texts,
    batches: list[Batch],
    progress: Progress,
) -> pa.Table:
    """The rows of one point, coefficient × injection on these texts in these batches."""
    reader = Reader(model, source, texts)
    return together.rows(model, injection, coefficient, reader, batches, progress)
