"""The designs of sweeps: what is injected, at which layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from snakesteer.core import own_code
from snakesteer.core.errors import StudyError
from snakesteer.engine.operator_files import file_of, needs_direction, unsteered_at_0
from snakesteer.study.entries import (
    SITE,
    STEERED,
    Distinct,
    Entry,
    FromEnd,
    Layer,
    Layers,
    LayerSet,
    Name,
    Names,
    Number,
    Site,
    Some,
    Steered,
)
from snakesteer.sweeps.job import (
    ADD,
    ALL_TOKENS,
    OUTPUT,
    Combined,
    Direction,
    Injected,
    Placed,
)

LayerSets = Callable[[str, Any], list[tuple[int, ...]]]
"""(field, what it holds) -> sets of 0-based layers that the model has."""
Coefficients = tuple[float | None, ...] | None


def _operator(name: str) -> str:
    try:
        own_code.defines(file_of(name), "apply")
    except StudyError as error:
        raise ValueError(str(error).removesuffix(".")) from None
    return name


Operator = Annotated[str, AfterValidator(_operator)]
OPERATOR = (
    "How states change. `add`: plus coefficient × vector. `ablate`: the component along "
    "the vector is removed; the coefficient is the share. `clamp`: that component is set to "
    "the coefficient. Or a Python file next to the study, `FILE.py`, with a function `apply`."
)
USUALLY_CHANGED = "The vector times the coefficient is added to the block's output, at every token."
Sites = Annotated[list[Site], Some, Distinct]


def plain_positions(given: Steered) -> str | int | dict[str, str]:
    """Positions as jobs have them."""
    if isinstance(given, dict):
        return {str(begins): marker for begins, marker in given.items()}
    return given


class DesignEntry(Entry):
    """What every design says."""

    design: str

    @property
    def named(self) -> list[str] | None:
        """The vectors that it names; None: those of the choice that its coefficients are from."""
        raise NotImplementedError

    @property
    def uses_multipliers(self) -> bool:
        """Whether what is injected depends on the multipliers of a choice, if it has one."""
        return True

    @property
    def unsteered_at_0(self) -> bool:
        """Whether coefficient 0 is the unsteered model."""
        raise NotImplementedError

    @property
    def all_positions(self) -> list[Steered]:
        """The positions of all that is injected."""
        raise NotImplementedError

    @property
    def said(self) -> list[str]:
        """What captions say of it, where that is not the usual."""
        raise NotImplementedError

    @property
    def several_sources(self) -> bool:
        """Whether a vector has a curve for each of several layers or positions that it is from."""
        return False

    def read_at(self, vector: str) -> Literal["all"] | list[int] | None:
        """At which of several positions a vector is taken; None if that is not said."""
        return None


class OwnDesign(DesignEntry):
    """A design that says itself how states change, and where."""

    operator: Operator = Field(ADD, description=OPERATOR)
    sites: Sites = Field(["output"], description=f"{SITE} With several, states change at each.")
    positions: Steered = Field("all", description=STEERED)

    @property
    def unsteered_at_0(self) -> bool:
        return unsteered_at_0(self.operator)

    @property
    def all_positions(self) -> list[Steered]:
        return [self.positions]

    @property
    def operators(self) -> set[str]:
        """The operators of all that is injected."""
        return {self.operator}

    def operator_of(self, vector: str) -> str:
        """The operator of one of the vectors."""
        return self.operator

    @property
    def said(self) -> list[str]:
        return how_changed(self.operator, self.sites, self.positions)

    def injections(
        self,
        vectors: Sequence[str],
        layers: LayerSets,
        coefficients: Coefficients,
        positions: Mapping[str, Sequence[int]],
    ) -> Iterator[list[Injected]]:
        """The injections, those at the same layers together; with no `coefficients`, a choice's.

        `positions` are those of vectors that the study lists several of.
        """
        raise NotImplementedError

    def _placed(
        self,
        vector: str,
        layers: tuple[int, ...],
        source_layer: int | None = None,
        source_position: int | None = None,
    ) -> Placed:
        return Placed(
            vector,
            layers,
            self.operator,
            tuple(self.sites),
            plain_positions(self.positions),
            source_layer=source_layer,
            source_position=source_position,
        )


class AloneDesign(OwnDesign):
    """Each vector alone, at each layer or set of layers."""

    EXAMPLE = """
        sweeps:
          each-layer:
            model: base
            inject: {vector: less-code, layers: [2, 0.5, [4, 6], all]}   # four curves
            coefficients: [0, 1, 2]
            measures: {next_token: {corpora: [code, text]}}
          ablated:
            model: chat
            inject: {vectors: [sycophancy, myopia], layers: [all], operator: ablate}
            coefficients: [0, 1]
            measures: {two_choice: {}}
    """

    design: Literal["alone"]
    vector: Name | None = Field(None, description="One vector.")
    vectors: Names | None = Field(
        None,
        description="Several vectors. Without `vector` and `vectors`: all that the choice "
        "has multipliers for.",
    )
    layers: Literal["all"] | Annotated[list[LayerSet], Some, Distinct] = Field(
        description="A curve for each layer, or for each set of layers that are steered "
        "together. `all` is a curve for each layer. `[all]` is one curve with all layers "
        "together."
    )
    source_layers: Literal["all"] | Layers | None = Field(
        None,
        description="Injects the vector's direction at these layers instead of the injected "
        "layer's own, with a curve for each.",
    )

    source_positions: Literal["all"] | Annotated[list[FromEnd], Some, Distinct] | None = Field(
        None,
        description="For vectors at several positions: the positions whose direction is "
        "injected, with a curve for each.",
    )

    layered: ClassVar = ("layers", "source_layers")

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if self.vector and self.vectors:
            raise ValueError("gives both vector and vectors; remove one of them")
        return self

    @property
    def named(self) -> list[str] | None:
        return [self.vector] if self.vector else self.vectors

    def injections(
        self,
        vectors: Sequence[str],
        layers: LayerSets,
        coefficients: Coefficients,
        positions: Mapping[str, Sequence[int]],
    ) -> Iterator[list[Injected]]:
        sources: list[int | None] = [None]
        if self.source_layers is not None:
            sources = [layer for (layer,) in layers("source_layers", self.source_layers)]
        for steered in layers("layers", self.layers):
            made = []
            for vector in vectors:
                for source in sources:
                    for position in self._read_at(positions.get(vector)):
                        placed = self._placed(vector, steered, source, position)
                        made.append(Injected((placed,), coefficients))
            yield made

    @property
    def several_sources(self) -> bool:
        given = (self.source_layers, self.source_positions)
        return any(each == "all" or len(each or []) > 1 for each in given)

    @property
    def read_layers(self) -> Literal["all"] | list[int | float] | None:
        """The layers that vectors are read at, where each has a curve and all are injected in one
        place."""
        return self.source_layers if self.layers != "all" and len(self.layers) == 1 else None

    def read_at(self, vector: str) -> Literal["all"] | list[int] | None:
        return self.source_positions

    def _read_at(self, positions: Sequence[int] | None) -> Sequence[int | None]:
        if self.source_positions is None:
            return [None]
        return positions or [] if self.source_positions == "all" else self.source_positions


class PartEntry(Entry):
    """One of several vectors that are injected together, if it differs from the design."""

    EXAMPLE = """
        sweeps:
          one-for-another:
            model: chat
            inject:
              together:
                myopia: {layers: [3, 4], operator: ablate, coefficient: 1}
                sycophancy: 4
            coefficients: [0, 0.5, 1]
            measures: {two_choice: {behaviours: [myopia, sycophancy]}}
    """

    layers: LayerSet = Field(description="Its layer, a list of layers, or `all`: all at once.")
    operator: Operator | None = Field(
        None, description="Its operator. Default: that of the design."
    )
    sites: Sites | None = Field(None, description="Its sites. Default: those of the design.")
    positions: Steered | None = Field(
        None, description="Its positions. Default: those of the design."
    )
    coefficient: Number | None = Field(
        None, description="A constant coefficient, instead of those of the sweep."
    )
    source_layer: Layer | None = Field(
        None, description="Layer whose direction is injected. Default: every layer gets its own."
    )

    source_position: FromEnd | None = Field(
        None, description="For a vector at several positions: the one whose direction is injected."
    )

    layered: ClassVar = ("layers", "source_layer")


class TogetherDesign(OwnDesign):
    """Several vectors at once, each at its own layer or layers. Where they meet, they act in the
    order given. `design` is optional: `together` implies it."""

    EXAMPLE = """
        sweeps:
          both:
            model: chat
            inject: {together: {sycophancy: 4, myopia: [6, 7]}}
            coefficients: [-1, 0, 1]
            measures: {two_choice: {}}
    """

    design: Literal["together"]
    together: Annotated[dict[Name, LayerSet | PartEntry], Some] = Field(
        description="Vectors with the layer or list of layers of each. Or with a mapping "
        "that also gives an operator, sites, positions or a constant coefficient."
    )

    layered: ClassVar = ("together",)

    @property
    def named(self) -> list[str] | None:
        return list(self.together)

    def injections(
        self,
        vectors: Sequence[str],
        layers: LayerSets,
        coefficients: Coefficients,
        positions: Mapping[str, Sequence[int]],
    ) -> Iterator[list[Injected]]:
        yield [Injected(tuple(self._part(vector, layers) for vector in vectors), coefficients)]

    @property
    def unsteered_at_0(self) -> bool:
        if any(part.coefficient for part in self._parts):
            return False
        return all(map(unsteered_at_0, self.operators))

    @property
    def swept(self) -> bool:
        """Whether any vector is multiplied by the sweep's coefficient."""
        constant = [part for part in self._parts if part.coefficient is not None]
        return len(constant) < len(self.together)

    @property
    def all_positions(self) -> list[Steered]:
        own = [part.positions for part in self._parts if part.positions is not None]
        return [self.positions, *own]

    @property
    def operators(self) -> set[str]:
        return set(map(self.operator_of, self.together))

    def operator_of(self, vector: str) -> str:
        part = self.together[vector]
        own = part.operator if isinstance(part, PartEntry) else None
        return own or self.operator

    @property
    def said(self) -> list[str]:
        said = super().said
        for vector, part in self.together.items():
            if isinstance(part, PartEntry):
                own = how_changed(
                    part.operator or self.operator,
                    part.sites or self.sites,
                    self.positions if part.positions is None else part.positions,
                    part.coefficient,
                )
                said += [f"{vector}: {sentence}" for sentence in own if sentence not in said]
        return said

    @property
    def _parts(self) -> list[PartEntry]:
        return [part for part in self.together.values() if isinstance(part, PartEntry)]

    def _part(self, vector: str, layers: LayerSets) -> Placed:
        given = self.together[vector]
        if not isinstance(given, PartEntry):
            return self._placed(vector, layers("together", [given])[0])
        place, source = f"together.{vector}", None
        if given.source_layer is not None:
            ((source,),) = layers(f"{place}.source_layer", [given.source_layer])
        return Placed(
            vector,
            layers(f"{place}.layers", [given.layers])[0],
            given.operator or self.operator,
            tuple(given.sites or self.sites),
            plain_positions(self.positions if given.positions is None else given.positions),
            given.coefficient,
            source,
            given.source_position,
        )

    def read_at(self, vector: str) -> Literal["all"] | list[int] | None:
        part = self.together[vector]
        if isinstance(part, PartEntry) and part.source_position is not None:
            return [part.source_position]
        return None


