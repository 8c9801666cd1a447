"""The designs of sweeps: what is injected, at which layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.study.entries import (
    SITE,
    Distinct,
    Entry,
    FromEnd,
    Layers,
    LayerSet,
    Name,
    Names,
    OwnLayers,
    Site,
    Some,
)
from snakesteer.sweeps.job import Combined, Direction, Injected

LayerSets = Callable[[str, Any], list[tuple[int, ...]]]
"""(field, what it holds) -> sets of 0-based layers that the model has."""


def _operator(name: str) -> str:
    try:
        plugins.file_of("operators", name)
    except StudyError as error:
        raise ValueError(str(error).removesuffix(".")) from None
    return name


Operator = Annotated[str, AfterValidator(_operator)]
OPERATOR = (
    "How states change. `add`: coefficient × vector; `ablate`: the component along the vector is "
    "taken out, the coefficient being the share."
)


class DesignEntry(Entry):
    """What every design says."""

    design: str
    operator: Operator = Field("add", description=OPERATOR)
    sites: Annotated[list[Site], Some, Distinct] = Field(
        ["output"], description=f"{SITE} With several, states change at each."
    )
    positions: Literal["all", "last"] | FromEnd = Field(
        "all",
        description="Which tokens change: `all`, the `last` of each text, or the k-th from its "
        "end, as -k.",
    )

    @field_validator("operator")
    @classmethod
    def _unsteered_at_0(cls, operator: str) -> str:
        if not plugins.constant("operators", operator, "UNSTEERED_AT_0", True):
            raise ValueError(
                f"{operator} changes states at coefficient 0, too, which in a sweep is the "
                "unsteered model that all else is held against; name another, or use it in samples"
            )
        return operator

    @property
    def named(self) -> list[str] | None:
        """The vectors that it names; None: those of the choice that its coefficients are from."""
        raise NotImplementedError

    @property
    def uses_multipliers(self) -> bool:
        """Whether what is injected depends on the multipliers of a choice, if it has one."""
        return True

    def injections(
        self, vectors: Sequence[str], layers: LayerSets, coefficients: tuple[float, ...] | None
    ) -> Iterator[list[Injected]]:
        """The injections, those at the same layers together; with no `coefficients`, a choice's."""
        raise NotImplementedError


class AloneDesign(DesignEntry):
    """Each vector by itself, at each layer or set of layers."""

    design: Literal["alone"]
    vector: Name | None = Field(None, description="One vector; or `vectors`.")
    vectors: Names | None = Field(
        None, description="Several. With neither: all that the choice has multipliers for."
    )
    layers: Literal["all"] | Annotated[list[LayerSet], Some, Distinct] = Field(
        description="One curve per layer, or per set of layers steered together."
    )

    layered: ClassVar = ("layers",)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if self.vector and self.vectors:
            raise ValueError("names both vector and vectors; remove one of them")
        return self

    @property
    def named(self) -> list[str] | None:
        return [self.vector] if self.vector else self.vectors

    def injections(
        self, vectors: Sequence[str], layers: LayerSets, coefficients: tuple[float, ...] | None
    ) -> Iterator[list[Injected]]:
        for steered in layers("layers", self.layers):
            yield [Injected({vector: steered}, coefficients) for vector in vectors]


class TogetherDesign(DesignEntry):
    """Several vectors at once, each at its own layer or layers."""

    design: Literal["together"]
    together: OwnLayers = Field(description="Each vector's layer, or list of layers.")

    layered: ClassVar = ("together",)

    @property
    def named(self) -> list[str] | None:
        return list(self.together)

    def injections(
        self, vectors: Sequence[str], layers: LayerSets, coefficients: tuple[float, ...] | None
    ) -> Iterator[list[Injected]]:
        own = {vector: layers("together", [self.together[vector]])[0] for vector in vectors}
        yield [Injected(own, coefficients)]


class CombinedDesign(DesignEntry):
    """The vectors of a choice made one, at each layer, added and subtracted."""

    design: Literal["combined"]
    combine: Annotated[list[Literal["mean", "sum"]], Some, Distinct]
    weighted: Annotated[list[bool], Some, Distinct] = Field(
        [False, True], description="Without and with the chosen multipliers as weights."
    )
    layers: Literal["all"] | Layers

    layered: ClassVar = ("layers",)

    @property
    def named(self) -> list[str] | None:
        return None

    @property
    def uses_multipliers(self) -> bool:
        return any(self.weighted)

    def injections(
        self, vectors: Sequence[str], layers: LayerSets, coefficients: tuple[float, ...] | None
    ) -> Iterator[list[Injected]]:
        directions: tuple[Direction, ...] = ("add", "subtract")
        for steered in layers("layers", self.layers):
            own = dict.fromkeys(vectors, steered)
            made = []
            for how in self.combine:
                for weighted in self.weighted:
                    for direction in directions:
                        combined = Combined(how, weighted, direction)
                        made.append(Injected(own, coefficients, combined))
            yield made


def _with_design(entry: Any) -> Any:
    """What is injected, with its design, which `together` and `combine` imply."""
    if not isinstance(entry, dict) or "design" in entry:
        return entry
    if "together" in entry:
        return {"design": "together", **entry}
    return {"design": "combined" if "combine" in entry else "alone", **entry}


Design = Annotated[
    Annotated[AloneDesign | TogetherDesign | CombinedDesign, Field(discriminator="design")],
    BeforeValidator(_with_design),
]
DESIGNS: tuple[type[DesignEntry], ...] = get_args(get_args(Design)[0])
