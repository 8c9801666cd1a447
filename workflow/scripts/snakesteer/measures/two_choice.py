"""Answers to two-choice questions (paper: behaviours).

Columns, a row for each injection, coefficient and question:
    behaviour
    question (text): The question's id.
    answer (text): The most likely next token: one of the two answers, or the text of another token.
    outcome (text): `match`, `other` or `faulty`.
    logit_matching, logit_not_matching (number): The logits of both answers' tokens.
    choice_mass (number): The probability of both answers together.
    probability (number): The probability of the matching answer among both, or among the letters
        that the measure names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import torch

from snakesteer.core.errors import StudyError, naming
from snakesteer.core.labels import layer_label
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import Batch, Tokens, refuse_unknown
from snakesteer.engine.head import Read as Reads
from snakesteer.engine.head import answering
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, refuse_overflow
from snakesteer.measures import together
from snakesteer.measures.read import Read, marks_at
from snakesteer.measures.together import Found
from snakesteer.measures.two_choice_settings import Settings as Settings
from snakesteer.measures.two_choice_settings import Stopping
from snakesteer.prompts import marks
from snakesteer.prompts.marks import How
from snakesteer.prompts.questions import answer_text
from snakesteer.storage.files import read_table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECTION, SOURCE, SAMPLE = "behaviours", "behaviour", "question"
# `answer` is the greedy next token: the choice whose token it is, or what `answer_text` says;
# `outcome` is `match`, `other` or `faulty`; `choice_mass` the probability of both answers together,
# `probability` that of the matching one as a share of both, or of those in `letters`.
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
        ("probability", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Prompts:
    """A behaviour's questions as tokens, ready to be asked.

    `texts` [n_questions] are pairs of the matching and the other answer, `choices` their token ids.
    `marks`: see `engine.positions`. Where the matching answer has its probability among `letters`,
    these are their token ids [n_questions, n_letters], and `places` [n_questions] where it stands
    among them, None where it does not.
    """

    names: list[str]
    sequences: list[list[int]]
    texts: list[tuple[str, str]]
    choices: list[tuple[int, int]]
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    letters: Sequence[tuple[int, ...]] = ()
    places: Sequence[int | None] = ()

    def taken(self, places: Sequence[int]) -> Prompts:
        """The questions at these places alone."""
        return Prompts(
            [self.names[place] for place in places],
            [self.sequences[place] for place in places],
            [self.texts[place] for place in places],
            [self.choices[place] for place in places],
            marks_at(self.marks, places),
            [self.letters[place] for place in places] if self.letters else (),
            [self.places[place] for place in places] if self.letters else (),
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
        found[behaviour] = read_prompts(
            tokenizer, behaviour, asked, read.how, settings.answer_prefix, settings.letters
        )
    return found


def counted(sequence: Sequence[int]) -> int:
    """Tokens of a prompt."""
    return len(sequence)


def read_prompts(
    tokenizer: PreTrainedTokenizerBase,
    behaviour: str,
    questions: Sequence[Mapping[str, str]],
    how: How = marks.USUAL,
    answer_prefix: str = "",
    letters: Sequence[str] = (),
) -> Prompts:
    """Tokenise the questions of a behaviour, with what is begun of their answers.

    A question has `question` (id), `prompt`, `matching` and `not_matching`. Raises StudyError for a
    behaviour without questions, a tokenizer that splits an answer, and as `marks.question` does.
    """
    if not questions:
        raise StudyError(
            f"behaviours.{behaviour} has no questions in this split; use another split."
        )
    with naming(f"behaviours.{behaviour}"):
        read = [
            marks.question(tokenizer, asked, how, answer_prefix, letters) for asked in questions
        ]
    prompts = Prompts(
        [question["question"] for question in questions],
        [text.ids for _, text in read],
        [(question["matching"], question["not_matching"]) for question in questions],
        [(tokens.matching, tokens.not_matching) for tokens, _ in read],
        marks.columns([text for _, text in read]),
    )
    if not letters:
        return prompts
    place_of = {letter: place for place, letter in enumerate(letters)}
    matching = [marks.told(question["matching"], answer_prefix) for question in questions]
    return replace(
        prompts,
        letters=[tokens.others for tokens, _ in read],
        places=[place_of.get(answer) for answer in matching],
    )


@dataclass(frozen=True)
class Reader:
    """What is read of the logits on a behaviour's questions."""

    model: LanguageModel
    source: str
    prompts: Prompts

    tokens: ClassVar[Tokens] = "last"

    @cached_property
    def counted(self) -> list[int]:
        """Tokens, by question."""
        return [counted(ids) for ids in self.prompts.sequences]

    @cached_property
    def choices(self) -> torch.Tensor:
        """Token ids of the answers, [n_questions, 2]."""
        choices = torch.tensor(self.prompts.choices, device=self.model.device)
        refuse_unknown(self.model, int(choices.max()))
        return choices

    @cached_property
    def offered(self) -> torch.Tensor:
        """Token ids of the answers among which the matching one has its probability,
        [n_questions, n_offered]."""
        if not self.prompts.letters:
            return self.choices
        letters = torch.tensor(self.prompts.letters, device=self.model.device)
        refuse_unknown(self.model, int(letters.max()))
        return letters

    def read(self, batch: Batch, injection: Injection, coefficient: float | None) -> Reads:
        """The answers, and the logits of those that are offered."""
        samples = list(batch.samples)
        answer, offered = answering(self.choices[samples]), self.offered[samples]

        def answer_and_offered(logits: torch.Tensor, rows: slice) -> tuple[torch.Tensor, ...]:
            ids = offered[rows].to(logits.device)
            return (*answer(logits, rows), logits.gather(1, ids).double())

        return answer_and_offered

    def table(
        self,
        injection: Injection,
        coefficient: float | None,
        order: Sequence[int],
        found: Found,
        progress: Progress,
    ) -> pa.Table:
        """The rows of one point, coefficient × injection on these questions."""
        tokens, logits, choice_mass, offered = (part[np.argsort(order)] for part in found)
        prompts, count = self.prompts, len(self.prompts.names)
        names = [f"question {question} of behaviours.{self.source}" for question in prompts.names]
        refuse_overflow(
            logits.sum(axis=1) + choice_mass + offered.sum(axis=1),
            names,
            layer_label(injection.layers),
            coefficient,
        )
        tokenizer = self.model.tokenizer
        given = [
            read[own.index(token)] if token in own else answer_text(tokenizer, prompt, token)
            for token, own, read, prompt in zip(
                tokens.tolist(), prompts.choices, prompts.texts, prompts.sequences, strict=True
            )
        ]
        return pa.table(
            {
                "coefficient": [coefficient] * count,
                SOURCE: [self.source] * count,
                SAMPLE: prompts.names,
                "answer": given,
                "outcome": list(map(outcome, given, prompts.texts)),
                "logit_matching": logits[:, 0],
                "logit_not_matching": logits[:, 1],
                "choice_mass": choice_mass,
                "probability": probabilities(offered, prompts.places or [0] * count),
            },
            schema=SCHEMA,
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
    reader = Reader(model, source, prompts)
    return together.rows(model, injection, coefficient, reader, batches, progress)


def outcome(answer: str, texts: tuple[str, str]) -> str:
    """`match` or `other`, if it is the matching or the other answer of `texts`, or `faulty`.

    To the letter: an answer with a space before it is faulty, as it is for the authors.
    """
    matching, not_matching = texts
    if answer == matching:
        return "match"
    return "other" if answer == not_matching else "faulty"


def probabilities(logits: np.ndarray, places: Sequence[int | None]) -> np.ndarray:
    """The softmax over `logits` [n_questions, n_offered] at the place of each question, [n]; 0
    where it has none.
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = weights / weights.sum(axis=1, keepdims=True)
    return np.array(
        [0.0 if place is None else row[place] for row, place in zip(shares, places, strict=True)]
    )


def advance(stopping: Stopping, unsteered: pa.Table, here: pa.Table) -> int:
    """By the answers, and how many are faulty."""
    faulty = here["outcome"].to_pylist().count("faulty")
    answers, before = (table["answer"].to_pylist() for table in (here, unsteered))
    return stopping.advance(answers, faulty, before)
