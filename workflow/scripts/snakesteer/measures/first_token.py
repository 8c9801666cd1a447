"""How likely the first token of an answer is one of a set: log-odds, in nats.

With p the probability of all tokens of the set together, log(p) - log(1 - p), in float64. With
`epsilon` that is added inside both logarithms, as the code of Arditi et al. does with 1e-8
("Refusal in Language Models Is Mediated by a Single Direction", 2024).

Columns, a row for each injection, coefficient and sample:
    source
    sample (text): The id of the document or question.
    log_odds (number): Log-odds that the next token is in the set, in nats.
    probability (number): Probability of the tokens of the set together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch

from snakesteer.core.errors import StudyError, naming
from snakesteer.core.labels import coefficient_label, layer_label
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import Batch, Tokens
from snakesteer.engine.head import Read as Reads
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, refuse_overflow
from snakesteer.measures import next_token, together, two_choice
from snakesteer.measures.read import Read, marks_at
from snakesteer.measures.together import Found
from snakesteer.prompts import marks
from snakesteer.prompts.tokens import framed
from snakesteer.storage.files import read_table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SOURCE, SAMPLE = "source", "sample"
DOCUMENTS = (next_token.SAMPLE, next_token.SECTION)
QUESTIONS = (two_choice.SAMPLE, two_choice.SECTION)
# `probability` is that of all tokens of the set together.
SCHEMA = pa.schema(
    [
        ("coefficient", pa.float64()),
        (SOURCE, pa.string()),
        (SAMPLE, pa.string()),
        ("log_odds", pa.float64()),
        ("probability", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Settings:
    """The set, ids or texts of one token each, and what is added inside the logarithms."""

    tokens: tuple[int | str, ...]
    epsilon: float = 0.0


@dataclass(frozen=True)
class Prompts:
    """Prompts as tokens; `of` is what they are called, and the section of a study.

    `wanted` are the ids of the set. `marks`: see `engine.positions`.
    """

    names: list[str]
    sequences: list[list[int]]
    of: tuple[str, str]
    wanted: list[int]
    epsilon: float = 0.0
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def taken(self, places: Sequence[int]) -> Self:
        """The prompts at these places alone."""
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
) -> dict[str, Prompts]:
    """The prompts of a job, by name: their `documents` or `questions` lie in `files`.

    Of instructions the completion is left out. Raises StudyError as `ids_of`, `marks.prompt` and
    `next_token.read_corpus` do.
    """
    wanted, epsilon = ids_of(tokenizer, settings.tokens), settings.epsilon
    found = {}
    if "documents" in files:
        for corpus, path in zip(read.sources, files["documents"], strict=True):
            texts = _instructions(tokenizer, corpus, read_table(path), read)
            found[corpus] = Prompts(*texts[:2], DOCUMENTS, wanted, epsilon, texts[2])
        return found
    for behaviour, path in zip(read.sources, files["questions"], strict=True):
        texts = read_questions(tokenizer, behaviour, read_table(path).to_pylist(), read)
        found[behaviour] = Prompts(*texts[:2], QUESTIONS, wanted, epsilon, texts[2])
    return found


Texts = tuple[list[str], list[list[int]], Mapping[str, Sequence[int]]]


def _instructions(
    tokenizer: PreTrainedTokenizerBase, corpus: str, documents: pa.Table, read: Read
) -> Texts:
    columns = [documents[name].to_pylist() for name in ("document", "text")]
    if "completion" in documents.schema.names:
        columns.append([""] * documents.num_rows)
    assert read.max_tokens
    texts = next_token.read_corpus(
        tokenizer,
        corpus,
        list(zip(*columns, strict=True)),
        [],
        max_tokens=read.max_tokens,
        tokens=read.tokens,
        how=read.how,
    )
    return texts.names, texts.sequences, texts.marks


def read_questions(
    tokenizer: PreTrainedTokenizerBase,
    behaviour: str,
    rows: Sequence[Mapping[str, str]],
    read: Read,
) -> Texts:
    """Names, tokens and marks of a behaviour's prompts in the split that is read, whatever their
    answers are.

    Raises StudyError for a split without questions, and as `marks.prompt` does.
    """
    asked = [row for row in rows if row["split"] == read.split]
    if not asked:
        raise StudyError(
            f"behaviours.{behaviour} has no questions in this split; use another split."
        )
    with naming(f"behaviours.{behaviour}"):
        texts = [
            marks.prompt(tokenizer, f"question {row['question']}", row["prompt"], read.how)
            for row in asked
        ]
    names = [row["question"] for row in asked]
    return names, [text.ids for text in texts], marks.columns(texts)


def ids_of(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int | str]) -> list[int]:
    """The ids of a set of tokens, each once: those given, and those of texts as the tokenizer reads
    them by themselves, without what it puts around them.

    Raises StudyError for a text that is several tokens, or none that the tokenizer knows.
    """
    found: dict[int, None] = {}
    for token in tokens:
        if isinstance(token, int):
            found[token] = None
            continue
        ids, first, end = framed(tokenizer, token)
        own = ids[first:end]
        unknown = own == [tokenizer.unk_token_id] and token != tokenizer.unk_token
        if len(own) != 1 or unknown:
            pieces = tokenizer.convert_ids_to_tokens(own)
            said = "no token it knows" if unknown or not own else f"{pieces}"
            raise StudyError(
                f"tokens names {token!r}, which the model's tokenizer reads as {said}, not as "
                "one token; name single tokens, or their ids."
            )
        found[own[0]] = None
    return list(found)


def counted(sequence: Sequence[int]) -> int:
    """Tokens of a prompt."""
    return len(sequence)


@dataclass(frozen=True)
class Reader:
    """What is read of the logits on prompts."""

    model: LanguageModel
    source: str
    prompts: Prompts

    tokens: ClassVar[Tokens] = "last"

    @cached_property
    def counted(self) -> list[int]:
        """Tokens, by prompt."""
        return [counted(ids) for ids in self.prompts.sequences]

    def read(self, batch: Batch, injection: Injection, coefficient: float | None) -> Reads:
        """The log-odds and the probability of the set."""
        wanted, epsilon = self.prompts.wanted, self.prompts.epsilon
        if max(wanted) >= self.model.vocabulary:
            raise StudyError(
                f"tokens names the id {max(wanted)}, but the model's ids end at "
                f"{self.model.vocabulary - 1}; name ids of its own tokens."
            )

        def odds(logits: torch.Tensor, rows: slice) -> tuple[torch.Tensor, ...]:
            ids = torch.tensor(wanted, device=logits.device)
            logarithms = logits.double().log_softmax(dim=1)
            inside = logarithms[:, ids].logsumexp(dim=1)
            probability = inside.exp()
            if epsilon:
                others = (1 - probability + epsilon).log()
                return (probability + epsilon).log() - others, probability
            others = logarithms.index_fill(1, ids, -torch.inf).logsumexp(dim=1)
            return inside - others, probability

        return odds

    def table(
        self,
        injection: Injection,
        coefficient: float | None,
        order: Sequence[int],
        found: Found,
        progress: Progress,
    ) -> pa.Table:
        """The rows of one point, coefficient × injection on these prompts."""
        log_odds, probability = (part[np.argsort(order)] for part in found)
        prompts = self.prompts
        sample, section = prompts.of
        names = [f"{sample} {name} of {section}.{self.source}" for name in prompts.names]
        refuse_overflow(log_odds, names, layer_label(injection.layers), coefficient)
        progress.note(
            f"{coefficient_label(coefficient)}: log-odds {log_odds.mean():.3g} on "
            f"{len(log_odds)} {sample}s of {self.source}"
        )
        columns = {
            "coefficient": [coefficient] * len(log_odds),
            SOURCE: [self.source] * len(log_odds),
            SAMPLE: prompts.names,
            "log_odds": log_odds,
            "probability": probability,
        }
        return pa.table(columns, schema=SCHEMA)


def rows(
    model: LanguageModel,
    injection: Injection,
    coefficient: float | None,
    source: str,
    prompts: Prompts,
    batches: list[Batch],
    progress: Progress,
) -> pa.Table:
    """The rows of one point, coefficient × injection on these prompts in these batches."""
    reader = Reader(model, source, prompts)
    return together.rows(model, injection, coefficient, reader, batches, progress)
