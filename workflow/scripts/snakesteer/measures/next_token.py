"""Next-token accuracy on corpora along injection coefficients (paper: skill sweep)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from snakesteer.core.errors import StudyError, naming
from snakesteer.core.labels import layer_label
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import Batch
from snakesteer.engine.head import predictions
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, final_states, refuse_overflow
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading, encode_document
from snakesteer.storage.points import Points, digest
from snakesteer.sweeps.curves import (
    KEPT_BYTES,
    Advance,
    Block,
    Curve,
    Prepared,
    blocks_of,
    tables_of,
)
from snakesteer.sweeps.precision import documents_needed
from snakesteer.sweeps.stopping import SkillStopping

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
    documents; the first `pilot` documents say how many that takes, and where early stopping ends.
    `by` "curve", every coefficient has as many as the one that takes most; `by` "coefficient", each
    has the first so many that it takes itself, in steps of a quarter of the pilot.
    """

    half_width: float
    pilot: int
    by: Literal["curve", "coefficient"] = "curve"

    @property
    def step(self) -> int:
        """Documents by which one coefficient may have more than another."""
        return math.ceil(self.pilot / 4)


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
        predicted += len(ids) - 1
    if not names:
        raise StudyError(f"corpora.{corpus} has no validation documents; name one that has.")
    if tokens is not None and predicted < tokens:
        Progress().note(
            f"corpora.{corpus} holds only {predicted:,} of the {tokens:,} tokens asked for"
        )
    return Corpus(names, sequences, tuple(skipped))


def run(
    model: LanguageModel,
    injections: Sequence[Injection],
    coefficients: Sequence[float],
    corpora: Mapping[str, Corpus],
    *,
    batch_tokens: int,
    read_on: int | None = None,
    precision: Precision | None = None,
    stopping: SkillStopping | None = None,
    path: str = "shared",
    kept_bytes: float = KEPT_BYTES,
    points: Points | None = None,
    progress: Progress | None = None,
) -> list[pa.Table]:
    """Evaluate the same documents under every injection and coefficient.

    The lower layers run once for all of them, up to the lowest layer of any. The first corpus
    decides about `stopping`, for each injection. With `read_on`, every coefficient visited has
    other documents, the next ones that hold so many predicted tokens. With a `precision`, only as
    many of each corpus's documents are evaluated as it takes at the coefficients visited, and the
    pilot's documents decide which those are. `path`: see `engine`. `kept_bytes` bounds the states
    kept at a time, and so the block of documents that a point is about; `points` are those there
    already.

    Returns a table for each injection, a row per coefficient, corpus and document, in this order:
    `coefficient`, `corpus`, `document`, `tokens` (predicted, all but the first), `top1`, `top10`
    (counts of targets among the most likely 1 and 10), `nll` (summed, natural log), `kept`,
    `kept_top1`, `kept_top10` (the same counts over targets not skipped). Raises StudyError when the
    coefficients do not begin with 0, when there are no next documents, for a document beyond the
    model's context, and for NaN or infinity.
    """
    if not coefficients or coefficients[0] != 0:
        raise StudyError("The coefficients of a skill sweep must begin with 0: add it.")
    points, progress = points or Points(), progress or Progress()
    curves = [
        Curve(injection, tuple(map(float, coefficients)), tuple(corpora))
        for injection in injections
    ]
    held = sum(len(ids) - 1 for corpus in corpora.values() for ids in corpus.sequences)
    predicted = read_on * len(corpora) if read_on else held
    progress.start(predicted * len(coefficients) * len(curves))
    prepared = Prepared.of(model, curves, batch_tokens, path)

    def content(block: Block) -> str:
        corpus = corpora[block.source]
        names = [corpus.documents[place] for place in block.places]
        return digest(names, block.sequences, corpus.skipped)

    def rows(
        injection: Injection, coefficient: float, block: Block, batches: list[Batch]
    ) -> pa.Table:
        corpus = corpora[block.source]
        return _measure(model, injection, coefficient, corpus, block, batches, progress)

    def found(block: Block) -> None:
        progress.skip(sum(len(ids) - 1 for ids in block.sequences))

    def blocks_from(places: Mapping[str, range]) -> list[Block]:
        return [
            block
            for name, some in places.items()
            for block in blocks_of(model, name, corpora[name].sequences, some, kept_bytes)
        ]

    measured = partial(
        tables_of, prepared=prepared, points=points, content=content, found=found, rows=rows
    )
    advance = partial(_advance, stopping) if stopping else None
    every = {name: range(len(corpus.documents)) for name, corpus in corpora.items()}
    if read_on:
        tables = [
            _read_on(curve, corpora, read_on, blocks_from, measured, stopping) for curve in curves
        ]
    elif precision is None:
        tables = measured(curves, blocks_from(every), advance=advance)
    else:
        tables = _precise(precision, curves, every, blocks_from, measured, advance, progress)
    progress.finish()
    return tables


def _advance(stopping: SkillStopping, first: pa.Table, here: pa.Table, _coefficient: float) -> int:
    before, after = (pc.sum(table["top1"]).as_py() for table in (first, here))
    return stopping.advance(after / before if before else 1.0)


