"""Continuations to be read."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from snakesteer.prompts.formats import PLAIN
from snakesteer.study.designs import OPERATOR, USUALLY_CHANGED, Operator, how_changed
from snakesteer.study.entries import (
    SITE,
    STEERED,
    TRANSFER,
    Count,
    Distinct,
    Entry,
    Layer,
    Name,
    Numbers,
    Site,
    Some,
    Steered,
)
from snakesteer.study.formats import FORMAT, Format


class Samples(Entry):
    """Greedy continuations under steering, to be read."""

    model: Name
    vector: Name
    transfer: bool = Field(False, description=TRANSFER)
    layer: Layer
    operator: Operator = Field("add", description=OPERATOR)
    sites: Annotated[list[Site], Some, Distinct] = Field(
        ["output"], description=f"{SITE} With several, states change at each."
    )
    positions: Steered = Field(
        "all",
        description=f"{STEERED} What is written is the completion; `last` and -k are counted in "
        "the prompt.",
    )
    coefficients: Numbers
    format: Name | Format = Field(PLAIN, description=FORMAT)
    prompts: Annotated[list[str], Some, Distinct]
    tokens: Count = 40
    title: str | None = None

    layered: ClassVar = ("layer",)

    @property
    def said(self) -> list[str]:
        """What their page says of how states are changed."""
        return how_changed(self.operator, self.sites, self.positions) or [USUALLY_CHANGED]
