"""Continuations to be read."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from snakesteer.study.designs import OPERATOR, Operator
from snakesteer.study.entries import TRANSFER, Count, Distinct, Entry, Layer, Name, Numbers, Some


class Samples(Entry):
    """Greedy continuations, steered at every position, to be read."""

    model: Name
    vector: Name
    transfer: bool = Field(False, description=TRANSFER)
    layer: Layer
    operator: Operator = Field(
        "add", description=f"{OPERATOR} `clamp`: that component is set to the coefficient."
    )
    coefficients: Numbers
    prompts: Annotated[list[str], Some, Distinct]
    tokens: Count = 40
    title: str | None = None

    layered: ClassVar = ("layer",)
