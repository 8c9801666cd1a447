"""A set of tokens of which one may be the first of an answer, as a study names it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snakesteer.study.entries import Distinct, Some, TokenId

FirstTokens = Annotated[list[TokenId | Annotated[str, Some]], Some, Distinct]

FIRST_TOKENS = (
    "The set: ids of tokens, or texts that are one token each by themselves, as the model's "
    "tokenizer reads them without anything around (in Llama 2's `I` is `▁I`)."
)

Epsilon = Annotated[float, Field(ge=0, lt=1)]

EPSILON = (
    "Added to both probabilities inside the logarithms; {} in the code of "
    '"Refusal in Language Models Is Mediated by a Single Direction".'
)
