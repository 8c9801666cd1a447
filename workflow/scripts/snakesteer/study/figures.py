"""The figures of a study: what may be said of each kind, and what is so of it.

Checks, planners and captions ask the classes here what differs between kinds. A figure is drawn by
the plugin of its kind, `figures/<kind>.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from snakesteer.core.errors import StudyError
from snakesteer.study.activations import Activations
from snakesteer.study.choices import AnyChoice, CandidateChoice, of_one
from snakesteer.study.columns import Better, Column
from snakesteer.study.designs import AloneDesign, ChosenDesign, OwnDesign, PartEntry, TogetherDesign
from snakesteer.study.doses import (
    DOSE,
    SHARE,
    SHARE_SAID,
    Dose,
    KlDose,
    adds_alone,
    check_shares,
    check_signed,
    kl_alone,
    kl_tables,
)
from snakesteer.study.effects import Effects
from snakesteer.study.entries import (
    Count,
    Distinct,
    Entry,
    Layer,
    Layers,
    LayerSet,
    Name,
    Names,
    Number,
    Numbers,
    Positive,
    Some,
    TableName,
    TableNames,
)
from snakesteer.study.measures import MEASURES, Choice, MeasureEntry, NextToken, TwoChoice
from snakesteer.study.published import Published, PublishedSweep
from snakesteer.study.published_directions import PublishedLosses
from snakesteer.study.published_skills import PublishedSimultaneous, PublishedSkill
from snakesteer.study.rankings import Ranking
from snakesteer.study.sweeps import SweepEntry
from snakesteer.study.tables import Table
from snakesteer.study.vectors import ControlVector, Vector
from snakesteer.sweeps.job import ADD
from snakesteer.tables.categories import MEAN


class Shown(Protocol):
    """What figures ask of the study that they show."""

    @property
    def activations(self) -> Mapping[str, Activations]: ...
    @property
    def vectors(self) -> Mapping[str, Vector]: ...
    @property
    def published(self) -> Published | None: ...
    @property
    def choices(self) -> Mapping[str, AnyChoice]: ...
    @property
    def effects(self) -> Mapping[str, Effects]: ...
    @property
    def rankings(self) -> Mapping[str, Ranking]: ...
    def titles_in(self, ranking: Ranking) -> dict[str, str]: ...
    def table(self, name: str) -> Table | PublishedSweep: ...
    def title_of(self, section: Literal["corpora", "behaviours"], name: str) -> str | None: ...
    def asked(self, table: Table) -> list[str]: ...
    def titles_of(self, table: str) -> Mapping[str, str | None]: ...
    def model_of(self, vector: str) -> str: ...
    def behaviour_of(self, vector: str) -> str: ...
    def behaviours_of(self, vectors: Iterable[str]) -> dict[str, str]: ...
    def collapse_of(self, table: str) -> float: ...
    def vectors_of(self, sweep: SweepEntry) -> list[str]: ...
    def draws_of(self, vectors: Iterable[str]) -> dict[str, int]: ...
    def activations_of(self, vector: str) -> list[str]: ...


CATEGORY = (
    "One category of the questions, or `mean`, the mean over categories. Default: all "
    "questions together."
)
_NO_LOGARITHM = "Values of 0 and below are not drawn, as the scale is logarithmic."
_GREY = {False: "Grey: the control.", True: "Grey: the controls."}


class Drawn(NamedTuple):
    """What a table must be of to be drawn: a measure and a kind of steering, each unless any is."""

    measure: str | None = None
    kind: str | None = None


def _model(table: Table | PublishedSweep) -> str | None:
    """The model that a table is of; None for published results."""
    return table.sweep.model if isinstance(table, Table) else None


class Figure(Entry):
    """What every figure may say."""

    title: str | None = Field(None, description="Heading in the figure. Default: none.")
    caption: str | None = Field(
        None,
        description="Caption in the report. The workflow adds what controls, lines and "
        "dots are, the layers of vectors at different layers, and what intervals are over.",
    )

    layered: ClassVar = ("layers",)
    # Fields that name sweeps, with what these must be of. The first has the figure's own.
    draws: ClassVar[Mapping[str, Drawn]] = {}
    # Fields that name entries of other sections, with the section.
    names: ClassVar[Mapping[str, str]] = {}
    # Whether it shows the study's vectors in numbers, and those at several positions.
    describes_vectors: ClassVar[bool] = False
    # What it shows of a control that was drawn several times.
    of_draws: ClassVar[str] = "mean and range"
    # Whether any one of the tables is enough to draw it, and not the first alone.
    any_table: ClassVar[bool] = False

    def named(self, field: str) -> list[str]:
        """The names in a field that has one, several or none."""
        given = getattr(self, field) or []
        return [given] if isinstance(given, str) else list(given)

    @property
    def marks(self) -> str | None:
        """The choice whose candidate it marks."""
        return None

    @property
    def shown_effects(self) -> str | None:
        """The entry of `effects` whose tables it is drawn from."""
        return None

    @property
    def shown_ranking(self) -> str | None:
        """The entry of `rankings` whose tables it is drawn from."""
        return None

    @property
    def own(self) -> list[str]:
        """The sweeps that it is about."""
        return self.named(next(iter(self.draws))) if self.draws else []

    @property
    def drawn(self) -> list[str]:
        """All sweeps that it draws."""
        return [name for field in self.draws for name in self.named(field)]

    def check(self, entry: str, study: Shown) -> None:
        """Raise StudyError if what it names, which is there, does not fit together."""

    def check_layers(self, entry: str, study: Shown) -> None:
        """Raise StudyError if layers do not fit together; none is a fraction of depth."""

    def models(self, study: Shown) -> list[str | None]:
        """The models whose layers it names; None among them for published results."""
        return [_model(study.table(name)) for name in self.drawn]

    def tables(self, study: Shown) -> list[str]:
        """The tables that it is drawn from."""
        return self.drawn

    def arrays(self, study: Shown) -> tuple[list[str], list[str]]:
        """The activations whose means it is drawn from, and the vectors."""
        return [], []

    def reads_lengths(self, study: Shown) -> bool:
        """Whether it is drawn from the vectors in numbers."""
        return self.describes_vectors

    def settings(self, study: Shown) -> dict[str, Any]:
        """What other entries decide of how it is drawn."""
        return {}

    def labels(self, study: Shown) -> dict[str, str | None]:
        """The titles of what it shows, by name."""
        titles: dict[str, str | None] = {}
        for sweep in self.own:
            titles |= study.titles_of(sweep)
        return titles

    def rows(self) -> dict[str, str]:
        """What rows must have in their columns to be drawn."""
        return {}

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        """What its caption says of its settings, with nothing in the tables that are absent."""
        return []

    def drawn_several(self, study: Shown, absent: Collection[str]) -> list[str]:
        """What its caption says of controls that were drawn several times."""
        said = []
        for name in self.drawn:
            table = study.table(name)
            if isinstance(table, Table) and name not in absent:
                draws = study.draws_of(study.vectors_of(table.sweep))
                said += [f"{v}: {self.of_draws} of {n} draws." for v, n in draws.items()]
        return list(dict.fromkeys(said))


class WithIntervals(Figure):
    """A figure with intervals."""

    intervals: Literal["items", "vectors", "both"] = Field(
        "items",
        description="Uncertainty shown. `items`: over documents or questions. `vectors`: "
        "over vectors, if the sweeps have `resamples`. `both`: their half-widths added in "
        "squares.",
    )

    def items(self, absent: Collection[str]) -> str:
        """What intervals over items are over, with nothing in the tables that are absent."""
        return "questions (Wilson)"


class OfQuestions(Figure):
    """A figure of matching scores, in which mode collapse is marked."""

    def check(self, entry: str, study: Shown) -> None:
        for name in self.drawn:
            table = study.table(name)
            if isinstance(table, Table) and table.sweep.inject.several_sources:
                raise StudyError(
                    f"{entry} draws one curve per layer, but sweeps.{name} has one for every "
                    "source layer or position; draw it as a trade-off, or split the sweep."
                )
            if isinstance(table, Table) and table.kind in ("grid", "single"):
                design = table.sweep.inject
                assert isinstance(design, OwnDesign)
                if not design.unsteered_at_0:
                    raise StudyError(
                        f"{entry} separates adding from subtracting, but the operator "
                        f"{design.operator} of sweeps.{name} does neither; draw it as `kind: "
                        "curves`."
                    )
                asked = study.asked(table)
                if len(set(asked)) < len(asked):
                    raise StudyError(
                        f"{entry} draws one vector per behaviour, but sweeps.{name} asks the "
                        "same behaviour under several vectors; give each vector its own sweep."
                    )

    def settings(self, study: Shown) -> dict[str, Any]:
        settings: dict[str, Any] = {"collapse": study.collapse_of(self.own[0])}
        table = study.table(self.own[0])
        if isinstance(table, Table) and table.kind in ("grid", "single"):
            assert isinstance(table.sweep.inject, OwnDesign)
            operator = table.sweep.inject.operator
            settings |= {"operator": operator} if operator != ADD else {}
        return settings


class TradeoffFigure(WithIntervals):
    """Relative accuracy on one corpus against another, with a line for each layer."""

    EXAMPLE = """
        figures:
          trade-off: {kind: tradeoff, sweeps: [skill], controls: [skill-random]}
    """

    kind: Literal["tradeoff"]
    sweeps: TableNames = Field(description="Sweeps of `next_token` on two corpora.")
    controls: list[TableName] = Field([], description="Sweeps drawn as controls.")
    layers: list[LayerSet] | None = Field(None, description="Default: all layers of the sweeps.")
    measure: Literal["top1", "top10", "kept_top1", "kept_top10"] = Field(
        "top1",
        description="Accuracy drawn. `kept` leaves out the most frequent tokens.",
    )
    limits: tuple[float, float] | None = Field(
        None, description="Limits of both axes, in per cent."
    )

    draws: ClassVar = {"sweeps": Drawn("next_token"), "controls": Drawn("next_token")}
    any_table: ClassVar = True

    def check(self, entry: str, study: Shown) -> None:
        corpora = {}
        for name in self.drawn:
            table = study.table(name)
            of = table.measured if isinstance(table, Table) else table
            assert isinstance(of, NextToken | PublishedSkill | PublishedLosses)
            if "top1" not in columns_of(table):
                raise StudyError(
                    f"{entry} draws accuracies, but sweeps.{name} has only losses; draw it as "
                    "`kind: curves`."
                )
            corpora[tuple(of.corpora)] = name
            if len(of.corpora) != 2:
                raise StudyError(
                    f"{entry} plots one corpus against another, but sweeps.{name} has "
                    f"{len(of.corpora)}; give it two."
                )
        if len(corpora) > 1:
            raise StudyError(
                f"{entry} draws sweeps over different corpora "
                f"({', '.join(f'sweeps.{name}' for name in corpora.values())}); "
                "give each its own figure."
            )

    def settings(self, study: Shown) -> dict[str, Any]:
        titles = {}
        for name in [*(self.sweeps if len(self.sweeps) > 1 else []), *self.controls]:
            if title := getattr(study.table(name), "title", None):
                titles[name] = title
        return {"titles": titles, "permuted": self._permuted(study)}

    def _permuted(self, study: Shown) -> list[str]:
        """The vectors of the controls that are another one shuffled."""
        found = []
        for name in self.controls:
            table = study.table(name)
            for vector in study.vectors_of(table.sweep) if isinstance(table, Table) else []:
                entry = study.vectors[vector]
                if isinstance(entry, ControlVector) and entry.how in ("permuted", "operands"):
                    found.append(vector)
        return list(dict.fromkeys(found))

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        controls = [name for name in self.controls if name not in absent]
        return [_GREY[len(controls) > 1]] if controls else []

    def items(self, absent: Collection[str]) -> str:
        return "documents (bootstrap, paired where coefficients share documents)"


def _quantity(
    entry: str,
    study: Shown,
    table: str,
    column: str | None,
    source: str | None,
    category: str | None = None,
) -> dict[str, Any]:
    """What is shown of a table: a column of its measure, the first if none is named.

    Raises StudyError for a column that figures cannot draw of it, and a source that it is not on.
    """
    tabled = study.table(table)
    columns = columns_of(tabled)
    name = column or next(iter(columns), "nothing")
    if tabled.kind == "combined":
        raise StudyError(
            f"{entry} names sweeps.{table}, which combines vectors, so no coefficient varies "
            "that it could be drawn over; name another sweep."
        )
    found = columns.get(name)
    if found is None:
        known = [each for each, about in columns.items() if not about.drawn_as]
        raise StudyError(
            f"{entry} draws {name} of sweeps.{table}, which measures {tabled.measure} and has "
            f"{', '.join(known) or 'nothing'} to draw; name one of these."
        )
    if found.drawn_as:
        raise StudyError(
            f"{entry} draws {name} of sweeps.{table}, whose interval ignores how well the judge "
            f"agrees with people; name {found.drawn_as}, which includes it."
        )
    sources = list(study.titles_of(table))
    if source is not None and source not in sources:
        raise StudyError(
            f"{entry} names the source {source}, but sweeps.{table} is measured on "
            f"{', '.join(sources)}; name one of these."
        )
    shown = {"table": table, "column": name, "source": source}
    shown |= {"label": found.label, "better": found.better}
    if category is not None:
        if isinstance(tabled, Table) and not getattr(tabled.measured, "by_category", False):
            raise StudyError(
                f"{entry} draws the category {category} of sweeps.{table}, whose measure does "
                "not report categories; give the measure `by_category: true`."
            )
        of = "mean over categories" if category == MEAN else category
        shown |= {"category": category, "label": f"{found.label}, {of}"}
    return shown | ({"judged": found.judged} if found.judged else {})


def columns_of(table: Table | PublishedSweep) -> Mapping[str, Column]:
    """The columns of a table that can be drawn."""
    if isinstance(table, Table):
        return table.measured.columns
    found: dict[str, Column] = {}
    for measure in MEASURES:
        if table.measure in _measures(measure):
            found |= measure.COLUMNS
    held = found if table.HOLDS is None else table.HOLDS
    return {name: about for name, about in found.items() if name in held}


def on_several(study: Shown, table: str) -> bool:
    """Whether a table has several corpora or behaviours for one injection."""
    entry = study.table(table)
    if isinstance(entry, Table):
        each_its_own = entry.measured.sources is None and isinstance(
            entry.sweep.inject, AloneDesign | ChosenDesign
        )
    else:
        each_its_own = entry.OWN
    return not each_its_own and len(study.titles_of(table)) > 1


def _measures(kind: type[MeasureEntry]) -> tuple[str, ...]:
    """The name of a measure, as its class says it."""
    return get_args(kind.model_fields["measure"].annotation)


class OfAnyMeasure(WithIntervals):
    """A figure of a column of any measure, from one or several sweeps."""

    sweeps: TableNames = Field(
        description="Tables to draw: sweeps, or one measure of each, SWEEP.MEASURE."
    )
    column: str | None = Field(
        None, description="Column of the tables. Default: the main one of their measure."
    )
    source: Name | None = Field(None, description="One corpus or behaviour. Default: all.")
    category: str | None = Field(None, description=CATEGORY)

    draws: ClassVar = {"sweeps": Drawn()}
    any_table: ClassVar = True

    @property
    def shown(self) -> list[str]:
        """The tables whose column it draws."""
        return self.drawn

    def check(self, entry: str, study: Shown) -> None:
        measures, labels = {}, {}
        for name in self.shown:
            measures[study.table(name).measure] = name
            shown = self._shown(entry, study, name)
            labels[shown["label"]] = f"{shown['column']} of sweeps.{name} ({shown['label']})"
        if len(measures) > 1:
            named = ", ".join(f"sweeps.{name} ({measure})" for measure, name in measures.items())
            raise StudyError(
                f"{entry} draws sweeps of several measures, {named}; name sweeps of one measure."
            )
        if len(labels) > 1:
            raise StudyError(
                f"{entry} draws {' and '.join(labels.values())} on one axis; set `column` to a "
                "score that all sweeps have, with one title."
            )

    def settings(self, study: Shown) -> dict[str, Any]:
        shown = [self._shown("", study, name) for name in self.shown]
        titles = {}
        for name in self.shown:
            if title := getattr(study.table(name), "title", None):
                titles[name] = title
        return {"shown": shown, "titles": titles}

    def items(self, absent: Collection[str]) -> str:
        return "categories" if self.category == MEAN else "the texts that each measure is on"

    def labels(self, study: Shown) -> dict[str, str | None]:
        titles = {}
        for name in self.shown:
            table = study.table(name)
            for vector in [] if isinstance(table, Table) else table.steered:
                titles[vector] = study.title_of("behaviours", vector)
        return titles | super().labels(study)

    def _shown(self, entry: str, study: Shown, table: str) -> dict[str, Any]:
        return _quantity(entry, study, table, self.column, self.source, self.category)


class WithControls(OfAnyMeasure):
    """Such a figure with other sweeps as controls."""

    controls: list[TableName] = Field([], description="Sweeps drawn as controls.")

    draws: ClassVar = {"sweeps": Drawn(), "controls": Drawn()}

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        controls = [name for name in self.controls if name not in absent]
        return [_GREY[len(controls) > 1]] if controls else []


class WithDose(OfAnyMeasure):
    """Such a figure of how strongly is steered."""

    dose: Dose

    draws: ClassVar = {"sweeps": Drawn(), "dose": Drawn("divergence")}

    def named(self, field: str) -> list[str]:
        if field == "dose":
            return self.dose.tables if isinstance(self.dose, KlDose) else []
        return super().named(field)

    @property
    def shown(self) -> list[str]:
        return [name for field in self.draws if field != "dose" for name in self.named(field)]

    @property
    def drawn(self) -> list[str]:
        return list(dict.fromkeys(super().drawn))

    def check(self, entry: str, study: Shown) -> None:
        super().check(entry, study)
        if self.dose == "coefficient":
            return
        for name in self.shown:
            table = study.table(name)
            check_signed(f"{entry}.dose", name, table)
            assert isinstance(table, Table)
            if self.dose == "share":
                vectors = study.vectors_of(table.sweep)
                check_shares(f"{entry}.dose", name, table, vectors, study.activations_of)
        self._dose(f"{entry}.dose", study)

    def reads_lengths(self, study: Shown) -> bool:
        return self.dose != "coefficient" and any(map(adds_alone, self._shown_own(study).values()))

    def settings(self, study: Shown) -> dict[str, Any]:
        dose = {} if self.dose == "coefficient" else {"dose": self._dose("", study)}
        return super().settings(study) | dose

    def _dose(self, entry: str, study: Shown) -> dict[str, Any]:
        """What a figure gets of a dose that is not the coefficient: its `axis` and `label`, the
        tables whose points have a `share`, and by table those of their `kl`, on one `source`.

        Raises StudyError for KL that is not of what is drawn, or on several sources.
        """
        tables = self._shown_own(study)
        dose: dict[str, Any] = {"share": [name for name in tables if adds_alone(tables[name])]}
        if not isinstance(self.dose, KlDose):
            return dose | {"axis": "share", "label": SHARE}
        given = {}
        for name in self.dose.tables:
            shown = _quantity(entry, study, name, "kl", self.dose.source)
            if self.dose.source is None and on_several(study, name):
                raise StudyError(
                    f"{entry} names sweeps.{name}, which is measured on "
                    f"{', '.join(study.titles_of(name))}; set `source` to one of these."
                )
            table = study.table(name)
            check_signed(entry, name, table)
            assert isinstance(table, Table)
            given[name] = table
        dose |= {"axis": "kl", "label": shown["label"], "source": self.dose.source}
        return dose | {
            "kl": {name: kl_tables(entry, name, table, given) for name, table in tables.items()}
        }

    def _shown_own(self, study: Shown) -> dict[str, Table]:
        tables = {name: study.table(name) for name in self.shown}
        return {name: table for name, table in tables.items() if isinstance(table, Table)}

    def _kl_said(self) -> str:
        """What the KL is of."""
        tables = " and ".join(f"sweeps.{name}" for name in self.named("dose"))
        source = self.dose.source if isinstance(self.dose, KlDose) else None
        return f"KL: from {tables}" + (f" on {source}" if source else "")


class CurvesFigure(WithDose, WithControls):
    """Any measure over the coefficient or another dose, with a line for each vector and layer."""

    EXAMPLE = """
        figures:
          curves: {kind: curves, sweeps: [grid.two_choice], column: propensity}
    """

    kind: Literal["curves"]
    dose: Dose = Field("coefficient", description=DOSE)
    layers: list[LayerSet] | None = Field(None, description="Default: all layers of the sweeps.")
    log: bool = Field(False, description="`true` draws the measure on a logarithmic scale.")

    draws: ClassVar = {"sweeps": Drawn(), "controls": Drawn(), "dose": Drawn("divergence")}

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        said = super().said(study, absent)
        if self.dose == "share":
            said.append(SHARE_SAID)
        if isinstance(self.dose, KlDose):
            said.append(
                f"{self._kl_said()}, with the sign of the coefficient and horizontal intervals. "
                "Points without a KL are not drawn."
            )
            if self.drawn_several(study, absent):
                said.append("A mean of draws is drawn at the mean of their KLs.")
        if self.log:
            said.append(_NO_LOGARITHM)
        return said


def _check_coefficients(
    entry: str, study: Shown, name: str, coefficients: Iterable[float]
) -> list[float]:
    """Those of the coefficients that steer, at each of which a sweep has every vector by itself.

    Raises StudyError if the sweep does not have one, has several vectors together, or has others at
    each layer.
    """
    table = study.table(name)
    if table.kind == "simultaneous":
        raise StudyError(
            f"{entry} draws vectors that are injected one at a time, but sweeps.{name} injects "
            "them together; draw it as `kind: curves`."
        )
    if table.kind == "single":
        raise StudyError(
            f"{entry} draws vectors at the same coefficients, but sweeps.{name} takes its "
            "coefficients from a choice, which can differ by vector; name a sweep that lists "
            "them."
        )
    if table.kind == "candidate":
        raise StudyError(
            f"{entry} needs layers and coefficients that the study lists, but sweeps.{name} "
            "takes them from a choice; draw it as `kind: curves`."
        )
    if not isinstance(table, Table):
        return list(coefficients)
    held = table.sweep.steered
    for coefficient in coefficients:
        if coefficient not in held:
            raise StudyError(
                f"{entry} names the coefficient {coefficient:g}, which sweeps.{name} does not "
                f"have; name one of {', '.join(f'{value:g}' for value in sorted(held))}."
            )
    unsteered = 0.0 if table.sweep.inject.unsteered_at_0 else None
    return [coefficient for coefficient in coefficients if coefficient != unsteered]


def _end_early(study: Shown, names: Iterable[str]) -> bool:
    """Whether curves of tables may end before their last coefficient."""
    tables = map(study.table, names)
    return any(table.measured.ends_early for table in tables if isinstance(table, Table))


class LayersFigure(WithControls):
    """Any measure over the injected layer, with a line for each vector and coefficient. Vectors
    at several positions have a line for each position. For vectors with `source_layers` that are
    injected at one place, it is over the layer they are read at."""

    EXAMPLE = """
        figures:
          by-layer: {kind: layers, sweeps: [grid.two_choice], coefficients: [-1, 1]}
    """

    kind: Literal["layers"]
    coefficients: Numbers | None = Field(
        None, description="Coefficients drawn, as [-1, 1]. Default: all of the sweeps."
    )
    layers: Layers | None = Field(None, description="Default: all layers of the sweeps.")
    log: bool = Field(False, description="`true` draws the measure on a logarithmic scale.")
    choice: Name | None = Field(
        None,
        description="A choice with `best`. Its candidate is ringed, and layers that its "
        "rule leaves out are shaded.",
    )

    names: ClassVar = {"choice": "choices"}

    @property
    def marks(self) -> str | None:
        return self.choice

    def check(self, entry: str, study: Shown) -> None:
        super().check(entry, study)
        if self.choice:
            _with_best(f"{entry}.choice", study, self.choice)
        for name in self.drawn:
            steer = _check_coefficients(entry, study, name, self.coefficients or [])
            if self.coefficients and not steer:
                raise StudyError(
                    f"{entry} names only the coefficient 0, at which sweeps.{name} is unsteered; "
                    "name others."
                )

    def check_layers(self, entry: str, study: Shown) -> None:
        for name in self.drawn:
            table = study.table(name)
            if self.layers is None and isinstance(table, Table) and not _read_layers(table):
                for layers in _label_sets(table):
                    raise StudyError(
                        f"{entry} draws single layers, but sweeps.{name} steers layers {layers} "
                        "together; name single layers in `layers`."
                    )

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        own = all(isinstance(study.table(name), Table) for name in self.drawn)
        dashed = "Dashed: the unsteered model" + ("." if own else ", where published.")
        said = [dashed, *super().said(study, absent)]
        if self.choice:
            said.append(
                f"Ringed: what the choice {self.choice} takes. Shaded: layers that its rule "
                "excludes."
            )
        if self.log:
            said.append(_NO_LOGARITHM)
        if _end_early(study, self.drawn):
            said.append("A line has a gap where a curve ended before that coefficient.")
        return said


def _read_layers(table: Table) -> Any:
    """The layers that vectors are read at, where a figure over the layer is over these."""
    assert isinstance(table.sweep.inject, AloneDesign)
    return table.sweep.inject.read_layers


def _label_sets(table: Table) -> list[str]:
    """What a sweep of vectors by themselves calls the layers that it steers together."""
    assert isinstance(table.sweep.inject, AloneDesign)
    layers = table.sweep.inject.layers
    sets = [] if layers == "all" else [each for each in layers if isinstance(each, list)]
    return [" and ".join(map(str, each)) for each in sets]


class ChosenFigure(Figure):
    """How often a choice with `best` takes each candidate, over resamples of the texts that
    decide. Layers go across, coefficients or positions down, and each vector has a panel. The
    chosen candidate is framed."""

    EXAMPLE = """
        figures:
          how-sure: {kind: chosen, choice: candidate}
    """

    kind: Literal["chosen"]
    choice: Name = Field(description="A choice with `best` among sweeps of the study.")

    names: ClassVar = {"choice": "choices"}

    @property
    def marks(self) -> str | None:
        return self.choice

    def check(self, entry: str, study: Shown) -> None:
        choice = _with_best(f"{entry}.choice", study, self.choice)
        for name in choice.best.tables:
            if not isinstance(study.table(name), Table):
                raise StudyError(
                    f"{entry}.choice names {self.choice}, which compares published results, "
                    "whose single texts cannot be resampled; name a choice that compares "
                    "sweeps."
                )
        if not choice.resamples:
            raise StudyError(
                f"{entry}.choice names {self.choice}, which has no resamples; give it `resamples`."
            )

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        choice = study.choices[self.choice]
        assert isinstance(choice, CandidateChoice)
        return [
            f"Share of {choice.resamples:,} resamples of the deciding texts, paired over "
            f"candidates, in which the choice {self.choice} takes each candidate. Framed: the "
            "candidate taken from all texts. Hatched: excluded by the rule."
        ]

    def labels(self, study: Shown) -> dict[str, str | None]:
        choice = study.choices[self.choice]
        assert isinstance(choice, CandidateChoice)
        titles: dict[str, str | None] = {}
        for name in choice.best.tables:
            titles |= study.titles_of(name)
        return titles


def _with_best(entry: str, study: Shown, name: str) -> CandidateChoice:
    """The choice among candidates of this name; StudyError if it is one of multipliers."""
    choice = study.choices[name]
    if not isinstance(choice, CandidateChoice):
        raise StudyError(
            f"{entry} names {name}, which chooses multipliers, so there is no candidate to mark; "
            "name a choice with `best`."
        )
    of_one(entry, name, choice)
    return choice


class PointsFigure(OfAnyMeasure):
    """Any measure of several sweeps. Each has a row, with a point at every coefficient. Sweeps
    with the same title share a row."""

    EXAMPLE = """
        figures:
          points: {kind: points, sweeps: [skill, skill-random], column: relative_top1, source: code}
    """

    kind: Literal["points"]


class EqualDoseFigure(WithDose):
    """Any measure at equal KL, with a row for each vector and layer. Each KL has a point for
    each sign of the coefficient. Values are interpolated along each curve, never beyond it."""

    EXAMPLE = """
        figures:
          equal-dose:
            kind: equal-dose
            sweeps: [grid.two_choice]
            dose: {kl: grid.divergence}
            at: [0.1, 0.5]
    """

    kind: Literal["equal-dose"]
    dose: Annotated[KlDose, BeforeValidator(kl_alone)] = Field(
        description="KL at which curves are compared, as `{kl: TABLE}`."
    )
    at: Annotated[list[Positive], Some, Distinct] = Field(
        description="KLs in nats, as [0.1, 0.5]. Each is sought on both sides of 0."
    )
    layers: list[LayerSet] | None = Field(None, description="Default: all layers of the sweeps.")

    of_draws: ClassVar = "at each KL the mean and range of the curves that reach it,"

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        said = [
            *super().said(study, absent),
            f"{self._kl_said()}. Values are interpolated linearly in KL, between the two "
            "neighbouring coefficients where the curve, followed from 0, first reaches that KL. "
            "Rows are empty where a curve does not reach it. Intervals are interpolated the "
            "same way and ignore the uncertainty of the KL.",
        ]
        if self.drawn_several(study, absent):
            said.append("Each draw is taken at its own KL.")
        return said


class InterferenceFigure(OfAnyMeasure):
    """Effect of each vector on everything that is measured. Vectors go down, corpora or
    behaviours across. A cell has the change from the unsteered value at one coefficient and
    layer."""

    EXAMPLE = """
        sweeps:
          across:
            model: chat
            inject: {vectors: [sycophancy, myopia], layers: [8]}
            coefficients: [0, 1]
            measures: {two_choice: {behaviours: [sycophancy, myopia]}}
        figures:
          interference: {kind: interference, sweeps: [across], coefficient: 1}
    """

    kind: Literal["interference"]
    coefficient: Number | None = Field(
        None, description="A coefficient of the sweeps. Give this or `choice`."
    )
    layer: Layer | None = Field(
        None, description="Layer drawn. Not needed if the sweeps have one only."
    )
    choice: Name | None = Field(
        None,
        description="A choice with `best`. It gives coefficient and layer. The sweeps can "
        "inject what it takes.",
    )

    names: ClassVar = {"choice": "choices"}
    layered: ClassVar = ("layer",)
    of_draws: ClassVar = "mean, without a mark,"

    @model_validator(mode="after")
    def _at_one_place(self) -> Self:
        if (self.coefficient is None) == (self.choice is None):
            raise ValueError("give either coefficient or choice")
        if self.choice is not None and self.layer is not None:
            raise ValueError("layer comes from the choice; remove it")
        return self

    @property
    def marks(self) -> str | None:
        return self.choice

    def check(self, entry: str, study: Shown) -> None:
        super().check(entry, study)
        if self.choice is not None:
            _with_best(f"{entry}.choice", study, self.choice)
        for name in self.drawn:
            table = study.table(name)
            taken = isinstance(table, Table) and table.sweep.candidate
            if self.choice is not None and taken and taken != self.choice:
                raise StudyError(
                    f"{entry} draws what choices.{self.choice} takes, but sweeps.{name} injects "
                    f"what choices.{taken} takes; name the same choice in both."
                )
            if self.choice is None or not taken:
                self._check_coefficient(entry, study, name)
            if len(study.titles_of(name)) > 1 and not on_several(study, name):
                raise StudyError(
                    f"{entry} draws how vectors change each other's behaviours, but "
                    f"sweeps.{name} asks each vector only about its own; name `behaviours` in "
                    "its measure."
                )

    def _check_coefficient(self, entry: str, study: Shown, name: str) -> None:
        given = [] if self.coefficient is None else [self.coefficient]
        steered = _check_coefficients(entry, study, name, given)
        if given and not steered:
            raise StudyError(
                f"{entry}.coefficient is 0, at which sweeps.{name} is unsteered; name another."
            )

    def check_layers(self, entry: str, study: Shown) -> None:
        for name in self.drawn:
            table = study.table(name)
            if not isinstance(table, Table) or self.choice is not None:
                continue
            assert isinstance(table.sweep.inject, AloneDesign)
            layers = table.sweep.inject.layers
            if self.layer is None and (layers == "all" or len(layers) > 1):
                raise StudyError(
                    f"{entry} draws one layer, but sweeps.{name} has several; set `layer` to one "
                    "of them."
                )
            if self.layer is not None and layers != "all" and self.layer not in layers:
                raise StudyError(
                    f"{entry}.layer names layer {self.layer}, which sweeps.{name} does not have; "
                    "add it there."
                )

    def settings(self, study: Shown) -> dict[str, Any]:
        return super().settings(study) | {"own": self._own_behaviours(study)}

    def labels(self, study: Shown) -> dict[str, str | None]:
        titles = {}
        for behaviour in self._own_behaviours(study).values():
            titles[behaviour] = study.title_of("behaviours", behaviour)
        return titles | super().labels(study)

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        at = "" if self.layer is None else f" at layer {self.layer}"
        where = f"{at}, coefficient {self.coefficient:g}" if self.coefficient is not None else ""
        if self.choice is not None:
            where = f" at the layer and the coefficient that the choice {self.choice} takes"
        said = [
            f"Change from the unsteered model{where}.",
            "*: the interval of the change excludes 0. It adds the half-widths of both values' "
            "intervals in squares, so it is too wide where both are over the same texts.",
        ]
        if self._own_behaviours(study):
            said.append("Framed: a vector's own behaviour.")
        if _end_early(study, self.drawn):
            said.append("Grey: the curve ended before the coefficient.")
        return said

    def _own_behaviours(self, study: Shown) -> dict[str, str]:
        """The behaviour of each vector that is made of one, if it is drawn; controls have none."""
        vectors: list[str] = []
        sources: list[str] = []
        for name in self.drawn:
            sources += [self.source] if self.source else study.titles_of(name)
            table = study.table(name)
            for vector in study.vectors_of(table.sweep) if isinstance(table, Table) else []:
                if not isinstance(study.vectors[vector], ControlVector):
                    vectors.append(vector)
        found = study.behaviours_of(vectors)
        return {vector: own for vector, own in found.items() if own in sources}


class Axis(Entry):
    """What one axis shows: a column of a sweep's table."""

    EXAMPLE = """
        figures:
          cost:
            kind: against
            x: {table: skill, column: nll, source: text}
            y: {table: skill, column: top1, source: code, better: lower}
    """

    table: TableName = Field(description="A sweep, or one of its measures, SWEEP.MEASURE.")
    column: str | None = Field(
        None, description="Column of the table. Default: the main one of its measure."
    )
    source: Name | None = Field(
        None,
        description="One corpus or behaviour. Default: each against the same one on the "
        "other axis.",
    )
    category: str | None = Field(None, description=CATEGORY)
    better: Better | None = Field(
        None,
        description="Which values are better, for the Pareto front. Default: lower values "
        "of divergence, perplexity, cross-entropy and repetition, higher values of all "
        "others. Scores of texts have their own setting.",
    )


