"""Activations of all layers of texts, at the places of each that are read."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from snakesteer.core.progress import Progress
from snakesteer.engine.both_answers import capture_answers, shares_prompts
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import capture
from snakesteer.engine.texts import Documents, Pairs, Questions, Samples
from snakesteer.storage.files import stack_tensors
from snakesteer.storage.points import Points, digest

SHARD_BYTES = 2**26


@dataclass(frozen=True)
class Shard:
    """Some consecutive samples: what tells them apart, their tokens, and how to capture them."""

    samples: str
    tokens: int
    capture: Callable[[], dict[str, torch.Tensor]]


def of_documents(model: LanguageModel, documents: Documents, *, batch_tokens: int) -> torch.Tensor:
    """Activations of each document, at its last token by default (paper: skill vectors).

    Returns [n_documents, n_layers, hidden], or where each of several positions is read
    [n_documents, positions, n_layers, hidden], in the model's dtype. Raises StudyError for a NaN or
    infinite activation and a document beyond the model's context.
    """
    return capture(
        model,
        documents.sequences,
        documents.names,
        batch_tokens=batch_tokens,
        spots=documents.spots,
    )


def of_questions(
    model: LanguageModel, questions: Questions | Pairs, *, batch_tokens: int
) -> dict[str, torch.Tensor]:
    """Activations of both sides, at the last token of prompt + answer by default (paper:
    behaviours).

    Returns `matching` and `not_matching`, each as `of_documents` does, and raises the same.
    """
    if isinstance(questions, Pairs):
        return _of_pairs(model, questions, batch_tokens)
    once = shares_prompts(model, questions.prompts, questions.answers, questions.site)
    return _of_questions(model, questions, batch_tokens, once)


def _of_pairs(model: LanguageModel, pairs: Pairs, batch_tokens: int) -> dict[str, torch.Tensor]:
    return {
        "matching": of_documents(model, pairs.matching, batch_tokens=batch_tokens),
        "not_matching": of_documents(model, pairs.not_matching, batch_tokens=batch_tokens),
    }


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
        site=questions.site,
    )
    return {"matching": both[:, 0].contiguous(), "not_matching": both[:, 1].contiguous()}


def extract(
    path: str | Path,
    model: LanguageModel,
    samples: Samples,
    provenance: Mapping[str, Any],
    *,
    batch_tokens: int,
    points: Points,
    progress: Progress | None = None,
) -> None:
    """Capture the samples shard by shard, and write them to `path` as one safetensors file.

    Shards that are there are used, and removed once they are joined. Another job might do the same,
    or share some shards and remove them first. Then its result at `path` is used, and anything else
    is captured again.
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


def shards(model: LanguageModel, samples: Samples, *, batch_tokens: int) -> list[Shard]:
    """The samples in shards of about `SHARD_BYTES`, so that an extraction can be cut short.

    All of them are captured the same way; raises as `shares_prompts` does.
    """
    size = model.n_layers * model.hidden * model.dtype.itemsize * _places(samples)
    count = max(1, SHARD_BYTES // size)
    parts = [slice(start, start + count) for start in range(0, len(samples.names), count)]
    if isinstance(samples, Documents):
        return [_shard_of_documents(model, samples.part(some), batch_tokens) for some in parts]
    if isinstance(samples, Pairs):
        return [_shard_of_pairs(model, samples, some, batch_tokens) for some in parts]
    once = shares_prompts(model, samples.prompts, samples.answers, samples.site)
    return [_shard_of_questions(model, samples, some, batch_tokens, once) for some in parts]


def _places(samples: Samples) -> int:
    """How many places of a text are kept."""
    texts = samples.matching if isinstance(samples, Pairs) else samples
    if isinstance(texts, Questions) or texts.spots.taken != "each" or not texts.spots.places:
        return 1
    return len(texts.spots.places[0])


def _shard_of_documents(model: LanguageModel, part: Documents, batch_tokens: int) -> Shard:
    return Shard(
        digest(*_content(part)),
        sum(map(len, part.sequences)),
        lambda: {"activations": of_documents(model, part, batch_tokens=batch_tokens)},
    )


def _shard_of_pairs(model: LanguageModel, samples: Pairs, some: slice, batch_tokens: int) -> Shard:
    part = Pairs(samples.matching.part(some), samples.not_matching.part(some))
    return Shard(
        digest(_content(part.matching), _content(part.not_matching)),
        sum(map(len, part.sequences)),
        lambda: _of_pairs(model, part, batch_tokens),
    )


def _shard_of_questions(
    model: LanguageModel, samples: Questions, some: slice, batch_tokens: int, once: bool
) -> Shard:
    part = Questions(samples.names[some], samples.tokens[some], samples.site)
    return Shard(
        digest(part.prompts, part.answers.tolist(), once, part.site),
        sum(map(len, part.sequences)),
        lambda: _of_questions(model, part, batch_tokens, once),
    )


def _content(texts: Documents) -> list[Any]:
    spots = texts.spots
    read = [list(places) for places in spots.places or ()]
    return [texts.sequences, spots.site, read, spots.taken]
