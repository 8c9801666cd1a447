"""What becomes a table for figures: a sweep of the study under one of its measures."""

from __future__ import annotations

from dataclasses import dataclass

from snakesteer.study.designs import AloneDesign, ChosenDesign
from snakesteer.study.measures import Measure
from snakesteer.study.sweeps import SweepEntry


@dataclass(frozen=True)
class Table:
    """A sweep under one of its measures, by the name of that."""

    sweep: SweepEntry
    of: str

    @property
    def measured(self) -> Measure:
        """The entry of its measure."""
        return self.sweep.measures[self.of]

    @property
    def measure(self) -> str:
        """What is counted."""
        return self.measured.measure

    @property
    def kind(self) -> str:
        """What it says of how the sweep steers."""
        return self.sweep.kind

    @property
    def title(self) -> str | None:
        """Its name in figures."""
        return self.sweep.title

    def injects_like(self, other: Table) -> bool:
        """Whether both sweeps do the same with a vector of one name, layer and coefficient."""
        one, two = self.sweep.inject, other.sweep.inject
        if self.sweep.model != other.sweep.model:
            return False
        if isinstance(one, AloneDesign) and isinstance(two, AloneDesign):
            ways = [(each.operator, set(each.sites), each.positions) for each in (one, two)]
            return ways[0] == ways[1]
        if isinstance(one, ChosenDesign) and isinstance(two, ChosenDesign):
            return one.choice == two.choice
        return one == two


def tables_of(name: str, sweep: SweepEntry) -> dict[str, Table]:
    """The tables of a sweep by their names."""
    if len(sweep.measures) == 1:
        (of,) = sweep.measures
        return {name: Table(sweep, of)}
    return {f"{name}.{of}": Table(sweep, of) for of in sweep.measures}