def _sources(study: Shown, axis: Axis) -> list[str]:
    """The corpora or behaviours that an axis shows."""
    return [axis.source] if axis.source else list(study.titles_of(axis.table))


class AgainstFigure(WithIntervals):
    """Any measure against another one of the same injections. The Pareto front is marked."""

    EXAMPLE = """
        figures:
          effect-and-cost:
            kind: against
            x: {table: grid.divergence}
            y: {table: grid.two_choice, column: propensity}
    """

    kind: Literal["against"]
    x: Axis = Field(description="Horizontal axis.")
    y: Axis = Field(description="Vertical axis.")
    layers: list[LayerSet] | None = Field(None, description="Default: all layers of the sweeps.")

    draws: ClassVar = {"x": Drawn(), "y": Drawn()}

    def named(self, field: str) -> list[str]:
        axis: Axis = getattr(self, field)
        return [axis.table]

    @property
    def drawn(self) -> list[str]:
        return list(dict.fromkeys([self.x.table, self.y.table]))

    def check(self, entry: str, study: Shown) -> None:
        for name, axis in (("x", self.x), ("y", self.y)):
            self._shown(f"{entry}.{name}", study, axis)
        for name, axis, other in (("x", self.x, self.y), ("y", self.y, self.x)):
            if axis.source is None and on_several(study, axis.table):
                own, others = _sources(study, axis), _sources(study, other)
                if set(own) != set(others):
                    raise StudyError(
                        f"{entry}.{name} draws sweeps.{axis.table}, which is measured on "
                        f"{', '.join(own)}, but the other axis on {', '.join(others)}; set "
                        "`source` to one that it has."
                    )

    def settings(self, study: Shown) -> dict[str, Any]:
        return {axis: self._shown("", study, getattr(self, axis)) for axis in ("x", "y")}

    def labels(self, study: Shown) -> dict[str, str | None]:
        return {**study.titles_of(self.x.table), **study.titles_of(self.y.table)}

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        said = ["Ringed: the Pareto front, points that no other point beats on both axes."]
        if self.drawn_several(study, absent):
            said.append("The front ignores means of draws.")
        return said

    def items(self, absent: Collection[str]) -> str:
        return "the texts that each measure is on"

    def _shown(self, entry: str, study: Shown, axis: Axis) -> dict[str, Any]:
        shown = _quantity(entry, study, axis.table, axis.column, axis.source, axis.category)
        return shown | ({"better": axis.better} if axis.better else {})


