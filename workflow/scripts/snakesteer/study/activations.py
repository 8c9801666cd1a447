"""Which activations are read."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from snakesteer.study.entries import CUT, Count, Entry, Name


class Activations(Entry):
    """Residual-stream activations at the last token, of a corpus or of a behaviour."""

    model: Name
    corpus: Name | None = Field(None, description="Corpus whose training split is read.")
    behaviour: Name | None = Field(None, description="Behaviour whose training split is read.")
    documents: Count | None = Field(
        None, description="Use the first documents only; all of the split if left out."
    )
    max_tokens: Count | None = Field(None, description=CUT)

    @model_validator(mode="after")
    def _of_one_thing(self) -> Self:
        if (self.corpus is None) == (self.behaviour is None):
            raise ValueError("name either a corpus or a behaviour")
        if self.behaviour and self.documents:
            raise ValueError("documents is for a corpus; a behaviour uses its training questions")
        if self.behaviour and self.max_tokens:
            raise ValueError("max_tokens is for a corpus; questions are read whole; remove it")
        return self
