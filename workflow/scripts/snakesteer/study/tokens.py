"""A set of tokens of which one may be the first of an answer, as a study names it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snakesteer.study.entries import Distinct, Some, TokenId

FirstTokens = Annotated[list[TokenId | Annotated[str, Some]], Some, Distinct]

FIRST_TOKENS = (
    "The set of tokens: ids, or texts that are one token each. The model's tokenizer "
    "reads each text alone, so in Llama 2 `I` is `▁I`."
)

Epsilon = Annotated[float, Field(ge=0, lt=1)]

EPSILON = (
    'Added to both probabilities inside the logarithms. The code of "Refusal in Language '
    'Models Is Mediated by a Single Direction" takes {}.'
)
