"""Answers to two-choice questions (paper: behaviours)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from snakesteer.engine.steering import Injection, final_states, refuse_overflow
from snakesteer.measures.read import Read, marks_at
from snakesteer.measures.two_choice_settings import Settings as Settings
from snakesteer.measures.two_choice_settings import Stopping
from snakesteer.prompts.questions import answer_text, question_tokens
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading
from snakesteer.storage.files import read_table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECTION, SOURCE, SAMPLE = "behaviours", "behaviour", "question"
# `answer` is the greedy next token: the choice whose token it is, or what `answer_text` says;
# `outcome` is `match`, `other` or `faulty`; `choice_mass` the probability of both answers together.
SCHEMA = pa.schema(
    [
        ("coefficient", pa.float64()),
        (SOURCE, pa.string()),
        (SAMPLE, pa.string()),
        ("answer", pa.string()),
        ("outcome", pa.string()),
        ("logit_matching", pa.float64()),
        ("logit_not_matching", pa.float64()),
        ("choice_mass", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Prompts:
    """A behaviour's questions as tokens, ready to be asked.

    `texts` [n_questions] are pairs of the matching and the other answer, `choices` their token ids.
    `marks`: see `engine.positions`.
    """

    names: list[str]
    sequences: list[list[int]]
    texts: list[tuple[str, str]]
    choices: list[tuple[int, int]]
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def taken(self, places: Sequence[int]) -> Prompts:
        """The questions at these places alone."""
        return Prompts(
            [self.names[place] for place in places],
            [self.sequences[place] for place in places],
            [self.texts[place] for place in places],
            [self.choices[place] for place in places],
            marks_at(self.marks, places),
        )


def samples(
    tokenizer: PreTrainedTokenizerBase,
    files: Mapping[str, Sequence[str]],
    read: Read,
    settings: Settings,
) -> dict[str, Prompts]:
    """The behaviours of a job, by name: their `questions` lie in `files`."""
    found = {}
    for behaviour, path in zip(read.sources, files["questions"], strict=True):
        rows = read_table(path).to_pylist()
        asked = [row for row in rows if row["split"] == read.split]
        found[behaviour] = read_prompts(tokenizer, behaviour, asked, read.reading)
    return found


def counted(sequence: Sequence[int]) -> int:
    """Tokens of a prompt."""
    return len(sequence)


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


def rows(
    model: LanguageModel,
    injection: Injection,
    coefficient: float | None,
    source: str,
    prompts: Prompts,
    batches: list[Batch],
    progress: Progress,
) -> pa.Table:
    """The rows of one point, coefficient × injection on these questions in these batches."""
    count = len(prompts.names)
    choices = torch.tensor(prompts.choices, device=model.device)
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
        progress.step(sum(counted(prompts.sequences[sample]) for sample in batch.samples))
    tokens, logits, choice_mass = (
        torch.cat(parts).cpu().numpy()[np.argsort(order)] for parts in zip(*found, strict=True)
    )
    names = [f"question {question} of behaviours.{source}" for question in prompts.names]
    refuse_overflow(
        logits.sum(axis=1) + choice_mass, names, layer_label(injection.layers), coefficient
    )
    given = [
        read[own.index(token)] if token in own else answer_text(model.tokenizer, prompt, token)
        for token, own, read, prompt in zip(
            tokens.tolist(), prompts.choices, prompts.texts, prompts.sequences, strict=True
        )
    ]
    return pa.table(
        {
            "coefficient": [coefficient] * count,
            SOURCE: [source] * count,
            SAMPLE: prompts.names,
            "answer": given,
            "outcome": list(map(outcome, given, prompts.texts)),
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


def advance(stopping: Stopping, unsteered: pa.Table, here: pa.Table) -> int:
    """By the answers, and how many are faulty."""
    faulty = here["outcome"].to_pylist().count("faulty")
    answers, before = (table["answer"].to_pylist() for table in (here, unsteered))
    return stopping.advance(answers, faulty, before)
