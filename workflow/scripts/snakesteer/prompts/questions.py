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
    """Token ids of a prompt, and the one token that follows it for each answer, `others` being
    further answers."""

    prompt: list[int]
    matching: int
    not_matching: int
    others: tuple[int, ...] = ()


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
    whole = [encode_prompt(tokenizer, question["prompt"] + answer, reading) for answer in answers]
    start = len(encode_prompt(tokenizer, question["prompt"], reading))
    return one_token_each(tokenizer, whole, answers, start, question["question"])


def one_token_each(
    tokenizer: PreTrainedTokenizerBase,
    whole: Sequence[list[int]],
    answers: Sequence[str],
    start: int,
    question: str,
    remedy: str = "use answers that are single tokens of this model",
) -> QuestionTokens:
    """The tokens of a question of which the answered texts are given, `whole`: those of the
    matching answer, of the other one, and of further ones.

    `start` is where the answers begin, for the message, which ends with the `remedy`. Raises
    StudyError when they are not exactly one further token each, that reads as the answer.
    """
    prompt = whole[0][:-1]
    read = [answer_text(tokenizer, ids[:-1], ids[-1]).strip() for ids in whole]
    same_prompt = all(ids[:-1] == prompt for ids in whole)
    if not same_prompt or read != [answer.strip() for answer in answers]:
        pieces = {}
        for answer, ids in zip(answers, whole, strict=True):
            pieces[repr(answer)] = str(tokenizer.convert_ids_to_tokens(ids[start:]))
        raise StudyError(
            f"The tokenizer does not give the answers {' and '.join(pieces)} of question "
            f"{question} one token each, but {' and '.join(pieces.values())}; {remedy}."
        )
    matching, other, *others = (ids[-1] for ids in whole)
    return QuestionTokens(prompt, matching, other, tuple(others))


def answer_text(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], token: int) -> str:
    """What a token adds to a prompt, after its last "(" (paper, code of the behaviours).

    Its spaces are kept. The prompt's last token is decoded with it, since Llama's tokenizer, among
    others, takes away the space that a text begins with.
    """
    before = str(tokenizer.decode(prompt[-1:]))
    both = str(tokenizer.decode([*prompt[-1:], token]))
    return both.removeprefix(before).rpartition("(")[2]
