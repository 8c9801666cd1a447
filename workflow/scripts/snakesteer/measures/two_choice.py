"""Answers to two-choice questions along injection coefficients (paper: behaviours)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from snakesteer.core.errors import StudyError, naming
from snakesteer.core.labels import layer_label
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import Batch, refuse_unknown
from snakesteer.engine.head import answers
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, final_states, injection, refuse_overflow
from snakesteer.prompts.questions import answer_text, question_tokens
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading
from snakesteer.storage.points import Points, digest
from snakesteer.sweeps.curves import KEPT_BYTES, Block, Curve, Prepared, blocks_of, tables_of
from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.stopping import GridStopping

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SCHEMA = pa.schema(
    [
        ("coefficient", pa.float64()),
        ("behaviour", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("outcome", pa.string()),
        ("logit_matching", pa.float64()),
        ("logit_not_matching", pa.float64()),
        ("choice_mass", pa.float64()),
    ]
)
INJECTION = pa.field("injection", pa.string())


@dataclass(frozen=True)
class Prompts:
    """A behaviour's questions as tokens, ready to be asked.

    `texts` [n_questions] are pairs of the matching and the other answer, `choices` their token ids.
    """

    questions: list[str]
    sequences: list[list[int]]
    texts: list[tuple[str, str]]
    choices: list[tuple[int, int]]


def read_prompts(
    tokenizer: PreTrainedTokenizerBase,
    behaviour: str,
    questions: Sequence[Mapping[str, str]],
    reading: Reading = TOKENIZERS_OWN,
) -> Prompts:
    """Tokenise the questions of a behaviour.

    A question has `question` (id), `prompt`, `matching` and `not_matching`. Raises StudyError for a
    behaviour without questions and a tokenizer that splits an answer.
    """
    if not questions:
        raise StudyError(f"behaviours.{behaviour} has no questions in this split; name another.")
    with naming(f"behaviours.{behaviour}"):
        tokens = [question_tokens(tokenizer, question, reading) for question in questions]
    return Prompts(
        [question["question"] for question in questions],
        [item.prompt for item in tokens],
        [(question["matching"], question["not_matching"]) for question in questions],
        [(item.matching, item.not_matching) for item in tokens],
    )


def run(
    model: LanguageModel,
    steerings: Sequence[Steering],
    prompts: Mapping[str, Prompts],
    *,
    batch_tokens: int,
    stopping: GridStopping | None = None,
    path: str = "shared",
    kept_bytes: float = KEPT_BYTES,
    points: Points | None = None,
    progress: Progress | None = None,
) -> list[pa.Table]:
    """Ask the same questions under every injection and coefficient.

    The lower layers run once for all of them, up to the lowest layer of any. The first behaviour
    of a steering decides about `stopping`, which coefficient 0 never triggers. `path`: see
    `engine`; `kept_bytes` and `points`: see `skill_sweep`.

    Returns a table for each steering, a row per run, coefficient, behaviour and question, in this
    order: `coefficient`, `behaviour`, `question`, `answer` (the greedy next token: the choice whose
    token it is, or what `answer_text` says), `outcome` (`match`, `other` or `faulty`),
    `logit_matching`, `logit_not_matching`, `choice_mass` (probability of both answers together),
    `injection` (the steering's label). Raises StudyError when there is no coefficient to ask under,
    for a prompt longer than the model's context and for NaN or infinity.
    """
    curves, owners = [], []
    for owner, steering in enumerate(steerings):
        steered = injection(model, steering.parts)
        for run_of in filter(None, steering.runs):
            owners.append(owner)
            curves.append(Curve(steered, run_of, steering.behaviours))
    if not curves:
        raise StudyError("No injection has a coefficient to ask under; name at least one of each.")
    points, progress = points or Points(), progress or Progress()
    tokens = {name: sum(map(len, asked.sequences)) for name, asked in prompts.items()}
    progress.start(
        sum(
            tokens[source] * len(curve.coefficients) for curve in curves for source in curve.sources
        )
    )
    blocks = [
        block
        for name, behaviour in prompts.items()
        for block in blocks_of(
            model, name, behaviour.sequences, range(len(behaviour.questions)), kept_bytes
        )
    ]

    def content(block: Block) -> str:
        asked, some = prompts[block.source], slice(block.places.start, block.places.stop)
        return digest(
            asked.questions[some], block.sequences, asked.texts[some], asked.choices[some]
        )

    def rows(
        injection: Injection, coefficient: float, block: Block, batches: list[Batch]
    ) -> pa.Table:
        asked = prompts[block.source]
        return _ask(model, injection, coefficient, asked, block, batches, progress)

    def found(block: Block) -> None:
        progress.skip(sum(map(len, block.sequences)))

    advance = partial(_advance, stopping) if stopping else None
    prepared = Prepared.of(model, curves, batch_tokens, path)
    measured = tables_of(curves, blocks, prepared, points, content, found, rows, advance)
    progress.finish()
    tables = []
    for number, steering in enumerate(steerings):
        own = [table for table, owner in zip(measured, owners, strict=True) if owner == number]
        table = pa.concat_tables([SCHEMA.empty_table(), *own])
        labels = pa.array([steering.label] * table.num_rows, INJECTION.type)
        tables.append(table.append_column(INJECTION, labels))
    return tables


def _advance(
    stopping: GridStopping, unsteered: pa.Table, here: pa.Table, coefficient: float
) -> int:
    if coefficient == 0:
        return 1
    faulty = here["outcome"].to_pylist().count("faulty")
    answers, before = (table["answer"].to_pylist() for table in (here, unsteered))
    return stopping.advance(answers, faulty, before)


def _ask(
    model: LanguageModel,
    injection: Injection,
    coefficient: float,
    prompts: Prompts,
    block: Block,
    batches: list[Batch],
    progress: Progress,
) -> pa.Table:
    """The rows of one point."""
    count = len(block.places)
    some = slice(block.places.start, block.places.stop)
    questions, texts, ids = prompts.questions[some], prompts.texts[some], prompts.choices[some]
    choices = torch.tensor(ids, device=model.device)
    refuse_unknown(model, int(choices.max()))

    def answer(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        states = final_states(model, batch, injection, coefficient)
        rows = torch.arange(len(batch.samples), device=states.device)
        last = states[rows, batch.lengths.to(states.device) - 1]
        return answers(model, last, choices[list(batch.samples)])

    found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    order: list[int] = []
    for batch, answered in on_each(batches, answer):
        found.append(answered)
        order += batch.samples
        progress.step(sum(len(block.sequences[sample]) for sample in batch.samples))
    tokens, logits, choice_mass = (
        torch.cat(parts).cpu().numpy()[np.argsort(order)] for parts in zip(*found, strict=True)
    )
    names = [f"question {question} of behaviours.{block.source}" for question in questions]
    refuse_overflow(
        logits.sum(axis=1) + choice_mass, names, layer_label(injection.layers), coefficient
    )
    given = [
        read[own.index(token)] if token in own else answer_text(model.tokenizer, prompt, token)
        for token, own, read, prompt in zip(
            tokens.tolist(), ids, texts, block.sequences, strict=True
        )
    ]
    return pa.table(
        {
            "coefficient": [coefficient] * count,
            "behaviour": [block.source] * count,
            "question": questions,
            "answer": given,
            "outcome": list(map(outcome, given, texts)),
            "logit_matching": logits[:, 0],
            "logit_not_matching": logits[:, 1],
            "choice_mass": choice_mass,
        },
        schema=SCHEMA,
    )


def outcome(answer: str, texts: tuple[str, str]) -> str:
    """`match` or `other`, if it is the matching or the other answer of `texts`, or `faulty`.

    To the letter: an answer with a space before it is faulty, as it is for the authors.
    """
    matching, not_matching = texts
    if answer == matching:
        return "match"
    return "other" if answer == not_matching else "faulty"
