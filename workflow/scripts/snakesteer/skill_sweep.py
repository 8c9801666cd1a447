"""Next-token accuracy on corpora along injection coefficients (paper: skill sweep)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from snakesteer.batches import Batch, on_each
from snakesteer.curves import KEPT_BYTES, Block, Curve, Prepared, blocks_of, rows_of, visited
from snakesteer.engine import Injection, final_states, refuse_overflow
from snakesteer.errors import StudyError
from snakesteer.head import predictions
from snakesteer.layer_labels import layer_label
from snakesteer.models import LanguageModel
from snakesteer.points import Points, digest
from snakesteer.precision import documents_needed
from snakesteer.probe import checked_path
from snakesteer.progress import Progress
from snakesteer.stopping import SkillStopping
from snakesteer.tokenisation import encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLE = ("coefficient", "corpus", "document", "tokens")
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


MEASURES = [field for field in SCHEMA if field.name not in SAMPLE]


@dataclass(frozen=True)
class Corpus:
    """A corpus's documents as tokens, ready to be evaluated.

    `skipped` are the token ids left out of the `kept` measures.
    """

    documents: list[str]
    sequences: list[list[int]]
    skipped: tuple[int, ...]


@dataclass(frozen=True)
class Precision:
    """Instead of a fixed number of documents: the precision that a relative accuracy shall have.

    `half_width` is that of the 95 % interval of the relative top-1 accuracy, paired over the
    documents; the first `pilot` documents say how many that takes.
    """

    half_width: float
    pilot: int


def read_corpus(
    tokenizer: PreTrainedTokenizerBase,
    corpus: str,
    documents: Sequence[tuple[str, str]],
    skipped: Sequence[int],
    *,
    max_tokens: int,
    tokens: int | None = None,
) -> Corpus:
    """The first of the (id, text) documents, until they hold `tokens` predicted tokens (all if
    None), each cut at `max_tokens`.

    Raises StudyError for an empty corpus and for a document of fewer than two tokens.
    """
    names: list[str] = []
    sequences: list[list[int]] = []
    predicted = 0
    for name, text in documents:
        if tokens is not None and predicted >= tokens:
            break
        ids = encode(tokenizer, text, max_tokens)
        if len(ids) < 2:
            raise StudyError(
                f"Document {name} of corpora.{corpus} has fewer than two tokens, so nothing in it "
                "can be predicted; leave it out."
            )
        names.append(name)
        sequences.append(ids)
        predicted += len(ids) - 1
    if not names:
        raise StudyError(f"corpora.{corpus} has no validation documents; name one that has.")
    return Corpus(names, sequences, tuple(skipped))


def run(
    model: LanguageModel,
    injection: Injection,
    coefficients: Sequence[float],
    corpora: Mapping[str, Corpus],
    *,
    batch_tokens: int,
    precision: Precision | None = None,
    stopping: SkillStopping | None = None,
    path: str = "shared",
    kept_bytes: float = KEPT_BYTES,
    points: Points | None = None,
    progress: Progress | None = None,
) -> pa.Table:
    """Evaluate the same documents under every coefficient.

    The first corpus decides about `stopping`. With a `precision`, only as many of each corpus's
    documents are evaluated as it takes at every coefficient visited. `path`: see `engine`.
    `kept_bytes` bounds the states kept at a time, and so the block of documents that a point is
    about; `points` are those there already.

    Returns a row per coefficient, corpus and document, in this order: `coefficient`, `corpus`,
    `document`, `tokens` (predicted, all but the first), `top1`, `top10` (counts of targets among
    the most likely 1 and 10), `nll` (summed, natural log), `kept`, `kept_top1`, `kept_top10` (the
    same counts over targets not skipped). Raises StudyError when the coefficients do not begin
    with 0, for a document beyond the model's context, and for NaN or infinity.
    """
    if not coefficients or coefficients[0] != 0:
        raise StudyError("The coefficients of a skill sweep must begin with 0: add it.")
    path = checked_path(model, injection.layers[0], path)
    points = points or Points()
    curve = Curve(injection, tuple(map(float, coefficients)), tuple(corpora))
    predicted = sum(len(ids) - 1 for corpus in corpora.values() for ids in corpus.sequences)
    progress = progress or Progress()
    progress.start(predicted * len(coefficients))
    prepared = Prepared(model, injection.layers[0], batch_tokens, path)
    steering = injection.digest()

    @functools.cache
    def content(block: Block) -> str:
        corpus = corpora[block.source]
        names = [corpus.documents[place] for place in block.places]
        return digest(names, block.sequences, corpus.skipped)

    def measure(_curve: Curve, block: Block, coefficient: float) -> pa.Table:
        def make() -> pa.Table:
            corpus, batches = corpora[block.source], prepared.batches(block)
            return _measure(model, injection, coefficient, corpus, block, batches, progress)

        point = {
            "path": path,
            "injection": steering,
            "corpus": block.source,
            "documents": content(block),
            "coefficient": coefficient,
        }
        return points.table(
            point, make, lambda: progress.skip(sum(len(ids) - 1 for ids in block.sequences))
        )

    def advance(first: pa.Table, here: pa.Table, _coefficient: float) -> int:
        before, after = (pc.sum(table["top1"]).as_py() for table in (first, here))
        return stopping.advance(after / before if before else 1.0) if stopping else 1

    def blocks_from(places: Mapping[str, range]) -> list[Block]:
        return [
            block
            for name, some in places.items()
            for block in blocks_of(model, name, corpora[name].sequences, some, kept_bytes)
        ]

    every = {name: range(len(corpus.documents)) for name, corpus in corpora.items()}
    if precision is None:
        blocks = blocks_from(every)
    else:
        pilots = {name: some[: precision.pilot] for name, some in every.items()}
        blocks = blocks_from(pilots)
        (coefficients,) = visited([curve], blocks, measure, advance)
        enough = {
            name: _documents_for(
                precision,
                corpora[name],
                name,
                progress,
                [rows_of(curve, blocks, name, c, measure) for c in coefficients],
            )
            for name in corpora
        }
        blocks += blocks_from({name: range(len(pilots[name]), enough[name]) for name in corpora})
    (coefficients,) = visited([curve], blocks, measure, advance)
    progress.finish()
    return pa.concat_tables(
        rows_of(curve, blocks, name, coefficient, measure)
        for coefficient in coefficients
        for name in corpora
    )


def _documents_for(
    precision: Precision,
    corpus: Corpus,
    name: str,
    progress: Progress,
    pilot: Sequence[pa.Table],
) -> int:
    """Documents that the precision takes, at every coefficient of the pilot."""
    unsteered, *steered = (table["top1"].to_numpy() for table in pilot)
    available = len(corpus.documents)
    needed = max(
        (documents_needed(hits, unsteered, precision.half_width) for hits in steered),
        default=len(unsteered),
    )
    progress.note(
        f"precision {precision.half_width:g} takes {needed} documents of {name}, by a pilot of "
        f"{len(unsteered)}" + (f"; the budget holds only {available}" if needed > available else "")
    )
    return min(needed, available)


def _measure(
    model: LanguageModel,
    injection: Injection,
    coefficient: float,
    corpus: Corpus,
    block: Block,
    batches: list[Batch],
    progress: Progress,
) -> pa.Table:
    """The rows of one point."""
    skipped = np.zeros(model.vocabulary, dtype=bool)
    skipped[list(corpus.skipped)] = True
    tokens = np.array([len(ids) - 1 for ids in block.sequences])
    counts = {field.name: np.zeros(len(tokens), field.type.to_pandas_dtype()) for field in MEASURES}

    def predict(batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        states = final_states(model, batch, injection, coefficient)
        places = torch.arange(batch.ids.shape[1] - 1, device=batch.ids.device)
        predicting = places < batch.lengths[:, None] - 1
        targets = batch.ids[:, 1:][predicting]
        rank, loss = predictions(model, states[:, :-1][predicting.to(states.device)], targets)
        return targets.cpu().numpy(), rank, loss

    for batch, (targets, rank, loss) in on_each(batches, predict):
        kept = ~skipped[targets]
        samples = list(batch.samples)
        starts = np.cumsum([0, *tokens[samples][:-1]])
        by_token = {
            "top1": rank == 0,
            "top10": rank < 10,
            "nll": loss,
            "kept": kept,
            "kept_top1": kept & (rank == 0),
            "kept_top10": kept & (rank < 10),
        }
        for name, values in by_token.items():
            counts[name][samples] = np.add.reduceat(values.astype(counts[name].dtype), starts)
        progress.step(len(targets))
    documents = [corpus.documents[place] for place in block.places]
    names = [f"document {document} of corpora.{block.source}" for document in documents]
    refuse_overflow(counts["nll"], names, layer_label(injection.layers), coefficient)
    progress.note(
        f"coefficient {coefficient:g}: top-1 {counts['top1'].sum() / tokens.sum():.3f} on "
        f"{len(documents)} documents of {block.source}"
    )
    columns = {
        "coefficient": [coefficient] * len(documents),
        "corpus": [block.source] * len(documents),
        "document": documents,
        "tokens": tokens,
        **counts,
    }
    return pa.table({field.name: columns[field.name] for field in SCHEMA}, schema=SCHEMA)
