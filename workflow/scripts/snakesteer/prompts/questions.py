"""Two-choice questions as tokens: what the model reads, and the token of each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakesteer.core.errors import StudyError
from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading, encode_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class QuestionTokens:
    """Token ids of a prompt, and the one token that follows it for each answer."""

    prompt: list[int]
    matching: int
    not_matching: int


def question_tokens(
    tokenizer: PreTrainedTokenizerBase,
    question: Mapping[str, str],
    reading: Reading = TOKENIZERS_OWN,
) -> QuestionTokens:
    """The tokens of a question (`question` id, `prompt`, `matching`, `not_matching`).

    Both answered texts are tokenised whole; what they share is the prompt. So a tokenizer that
    joins the prompt's end with the answer ("(A" as one token) is read as it would read the text.
    Raises StudyError when an answer is not exactly one further token that reads as the answer, but
    for spaces around it.
    """
    answers = (question["matching"], question["not_matching"])
    matching, other = (
        encode_prompt(tokenizer, question["prompt"] + answer, reading) for answer in answers
    )
    start = len(encode_prompt(tokenizer, question["prompt"], reading))
    return one_token_each(tokenizer, (matching, other), answers, start, question["question"])


def one_token_each(
    tokenizer: PreTrainedTokenizerBase,
    whole: tuple[list[int], list[int]],
    answers: tuple[str, str],
    start: int,
    question: str,
    remedy: str = "use answers that are single tokens of this model",
) -> QuestionTokens:
    """The tokens of a question of which both answered texts are given, `whole`.

    `start` is where the answers begin, for the message, which ends with the `remedy`. Raises
    StudyError when they are not exactly one further token each, that reads as the answer.
    """
    matching, other = whole
    read = [answer_text(tokenizer, ids[:-1], ids[-1]).strip() for ids in whole]
    if matching[:-1] != other[:-1] or read != [answer.strip() for answer in answers]:
        pieces = [tokenizer.convert_ids_to_tokens(ids[start:]) for ids in whole]
        raise StudyError(
            f"The tokenizer does not give the answers {answers[0]!r} and {answers[1]!r} of "
            f"question {question} one token each, but "
            f"{pieces[0]} and {pieces[1]}; {remedy}."
        )
    return QuestionTokens(matching[:-1], matching[-1], other[-1])


def answer_text(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], token: int) -> str:
    """What a token adds to a prompt, after its last "(" (paper, code of the behaviours).

    Its spaces are kept. The prompt's last token is decoded with it, since Llama's tokenizer, among
    others, takes away the space that a text begins with.
    """
    before = str(tokenizer.decode(prompt[-1:]))
    both = str(tokenizer.decode([*prompt[-1:], token]))
    return both.removeprefix(before).rpartition("(")[2]
