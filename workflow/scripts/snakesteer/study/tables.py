"""What becomes a table for figures: a sweep of the study under one of its measures."""

from __future__ import annotations

from dataclasses import dataclass

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


def tables_of(name: str, sweep: SweepEntry) -> dict[str, Table]:
    """The tables of a sweep by their names."""
    if len(sweep.measures) == 1:
        (of,) = sweep.measures
        return {name: Table(sweep, of)}
    return {f"{name}.{of}": Table(sweep, of) for of in sweep.measures}
