"""What a model behind an address says of a text: a rating, as a number.

The rating is the number that the model answers with, or the expectation over the probabilities of
all numbers as its first token (as G-Eval of Liu et al. 2023 has it). An answer that is no rating is
missing.

Columns:
    SCORE (number): The judge's rating, between the `least` and the `most` of the score.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.hub.chat import Answer, Chat
from snakesteer.measures.written import Written

FOLDER = Path("results/cache/judged")
TOKENS = 16  # of an answer that is parsed
LIKELY = 20  # tokens whose probabilities are asked for, the most that servers give
LEAST_MASS = 0.5  # of the first token's probability that must be numbers'
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def score(written: Written, settings: Mapping[str, Any], model: object) -> list[float]:
    """A rating of each text, in `least` … `most` of the `rating`; NaN for an answer that is none.

    `{prompt}` and `{text}` in the `prompt` of the settings stand for those of each text. Raises
    StudyError as `Chat.answers` does, and where the expectation is to be taken for a model that
    writes a number in several tokens.
    """
    chat = Chat(settings["address"], settings["model"], FOLDER, settings["key"], settings["price"])
    least, most = settings["rating"]["least"], settings["rating"]["most"]
    expected = settings["take"] == "expected"
    if expected and most > 9:
        refuse_pieces(chat, settings, int(most))
    requests = []
    for prompt, text in zip(written.prompts, written.texts, strict=True):
        requests.append(request(settings, filled(settings["prompt"], prompt, text)))
    answers = chat.answers(requests)
    rate = expectation if expected else parsed
    ratings, unread = [], []
    for answer in answers:
        ratings.append(rate(answer, least, most))
        if math.isnan(ratings[-1]):
            unread.append(answer.text)
    if unread:
        print(
            f"{len(unread)} of {len(answers)} answers of {chat.model} are not ratings and count "
            f"as missing; the first is {unread[0][:200]!r}.",
            file=sys.stderr,
            flush=True,
        )
    return ratings


def filled(template: str, prompt: str, text: str) -> str:
    """The template with both put in; braces in them stay as they are."""
    values = {"{prompt}": prompt, "{text}": text}
    return re.sub(r"\{prompt\}|\{text\}", lambda found: values[found[0]], template)


def request(settings: Mapping[str, Any], content: str) -> dict[str, Any]:
    """The body of a request beside the model; `options` come last, and None takes a field out."""
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        "max_tokens": TOKENS,
    }
    if settings["take"] == "expected":
        body |= {"max_tokens": 1, "logprobs": True, "top_logprobs": LIKELY}
    body |= settings["options"]
    return {name: value for name, value in body.items() if value is not None}


def parsed(answer: Answer, least: float, most: float) -> float:
    """The rating where the answer is a number alone, white space aside, within the bounds."""
    text = answer.text.strip()
    if answer.cut or not NUMBER.fullmatch(text):
        return math.nan
    value = float(text)
    return value if least <= value <= most else math.nan


def expectation(answer: Answer, least: float, most: float) -> float:
    """The mean of the whole numbers within the bounds, by the probability of each as first token.

    Tokens that differ in white space are one number. Missing where numbers have less than
    `LEAST_MASS` of the probability.
    """
    mass = total = 0.0
    for token, log_probability in answer.likely:
        text = token.strip()
        if re.fullmatch("0|[1-9][0-9]*", text) and least <= int(text) <= most:
            probability = math.exp(log_probability)
            mass += probability
            total += probability * int(text)
    return total / mass if mass >= LEAST_MASS else math.nan


def refuse_pieces(chat: Chat, settings: Mapping[str, Any], most: int) -> None:
    """Raise StudyError for a model that does not write the largest number as one token.

    With the first digit as a token of its own, 1 and 10 would begin alike.
    """
    asked = f"Write the number {most} and nothing else."
    (answer,) = chat.answers([request(settings, asked)])
    token = max(answer.likely, key=lambda each: each[1])[0]
    if token.strip() != str(most):
        raise StudyError(
            f"{chat.model} begins the number {most} with the token {token!r}, so the "
            "probabilities of whole numbers are unknown; let it rate up to 9, or set take to "
            "`parsed`."
        )