class CombinedDesign(OwnDesign):
    """The vectors of a choice combined into one, at each layer, added and subtracted. `design`
    is optional: `combine` implies it."""

    EXAMPLE = """
        sweeps:
          as-one:
            model: chat
            inject: {combine: [mean, sum], layers: [4]}
            coefficients: {choice: multipliers}
            measures: {two_choice: {}}
    """

    design: Literal["combined"]
    combine: Annotated[list[Literal["mean", "sum"]], Some, Distinct] = Field(
        description="`mean` or `sum` of the vectors, or both, with an injection for each."
    )
    weighted: Annotated[list[bool], Some, Distinct] = Field(
        [False, True],
        description="`false`: the vectors as they are. `true`: weighted by the chosen "
        "multipliers. The list has both or one of them.",
    )
    layers: Literal["all"] | Layers = Field(description="Layers, with an injection for each.")

    layered: ClassVar = ("layers",)

    @model_validator(mode="after")
    def _lengths_count(self) -> Self:
        if needs_direction(self.operator):
            raise ValueError(
                f"operator is {self.operator}, which uses only the direction of a vector, but "
                "the length of combined vectors matters; use add"
            )
        return self

    @property
    def named(self) -> list[str] | None:
        return None

    @property
    def uses_multipliers(self) -> bool:
        return any(self.weighted)

    def injections(
        self,
        vectors: Sequence[str],
        layers: LayerSets,
        coefficients: Coefficients,
        positions: Mapping[str, Sequence[int]],
    ) -> Iterator[list[Injected]]:
        directions: tuple[Direction, ...] = ("add", "subtract")
        for steered in layers("layers", self.layers):
            own = tuple(self._placed(vector, steered) for vector in vectors)
            made = []
            for how in self.combine:
                for weighted in self.weighted:
                    for direction in directions:
                        combined = Combined(how, weighted, direction)
                        made.append(Injected(own, coefficients, combined))
            yield made


