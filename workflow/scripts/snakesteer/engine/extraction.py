"""Activations of all layers at the last token, of documents and of answered questions."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from snakesteer.core.errors import StudyError
from snakesteer.core.progress import Progress
from snakesteer.engine.both_answers import capture_answers, shares_prompts
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import capture
from snakesteer.prompts.questions import QuestionTokens, question_tokens
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading, encode_document
from snakesteer.storage.files import stack_tensors
from snakesteer.storage.points import Points, digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHARD_BYTES = 2**26


@dataclass(frozen=True)
class Documents:
    """Documents as tokens, cut at the study's length; `names` are for messages."""

    names: list[str]
    sequences: list[list[int]]


@dataclass(frozen=True)
class Questions:
    """Questions as tokens; `names` are for messages."""

    names: list[str]
    tokens: list[QuestionTokens]

    @property
    def sequences(self) -> list[list[int]]:
        """Prompt and matching answer."""
        return [[*item.prompt, item.matching] for item in self.tokens]

    @property
    def prompts(self) -> list[list[int]]:
        """What the answers are put behind."""
        return [item.prompt for item in self.tokens]

    @property
    def answers(self) -> torch.Tensor:
        """Token ids of the matching and the other answer, [n_questions, 2]."""
        return torch.tensor([(item.matching, item.not_matching) for item in self.tokens])


@dataclass(frozen=True)
class Shard:
    """Some consecutive samples: what tells them apart, their tokens, and how to capture them."""

    samples: str
    tokens: int
    capture: Callable[[], dict[str, torch.Tensor]]


def read_documents(
    tokenizer: PreTrainedTokenizerBase,
    documents: Sequence[tuple[str, str]],
    max_tokens: int,
    reading: Reading = TOKENIZERS_OWN,
) -> Documents:
    """Tokens of (id, text) documents, cut at `max_tokens`.

    Raises StudyError for an empty list and for a document of fewer than two tokens.
    """
    if not documents:
        raise StudyError("The corpus has no training documents; name one that has.")
    sequences = [
        encode_document(tokenizer, name, text, max_tokens, reading) for name, text in documents
    ]
    return Documents([f"document {name}" for name, _ in documents], sequences)


def read_questions(
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Mapping[str, str]],
    reading: Reading = TOKENIZERS_OWN,
) -> Questions:
    """Tokens of questions (`question` id, `prompt`, `matching`, `not_matching`).

    Raises StudyError for an empty list and a tokenizer that splits an answer.
    """
    if not questions:
        raise StudyError("The behaviour has no training questions; name one that has.")
    tokens = [question_tokens(tokenizer, question, reading) for question in questions]
    return Questions([f"question {question['question']}" for question in questions], tokens)


def of_documents(model: LanguageModel, documents: Documents, *, batch_tokens: int) -> torch.Tensor:
    """Activations at the last token of each document (paper: skill vectors).

    Returns [n_documents, n_layers, hidden] in the model's dtype. Raises StudyError for a NaN or
    infinite activation and a document beyond the model's context.
    """
    return capture(model, documents.sequences, documents.names, batch_tokens=batch_tokens)


def of_questions(
    model: LanguageModel, questions: Questions, *, batch_tokens: int
) -> dict[str, torch.Tensor]:
    """Activations at the last token of prompt + answer (paper: behaviours).

    Returns `matching` and `not_matching`, each [n_questions, n_layers, hidden] in the model's
    dtype. Raises as `of_documents` does.
    """
    once = shares_prompts(model, questions.prompts, questions.answers)
    return _of_questions(model, questions, batch_tokens, once)


def _of_questions(
    model: LanguageModel, questions: Questions, batch_tokens: int, once: bool
) -> dict[str, torch.Tensor]:
    both = capture_answers(
        model,
        questions.prompts,
        questions.answers,
        questions.names,
        batch_tokens=batch_tokens,
        once=once,
    )
    return {"matching": both[:, 0].contiguous(), "not_matching": both[:, 1].contiguous()}


def extract(
    path: str | Path,
    model: LanguageModel,
    samples: Documents | Questions,
    provenance: Mapping[str, Any],
    *,
    batch_tokens: int,
    points: Points,
    progress: Progress | None = None,
) -> None:
    """Capture the samples shard by shard, and write them to `path` as one safetensors file.

    Shards that are there are used, and removed once they are joined. Another job may be doing the
    same, or share some of the shards, and remove them first: what it wrote to `path` is what is
    wanted, and anything else is captured again.
    """
    parts = shards(model, samples, batch_tokens=batch_tokens)
    progress = progress or Progress()

    def captured(part: Shard) -> dict[str, torch.Tensor]:
        tensors = part.capture()
        progress.step(part.tokens)
        return tensors

    while True:
        progress.start(sum(part.tokens for part in parts))
        files = [
            points.tensors(
                {"samples": part.samples},
                functools.partial(captured, part),
                functools.partial(progress.skip, part.tokens),
            )
            for part in parts
        ]
        try:
            stack_tensors(path, files, provenance)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
            if not Path(path).exists():
                continue
        break
    for file in files:
        file.unlink(missing_ok=True)
    progress.finish()


def shards(
    model: LanguageModel, samples: Documents | Questions, *, batch_tokens: int
) -> list[Shard]:
    """The samples in shards of about `SHARD_BYTES`, so that an extraction can be cut short.

    All of them are captured the same way; raises as `shares_prompts` does.
    """
    size = model.n_layers * model.hidden * model.dtype.itemsize
    count = max(1, SHARD_BYTES // size)
    parts = [slice(start, start + count) for start in range(0, len(samples.names), count)]
    if isinstance(samples, Documents):
        return [_shard_of_documents(model, samples, some, batch_tokens) for some in parts]
    once = shares_prompts(model, samples.prompts, samples.answers)
    return [_shard_of_questions(model, samples, some, batch_tokens, once) for some in parts]


def _shard_of_documents(
    model: LanguageModel, samples: Documents, some: slice, batch_tokens: int
) -> Shard:
    part = Documents(samples.names[some], samples.sequences[some])
    return Shard(
        digest(part.sequences),
        sum(map(len, part.sequences)),
        lambda: {"activations": of_documents(model, part, batch_tokens=batch_tokens)},
    )


def _shard_of_questions(
    model: LanguageModel, samples: Questions, some: slice, batch_tokens: int, once: bool
) -> Shard:
    part = Questions(samples.names[some], samples.tokens[some])
    return Shard(
        digest(part.prompts, part.answers.tolist(), once),
        sum(map(len, part.sequences)),
        lambda: _of_questions(model, part, batch_tokens, once),
    )
