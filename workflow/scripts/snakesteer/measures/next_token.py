"""Next-token accuracy on corpora (paper: skill sweep).

Columns, a row for each injection, coefficient and document:
    corpus
    document (text): The document's id.
    tokens (whole number): Tokens whose prediction counts: all but the first, or those of the
        completion.
    top1, top10 (whole number): How many of them are the most likely prediction, and among the ten
        most likely.
    nll (number): The sum of their losses, in nats.
    kept (whole number): The rarer of these tokens: those that the measure's `skip` and
        `skip_tokens` keep.
    kept_top1, kept_top10 (whole number): `top1` and `top10` of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from snakesteer.core.errors import StudyError, naming
from snakesteer.core.labels import coefficient_label, layer_label
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import Batch, Tokens
from snakesteer.engine.head import Read as Reads
from snakesteer.engine.head import judging
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, refuse_overflow
from snakesteer.measures import together
from snakesteer.measures.next_token_settings import Settings as Settings
from snakesteer.measures.next_token_settings import Stopping
from snakesteer.measures.read import Read, marks_at
from snakesteer.measures.together import Found
from snakesteer.prompts import marks
from snakesteer.prompts.marks import How
from snakesteer.prompts.which_tokens import Counted
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
# `tokens` are those whose predictions count: all but the first, or those of the completion; `top1`
# and `top10` how many of them are among the most likely 1 and 10, `nll` is summed, natural log; the
# rest are the same counts of targets that are not skipped.
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

    `skipped` are the token ids left out of the `kept` counts. `marks`: see `prompts.marks`.
    `firsts` are the places of the first tokens whose predictions count, 1 in each if left out.
    """

    names: list[str]
    sequences: list[list[int]]
    skipped: tuple[int, ...]
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    firsts: tuple[int, ...] = ()

    def taken(self, places: Sequence[int]) -> Self:
        """The documents at these places alone."""
        return replace(
            self,
            names=[self.names[place] for place in places],
            sequences=[self.sequences[place] for place in places],
            marks=marks_at(self.marks, places),
            firsts=tuple(self.firsts[place] for place in places) if self.firsts else (),
        )


def samples(
    tokenizer: PreTrainedTokenizerBase,
    files: Mapping[str, Sequence[str]],
    read: Read,
    settings: Settings,
) -> dict[str, Corpus]:
    """The corpora of a job, by name: their `documents` lie in `files`, and `skip_tokens` if any."""
    found = {}
    skip_tokens = files.get("skip_tokens") or [""] * len(read.sources)
    for corpus, documents, skipped in zip(
        read.sources, files["documents"], skip_tokens, strict=True
    ):
        assert read.max_tokens
        found[corpus] = read_corpus(
            tokenizer,
            corpus,
            _rows(read_table(documents)),
            read_json(skipped) if skipped else [],
            max_tokens=read.max_tokens,
            tokens=read.tokens,
            how=read.how,
            counted=settings.counted,
        )
    return found


def _rows(documents: pa.Table) -> list[tuple[str, ...]]:
    columns = [
        name for name in ("document", "text", "completion") if name in documents.schema.names
    ]
    return list(zip(*(documents[name].to_pylist() for name in columns), strict=True))


def counted(sequence: Sequence[int]) -> int:
    """Predicted tokens of a document: all but the first, whether they count or not."""
    return len(sequence) - 1


def read_corpus(
    tokenizer: PreTrainedTokenizerBase,
    corpus: str,
    documents: Sequence[tuple[str, ...]],
    skipped: Sequence[int],
    *,
    max_tokens: int,
    tokens: int | None = None,
    how: How = marks.USUAL,
    counted: Counted = "all",
) -> Corpus:
    """The first of the (id, text) documents, until they hold `tokens` predicted tokens (all if
    None), each cut at `max_tokens`.

    Documents in a format, and (id, prompt, completion), are instructions. The log says where there
    are fewer tokens than `tokens`. Raises StudyError for an empty corpus, for a document of fewer
    than two tokens, and as `marks.text` and `marks.first_counted` do.
    """
    names: list[str] = []
    texts: list[marks.Marked] = []
    predicted = 0
    firsts: list[int] = []
    for name, text, *rest in documents:
        if tokens is not None and predicted >= tokens:
            break
        with naming(f"corpora.{corpus}"):
            completion = rest[0] if rest else None
            texts.append(marks.text(tokenizer, name, text, completion, max_tokens, how))
            firsts.append(marks.first_counted(texts[-1], counted, name))
        names.append(name)
        predicted += len(texts[-1].ids) - 1
    if not names:
        raise StudyError(f"corpora.{corpus} has no validation documents; name a corpus with some.")
    if tokens is not None and predicted < tokens:
        Progress().note(
            f"corpora.{corpus} holds only {predicted:,} of the {tokens:,} tokens asked for"
        )
    sequences = [text.ids for text in texts]
    return Corpus(names, sequences, tuple(skipped), marks.columns(texts), tuple(firsts))


@dataclass(frozen=True)
class Reader:
    """What is read of the logits on a corpus's documents."""

    model: LanguageModel
    source: str
    corpus: Corpus

    @property
    def tokens(self) -> Tokens:
        """The places in a batch of the tokens before those whose predictions count."""
        return "completing" if max(self.corpus.firsts, default=1) > 1 else "predicting"

    @cached_property
    def counted(self) -> list[int]:
        """Predicted tokens, by document."""
        return [counted(ids) for ids in self.corpus.sequences]

    def read(self, batch: Batch, injection: Injection, coefficient: float | None) -> Reads:
        """The rank and the loss of each token that follows."""
        places = getattr(batch, self.tokens)
        return judging(self.model, batch.ids.flatten()[places + 1])

    def table(
        self,
        injection: Injection,
        coefficient: float | None,
        order: Sequence[int],
        found: Found,
        progress: Progress,
    ) -> pa.Table:
        """The rows of one point, coefficient × injection on these documents."""
        (rank, loss), corpus = found, self.corpus
        firsts = corpus.firsts or (1,) * len(corpus.names)
        counting = [ids[first:] for ids, first in zip(corpus.sequences, firsts, strict=True)]
        tokens = np.array([len(ids) for ids in counting])
        skipped = np.zeros(self.model.vocabulary, dtype=bool)
        skipped[list(corpus.skipped)] = True
        unskipped = ~skipped[np.concatenate([counting[sample] for sample in order])]
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
        names = [f"document {document} of corpora.{self.source}" for document in corpus.names]
        refuse_overflow(counts["nll"], names, layer_label(injection.layers), coefficient)
        progress.note(
            f"{coefficient_label(coefficient)}: top-1 {counts['top1'].sum() / tokens.sum():.3f} on "
            f"{len(corpus.names)} documents of {self.source}"
        )
        columns = {
            "coefficient": [coefficient] * len(corpus.names),
            SOURCE: [self.source] * len(corpus.names),
            SAMPLE: corpus.names,
            "tokens": tokens,
            **counts,
        }
        return pa.table({field.name: columns[field.name] for field in SCHEMA}, schema=SCHEMA)


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
    reader = Reader(model, source, corpus)
    return together.rows(model, injection, coefficient, reader, batches, progress)


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
