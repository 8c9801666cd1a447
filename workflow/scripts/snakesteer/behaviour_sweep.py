"""Answers to two-choice questions along injection coefficients (paper: behaviours)."""

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
    greedy,
    logits_of,
    prepare,
    refuse_overflow,
)
from snakesteer.errors import StudyError
from snakesteer.layer_labels import layer_label
from snakesteer.models import LanguageModel
from snakesteer.progress import Progress
from snakesteer.question_tokens import answer_text, question_tokens
from snakesteer.stopping import GridStopping

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


@dataclass(frozen=True)
class Prompts:
    """A behaviour's questions ready to be asked.

    `texts` [n_questions, 2] are the matching and the other answer, `choices` [n_questions, 2]
    their token ids.
    """

    questions: list[str]
    texts: list[tuple[str, str]]
    choices: torch.Tensor
    batches: list[Batch]


def prepare_prompts(
    model: LanguageModel,
    behaviours: Mapping[str, Sequence[Mapping[str, str]]],
    layer: int,
    *,
    batch_tokens: int,
    path: str = "shared",
    keep_bytes: int = KEEP_BYTES,
) -> dict[str, Prompts]:
    """Tokenise the questions of each behaviour and run the layers up to `layer` once.

    A question has `question` (id), `prompt`, `matching` and `not_matching`. The outcome serves all
    injections at `layer` and above. `path` and `keep_bytes`: see `engine`. Raises StudyError for a
    behaviour without questions, a prompt longer than the model's context, and a tokenizer that
    splits an answer.
    """
    path = checked_path(model, layer, path)
    prepared = {}
    for name, questions in behaviours.items():
        if not questions:
            raise StudyError(f"Behaviour {name} has no questions in this split; name another.")
        tokens = [question_tokens(model.tokenizer, question) for question in questions]
        batches = prepare(
            model,
            [item.prompt for item in tokens],
            layer,
            batch_tokens=batch_tokens,
            path=path,
            keep_bytes=keep_bytes,
        )
        keep_bytes -= sum(batch.kept.nbytes for batch in batches if batch.kept is not None)
        prepared[name] = Prompts(
            [question["question"] for question in questions],
            [(question["matching"], question["not_matching"]) for question in questions],
            torch.tensor(
                [(item.matching, item.not_matching) for item in tokens], device=model.device
            ),
            batches,
        )
    return prepared


def run(
    model: LanguageModel,
    injection: Injection,
    coefficients: Sequence[float],
    prompts: Mapping[str, Prompts],
    *,
    stopping: GridStopping | None = None,
) -> pa.Table:
    """Ask the same questions under every coefficient, in the order given.

    `prompts` are of `prepare_prompts`, prepared for the injection's lowest layer or one below it;
    the first behaviour among them decides about `stopping`, which coefficient 0 never triggers.

    Returns a row per coefficient, behaviour and question, in this order: `coefficient`,
    `behaviour`, `question`, `answer` (the greedy next token, see `answer_text`), `outcome`
    (`match`, `other` or `faulty`), `logit_matching`, `logit_not_matching`, `choice_mass`
    (probability of both answers together). Raises StudyError for NaN or infinity.
    """
    points: list[pa.Table] = []
    asked = sum(len(behaviour.questions) for behaviour in prompts.values())
    progress = Progress(asked * len(coefficients), "questions")
    for coefficient in map(float, coefficients):
        measured = {
            name: _ask(model, name, behaviour, injection, coefficient)
            for name, behaviour in prompts.items()
        }
        points.extend(measured.values())
        progress.step(asked)
        first = next(iter(measured.values()))
        answers = first["answer"].to_pylist()
        faulty = first["outcome"].to_pylist().count("faulty")
        if stopping and coefficient != 0 and not stopping.advance(answers, faulty):
            break
    progress.finish()
    return pa.concat_tables(points) if points else SCHEMA.empty_table()


def _ask(
    model: LanguageModel,
    name: str,
    prompts: Prompts,
    injection: Injection,
    coefficient: float,
) -> pa.Table:
    count = len(prompts.questions)
    tokens = np.zeros(count, np.int64)
    logits_of_choices = np.zeros((count, 2))
    choice_mass = np.zeros(count)
    for batch in prompts.batches:
        states = final_states(model, batch, injection, coefficient)
        rows = torch.arange(len(batch.samples), device=model.device)
        logits = logits_of(model, states[rows, batch.lengths - 1])
        samples = list(batch.samples)
        choices = prompts.choices[samples]
        probabilities = logits.float().softmax(dim=1)
        tokens[samples] = greedy(logits).cpu().numpy()
        logits_of_choices[samples] = logits.gather(1, choices).double().cpu().numpy()
        choice_mass[samples] = probabilities.gather(1, choices).double().sum(dim=1).cpu().numpy()
    questions = [f"question {question} of {name}" for question in prompts.questions]
    finite = logits_of_choices.sum(axis=1) + choice_mass
    refuse_overflow(finite, questions, layer_label(injection.layers), coefficient)
    answers = [answer_text(model.tokenizer, token) for token in tokens.tolist()]
    return pa.table(
        {
            "coefficient": [coefficient] * count,
            "behaviour": [name] * count,
            "question": prompts.questions,
            "answer": answers,
            "outcome": list(map(_outcome, answers, prompts.texts)),
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
