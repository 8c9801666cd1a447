"""Continuations to be read."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from snakesteer.prompts.formats import PLAIN
from snakesteer.study.coefficients import Chosen
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
    """Continuations of a few prompts under steering, to read. The most likely token is taken
    each time."""

    EXAMPLE = """
        samples:
          prose-for-code:
            model: base
            vector: less-code
            layer: 4
            coefficients: [0, 1, 2]
            prompts: ["def read(path):", "The function returns"]
    """

    model: Name = Field(description="Model that writes.")
    vector: Name | None = Field(None, description="One vector, with its `layer`.")
    choice: Name | None = Field(
        None,
        description="A choice with `best` among sweeps of the study. It gives the vector, "
        "layer, operator, sites and positions.",
    )
    transfer: bool = Field(False, description=TRANSFER)
    layer: Layer | None = Field(None, description="Layer of the injection.")
    operator: Operator = Field("add", description=OPERATOR)
    sites: Annotated[list[Site], Some, Distinct] = Field(
        ["output"], description=f"{SITE} With several, states change at each."
    )
    positions: Steered = Field(
        "all",
        description=f"{STEERED} What is written is the completion; `last` and -k are counted in "
        "the prompt.",
    )
    coefficients: Numbers | Chosen = Field(
        description="A list. Or `{choice: NAME}` with the choice above: the unsteered "
        "model and the chosen coefficient."
    )
    format: Name | Format = Field(PLAIN, description=FORMAT)
    prompts: Annotated[list[str], Some, Distinct] = Field(description="Texts to continue.")
    tokens: Count = Field(40, description="Most tokens of each continuation.")
    title: str | None = Field(None, description="Heading of the page.")

    layered: ClassVar = ("layer",)

    @model_validator(mode="after")
    def _a_vector_or_a_choice(self) -> Self:
        if (self.vector is None) == (self.choice is None):
            raise ValueError("give either vector and layer, or choice")
        if self.vector is not None and self.layer is None:
            raise ValueError("names a vector but no layer; give it `layer`")
        for name in ("layer", "operator", "sites", "positions"):
            usual = type(self).model_fields[name].default
            if self.choice is not None and getattr(self, name) != usual:
                raise ValueError(
                    f"{name} comes from the sweep that the choice was made in; remove it"
                )
        if isinstance(self.coefficients, Chosen) and self.coefficients.choice != self.choice:
            raise ValueError(
                f"coefficients come from the choice {self.coefficients.choice}, but that is not "
                "what is injected; set `choice` to it, or list coefficients"
            )
        return self

    @property
    def said(self) -> list[str]:
        """What their page says of how states are changed."""
        if self.choice is not None:
            return [f"Layer, site, positions and operator: those of the choice {self.choice}."]
        return how_changed(self.operator, self.sites, self.positions) or [USUALLY_CHANGED]
