"""Texts as tokens, with what is read of each: documents, instructions, questions, pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine.sites import OUTPUT
from snakesteer.engine.steering import LAST, Spots
from snakesteer.prompts import passages
from snakesteer.prompts.formats import PLAIN, Format, render
from snakesteer.prompts.passages import Passage
from snakesteer.prompts.positions import COMPLETION, LETTER, Positions, places, taken
from snakesteer.prompts.questions import QuestionTokens, question_tokens
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading, refuse_short

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class What:
    """What is read of which text: its format, site and positions."""

    form: Format = Format()
    site: str = OUTPUT
    positions: Positions = "last"

    def shown(self, tokenizer: PreTrainedTokenizerBase, samples: Samples) -> dict[str, Any]:
        """For the provenance: the first text in its format, up to the last token that is read, and
        its token ids."""
        if self.form.template == PLAIN:
            return {}
        ids = list(samples.sequences[0])
        return {"first_text": str(tokenizer.decode(ids)), "first_ids": ids}


USUAL = What()


@dataclass(frozen=True)
class Documents:
    """Texts as tokens, up to the last that is read, and what is read; `names` are for messages."""

    names: list[str]
    sequences: list[list[int]]
    spots: Spots = LAST

    def part(self, some: slice) -> Documents:
        """Some of the texts."""
        return Documents(self.names[some], self.sequences[some], self.spots.part(some))


@dataclass(frozen=True)
class Questions:
    """Questions as tokens, whose answers are one token each and read there; `names` as above."""

    names: list[str]
    tokens: list[QuestionTokens]
    site: str = OUTPUT

    @property
    def sequences(self) -> list[list[int]]:
        """Prompt and matching answer."""
        return [[*item.prompt, item.matching] for item in self.tokens]

    @property
    def prompts(self) -> list[list[int]]:
        """What the answers are put behind."""
        return [item.prompt for item in self.tokens]

    @property
    def answers(self) -> torch.Tensor:
        """Token ids of the matching and the other answer, [n_questions, 2]."""
        return torch.tensor([(item.matching, item.not_matching) for item in self.tokens])


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts that share no prompt, or are read at more than their last tokens."""

    matching: Documents
    not_matching: Documents

    @property
    def names(self) -> list[str]:
        """For messages."""
        return self.matching.names

    @property
    def sequences(self) -> list[list[int]]:
        """The texts of both sides."""
        return [*self.matching.sequences, *self.not_matching.sequences]


Samples = Documents | Questions | Pairs


def read_corpus(
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, str]],
    max_tokens: int,
    reading: Reading = TOKENIZERS_OWN,
    what: What = USUAL,
) -> Documents:
    """Tokens of a corpus (`document` id, `text`, and `completion` where it has some).

    In a plain format texts without completions are documents; all others are instructions.
    """
    if what.form.template == PLAIN and rows and "completion" not in rows[0]:
        documents = [(row["document"], row["text"]) for row in rows]
        return read_documents(tokenizer, documents, max_tokens, reading, what)
    instructions = [(row["document"], row["text"], row.get("completion", "")) for row in rows]
    return read_instructions(tokenizer, instructions, max_tokens, reading, what)


def read_documents(
    tokenizer: PreTrainedTokenizerBase,
    documents: Sequence[tuple[str, str]],
    max_tokens: int,
    reading: Reading = TOKENIZERS_OWN,
    what: What = USUAL,
) -> Documents:
    """Tokens of (id, text) documents, cut at `max_tokens`.

    Positions are those of the cut document. Raises StudyError for an empty list, a document of
    fewer than two tokens, and a position outside a document.
    """
    if not documents:
        raise StudyError("The corpus has no training documents; name a corpus with some.")
    names, texts, read = [], [], []
    for name, text in documents:
        names.append(f"document {name}")
        texts.append(passages.document(tokenizer, text, max_tokens, reading))
        refuse_short(name, texts[-1].ids)
        read.append(places(texts[-1], what.positions, names[-1]))
    return _up_to_the_last(names, texts, read, what)


def read_instructions(
    tokenizer: PreTrainedTokenizerBase,
    instructions: Sequence[tuple[str, str, str]],
    max_tokens: int,
    reading: Reading = TOKENIZERS_OWN,
    what: What = USUAL,
) -> Documents:
    """Tokens of (id, prompt, completion) texts in their format; completions may be empty.

    Positions are those of the whole text, of which `max_tokens` may leave out no place that is
    read, but for the end of a completion whose mean is taken. Raises StudyError for an empty list,
    for a position outside a text or behind `max_tokens`, and as `render` does.
    """
    if not instructions:
        raise StudyError("The corpus has no training documents; name a corpus with some.")
    names, texts, read = [], [], []
    for name, prompt, completion in instructions:
        names.append(f"document {name}")
        texts.append(
            passages.passage(tokenizer, render(tokenizer, what.form, prompt, completion), reading)
        )
        found = places(texts[-1], what.positions, names[-1])
        read.append(_within(found, len(texts[-1].ids), max_tokens, names[-1], what.positions))
    return _up_to_the_last(names, texts, read, what)