class ChosenDesign(DesignEntry):
    """What a choice among candidates takes. It is injected as in the sweep that it was a
    candidate in, with the operator, sites and positions given there. `design` is optional:
    `choice` implies it."""

    EXAMPLE = """
        sweeps:
          tested:
            model: chat
            inject: {choice: candidate}
            coefficients: {choice: candidate}
            measures: {two_choice: {split: test}}
    """

    design: Literal["chosen"]
    choice: Name = Field(description="A choice with `best` among sweeps of the study.")
    vectors: Names | None = Field(
        None,
        description="Vectors to inject instead of the chosen one, each alone, at its place "
        "and with its coefficient. Use it for controls.",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_measured(cls, given: Any) -> Any:
        for name in AloneDesign.model_fields if isinstance(given, dict) else ():
            if name in given and name not in cls.model_fields and name != "vector":
                raise ValueError(
                    f"{name} comes from the sweep that the choice was made in; remove it"
                )
        return given

    @property
    def named(self) -> list[str] | None:
        return self.vectors

    @property
    def unsteered_at_0(self) -> bool:
        return True

    @property
    def all_positions(self) -> list[Steered]:
        return []

    @property
    def said(self) -> list[str]:
        return [f"Layer, site, positions and operator: those of the choice {self.choice}."]


def how_changed(
    operator: str, sites: Sequence[str], positions: Any, coefficient: float | None = None
) -> list[str]:
    """How states are changed, as sentences, where that is not the usual."""
    said = []
    if operator != ADD:
        said.append(f"Operator: {operator}.")
    if list(sites) != [OUTPUT]:
        said.append(f"Site{'s' if len(sites) > 1 else ''}: {', '.join(sites)}.")
    if positions != ALL_TOKENS:
        said.append(f"Positions: {positions}.")
    if coefficient is not None:
        said.append(f"Constant coefficient: {coefficient:g}.")
    return said


def _with_design(entry: Any) -> Any:
    """What is injected, with its design, which `together` and `combine` imply."""
    if not isinstance(entry, dict) or "design" in entry:
        return entry
    if "together" in entry:
        return {"design": "together", **entry}
    if "choice" in entry:
        return {"design": "chosen", **entry}
    return {"design": "combined" if "combine" in entry else "alone", **entry}


Design = Annotated[
    Annotated[
        AloneDesign | TogetherDesign | CombinedDesign | ChosenDesign, Field(discriminator="design")
    ],
    BeforeValidator(_with_design),
]
DESIGNS: tuple[type[DesignEntry], ...] = get_args(get_args(Design)[0])
