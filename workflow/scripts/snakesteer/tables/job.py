"""What the jobs of tables and choices get: written by the plan, read back by their scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from snakesteer.core.records import unless_said
from snakesteer.sweeps.chosen import Choices, taken
from snakesteer.sweeps.job import Injected, choices_of


@dataclass(frozen=True)
class Statistics:
    """Bootstrap resamples of the documents, and their seed."""

    resamples: int
    seed: int


@dataclass(frozen=True)
class TableJob:
    """The table of a sweep under one of its measures, which it has by the name `of`.

    `jobs` are the injections of each of its jobs. There are `statistics` where intervals are
    bootstrapped; of texts the columns of their `scores`; of accuracies on corpora a `target`, the
    first of them; of answers a `split`, and the share of one answer above which there is mode
    `collapse`. Of the behaviours `by_category`, whose questions the job gets in this order, the
    table has each category as well.
    """

    sweep: str
    measure: str
    of: str
    kind: str
    jobs: tuple[tuple[Injected, ...], ...]
    target: str | None = None
    statistics: Statistics | None = None
    split: str | None = None
    collapse: float | None = None
    scores: tuple[str, ...] = unless_said(())
    by_category: tuple[str, ...] = unless_said(())

    @property
    def choices(self) -> tuple[str, ...]:
        """The names of the choices that say which candidates were injected."""
        return choices_of(injected for job in self.jobs for injected in job)

    def of_chosen(self, choices: Choices) -> Self:
        """The same of what these choices take alone."""
        return replace(self, jobs=tuple(taken(job, choices) for job in self.jobs))

    @property
    def layers(self) -> set[str]:
        """The labels of all layers."""
        return {injected.layer for job in self.jobs for injected in job}


def of_chosen(
    tables: Iterable[TableJob], choices: Iterable[Mapping[str, Any]]
) -> tuple[TableJob, ...]:
    """The tables with what choices take alone; these are in the order in which tables name them."""
    listed = list(tables)
    names = dict.fromkeys(choice for table in listed for choice in table.choices)
    known = dict(zip(names, choices, strict=True))
    return tuple(table.of_chosen(known) for table in listed)


@dataclass(frozen=True)
class Picked:
    """Multipliers picked from the table of a grid, with at most this share of faulty answers and
    no mode collapse, which is more than the share `collapse` of one answer.

    The best are those of the column `by`. With a table of what each cell costs, `costs`, the
    perplexity is at most `times` the unsteered one.
    """

    grid: TableJob
    max_faulty: float
    collapse: float
    by: str = unless_said("score")
    costs: TableJob | None = unless_said(None)
    times: float | None = unless_said(None)


@dataclass(frozen=True)
class ChoiceJob:
    """Multipliers by behaviour and layer: `picked`, or else given."""

    multipliers: Mapping[str, Any]
    picked: Picked | None = None
