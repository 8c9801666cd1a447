"""The schema of a study file: what may be written, and what it means.

Its entries have names and refer to each other by name (`references`); how a file is read, and what
`extends` does, is said in `study_file`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from snakesteer.core.errors import StudyError
from snakesteer.study.activations import Activations
from snakesteer.study.behaviours import (
    BEHAVIOURS,
    Behaviour,
)
from snakesteer.study.choices import Choice, Multipliers
from snakesteer.study.corpora import (
    CORPORA,
    Corpus,
    FilesSplit,
    Filter,
    HubSplit,
    Shuffle,
)
from snakesteer.study.entries import Count, Entry, Name, Seed, Titled
from snakesteer.study.figures import FIGURES, AnyFigure
from snakesteer.study.models import Model
from snakesteer.study.published import (
    Published,
    PublishedCombined,
    PublishedGrid,
    PublishedSimultaneous,
    PublishedSingle,
    PublishedSkill,
    PublishedSweep,
)
from snakesteer.study.samples import Samples
from snakesteer.study.scorecards import Scorecard
from snakesteer.study.sweeps import (
    CombinedSweep,
    GridStopping,
    GridSweep,
    SimultaneousSweep,
    SingleSweep,
    SkillSweep,
    Sweep,
)
from snakesteer.study.vectors import METHODS, Vector
from snakesteer.tables.bootstrap import RESAMPLES, SEED


class Statistics(Entry):
    """How intervals are made."""

    resamples: Count = Field(RESAMPLES, description="Bootstrap resamples of the documents.")
    seed: Seed = SEED


RESERVED = ("cache", "comparisons", "logs", "models")


class Study(Entry):
    """A whole study."""

    name: Name = Field(description="Folder under results/ that holds what a person opens.")
    models: dict[Name, Model] = {}
    corpora: dict[Name, Corpus] = {}
    behaviours: dict[Name, Behaviour] = {}
    activations: dict[Name, Activations] = {}
    vectors: dict[Name, Vector] = {}
    sweeps: dict[Name, Sweep] = {}
    choices: dict[Name, Choice] = {}
    samples: dict[Name, Samples] = {}
    published: Published | None = None
    figures: dict[Name, AnyFigure] = {}
    scorecards: dict[Name, Scorecard] = {}
    statistics: Statistics = Statistics()

    @model_validator(mode="after")
    def _free_name(self) -> Self:
        if self.name in RESERVED:
            raise ValueError(
                f"a study cannot be named {self.name}, which results/ has for something else"
            )
        return self

    @property
    def tabled(self) -> dict[str, Sweep | PublishedSweep]:
        """Everything that becomes a table for figures: own sweeps and published ones, by name."""
        published = self.published.sweeps if self.published else {}
        return {**self.sweeps, **published}

    def title_of(self, section: Literal["corpora", "behaviours"], name: str) -> str | None:
        """The title of a corpus or behaviour, of this study or as the published section has it."""
        own: Mapping[str, Corpus | Behaviour] = getattr(self, section)
        if name in own:
            return own[name].title
        published: Mapping[str, Titled] = getattr(self.published, section, {})
        return published[name].title if name in published else None

    def titles_of(self, sweep: str) -> dict[str, str | None]:
        """The corpora or behaviours that a sweep is over, with their titles."""
        entry = self.tabled[sweep]
        if isinstance(entry, SkillSweep | PublishedSkill):
            return {name: self.title_of("corpora", name) for name in entry.corpora}
        if sweep in self.sweeps:
            behaviours = map(self.behaviour_of, self.vectors_of(self.sweeps[sweep]))
            return {name: self.behaviours[name].title for name in behaviours}
        published = self.published.behaviours if self.published else {}
        return {name: behaviour.title for name, behaviour in published.items()}

    def vectors_of(self, sweep: Sweep) -> list[str]:
        """The vectors that a sweep injects."""
        match sweep:
            case SkillSweep(inject=str() as vector):
                return [vector]
            case SkillSweep() | SimultaneousSweep():
                return list(sweep.inject)
            case GridSweep():
                return sweep.vectors
            case SingleSweep() | CombinedSweep():
                return self.chosen_vectors(sweep.choice)

    def operands_of(self, vector: str) -> dict[str, list[str]]:
        """The activations that a vector is made of, by role; of a control, those of its vector."""
        entry = self.vectors[vector]
        if entry.SECTION == "activations":
            return entry.operands()
        (origin,) = entry.operands()["of"]
        return self.operands_of(origin)

    def model_of(self, vector: str) -> str:
        """The model whose activations made a vector."""
        models = {made.model for made in self._activations_of(vector)}
        if len(models) > 1:
            raise StudyError(
                f"vectors.{vector} is made from activations of {' and '.join(sorted(models))}; "
                "use one model for all of them."
            )
        return models.pop()

    def behaviour_of(self, vector: str) -> str:
        """The behaviour whose activations made a vector."""
        for made in self._activations_of(vector):
            if made.behaviour:
                return made.behaviour
        raise StudyError(
            f"vectors.{vector} is not made of a behaviour, which a behaviour sweep needs; name a "
            "vector of the method contrast."
        )

    def _activations_of(self, vector: str) -> list[Activations]:
        named = self.operands_of(vector).values()
        return [self.activations[operand] for operands in named for operand in operands]

    def chosen_vectors(self, choice: str) -> list[str]:
        """The vectors that a choice has multipliers for."""
        entry = self.choices[choice]
        if entry.grid is None:
            return list(entry.multipliers or {})
        grid = self.sweeps[entry.grid]
        assert isinstance(grid, GridSweep)
        return grid.vectors

    def collapse_of(self, sweep: str) -> float:
        """The share of one answer above which a behaviour sweep shows mode collapse.

        A grid search says it in its stopping, and single and combined steering go by the grid of
        their choice; it is the default where there is no grid or its stopping is off.
        """
        match self.tabled[sweep]:
            case GridSweep(stopping=GridStopping(collapse=share)):
                return share
            case SingleSweep(choice=choice) | CombinedSweep(choice=choice):
                grid = self.choices[choice].grid
                return self.collapse_of(grid) if grid else GridStopping().collapse
            case _:
                return GridStopping().collapse


SECTIONS: dict[str, tuple[type[Entry], ...]] = {
    "models": (Model,),
    "corpora": (*CORPORA, HubSplit, FilesSplit, Filter, Shuffle),
    "behaviours": BEHAVIOURS,
    "activations": (Activations,),
    "vectors": METHODS,
    "sweeps": (SkillSweep, GridSweep, SingleSweep, CombinedSweep, SimultaneousSweep),
    "choices": (Choice, Multipliers),
    "samples": (Samples,),
    "published": (
        Published,
        Titled,
        PublishedSkill,
        PublishedGrid,
        PublishedSingle,
        PublishedCombined,
        PublishedSimultaneous,
    ),
    "figures": FIGURES,
    "scorecards": (Scorecard,),
    "statistics": (Statistics,),
}