class HeatmapFigure(OfQuestions):
    """A grid search: layers across, multipliers down."""

    EXAMPLE = """
        figures:
          search: {kind: heatmap, sweep: grid.two_choice, behaviour: sycophancy}
    """

    kind: Literal["heatmap"]
    sweep: TableName = Field(description="A sweep of `two_choice`, of vectors alone.")
    behaviour: Name | None = Field(None, description="One behaviour. Default: all.")
    direction: Literal["add", "subtract"] | None = Field(
        None, description="`add` or `subtract`. Default: both."
    )
    layers: Layers | None = Field(None, description="Default: all layers of the sweep.")

    draws: ClassVar = {"sweep": Drawn("two_choice", "grid")}
    of_draws: ClassVar = "mean"
    names: ClassVar = {"behaviour": "behaviours"}

    def check(self, entry: str, study: Shown) -> None:
        super().check(entry, study)
        table = study.table(self.sweep)
        if not isinstance(table, Table):
            return
        values = table.sweep.steered
        signs = {"add": max(values) > 0, "subtract": min(values) < 0}
        if not any(signs.values()) or not signs.get(self.direction or "", True):
            raise StudyError(
                f"{entry} has no cells to draw, as sweeps.{self.sweep} has no coefficients to "
                f"{self.direction or 'add or subtract'}; add some there."
            )
        if self.behaviour:
            searched = list(study.titles_of(self.sweep))
            if self.behaviour not in searched:
                raise StudyError(
                    f"{entry}.behaviour names {self.behaviour}, which sweeps.{self.sweep} does "
                    f"not measure; name one of {', '.join(searched)}."
                )

    def settings(self, study: Shown) -> dict[str, Any]:
        table = study.table(self.sweep)
        settings = super().settings(study)
        if isinstance(table, Table):
            assert isinstance(table.measured, TwoChoice)
            if table.measured.stopping:
                settings["max_faulty"] = table.measured.stopping.faulty
        return settings

    def rows(self) -> dict[str, str]:
        return {"direction": self.direction} if self.direction else {}

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        table = study.table(self.sweep)
        runs_on = isinstance(table, Table) and not table.measured.ends_early
        return [] if runs_on else ["The cell at which a column ended is marked."]


