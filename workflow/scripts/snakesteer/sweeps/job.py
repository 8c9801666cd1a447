"""What the job of a sweep gets: written by the plan, read back by the script (`core.records`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from snakesteer.core.dtypes import Dtype
from snakesteer.core.labels import injection_label
from snakesteer.core.records import unless_said
from snakesteer.prompts.formats import Format

Direction = Literal["add", "subtract"]
ALL = "all"  # the name of several vectors
ADD, OUTPUT, ALL_TOKENS = "add", "output", "all"  # the usual operator, site and positions


@dataclass(frozen=True)
class Combined:
    """How several vectors at one layer become one: `weighted` by the multipliers chosen for this
    direction, or all alike.
    """

    how: Literal["mean", "sum"]
    weighted: bool
    direction: Direction


@dataclass(frozen=True)
class Placed:
    """A vector, what is done along it, and where: at 0-based `layers`, `sites` (`engine.sites`) and
    `positions` (`prompts.which_tokens`).

    `operator` is a plugin, or the path of a Python file. Its coefficient is the swept one unless it
    is `constant`. At every layer acts what the vector has there, or what it has at `source_layer`;
    of a vector of several positions what it has at `source_position`, one of them.
    """

    vector: str
    layers: tuple[int, ...]
    operator: str = ADD
    sites: tuple[str, ...] = unless_said((OUTPUT,))
    positions: str | int | Mapping[str, str] = unless_said(ALL_TOKENS)
    constant: float | None = unless_said(None)
    source_layer: int | None = unless_said(None)
    source_position: int | None = unless_said(None)

    @property
    def shared(self) -> int:
        """How many layers it leaves untouched, from the lowest on."""
        return min(self.layers) + (self.sites == (OUTPUT,))


@dataclass(frozen=True)
class Candidate:
    """One of the candidates of a choice: a vector of a `sweep`, read at a 0-based layer, and at a
    position if it has several; its coefficient aside. The choice takes one of all, or one for
    `each` vector."""

    choice: str
    sweep: str
    vector: str
    layer: int
    position: int | None = unless_said(None)
    each: bool = unless_said(False)


@dataclass(frozen=True)
class Injected:
    """One injection: vectors, each in its place, and the coefficients along them.

    The parts act in this order. Among coefficients None is the unsteered model, where 0 is not.
    None in place of all stands for the unsteered model and the two multipliers that a choice has
    for the vector. Of vectors that are drawn several times it injects one `draw`, counted from 0.

    One that is injected only if choices take these `candidates` may have so many `taken`
    coefficients from the first beside its own: 1 is the one that it takes, more are evenly spaced
    from that to the better one of its neighbours.
    """

    parts: tuple[Placed, ...]
    coefficients: tuple[float | None, ...] | None
    combined: Combined | None = None
    draw: int | None = unless_said(None)
    candidates: tuple[Candidate, ...] = unless_said(())
    taken: int = unless_said(0)

    @property
    def layers(self) -> dict[str, tuple[int, ...]]:
        """The layers of each vector."""
        return {part.vector: part.layers for part in self.parts}

    @property
    def columns(self) -> dict[str, int]:
        """The columns of tables that tell it from others of its vector at its layers."""
        chosen = {"draw": self.draw}
        if len(self.parts) == 1:
            (part,) = self.parts
            chosen |= {"source_layer": part.source_layer, "source_position": part.source_position}
        return {name: value for name, value in chosen.items() if value is not None}

    @property
    def what(self) -> str:
        """What is injected, whatever the layer."""
        if self.combined is None:
            return self.vector
        weighted = " weighted" if self.combined.weighted else ""
        return f"{self.combined.how}{weighted} {self.combined.direction}"

    @property
    def label(self) -> str:
        """What tells it from the others of its sweep."""
        read = [f"{name.replace('_', ' ')} {value}" for name, value in self.columns.items()]
        return f"{', '.join([self.what, *read])} at {self.layer}"

    @property
    def layer(self) -> str:
        """The label of its layers."""
        return injection_label(self.layers)

    @property
    def shared(self) -> int:
        """How many layers it leaves untouched, from the lowest on."""
        return min(part.shared for part in self.parts)

    @property
    def vector(self) -> str:
        """The name of its vector, `ALL` for several."""
        return next(iter(self.layers)) if len(self.layers) == 1 else ALL

    @property
    def points(self) -> int:
        """How many points it has on each source."""
        return 3 if self.coefficients is None else len(self.coefficients) + self.taken

    @property
    def least_points(self) -> int:
        """How many it has if its curve ends at the first coefficient on either side of 0."""
        if self.coefficients is None:
            return self.points
        steered = [value for value in self.coefficients if value]
        signs = any(value > 0 for value in steered) + any(value < 0 for value in steered)
        return 1 + signs + (self.taken > 0)


def choices_of(injections: Iterable[Injected]) -> tuple[str, ...]:
    """The names of the choices of all candidates."""
    found = [each.choice for injected in injections for each in injected.candidates]
    return tuple(dict.fromkeys(found))


def _apart(injected: Injected) -> str:
    """What tells injections of candidates apart of which one each is run."""
    first = injected.candidates[:1]
    return injected.vector if first and first[0].each else ALL


@dataclass(frozen=True)
class Precision:
    """Instead of a fixed number of samples: the precision that relative hits shall have.

    `half_width` is that of its 95 % interval, paired over the samples; the first `pilot` samples
    say how many that takes, and where early stopping ends. `by` "curve", every coefficient has as
    many as the one that takes most; `by` "coefficient", each has the first so many that it takes
    itself, in steps of a quarter of the pilot.
    """

    half_width: float
    pilot: int
    by: Literal["curve", "coefficient"] = "curve"

    @property
    def step(self) -> int:
        """Samples by which one coefficient may have more than another."""
        return math.ceil(self.pilot / 4)


@dataclass(frozen=True)
class Measured:
    """A measure of a sweep, by the `name` it has there, and which samples it reads.

    `sources` are all corpora or behaviours that it reads; with `own` each injection is measured on
    those of its vectors, else on all. `files` are the places of their files among the job's inputs,
    by role. Samples of each source's `split` are read until they hold `tokens` (all if None), with
    documents cut at `max_tokens`. With `read_on`, every coefficient reads other samples, of that
    many tokens. Texts are read in a `format`, or as they stand. `asked` is the measure's own
    `Settings`, plain. `readings` is how many texts are read of each question, about.
    """

    name: str
    measure: str
    sources: tuple[str, ...]
    own: bool
    files: Mapping[str, tuple[int, ...]]
    split: str
    asked: Mapping[str, Any]
    tokens: int | None = None
    max_tokens: int | None = None
    special_tokens: str = "token"
    read_on: int | None = None
    precision: Precision | None = None
    format: Format | None = unless_said(None)
    readings: int = unless_said(1)

    @property
    def ends_early(self) -> bool:
        """Whether a curve may end before its last coefficient."""
        return bool(self.asked.get("stopping"))


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep: what is injected, what is measured, and how the model is run.

    `behaviours` are those of the vectors that are made of one; `own` the digests of operators and
    scorers that are files of the study's author, by their paths. With `resamples` the vectors are
    so many of each. `draws` says how many there are of the vectors that are drawn several times.
    """

    injections: tuple[Injected, ...]
    measures: tuple[Measured, ...]
    behaviours: Mapping[str, str]
    dtype: Dtype
    attention: str
    device_map: str | None
    batch_tokens: int | Literal["auto"]
    bos: str
    vector_dtype: Dtype
    path: Literal["shared", "plain"]
    kept_gb: float
    compile: bool
    transfer: bool = False
    resamples: int | None = None
    own: Mapping[str, str] = field(default_factory=dict)
    draws: Mapping[str, int] | None = unless_said(None)

    def codes(self, plugins: Mapping[str, str]) -> dict[str, str]:
        """The digests of the operators' code, by their names; `plugins` are those of plugins, by
        kind and name."""
        return {
            part.operator: self.own.get(part.operator) or plugins[f"operators/{part.operator}"]
            for part in self._parts
        }

    @property
    def positions(self) -> list[str | int | Mapping[str, str]]:
        """The positions of all that is injected."""
        found: list[str | int | Mapping[str, str]] = []
        for part in self._parts:
            if part.positions not in found:
                found.append(part.positions)
        return found

    @property
    def _parts(self) -> list[Placed]:
        return [part for one in self.injections for part in one.parts]

    @property
    def vectors(self) -> tuple[str, ...]:
        """The names of all vectors, in the order of the job's inputs."""
        return tuple(dict.fromkeys(name for one in self.injections for name in one.layers))

    @property
    def counted(self) -> tuple[Injected, ...]:
        """The injections that it runs: of those of candidates just what one of them takes, here the
        first, or the first of each vector."""
        first: dict[str, tuple[Candidate, ...]] = {}
        for one in self.injections:
            first.setdefault(_apart(one), one.candidates)
        return tuple(one for one in self.injections if one.candidates == first[_apart(one)])

    @property
    def choices(self) -> tuple[str, ...]:
        """The names of the choices that say which candidates are injected."""
        return choices_of(self.injections)

    @property
    def layers(self) -> tuple[int, ...]:
        """All layers that are injected at, ascending."""
        found: set[int] = set()
        for one in self.injections:
            found.update(*one.layers.values())
        return tuple(sorted(found))

    def sources(self, injected: Injected, measured: Measured) -> tuple[str, ...]:
        """What an injection is measured on."""
        if not measured.own:
            return measured.sources
        return tuple(dict.fromkeys(self.behaviours[vector] for vector in injected.layers))
