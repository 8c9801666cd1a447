"""What the job of a sweep gets: written by the plan, read back by the script (`core.records`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from snakesteer.core.dtypes import Dtype
from snakesteer.core.labels import injection_label
from snakesteer.core.records import read

Direction = Literal["add", "subtract"]
ALL = "all"  # the label of several vectors


@dataclass(frozen=True)
class Combined:
    """How several vectors at one layer become one: `weighted` by the multipliers chosen for this
    direction, or all alike.
    """

    how: Literal["mean", "sum"]
    weighted: bool
    direction: Direction


@dataclass(frozen=True)
class Injected:
    """One injection and how it is evaluated.

    `layers` are 0-based, by vector; `sources` the corpora or behaviours it is evaluated on. `runs`
    are lists of coefficients, each with early stopping of its own; None stands for 0 and the two
    multipliers that a choice has for the vector.
    """

    label: str
    layers: Mapping[str, tuple[int, ...]]
    sources: tuple[str, ...]
    runs: tuple[tuple[float, ...], ...] | None
    combined: Combined | None = None

    @property
    def layer(self) -> str:
        """The label of its layers."""
        return injection_label(self.layers)

    @property
    def vector(self) -> str:
        """The name of its vector, `ALL` for several."""
        return next(iter(self.layers)) if len(self.layers) == 1 else ALL

    @property
    def points(self) -> int:
        """How many points it has on each source."""
        return 3 if self.runs is None else sum(map(len, self.runs))

    @property
    def least_points(self) -> int:
        """How many it has if every run ends at its first coefficient but 0."""
        if self.runs is None:
            return self.points
        return sum(min(len(run), 2 if run[0] == 0 else 1) for run in self.runs)


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
class SweepJob:
    """One job of a sweep: what is injected, what is measured, and how the model is run.

    `asked` is the measure's own `Settings`, plain; `sources` are in the order of the job's inputs.
    With `read_on` every coefficient has other samples, of so many tokens a source. With `resamples`
    the vectors are so many of each.
    """

    measure: str
    asked: Mapping[str, Any]
    injections: tuple[Injected, ...]
    sources: tuple[str, ...]
    dtype: Dtype
    attention: str
    device_map: str | None
    batch_tokens: int | Literal["auto"]
    bos: str
    vector_dtype: Dtype
    path: Literal["shared", "plain"]
    kept_gb: float
    compile: bool
    read_on: int | None = None
    precision: Precision | None = None
    transfer: bool = False
    resamples: int | None = None

    @property
    def vectors(self) -> tuple[str, ...]:
        """The names of all vectors, in the order of the job's inputs."""
        return tuple(dict.fromkeys(name for one in self.injections for name in one.layers))

    @property
    def layers(self) -> tuple[int, ...]:
        """All layers that are injected at, ascending."""
        injected = {
            layer for one in self.injections for layers in one.layers.values() for layer in layers
        }
        return tuple(sorted(injected))


def injections_of(settings: Mapping[str, Any]) -> list[tuple[Injected, ...]]:
    """The injections of each job of a sweep, from the settings of its table, or of a choice."""
    return [tuple(read(Injected, one) for one in job) for job in settings["jobs"]]