class SingleFigure(WithIntervals, OfQuestions):
    """Matching score of the unsteered model, and with each vector added and subtracted."""

    EXAMPLE = """
        sweeps:
          single:
            model: chat
            inject: {layers: [4, 8]}
            coefficients: {choice: multipliers}
            measures: {two_choice: {}}
        figures:
          single-steering: {kind: single, sweep: single}
    """

    kind: Literal["single"]
    sweep: TableName = Field(
        description="A sweep of `two_choice` with the multipliers of a choice."
    )
    layers: Layers | None = Field(None, description="Default: all layers of the sweep.")

    draws: ClassVar = {"sweep": Drawn("two_choice", "single")}


class CombinedFigure(WithIntervals, OfQuestions):
    """Matching score under combined vectors, next to single steering."""

    EXAMPLE = """
        sweeps:
          single: &chosen
            model: chat
            inject: {layers: [4]}
            coefficients: {choice: multipliers}
            measures: {two_choice: {}}
          combined: {<<: *chosen, inject: {combine: [mean, sum], layers: [4]}}
        figures:
          combined-steering: {kind: combined, sweep: combined, single: single}
    """

    kind: Literal["combined"]
    sweep: TableName = Field(description="A sweep of `two_choice` that combines vectors.")
    single: TableName = Field(
        description="A sweep of `two_choice` with the multipliers of a choice."
    )
    layers: Layers | None = Field(None, description="Default: all layers of the sweep.")
    max_faulty: int = Field(10, description="Bars with more faulty answers are not drawn.")

    draws: ClassVar = {
        "sweep": Drawn("two_choice", "combined"),
        "single": Drawn("two_choice", "single"),
    }

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        return [] if self.single in absent else ["Lines: vectors steered one at a time."]


