"""Answers to two-choice questions along injection coefficients (paper: behaviours)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from snakesteer.batches import Batch, on_each
from snakesteer.curves import KEPT_BYTES, Block, Curve, Prepared, blocks_of, rows_of, visited
from snakesteer.engine import Injection, final_states, injection, refuse_overflow
from snakesteer.errors import StudyError
from snakesteer.head import greedy, logits_of
from snakesteer.injections import Steering
from snakesteer.layer_labels import layer_label
from snakesteer.models import LanguageModel
from snakesteer.points import Points, digest
from snakesteer.probe import checked_path
from snakesteer.progress import Progress
from snakesteer.question_tokens import answer_text, question_tokens
from snakesteer.stopping import GridStopping

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
    tokenizer: PreTrainedTokenizerBase, behaviour: str, questions: Sequence[Mapping[str, str]]
) -> Prompts:
    """Tokenise the questions of a behaviour.

    A question has `question` (id), `prompt`, `matching` and `not_matching`. Raises StudyError for a
    behaviour without questions and a tokenizer that splits an answer.
    """
    if not questions:
        raise StudyError(f"behaviours.{behaviour} has no questions in this split; name another.")
    tokens = [question_tokens(tokenizer, question) for question in questions]
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
) -> pa.Table:
    """Ask the same questions under every injection and coefficient.

    The lower layers run once for all of them, up to the lowest layer of any. The first behaviour
    of a steering decides about `stopping`, which coefficient 0 never triggers. `path`: see
    `engine`; `kept_bytes` and `points`: see `skill_sweep`.

    Returns a row per steering, run, coefficient, behaviour and question, in this order:
    `coefficient`, `behaviour`, `question`, `answer` (the greedy next token, see `answer_text`),
    `outcome` (`match`, `other` or `faulty`), `logit_matching`, `logit_not_matching`, `choice_mass`
    (probability of both answers together), `injection` (the steering's label). Raises StudyError
    for a prompt longer than the model's context and for NaN or infinity.
    """
    labels, curves = [], []
    for steering in steerings:
        steered = injection(model, steering.parts)
        for run_of in steering.runs:
            labels.append(steering.label)
            curves.append(Curve(steered, run_of, steering.behaviours))
    lowest = min(curve.injection.layers[0] for curve in curves)
    path = checked_path(model, lowest, path)
    points = points or Points()
    tokens = {name: sum(map(len, asked.sequences)) for name, asked in prompts.items()}
    progress = progress or Progress()
    progress.start(
        sum(
            tokens[source] * len(curve.coefficients) for curve in curves for source in curve.sources
        )
    )
    prepared = Prepared(model, lowest, batch_tokens, path)
    blocks = [
        block
        for name, behaviour in prompts.items()
        for block in blocks_of(
            model, name, behaviour.sequences, range(len(behaviour.questions)), kept_bytes
        )
    ]

    @functools.cache
    def content(block: Block) -> str:
        asked, some = prompts[block.source], slice(block.places.start, block.places.stop)
        return digest(
            asked.questions[some], block.sequences, asked.texts[some], asked.choices[some]
        )

    @functools.cache
    def identity(steered: Injection) -> str:
        return steered.digest()

    def measure(curve: Curve, block: Block, coefficient: float) -> pa.Table:
        def make() -> pa.Table:
            asked, batches = prompts[block.source], prepared.batches(block)
            return _ask(model, curve.injection, coefficient, asked, block, batches, progress)

        point = {
            "path": path,
            "lowest": lowest,
            "injection": identity(curve.injection),
            "behaviour": block.source,
            "questions": content(block),
            "coefficient": coefficient,
        }
        return points.table(point, make, lambda: progress.skip(sum(map(len, block.sequences))))

    def advance(_first: pa.Table, here: pa.Table, coefficient: float) -> int:
        if not stopping or coefficient == 0:
            return 1
        faulty = here["outcome"].to_pylist().count("faulty")
        return stopping.advance(here["answer"].to_pylist(), faulty)

    found = visited(curves, blocks, measure, advance)
    progress.finish()
    tables = [SCHEMA.append(INJECTION).empty_table()]
    for label, curve, coefficients in zip(labels, curves, found, strict=True):
        for coefficient in coefficients:
            for behaviour in curve.sources:
                rows = rows_of(curve, blocks, behaviour, coefficient, measure)
                label_of_rows = pa.array([label] * rows.num_rows, INJECTION.type)
                tables.append(rows.append_column(INJECTION, label_of_rows))
    return pa.concat_tables(tables)


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
    questions, texts = prompts.questions[some], prompts.texts[some]
    choices = torch.tensor(prompts.choices[some])
    tokens = np.zeros(count, np.int64)
    logits_of_choices = np.zeros((count, 2))
    choice_mass = np.zeros(count)

    def answer(batch: Batch) -> torch.Tensor:
        states = final_states(model, batch, injection, coefficient)
        rows = torch.arange(len(batch.samples), device=states.device)
        return logits_of(model, states[rows, batch.lengths.to(states.device) - 1])

    for batch, logits in on_each(batches, answer):
        samples = list(batch.samples)
        offered = choices[samples].to(logits.device)
        probabilities = logits.float().softmax(dim=1)
        tokens[samples] = greedy(logits).cpu().numpy()
        logits_of_choices[samples] = logits.gather(1, offered).double().cpu().numpy()
        choice_mass[samples] = probabilities.gather(1, offered).double().sum(dim=1).cpu().numpy()
        progress.step(int(batch.lengths.sum()))
    names = [f"question {question} of behaviours.{block.source}" for question in questions]
    finite = logits_of_choices.sum(axis=1) + choice_mass
    refuse_overflow(finite, names, layer_label(injection.layers), coefficient)
    answers = [answer_text(model.tokenizer, token) for token in tokens.tolist()]
    return pa.table(
        {
            "coefficient": [coefficient] * count,
            "behaviour": [block.source] * count,
            "question": questions,
            "answer": answers,
            "outcome": list(map(_outcome, answers, texts)),
            "logit_matching": logits_of_choices[:, 0],
            "logit_not_matching": logits_of_choices[:, 1],
            "choice_mass": choice_mass,
        },
        schema=SCHEMA,
    )


def _outcome(answer: str, texts: tuple[str, str]) -> str:
    matching, not_matching = texts
    if answer == matching:
        return "match"
    return "other" if answer == not_matching else "faulty"