def read_questions(
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Mapping[str, str]],
    reading: Reading = TOKENIZERS_OWN,
    what: What = USUAL,
) -> Questions | Pairs:
    """Tokens of questions (`question` id, `prompt`, `matching`, `not_matching`), or of pairs.

    Pairs have `system_matching` and `system_not_matching` as well, which may be None; where their
    prompt is empty, the two texts are prompts themselves. Raises StudyError for an empty list, a
    tokenizer that splits an answer that is read at its one token, and as `read_instructions` does.
    """
    if not questions:
        raise StudyError("The behaviour has no training questions; name a behaviour with some.")
    names = [f"question {question['question']}" for question in questions]
    if what.form == Format() and what.positions == "last" and "system_matching" not in questions[0]:
        tokens = [question_tokens(tokenizer, question, reading) for question in questions]
        return Questions(names, tokens, what.site)
    sides = {}
    for side in ("matching", "not_matching"):
        texts, read = [], []
        for name, question in zip(names, questions, strict=True):
            text, answer = _side(tokenizer, question, side, reading, what)
            at_letter = None
            if what.positions == LETTER:
                at_letter = passages.letter(tokenizer, text, answer, name)
            texts.append(text)
            read.append(places(text, what.positions, name, at_letter))
        sides[side] = _up_to_the_last(names, texts, read, what)
    return _sharing(names, sides["matching"], sides["not_matching"], what)


def _side(
    tokenizer: PreTrainedTokenizerBase,
    question: Mapping[str, str],
    side: str,
    reading: Reading,
    what: What,
) -> tuple[Passage, str]:
    """One side of a pair, and its answer."""
    system = question.get(f"system_{side}")
    prompt, answer = question["prompt"], question[side]
    if not prompt:
        prompt, answer = answer, ""
    rendered = render(tokenizer, what.form, prompt, answer, system)
    return passages.passage(tokenizer, rendered, reading), answer


def _sharing(
    names: list[str], matching: Documents, not_matching: Documents, what: What
) -> Questions | Pairs:
    """Pairs as questions, if they all differ in the last token alone, and are read there.

    Raises StudyError for pairs that differ behind the tokens that are read only.
    """
    if matching.sequences == not_matching.sequences:
        raise StudyError(
            f"positions is {what.positions}, but up to there the two sides of {names[0]}, and of "
            "all others, are the same; use positions after the difference."
        )
    _refuse_uneven([*names, *names], [*_read(matching), *_read(not_matching)], what)
    tokens = []
    for one, other in zip(matching.sequences, not_matching.sequences, strict=True):
        if one[:-1] != other[:-1] or len(one) < 2:
            return Pairs(matching, not_matching)
        tokens.append(QuestionTokens(one[:-1], one[-1], other[-1]))
    if taken(what.positions) != "one":
        return Pairs(matching, not_matching)
    return Questions(names, tokens, what.site)


def _within(
    found: Sequence[int], tokens: int, most: int, name: str, positions: Positions
) -> Sequence[int]:
    """The places that `most` tokens hold; StudyError if one that is read lies behind them."""
    if max(found) < most:
        return found
    if positions == {"mean": COMPLETION} and found[0] < most:
        return found[: most - found[0]]
    raise StudyError(
        f"{name} has {tokens} tokens in its format, and max_tokens {most} cuts a position that "
        "is read; raise max_tokens, or remove such texts."
    )


def _read(texts: Documents) -> Sequence[Sequence[int]]:
    return texts.spots.places or ()


def _refuse_uneven(names: Sequence[str], read: Sequence[Sequence[int]], what: What) -> None:
    """Refuse (StudyError) an axis of positions of which texts have different numbers."""
    if taken(what.positions) != "each":
        return
    for name, found in zip(names, read, strict=True):
        if len(found) != len(read[0]):
            raise StudyError(
                f"positions is {what.positions}, but {names[0]} has {len(read[0])} such tokens "
                f"and {name} has {len(found)}; count from the end, as "
                f"{list(range(-len(read[0]), 0))}."
            )


def _up_to_the_last(
    names: list[str], texts: Sequence[Passage], read: list[Sequence[int]], what: What
) -> Documents:
    """Texts up to the last token that is read, on which no later one has an influence."""
    _refuse_uneven(names, read, what)
    sequences = [text.ids[: max(found) + 1] for text, found in zip(texts, read, strict=True)]
    return Documents(names, sequences, Spots(what.site, read, taken(what.positions)))