class SimultaneousFigure(WithIntervals, OfQuestions):
    """Matching scores along the global coefficient, with the alignment tax."""

    EXAMPLE = """
        sweeps:
          together: &together
            model: chat
            inject: {together: {sycophancy: 4, myopia: 8}}
            coefficients: [-1, 0, 1]
            measures: {two_choice: {}}
          tax: {<<: *together, measures: {next_token: {corpora: [text]}}}
        figures:
          together: {kind: simultaneous, sweep: together, tax: tax}
    """

    kind: Literal["simultaneous"]
    sweep: TableName = Field(description="A sweep of `two_choice` with vectors together.")
    tax: TableName | None = Field(
        None, description="A sweep of `next_token` that injects the same: the alignment tax."
    )
    max_faulty: int = Field(5, description="Points with more faulty answers are not drawn.")

    draws: ClassVar = {
        "sweep": Drawn("two_choice", "simultaneous"),
        "tax": Drawn("next_token"),
    }

    def check(self, entry: str, study: Shown) -> None:
        super().check(entry, study)
        if self.tax and "top1" not in columns_of(study.table(self.tax)):
            raise StudyError(
                f"{entry}.tax draws accuracies, but sweeps.{self.tax} has only losses; remove it."
            )
        sweep, tax = self._own_results(study)
        if sweep is None or tax is None:
            return  # published results do not say what was asked for
        if tax.sweep.coefficients != sweep.sweep.coefficients:
            raise StudyError(
                f"{entry}.tax names sweeps.{self.tax}, which has other coefficients than "
                f"sweeps.{self.sweep}; make `coefficients` equal."
            )
        assert isinstance(tax.measured, NextToken)
        if tax.measured.precision_by == "coefficient":
            raise StudyError(
                f"{entry}.tax needs the same documents at every coefficient, but "
                f"sweeps.{self.tax} has `precision_by: coefficient`; remove that."
            )

    def check_layers(self, entry: str, study: Shown) -> None:
        sweep, tax = self._own_results(study)
        if sweep and tax and tax.sweep.inject != sweep.sweep.inject:
            raise StudyError(
                f"{entry}.tax names sweeps.{self.tax}, which does not inject the same as "
                f"sweeps.{self.sweep}; make `inject` equal."
            )

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        sweep, tax = study.table(self.sweep), study.table(self.tax) if self.tax else None
        layers = f"Layers: {_own_layers(sweep)}."
        if tax is None or self.tax in absent:
            return [layers]
        said = ["Dotted: next-token accuracy on ordinary documents, the alignment tax.", layers]
        models = [_model(sweep), _model(tax)]
        if None not in models and len(set(models)) == 2:
            said.append(
                f"{models[0]} answers the questions; the alignment tax is that of {models[1]}."
            )
        return said

    def items(self, absent: Collection[str]) -> str:
        if self.tax is None or self.tax in absent:
            return super().items(absent)
        return "questions (Wilson), those of the alignment tax over documents (bootstrap)"

    def _own_results(self, study: Shown) -> tuple[Table | None, Table | None]:
        """The sweep and that of the alignment tax, each unless it is published or not there."""
        sweep, tax = study.table(self.sweep), study.table(self.tax) if self.tax else None
        return (
            sweep if isinstance(sweep, Table) else None,
            tax if isinstance(tax, Table) else None,
        )


