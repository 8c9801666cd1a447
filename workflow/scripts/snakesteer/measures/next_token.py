"""Next-token accuracy on corpora (paper: skill sweep)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import torch

from snakesteer.core.errors import StudyError, naming
from snakesteer.core.labels import coefficient_label, layer_label
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import Batch
from snakesteer.engine.head import predictions
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, final_states, refuse_overflow
from snakesteer.measures.next_token_settings import Settings as Settings
from snakesteer.measures.next_token_settings import Stopping
from snakesteer.measures.read import Read, marks_at
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading, encode_document
from snakesteer.storage.files import read_json, read_table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECTION, SOURCE, SAMPLE = "corpora", "corpus", "document"
COUNTS = pa.schema(
    [
        ("top1", pa.int64()),
        ("top10", pa.int64()),
        ("nll", pa.float64()),
        ("kept", pa.int64()),
        ("kept_top1", pa.int64()),
        ("kept_top10", pa.int64()),
    ]
)
# `tokens` are those predicted, all but the first; `top1` and `top10` how many of them are among the
# most likely 1 and 10, `nll` is summed, natural log; the rest are the same counts of targets that
# are not skipped.
SCHEMA = pa.schema(
    [
        ("coefficient", pa.float64()),
        (SOURCE, pa.string()),
        (SAMPLE, pa.string()),
        ("tokens", pa.int64()),
        *COUNTS,
    ]
)


@dataclass(frozen=True)
class Corpus:
    """A corpus's documents as tokens, ready to be evaluated.

    `skipped` are the token ids left out of the `kept` counts. `marks`: see `engine.positions`.
    """

    names: list[str]
    sequences: list[list[int]]
    skipped: tuple[int, ...]
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def taken(self, places: Sequence[int]) -> Self:
        """The documents at these places alone."""
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
) -> dict[str, Corpus]:
    """The corpora of a job, by name: their `documents` and `skip_tokens` lie in `files`."""
    found = {}
    for corpus, documents, skipped in zip(
        read.sources, files["documents"], files["skip_tokens"], strict=True
    ):
        assert read.max_tokens
        found[corpus] = read_corpus(
            tokenizer,
            corpus,
            [(row["document"], row["text"]) for row in read_table(documents).to_pylist()],
            read_json(skipped),
            max_tokens=read.max_tokens,
            tokens=read.tokens,
            reading=read.reading,
        )
    return found


def counted(sequence: Sequence[int]) -> int:
    """Predicted tokens of a document: all but the first."""
    return len(sequence) - 1


def read_corpus(
    tokenizer: PreTrainedTokenizerBase,
    corpus: str,
    documents: Sequence[tuple[str, str]],
    skipped: Sequence[int],
    *,
    max_tokens: int,
    tokens: int | None = None,
    reading: Reading = TOKENIZERS_OWN,
) -> Corpus:
    """The first of the (id, text) documents, until they hold `tokens` predicted tokens (all if
    None), each cut at `max_tokens`.

    The log says where there are fewer tokens than `tokens`. Raises StudyError for an empty corpus
    and for a document of fewer than two tokens.
    """
    names: list[str] = []
    sequences: list[list[int]] = []
    predicted = 0
    for name, text in documents:
        if tokens is not None and predicted >= tokens:
            break
        with naming(f"corpora.{corpus}"):
            ids = encode_document(tokenizer, name, text, max_tokens, reading)
        names.append(name)
        sequences.append(ids)
        predicted += counted(ids)
    if not names:
        raise StudyError(f"corpora.{corpus} has no validation documents; name one that has.")
    if tokens is not None and predicted < tokens:
        Progress().note(
            f"corpora.{corpus} holds only {predicted:,} of the {tokens:,} tokens asked for"
        )
    return Corpus(names, sequences, tuple(skipped))


def rows(
    model: LanguageModel,
    injection: Injection,
    coefficient: float | None,
    source: str,
    corpus: Corpus,
    batches: list[Batch],
    progress: Progress,
) -> pa.Table:
    """The rows of one point, coefficient × injection on these documents in these batches."""
    skipped = np.zeros(model.vocabulary, dtype=bool)
    skipped[list(corpus.skipped)] = True
    tokens = np.array([counted(ids) for ids in corpus.sequences])

    def predict(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        states = final_states(model, batch, injection, coefficient)
        places = batch.predicting
        targets = batch.ids.flatten()[places + 1]
        return predictions(model, states.flatten(0, 1)[places.to(states.device)], targets)

    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    order: list[int] = []
    for batch, predicted in on_each(batches, predict):
        found.append(predicted)
        order += batch.samples
        progress.step(int(tokens[list(batch.samples)].sum()))
    rank, loss = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    unskipped = ~skipped[np.concatenate([corpus.sequences[sample][1:] for sample in order])]
    by_token = {
        "top1": rank == 0,
        "top10": rank < 10,
        "nll": loss,
        "kept": unskipped,
        "kept_top1": unskipped & (rank == 0),
        "kept_top10": unskipped & (rank < 10),
    }
    starts = np.cumsum([0, *tokens[order][:-1]])
    counts = {
        field.name: np.add.reduceat(
            by_token[field.name].astype(field.type.to_pandas_dtype()), starts
        )[np.argsort(order)]
        for field in COUNTS
    }
    names = [f"document {document} of corpora.{source}" for document in corpus.names]
    refuse_overflow(counts["nll"], names, layer_label(injection.layers), coefficient)
    progress.note(
        f"{coefficient_label(coefficient)}: top-1 {counts['top1'].sum() / tokens.sum():.3f} on "
        f"{len(corpus.names)} documents of {source}"
    )
    columns = {
        "coefficient": [coefficient] * len(corpus.names),
        SOURCE: [source] * len(corpus.names),
        SAMPLE: corpus.names,
        "tokens": tokens,
        **counts,
    }
    return pa.table({field.name: columns[field.name] for field in SCHEMA}, schema=SCHEMA)


def advance(stopping: Stopping, unsteered: pa.Table, here: pa.Table) -> int:
    """By the accuracy relative to that at coefficient 0; the documents may be others there."""
    before, after = int(hits(unsteered).sum()), int(hits(here).sum())
    tokens_before, tokens_after = (
        int(table["tokens"].to_numpy().sum()) for table in (unsteered, here)
    )
    relative = (after * tokens_before) / (before * tokens_after) if before else 1.0
    return stopping.advance(relative)


def hits(rows: pa.Table) -> np.ndarray:
    """Correct predictions, [n_rows]."""
    return rows["top1"].to_numpy()
