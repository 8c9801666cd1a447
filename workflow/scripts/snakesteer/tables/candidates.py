"""What the job of a choice among candidates gets: written by the plan, read back by its script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snakesteer.core.records import unless_said
from snakesteer.sweeps.candidates import Rule, Score
from snakesteer.tables.bootstrap import RESAMPLES, SEED
from snakesteer.tables.job import Statistics

USUALLY = Statistics(RESAMPLES, SEED)


@dataclass(frozen=True)
class Scored:
    """A table that scores of candidates stand in.

    One of the study's own sweeps is made of the raw tables at these places among the job's inputs,
    by the job `own`, plain, of its measure's plugin. Else it is a published one: the input at that
    place, or a shipped `file`, of which the `identity` is the sha256.
    """

    name: str
    places: tuple[int, ...]
    own: Mapping[str, Any] | None = unless_said(None)
    file: str | None = unless_said(None)
    identity: str | None = unless_said(None)


@dataclass(frozen=True)
class CandidateJob:
    """The candidate with the `lowest` score of all within the limits, or the highest; see
    `sweeps.candidates`.

    With `statistics` it is chosen over again from resamples of the texts, unless a table is
    published. `vectors` are the names
    of those that are added, among the job's inputs in this order, where doses decide ties, and
    `choices` those of the choices that say what its tables' sweeps inject, likewise. `at_kl` one is
    chosen for every vector where the `dose`, a divergence, is so large; see `sweeps.matched`.
    """

    tables: tuple[Scored, ...]
    best: Score
    lowest: bool
    limits: tuple[Score, ...]
    layers_below: float | int | None = None
    layers: int | None = None
    statistics: Statistics | None = unless_said(USUALLY)
    vectors: tuple[str, ...] = unless_said(())
    choices: tuple[str, ...] = unless_said(())
    dose: Score | None = unless_said(None)
    at_kl: float | None = unless_said(None)

    @property
    def resampled(self) -> Statistics | None:
        """The resamples, if there are any: of single texts, which published tables have not."""
        return self.statistics if all(table.own for table in self.tables) else None

    @property
    def rule(self) -> Rule:
        """The rule by which one is chosen."""
        return Rule(self.best, self.lowest, self.limits, self.layers_below, self.layers)