def _own_layers(table: Table | PublishedSweep) -> str:
    if isinstance(table, PublishedSimultaneous):
        return ", ".join(map(str, table.layers))
    assert isinstance(table, Table) and isinstance(table.sweep.inject, TogetherDesign)
    said = []
    for vector, part in table.sweep.inject.together.items():
        given = part.layers if isinstance(part, PartEntry) else part
        layers = given if isinstance(given, list) else [given]
        said.append(f"{' and '.join(map(str, layers))} ({vector})")
    return ", ".join(said)


class DistributionsFigure(Figure):
    """Histograms of mean activations or of steering vectors over the hidden dimension."""

    EXAMPLE = """
        figures:
          distributions: {kind: distributions, activations: [code, text], layers: [8]}
    """

    kind: Literal["distributions"]
    activations: list[Name] = Field(
        [], description="Activations of corpora. Give these or `vectors`."
    )
    vectors: list[Name] = Field([], description="Steering vectors.")
    layers: Layers = Field(description="Layers drawn.")
    bins: Count = Field(100, description="Number of bins.")
    log: bool = Field(True, description="`true` draws counts on a logarithmic scale.")

    names: ClassVar = {"activations": "activations", "vectors": "vectors"}
    any_table: ClassVar = True

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if bool(self.activations) == bool(self.vectors):
            raise ValueError("name either activations or vectors")
        return self

    def check(self, entry: str, study: Shown) -> None:
        for name in self.activations:
            if name in study.activations and study.activations[name].corpus is None:
                raise StudyError(
                    f"{entry}.activations names activations.{name}, which are of a behaviour and "
                    "have no mean; draw a vector made from them, in `vectors`."
                )
        names = [*self.activations, *self.vectors]
        shown = [name for name in names if name not in {*study.activations, *study.vectors}]
        if not shown or study.published is None:
            return
        if len(shown) < len(names):
            raise StudyError(
                f"{entry} mixes published activations ({', '.join(shown)}) with the study's own; "
                "draw them in separate figures."
            )
        layers, bins = study.published.layers, study.published.bins
        if not set(self.layers) <= set(layers) or self.bins != bins:
            raise StudyError(
                f"{entry} draws layers {self.layers} in {self.bins} bins, but the published "
                f"histograms are of layers {layers} in {bins}; change published.layers and "
                "published.bins."
            )

    def models(self, study: Shown) -> list[str | None]:
        models: list[str | None] = []
        for name in self.activations:
            models.append(getattr(study.activations.get(name), "model", None))
        for name in self.vectors:
            models.append(study.model_of(name) if name in study.vectors else None)
        return models

    def tables(self, study: Shown) -> list[str]:
        if not self._are_published(study):
            return []
        means = [f"{name}-mean" for name in self.activations]
        return means + [f"{name}-vector" for name in self.vectors]

    def arrays(self, study: Shown) -> tuple[list[str], list[str]]:
        return ([], []) if self._are_published(study) else (self.activations, self.vectors)

    def labels(self, study: Shown) -> dict[str, str | None]:
        """Published activations and vectors have the names of their corpora and behaviours."""
        titles: dict[str, str | None] = {}
        for name in self.activations:
            corpus = study.activations[name].corpus if name in study.activations else name
            titles[name] = study.title_of("corpora", corpus) if corpus else None
        for name in self.vectors:
            if name not in study.vectors:
                titles[name] = study.title_of("behaviours", name)
            elif "behaviour" in study.vectors[name].READS.values():
                titles[name] = study.title_of("behaviours", study.behaviour_of(name))
        return titles

    def _are_published(self, study: Shown) -> bool:
        own = {*study.activations, *study.vectors}
        return own.isdisjoint([*self.activations, *self.vectors])


