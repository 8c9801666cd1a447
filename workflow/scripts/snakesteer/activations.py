"""Activations of all layers at the last token, of documents and of answered questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from snakesteer.engine import capture
from snakesteer.errors import StudyError
from snakesteer.models import LanguageModel
from snakesteer.question_tokens import question_tokens
from snakesteer.tokenisation import encode


def of_documents(
    model: LanguageModel,
    documents: Sequence[tuple[str, str]],
    *,
    max_tokens: int,
    batch_tokens: int,
) -> torch.Tensor:
    """Activations at the last token of each document, cut at `max_tokens` (paper: skill vectors).

    `documents` are (id, text). Returns [n_documents, n_layers, hidden] in the model's dtype.
    Raises StudyError for an empty list, an empty document, or a NaN or infinite activation.
    """
    if not documents:
        raise StudyError("The corpus has no training documents; name one that has.")
    sequences = [encode(model.tokenizer, text, max_tokens) for _, text in documents]
    names = [f"document {name}" for name, _ in documents]
    for name, sequence in zip(names, sequences, strict=True):
        if not sequence:
            raise StudyError(f"{name} has no tokens; leave empty documents out of the corpus.")
    return capture(model, sequences, names, batch_tokens=batch_tokens)


def of_questions(
    model: LanguageModel, questions: Sequence[Mapping[str, str]], *, batch_tokens: int
) -> dict[str, torch.Tensor]:
    """Activations at the last token of prompt + answer (paper: behaviours).

    `questions` have `question` (id), `prompt`, `matching`, `not_matching`. Returns `matching` and
    `not_matching`, each [n_questions, n_layers, hidden] in the model's dtype.
    """
    if not questions:
        raise StudyError("The behaviour has no training questions; name one that has.")
    tokens = [question_tokens(model.tokenizer, question) for question in questions]
    names = [f"question {question['question']}" for question in questions]
    sequences = {
        "matching": [[*item.prompt, item.matching] for item in tokens],
        "not_matching": [[*item.prompt, item.not_matching] for item in tokens],
    }
    return {
        role: capture(model, ids, names, batch_tokens=batch_tokens)
        for role, ids in sequences.items()
    }