def _read_on(
    curve: Curve,
    corpora: Mapping[str, Corpus],
    tokens: int,
    blocks_from: Callable[[Mapping[str, range]], list[Block]],
    measured: Callable[..., list[pa.Table]],
    stopping: SkillStopping | None,
) -> pa.Table:
    """The table of a curve whose every coefficient has other documents (paper: skill sweep)."""
    places = {name: range(0) for name in corpora}
    tables: list[pa.Table] = []
    shares: list[float] = []
    place = 0
    while place < len(curve.coefficients):
        coefficient = curve.coefficients[place]
        places = {
            name: _next_documents(name, corpora[name], some.stop, tokens, coefficient)
            for name, some in places.items()
        }
        one = replace(curve, coefficients=(coefficient,))
        tables += measured([one], blocks_from(places), advance=None)
        target = tables[-1].filter(pc.field("corpus") == curve.sources[0])
        shares.append(pc.sum(target["top1"]).as_py() / pc.sum(target["tokens"]).as_py())
        relative = shares[-1] / shares[0] if shares[0] else 1.0
        step = stopping.advance(relative) if stopping else 1
        place = place + step if step else len(curve.coefficients)
    return pa.concat_tables(tables)


def _next_documents(
    name: str, corpus: Corpus, start: int, tokens: int, coefficient: float
) -> range:
    """The documents from `start` on that hold so many predicted tokens."""
    held = 0
    for place in range(start, len(corpus.documents)):
        held += len(corpus.sequences[place]) - 1
        if held >= tokens:
            return range(start, place + 1)
    raise StudyError(
        f"corpora.{name} has no documents left for coefficient {coefficient:g}: the "
        f"{len(corpus.documents)} of its validation split are read, {tokens:,} tokens at every "
        "coefficient; ask for more of them, or for fewer tokens."
    )


def _precise(
    precision: Precision,
    curves: Sequence[Curve],
    every: Mapping[str, range],
    blocks_from: Callable[[Mapping[str, range]], list[Block]],
    measured: Callable[..., list[pa.Table]],
    advance: Advance | None,
    progress: Progress,
) -> list[pa.Table]:
    """Each curve's table, over as many of `every` corpus's documents as the precision takes.

    After the pilot the documents are taken in steps, each by the coefficients that go so far.
    """
    pilot = {name: some[: precision.pilot] for name, some in every.items()}
    tables = measured(curves, blocks_from(pilot), advance=advance)
    visited = [table["coefficient"].unique().to_pylist() for table in tables]
    parts = [[table] for table in tables]
    for name, some in every.items():
        ends = _ends(precision, tables, name, len(some), progress)
        most = max(ends.values())
        step = most if precision.by == "curve" else precision.step
        for start in range(len(pilot[name]), most, step):
            here = [
                replace(
                    curve,
                    coefficients=tuple(c for c in coefficients if ends[c] > start),
                    sources=(name,),
                )
                for curve, coefficients in zip(curves, visited, strict=True)
            ]
            blocks = blocks_from({name: range(start, min(start + step, most))})
            found = measured(here, blocks, advance=None)
            for part, table in zip(parts, found, strict=True):
                part.append(table)
    return [
        _in_order(pa.concat_tables(part), coefficients, list(every))
        for part, coefficients in zip(parts, visited, strict=True)
    ]


def _ends(
    precision: Precision,
    pilot: Sequence[pa.Table],
    name: str,
    available: int,
    progress: Progress,
) -> dict[float, int]:
    """By coefficient of the pilot, how many documents of corpus `name` the precision takes."""
    ends: dict[float, int] = {}
    for table in pilot:
        here = table.filter(pc.field("corpus") == name)
        hits = {
            coefficient: here.filter(pc.field("coefficient") == coefficient)["top1"].to_numpy()
            for coefficient in here["coefficient"].unique().to_pylist()
        }
        for coefficient, steered in hits.items():
            needed = documents_needed(steered, hits[0.0], precision.half_width)
            ends[coefficient] = max(ends.get(coefficient, 0), needed)
    most, piloted = max(ends.values()), min(precision.pilot, available)
    progress.note(
        f"precision {precision.half_width:g} takes {most} documents of {name}, by a pilot of "
        f"{piloted}" + (f"; the budget holds only {available}" if most > available else "")
    )
    if precision.by == "curve":
        return dict.fromkeys(ends, min(most, available))

    def stepped(needed: int) -> int:
        steps = math.ceil((needed - piloted) / precision.step)
        return min(piloted + steps * precision.step, available)

    return {coefficient: stepped(needed) for coefficient, needed in {**ends, 0.0: most}.items()}


def _in_order(table: pa.Table, coefficients: Sequence[float], corpora: Sequence[str]) -> pa.Table:
    """The rows coefficient by coefficient and corpus by corpus, else in the order they have."""
    places = [
        pc.index_in(table[column], pa.array(values)).to_numpy()
        for column, values in (("corpus", corpora), ("coefficient", coefficients))
    ]
    return table.take(np.lexsort(places)).combine_chunks()


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
    unskipped = ~skipped[np.concatenate([block.sequences[sample][1:] for sample in order])]
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
        for field in MEASURES
    }
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