class VectorsFigure(Figure):
    """Vectors in numbers: length, training accuracy and explained variance by layer, and cosines
    between them. The tables are `vectors.csv` and `cosines.csv` next to the figures."""

    EXAMPLE = """
        figures:
          vectors: {kind: vectors, vectors: [sycophancy, myopia], layers: [4, 8]}
    """

    kind: Literal["vectors"]
    vectors: Names = Field(description="Vectors of one model.")
    layers: Layers | None = Field(
        None,
        description="Layers whose cosines are shown, with a heat map of all vectors for "
        "each. Default: one heat map of every two vectors at all layers.",
    )

    names: ClassVar = {"vectors": "vectors"}
    describes_vectors: ClassVar = True

    def check(self, entry: str, study: Shown) -> None:
        models = {}
        for name in self.vectors:
            if name not in study.vectors:
                raise StudyError(
                    f"{entry}.vectors names {name}, which is published and has no samples here; "
                    "name vectors of the study's own."
                )
            models[study.model_of(name)] = name
        if len(models) > 1:
            said = " and ".join(f"vectors.{name} is of {model}" for model, name in models.items())
            raise StudyError(
                f"{entry} compares vectors of one model, but {said}; give each model its own "
                "figure."
            )

    def models(self, study: Shown) -> list[str | None]:
        return [study.model_of(name) for name in self.vectors]

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        return [
            "Training accuracy: the share of a vector's own samples that lie, along it, on "
            "their class's side of the midpoint (dotted: chance).",
            (
                "Explained variance: the share of the variance of its pairs' differences that lies "
                "along it."
            ),
            "Lines that coincide alternate their dashes.",
        ]

    def drawn_several(self, study: Shown, absent: Collection[str]) -> list[str]:
        draws = study.draws_of(self.vectors)
        said = [f"{name}: {self.of_draws} of {n} draws." for name, n in draws.items()]
        return [*said, "Cosines of draws are averaged."] if said else []


