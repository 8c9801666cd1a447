"""What the job of a choice among candidates gets: written by the plan, read back by its script."""

from __future__ import annotations

from dataclasses import dataclass

from snakesteer.core.records import unless_said
from snakesteer.sweeps.candidates import Score
from snakesteer.tables.job import TableJob


@dataclass(frozen=True)
class Scored:
    """A table that scores of candidates stand in.

    One of the study's `own` sweeps is made of the raw tables at these places among the job's
    inputs; else it is a published one: the input at that place, or a shipped `file`, of which the
    `identity` is the sha256.
    """

    name: str
    places: tuple[int, ...]
    own: TableJob | None = unless_said(None)
    file: str | None = unless_said(None)
    identity: str | None = unless_said(None)


@dataclass(frozen=True)
class CandidateJob:
    """The candidate with the `lowest` score of all within the limits, or the highest; see
    `sweeps.candidates.choose`."""

    tables: tuple[Scored, ...]
    best: Score
    lowest: bool
    limits: tuple[Score, ...]
    layers_below: float | int | None = None
    layers: int | None = None
