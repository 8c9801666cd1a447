"""Next-token accuracy on corpora along injection coefficients (paper: skill sweep)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from snakesteer.engine import (
    KEEP_BYTES,
    Batch,
    Injection,
    checked_path,
    final_states,
    predictions,
    prepare,
    refuse_overflow,
)
from snakesteer.errors import StudyError
from snakesteer.layer_labels import layer_label
from snakesteer.models import LanguageModel
from snakesteer.progress import Progress
from snakesteer.stopping import SkillStopping
from snakesteer.tokenisation import encode

COUNTS = ("top1", "top10", "kept", "kept_top1", "kept_top10")
SCHEMA = pa.schema(
    [
        ("coefficient", pa.float64()),
        ("corpus", pa.string()),
        ("document", pa.string()),
        ("tokens", pa.int64()),
        ("top1", pa.int64()),
        ("top10", pa.int64()),
        ("nll", pa.float64()),
        ("kept", pa.int64()),
        ("kept_top1", pa.int64()),
        ("kept_top10", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Corpus:
    """A corpus's documents ready to be evaluated.

    `tokens` [n_documents] counts the predicted tokens, all but the first; `skipped` [vocabulary]
    marks the tokens left out of the `kept` measures.
    """

    documents: list[str]
    tokens: np.ndarray
    batches: list[Batch]
    skipped: np.ndarray


def run(
    model: LanguageModel,
    injection: Injection,
    coefficients: Sequence[float],
    corpora: Mapping[str, Sequence[tuple[str, str]]],
    skip_tokens: Mapping[str, Sequence[int]],
    *,
    max_tokens: int,
    batch_tokens: int,
    tokens: int | None = None,
    stopping: SkillStopping | None = None,
    path: str = "shared",
    keep_bytes: int = KEEP_BYTES,
) -> pa.Table:
    """Evaluate the same documents under every coefficient.

    `corpora` are the (id, text) documents of each corpus, of which the first in order are taken
    until they hold `tokens` predicted tokens (all if None), each cut at `max_tokens`. The first
    corpus decides about `stopping`. `skip_tokens` are the token ids left out of the `kept`
    measures, for each corpus. `path` and `keep_bytes`: see `engine`.

    Returns a row per coefficient, corpus and document, in this order: `coefficient`, `corpus`,
    `document`, `tokens`, `top1`, `top10` (counts of targets among the most likely 1 and 10),
    `nll` (summed, natural log), `kept`, `kept_top1`, `kept_top10` (the same counts over targets
    not skipped). Raises StudyError when the coefficients do not begin with 0, for an empty corpus,
    for a document of fewer than two tokens or beyond the model's context, and for NaN or infinity.
    """
    if not coefficients or coefficients[0] != 0:
        raise StudyError("The coefficients of a skill sweep must begin with 0: add it.")
    path = checked_path(model, injection.layers[0], path)
    prepared = {}
    for name, documents in corpora.items():
        chosen = _choose(model, name, documents, tokens, max_tokens)
        batches = prepare(
            model,
            list(chosen.values()),
            injection.layers[0],
            batch_tokens=batch_tokens,
            path=path,
            keep_bytes=keep_bytes,
        )
        keep_bytes -= sum(batch.kept.nbytes for batch in batches if batch.kept is not None)
        predicted = np.array([len(ids) - 1 for ids in chosen.values()])
        prepared[name] = Corpus(list(chosen), predicted, batches, _marked(model, skip_tokens[name]))
    points = []
    evaluated = sum(int(corpus.tokens.sum()) for corpus in prepared.values())
    progress = Progress(evaluated * len(coefficients), "tokens")
    place = 0
    while place < len(coefficients):
        coefficient = float(coefficients[place])
        measured = {
            name: _measure(model, corpus, injection, coefficient, progress)
            for name, corpus in prepared.items()
        }
        for name, corpus in prepared.items():
            points.append(_rows(coefficient, name, corpus, measured[name]))
        first = next(iter(prepared))
        top1 = measured[first]["top1"].sum() / prepared[first].tokens.sum()
        if place == 0:
            unsteered = top1
        progress.note(f"coefficient {coefficient:g}: top-1 {top1:.3f} on {first}")
        relative = top1 / unsteered if unsteered else 1.0
        advance = stopping.advance(relative) if stopping else 1
        if not advance:
            break
        place += advance
    progress.finish()
    return pa.concat_tables(points)


def _choose(
    model: LanguageModel,
    corpus: str,
    documents: Sequence[tuple[str, str]],
    tokens: int | None,
    max_tokens: int,
) -> dict[str, list[int]]:
    """Token ids of the documents to evaluate, by id."""
    chosen: dict[str, list[int]] = {}
    predicted = 0
    for name, text in documents:
        if tokens is not None and predicted >= tokens:
            break
        ids = encode(model.tokenizer, text, max_tokens)
        if len(ids) < 2:
            raise StudyError(
                f"Document {name} of corpus {corpus} has fewer than two tokens; leave it out."
            )
        chosen[name] = ids
        predicted += len(ids) - 1
    if not chosen:
        raise StudyError(f"Corpus {corpus} has no validation documents; name one that has.")
    return chosen


def _marked(model: LanguageModel, tokens: Sequence[int]) -> np.ndarray:
    marked = np.zeros(model.vocabulary, dtype=bool)
    marked[list(tokens)] = True
    return marked


def _measure(
    model: LanguageModel,
    corpus: Corpus,
    injection: Injection,
    coefficient: float,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Counts and summed loss, each [n_documents], in the order of the documents."""
    measured: dict[str, np.ndarray] = {
        name: np.zeros(len(corpus.documents), np.int64) for name in COUNTS
    }
    measured["nll"] = np.zeros(len(corpus.documents))
    for batch in corpus.batches:
        states = final_states(model, batch, injection, coefficient)
        places = torch.arange(batch.ids.shape[1] - 1, device=model.device)
        predicting = places < batch.lengths[:, None] - 1
        targets = batch.ids[:, 1:][predicting]
        rank, loss = predictions(model, states[:, :-1][predicting], targets)
        kept = ~corpus.skipped[targets.cpu().numpy()]
        samples = list(batch.samples)
        starts = np.cumsum([0, *corpus.tokens[samples][:-1]])
        by_token = {
            "top1": rank == 0,
            "top10": rank < 10,
            "nll": loss,
            "kept": kept,
            "kept_top1": kept & (rank == 0),
            "kept_top10": kept & (rank < 10),
        }
        for name, values in by_token.items():
            dtype = measured[name].dtype
            measured[name][samples] = np.add.reduceat(values.astype(dtype), starts)
        progress.step(len(targets))
    names = [f"document {name}" for name in corpus.documents]
    refuse_overflow(measured["nll"], names, layer_label(injection.layers), coefficient)
    return measured


def _rows(
    coefficient: float, name: str, corpus: Corpus, measured: Mapping[str, np.ndarray]
) -> pa.Table:
    count = len(corpus.documents)
    columns = {
        "coefficient": [coefficient] * count,
        "corpus": [name] * count,
        "document": corpus.documents,
        "tokens": corpus.tokens,
        **measured,
    }
    return pa.table({field.name: columns[field.name] for field in SCHEMA}, schema=SCHEMA)