class EffectsFigure(Figure):
    """Slopes of single questions over the coefficient: their distribution for each behaviour,
    layer and vector. It shows the share below 0, which moves the wrong way."""

    EXAMPLE = """
        figures:
          slopes: {kind: effects, effects: grid}
    """

    kind: Literal["effects"]
    effects: Name = Field(description="An entry of `effects` with slopes.")
    layers: Layers | None = Field(None, description="Default: all layers of the sweep.")

    names: ClassVar = {"effects": "effects"}

    @property
    def shown_effects(self) -> str | None:
        return self.effects

    def check(self, entry: str, study: Shown) -> None:
        effects = study.effects[self.effects]
        table = study.table(effects.sweep)
        assert isinstance(table, Table)
        if not isinstance(table.measured, TwoChoice | Choice):
            raise StudyError(
                f"{entry} draws slopes of questions, but effects.{self.effects} is of "
                f"{table.measure}, which has none; name effects of two_choice or choice."
            )

    def models(self, study: Shown) -> list[str | None]:
        return [_model(study.table(study.effects[self.effects].sweep))]

    def settings(self, study: Shown) -> dict[str, Any]:
        table = study.table(study.effects[self.effects].sweep)
        unit = "nats" if table.measure == "choice" else "logits"
        return {"sweep": study.effects[self.effects].sweep, "unit": unit}

    def labels(self, study: Shown) -> dict[str, str | None]:
        return dict(study.titles_of(study.effects[self.effects].sweep))

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        effects = study.effects[self.effects]
        of = (
            "mean, with equal weight for each answer and order of the options,"
            if effects.balanced
            else "mean"
        )
        return [
            "Dot: a question's slope of propensity over the coefficient (orange: below 0, the "
            f"wrong way). Diamond: {of} with its interval (95 %, Student's). Box: quartiles.",
            "Right: the share of questions below 0, with Wilson's 95 % interval.",
            "Grey: the range of the mean over the draws of a control, if there is one.",
        ]


class RankingFigure(Figure):
    """Arms by the mean change of propensity, with intervals, and the differences between arms. Ties
    are grey."""

    EXAMPLE = """
        figures:
          methods: {kind: ranking, ranking: methods}
    """

    kind: Literal["ranking"]
    ranking: Name = Field(description="An entry of `rankings`.")

    names: ClassVar = {"ranking": "rankings"}

    @property
    def shown_ranking(self) -> str | None:
        return self.ranking

    def models(self, study: Shown) -> list[str | None]:
        return [_model(study.table(name)) for name in study.rankings[self.ranking].sweeps]

    def settings(self, study: Shown) -> dict[str, Any]:
        ranking = study.rankings[self.ranking]
        measures = {study.table(name).measure for name in ranking.sweeps}
        titles = study.titles_in(ranking)
        return {"unit": "nats" if measures == {"choice"} else "logits", "titles": titles}

    def labels(self, study: Shown) -> dict[str, str | None]:
        titles: dict[str, str | None] = {}
        for name in study.rankings[self.ranking].sweeps:
            titles |= study.titles_of(name)
        return titles

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        return [
            "Diamond: the mean over behaviours. Thick line: its interval over questions (95 %, "
            "Welch's). Thin line: over behaviours and their vectors (95 %, Student's). Dots: "
            "single behaviours.",
            "At the right: the row minus the column, paired by behaviour. Grey and pale: a tie "
            "(Holm's p over all pairs above 0.05). Pale: Benjamini-Hochberg's p is at most 0.05.",
        ]


AnyFigure = Annotated[
    TradeoffFigure
    | HeatmapFigure
    | SingleFigure
    | CombinedFigure
    | SimultaneousFigure
    | CurvesFigure
    | LayersFigure
    | ChosenFigure
    | PointsFigure
    | EqualDoseFigure
    | InterferenceFigure
    | AgainstFigure
    | DistributionsFigure
    | VectorsFigure
    | EffectsFigure
    | RankingFigure,
    Field(discriminator="kind"),
]
FIGURES: tuple[type[Figure], ...] = get_args(get_args(AnyFigure)[0])
