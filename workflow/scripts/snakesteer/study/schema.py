"""The schema of a study file: what may be written, and what it means.

Its entries have names and refer to each other by name (`references`); how a file is read, and what
`extends` does, is said in `study_file`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Self

from pydantic import Field, model_validator

from snakesteer.core.errors import StudyError
from snakesteer.prompts.formats import CHAT, PLAIN
from snakesteer.study.activations import Activations, Mean, Several
from snakesteer.study.behaviours import (
    BEHAVIOURS,
    Behaviour,
    QuestionFile,
    QuestionFiles,
)
from snakesteer.study.choices import (
    AnyChoice,
    AtKl,
    Best,
    Bound,
    CandidateChoice,
    Choice,
    Limit,
    Multipliers,
)
from snakesteer.study.coefficients import Chosen, Magnitudes, Range, Refined
from snakesteer.study.corpora import (
    CORPORA,
    Corpus,
    CorpusEntry,
    Drawn,
    DrawnBefore,
    FilesSplit,
    Filter,
    HubSplit,
    RepositorySplit,
    Sample,
    SelectedCorpus,
    Shuffle,
)
from snakesteer.study.designs import DESIGNS, AloneDesign, ChosenDesign, OwnDesign, PartEntry
from snakesteer.study.doses import KlDose
from snakesteer.study.effects import Effects
from snakesteer.study.entries import Count, Entry, Name, Seed, Titled
from snakesteer.study.exports import Export, Exports
from snakesteer.study.figures import FIGURES, AnyFigure, Axis
from snakesteer.study.formats import Format, Formatted
from snakesteer.study.measures import (
    MEASURES,
    GridStopping,
    MeasureEntry,
    Section,
    SkillStopping,
    TwoChoice,
)
from snakesteer.study.models import Model, PackagedFile
from snakesteer.study.published import PUBLISHED, Published, PublishedSweep
from snakesteer.study.rankings import Ranking
from snakesteer.study.repositories import GitRepository
from snakesteer.study.samples import Samples
from snakesteer.study.scorecards import Scorecard
from snakesteer.study.scores import SCORES, Price, Rating
from snakesteer.study.sweeps import Sweep, SweepEntry
from snakesteer.study.tables import Table, tables_of
from snakesteer.study.vectors import (
    METHODS,
    ChosenVector,
    ControlVector,
    FileVector,
    Scale,
    Vector,
    VectorEntry,
)
from snakesteer.tables.bootstrap import RESAMPLES, SEED


class Statistics(Entry):
    """How intervals are made."""

    EXAMPLE = """
        statistics: {resamples: 2000, seed: 7}
    """

    resamples: Count = Field(RESAMPLES, description="Bootstrap resamples of the documents.")
    seed: Seed = Field(SEED, description="Seed of the resamples.")


RESERVED = ("cache", "comparisons", "logs", "models")


class Study(Entry):
    """A whole study."""

    name: Name = Field(
        description="Name of the study, and of its folder under `results/`. Letters, "
        "digits and hyphens."
    )
    question: str | None = Field(
        None, description="What the study asks, in plain words. It comes first on the study's page."
    )
    models: dict[Name, Model] = Field(
        {}, description="Language models: a folder, one of the hub, or a GGUF file."
    )
    repositories: dict[Name, GitRepository] = Field(
        {}, description="Git repositories that contain files of corpora and behaviours."
    )
    corpora: dict[Name, Corpus] = Field(
        {}, description="Documents and instructions, in a training and a validation split."
    )
    behaviours: dict[Name, Behaviour] = Field(
        {}, description="Questions with a matching answer and another one, in three splits."
    )
    formats: dict[Name, Format] = Field(
        {}, description="How texts become a model's input. `plain` and `chat` need no entry."
    )
    activations: dict[Name, Activations] = Field(
        {}, description="What is read from a model: on which texts, at which tokens."
    )
    vectors: dict[Name, Vector] = Field({}, description="Steering vectors, and how each is made.")
    sweeps: dict[Name, Sweep] = Field(
        {}, description="What is injected, at which coefficients, and what is measured."
    )
    choices: dict[Name, AnyChoice] = Field(
        {}, description="Multipliers, or one candidate of many, picked on validation data."
    )
    samples: dict[Name, Samples] = Field(
        {}, description="Continuations of a few prompts under steering, to read."
    )
    exports: Exports = Field({}, description="The study's vectors as files of other tools.")
    published: Published | None = Field(None, description="Results that a paper has published.")
    effects: dict[Name, Effects] = Field(
        {}, description="Effects on single questions, and against drawn controls."
    )
    rankings: dict[Name, Ranking] = Field(
        {}, description="Ways of steering, ranked by how far they move answers, and their ties."
    )
    figures: dict[Name, AnyFigure] = Field(
        {}, description="Figures of the study's tables and vectors."
    )
    scorecards: dict[Name, Scorecard] = Field(
        {}, description="Two sets of tables, compared curve by curve."
    )
    statistics: Statistics = Field(
        Statistics(), description="Bootstrap resamples of intervals, and their seed."
    )

    @model_validator(mode="after")
    def _free_names(self) -> Self:
        for name in (PLAIN, CHAT):
            if name in self.formats:
                raise ValueError(f"formats.{name} has the name of a built-in format; rename it")
        if self.name in RESERVED:
            raise ValueError(
                f"name is {self.name}, which results/ uses for something else; choose another"
            )
        return self

    @property
    def tabled(self) -> dict[str, Table | PublishedSweep]:
        """Everything that becomes a table for figures: own sweeps and published ones, by name."""
        found: dict[str, Table | PublishedSweep] = {}
        for name, sweep in self.sweeps.items():
            found |= tables_of(name, sweep)
        return found | (self.published.sweeps if self.published else {})

    def table(self, name: str) -> Table | PublishedSweep:
        """What becomes the table of this name, which is one of `tabled`."""
        if self.published and name in self.published.sweeps:
            return self.published.sweeps[name]
        sweep = name.split(".")[0]
        return tables_of(sweep, self.sweeps[sweep])[name]

    def title_of(self, section: Section, name: str) -> str | None:
        """The title of a corpus or behaviour, of this study or as the published section has it."""
        own: Mapping[str, Corpus | Behaviour] = getattr(self, section, {})
        if name in own:
            return own[name].title
        published: Mapping[str, Titled] = getattr(self.published, section, {})
        return published[name].title if name in published else None

    def titles_of(self, table: str) -> dict[str, str | None]:
        """The corpora or behaviours that a table is over, with their titles."""
        entry = self.table(table)
        if isinstance(entry, Table):
            names = self.sources_of(entry.sweep, entry.measured)
            return {name: self.title_of(entry.measured.section, name) for name in names}
        published: Mapping[str, Titled] = getattr(self.published, entry.SECTION)
        named = published if entry.sources is None else entry.sources
        return {name: self.title_of(entry.SECTION, name) for name in named}

    def titles_in(self, ranking: Ranking) -> dict[str, str]:
        """What the tables of a ranking are called: the title of the sweep, or its name."""
        titles: dict[str, str] = {}
        for name in ranking.sweeps:
            title = getattr(self.table(name), "title", None) or name.split(".")[0]
            titles[name] = name if title in titles.values() else title
        return titles

    def origin_of(self, corpus: str) -> CorpusEntry:
        """The corpus that documents are drawn for: of a selection, what it is of in the end."""
        entry = self.corpora[corpus]
        return self.origin_of(entry.of) if isinstance(entry, SelectedCorpus) else entry

    def asked(self, table: Table) -> list[str]:
        """The sources of each vector of a table by itself, one after the other."""
        if table.measured.sources is not None:
            return table.measured.sources * len(self.vectors_of(table.sweep))
        return list(map(self.behaviour_of, self.vectors_of(table.sweep)))

    def vectors_of(self, sweep: SweepEntry) -> list[str]:
        """The vectors that a sweep injects; those of all candidates where a choice says which."""
        if sweep.inject.named:
            return sweep.inject.named
        if sweep.candidate:
            found: dict[str, None] = {}
            for searched in self.searched(sweep.candidate).values():
                found |= dict.fromkeys(self.vectors_of(searched))
            return list(found)
        return self.chosen_vectors(sweep.choice or "")

    def searched(self, choice: str) -> dict[str, SweepEntry]:
        """The sweeps of the study whose points are the candidates of a choice, by name."""
        entry, found = self.choices[choice], {}
        assert isinstance(entry, CandidateChoice)
        for name in entry.best.tables:
            table = self.table(name)
            if isinstance(table, Table):
                found[name.split(".")[0]] = table.sweep
        return found

    def designs_of(self, sweep: SweepEntry) -> list[OwnDesign]:
        """The designs that say how a sweep changes states: its own, or those of the sweeps that a
        choice was made from."""
        if isinstance(sweep.inject, OwnDesign):
            return [sweep.inject]
        designs: list[OwnDesign] = []
        for searched in self.searched(sweep.candidate or "").values():
            designs += self.designs_of(searched)
        return designs

    def draws_of(self, vectors: Iterable[str]) -> dict[str, int]:
        """How many draws vectors have, of those that are drawn several times."""
        found = {}
        for name in vectors:
            entry = self.vectors[name]
            if isinstance(entry, ControlVector) and entry.draws:
                found[name] = entry.draws
        return found

    def drawn_only(self, sweep: SweepEntry) -> bool:
        """Whether all that a sweep injects is drawn several times."""
        vectors = self.vectors_of(sweep)
        draws = self.draws_of(vectors)
        together = not isinstance(sweep.inject, AloneDesign | ChosenDesign)
        return bool(draws) if together else len(draws) == len(vectors)

    def sources_of(self, sweep: SweepEntry, measure: MeasureEntry) -> list[str]:
        """The corpora or behaviours that a measure of a sweep is on."""
        if measure.sources is not None:
            return measure.sources
        return list(dict.fromkeys(map(self.behaviour_of, self.vectors_of(sweep))))

    def never_generated(self, corpus: str) -> str | None:
        """The corpus whose `generate` is false, if it is this one or one that it is made of."""
        entry = self.corpora[corpus]
        if isinstance(entry, SelectedCorpus):
            return self.never_generated(entry.of)
        return None if entry.generate else corpus

    def format_of(self, entry: Formatted) -> Format | None:
        """The format in which an entry reads texts; None if they are read as they stand."""
        given = entry.format
        if isinstance(given, Format):
            return given
        return None if given == PLAIN else self.formats.get(given, Format())

    def model_of(self, vector: str) -> str:
        """The model whose activations made a vector, and the vectors by which it is scaled."""
        models = self._models_of(vector)
        if len(models) > 1:
            raise StudyError(
                f"vectors.{vector} is made from activations of {' and '.join(sorted(models))}; "
                "use one model for all of them."
            )
        return models.pop()

    def positions_of(self, vector: str) -> Several | None:
        """The positions of the activations that made a vector, and the vectors by which it is
        scaled; None where all are read at one, or one was chosen."""
        several: dict[str, Several] = {}
        for entry in self._made_of(vector, chosen=False):
            for name in chain(*entry.activations().values()):
                if positions := self.activations[name].several:
                    several[name] = positions
        for name, positions in several.items():
            first = next(iter(several))
            if positions != several[first]:
                raise StudyError(
                    f"vectors.{vector} is made of activations at different positions, {first} at "
                    f"{several[first]} and {name} at {positions}; read both at the same "
                    "positions."
                )
        return next(iter(several.values()), None)

    def activations_of(self, vector: str) -> list[str]:
        """The activations that a vector is made of, whatever it is scaled by; none of a vector that
        is from a file, or that was chosen."""
        entry = self.vectors[vector]
        found = list(chain(*entry.activations().values()))
        for name in [] if isinstance(entry, ChosenVector) else chain(*entry.vectors().values()):
            found += self.activations_of(name)
        return list(dict.fromkeys(found))

    def _models_of(self, vector: str) -> set[str]:
        models = set()
        for entry in self._made_of(vector):
            if isinstance(entry, FileVector):
                models.add(entry.model)
            for name in chain(*entry.activations().values()):
                models.add(self.activations[name].model)
        return models

    def _made_of(
        self, vector: str, scaled: bool = True, chosen: bool = True
    ) -> Iterator[VectorEntry]:
        """A vector, those that it is made of, and those by which they are scaled; unless `chosen`,
        not those out of which one direction was."""
        entry = self.vectors[vector]
        yield entry
        if chosen or not isinstance(entry, ChosenVector):
            for name in chain(*entry.vectors().values()):
                yield from self._made_of(name, chosen=chosen)
        if scaled and isinstance(entry.scale, Scale):
            for name in entry.scale.vectors:
                yield from self._made_of(name, False, chosen)

    def behaviours_of(self, vectors: Iterable[str]) -> dict[str, str]:
        """The behaviours whose activations made vectors, of those that are made of one."""
        found = {}
        for vector in vectors:
            behaviours = self._behaviours_of(vector)
            if len(behaviours) == 1:
                found[vector] = behaviours.pop()
        return found

    def behaviour_of(self, vector: str) -> str:
        """The behaviour whose activations made a vector."""
        behaviours = sorted(self._behaviours_of(vector))
        if len(behaviours) > 1:
            raise StudyError(
                f"vectors.{vector} is made of several behaviours, {' and '.join(behaviours)}; "
                "name the `behaviours` of the measure, or use a vector of one."
            )
        if not behaviours:
            raise StudyError(
                f"vectors.{vector} is not made from a behaviour, so the measure has no questions; "
                "set `behaviours` in the measure (or `corpora`, for divergence)."
            )
        return behaviours[0]

    def _behaviours_of(self, vector: str) -> set[str]:
        entry = self.vectors[vector]
        named = [self.activations[name] for name in chain(*entry.activations().values())]
        behaviours = {made.behaviour for made in named if made.behaviour}
        if isinstance(entry, FileVector) and entry.behaviour:
            behaviours = {entry.behaviour}
        for name in chain(*entry.vectors().values()):
            behaviours |= self._behaviours_of(name)
        return behaviours

    def chosen_vectors(self, choice: str) -> list[str]:
        """The vectors that a choice has multipliers for."""
        entry = self.multipliers(choice)
        if entry.grid is None:
            return list(entry.multipliers or {})
        grid = self.table(entry.grid)
        assert isinstance(grid, Table)
        return self.vectors_of(grid.sweep)

    def multipliers(self, choice: str) -> Choice:
        """A choice of multipliers."""
        entry = self.choices[choice]
        assert isinstance(entry, Choice)
        return entry

    def collapse_of(self, table: str) -> float:
        """The share of one answer above which a table shows mode collapse.

        The measure's stopping says it, and steering with the multipliers of a choice goes by the
        grid of that; it is the default where there is no grid or its stopping is off.
        """
        entry = self.table(table)
        if isinstance(entry, Table):
            if isinstance(entry.measured, TwoChoice) and entry.measured.stopping:
                return entry.measured.stopping.collapse
            grid = self.multipliers(entry.sweep.choice).grid if entry.sweep.choice else None
            if grid:
                return self.collapse_of(grid)
            if entry.sweep.candidate:
                return self._collapse_searched(entry.sweep.candidate)
        return GridStopping().collapse

    def _collapse_searched(self, choice: str) -> float:
        """The share by which candidates were searched, the least of several."""
        entry = self.choices[choice]
        assert isinstance(entry, CandidateChoice)
        return min(map(self.collapse_of, entry.best.tables))


SECTIONS: dict[str, tuple[type[Entry], ...]] = {
    "models": (Model, PackagedFile),
    "repositories": (GitRepository,),
    "corpora": (
        *CORPORA,
        HubSplit,
        FilesSplit,
        RepositorySplit,
        Filter,
        Shuffle,
        Sample,
        DrawnBefore,
        Drawn,
    ),
    "behaviours": (*BEHAVIOURS, QuestionFiles, QuestionFile),
    "formats": (Format,),
    "activations": (Activations, Mean),
    "vectors": (*METHODS, Scale),
    "sweeps": (
        SweepEntry,
        *DESIGNS,
        PartEntry,
        Range,
        Magnitudes,
        Chosen,
        Refined,
        *MEASURES,
        *SCORES,
        Rating,
        Price,
        SkillStopping,
        GridStopping,
    ),
    "choices": (Choice, Limit, Multipliers, CandidateChoice, Best, Bound, AtKl),
    "samples": (Samples,),
    "exports": (Export,),
    "published": (
        Published,
        Titled,
        *PUBLISHED,
    ),
    "effects": (Effects,),
    "rankings": (Ranking,),
    "figures": (*FIGURES, Axis, KlDose),
    "scorecards": (Scorecard,),
    "statistics": (Statistics,),
}
