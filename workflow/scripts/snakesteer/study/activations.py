"""Which activations are read."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from snakesteer.prompts.formats import PLAIN
from snakesteer.study.entries import (
    CUT,
    SITE,
    Count,
    Distinct,
    Entry,
    FromEnd,
    Name,
    Site,
    Some,
)
from snakesteer.study.formats import FORMAT, Format

Several = list[int] | Literal["after_instruction"]


class Mean(Entry):
    """The mean over several positions."""

    EXAMPLE = """
        activations:
          style: {model: base, corpus: text, positions: {mean: document}}
    """

    mean: Literal["completion", "document"] = Field(
        description="`completion`: tokens of the completion or answer. `document`: all "
        "tokens except those that the tokenizer adds around a text."
    )


class Activations(Entry):
    """Activations of a corpus or of a behaviour, at all layers. Vectors are made from them."""

    EXAMPLE = """
        activations:
          code-at-the-end: {model: base, corpus: code, max_tokens: 128}
          myopia-letters: {model: chat, behaviour: myopia, format: chat, positions: letter}
    """

    model: Name = Field(description="Model that reads the texts.")
    corpus: Name | None = Field(None, description="Corpus whose training split is read.")
    behaviour: Name | None = Field(None, description="Behaviour whose training split is read.")
    documents: Count | None = Field(
        None, description="Reads the first documents only. Default: the entire split."
    )
    max_tokens: Count | None = Field(None, description=CUT)
    format: Name | Format = Field(PLAIN, description=FORMAT)
    site: Site = Field("output", description=SITE)
    positions: (
        Literal["last", "letter", "after_instruction"]
        | FromEnd
        | Annotated[list[FromEnd], Some, Distinct]
        | Mean
    ) = Field(
        "last",
        description="Which tokens are read. `last`: the last one. A negative number: "
        "counted from the end. A list of such numbers: each of them, so that activations and "
        "vectors have an axis of positions. `letter`: the letter of a behaviour's answer. "
        "`after_instruction`: each token after the instruction, also an axis. `{mean: …}`: "
        "the mean over several.",
    )

    @model_validator(mode="after")
    def _of_one_thing(self) -> Self:
        if (self.corpus is None) == (self.behaviour is None):
            raise ValueError("set exactly one of `corpus` and `behaviour`")
        if self.behaviour and self.documents:
            raise ValueError(
                "documents is for a corpus, and a behaviour uses its training questions; remove it"
            )
        if self.behaviour and self.max_tokens:
            raise ValueError("max_tokens is for a corpus, and questions are never cut; remove it")
        if self.corpus and self.positions == "letter":
            raise ValueError(
                "positions is letter, which only the answers of a behaviour have; use other "
                "positions for a corpus"
            )
        return self

    @property
    def several(self) -> Several | None:
        """Their positions, if they have an axis of these."""
        if isinstance(self.positions, list) or self.positions == "after_instruction":
            return self.positions
        return None
