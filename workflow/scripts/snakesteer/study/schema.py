"""The schema of a study file: what may be written, and what it means.

Its entries have names and refer to each other by name (`references`); how a file is read, and what
`extends` does, is said in `study_file`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from snakesteer.core.dtypes import Dtype
from snakesteer.core.errors import StudyError
from snakesteer.study.entries import Count, Distinct, Entry, Name, Names, Seed, Some
from snakesteer.study.source_entries import (
    COMMIT,
    Behaviour,
    Corpus,
    FilesCorpus,
    FilesSplit,
    Filter,
    GeneratedBehaviour,
    HubCorpus,
    HubSplit,
    InstalledCorpus,
    Model,
    ModelWrittenBehaviour,
    PreparedBehaviour,
    Shuffle,
)
from snakesteer.sweeps import stopping as rules
from snakesteer.tables.bootstrap import RESAMPLES, SEED

Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Numbers = Annotated[list[Number], Some, Distinct]
# A number of a decoder block, or a fraction of the model's depth; see `depth`.
Fraction = Annotated[float, Field(ge=0, le=1, strict=True, title="fraction of depth")]
Layer = Annotated[int, Field(ge=0, strict=True)] | Fraction
Layers = Annotated[list[Layer], Some, Distinct]
LayerSet = Layer | Layers
# Keys of mappings are text in JSON.
LayerKey = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, le=1, title="fraction")]
OwnLayers = Annotated[dict[Name, LayerSet], Some]


PILOT = 32
SKIP = 50
MAX_FAULTY = 0.05
TRANSFER = (
    "Allow vectors of another model, which must have as many layers and be as wide; without it "
    "they are refused."
)
CUT = (
    "Documents are cut at this length; if left out at 4,096 tokens, or where the model's context "
    "ends if that is sooner."
)


class Activations(Entry):
    """Residual-stream activations at the last token, of a corpus or of a behaviour."""

    model: Name
    corpus: Name | None = Field(None, description="Corpus whose training split is read.")
    behaviour: Name | None = Field(None, description="Behaviour whose training split is read.")
    documents: Count | None = Field(
        None, description="Use the first documents only; all of the split if left out."
    )
    max_tokens: Count | None = Field(None, description=CUT)

    @model_validator(mode="after")
    def _of_one_thing(self) -> Self:
        if (self.corpus is None) == (self.behaviour is None):
            raise ValueError("name either a corpus or a behaviour")
        if self.behaviour and self.documents:
            raise ValueError("documents is for a corpus; a behaviour uses its training questions")
        if self.behaviour and self.max_tokens:
            raise ValueError("max_tokens is for a corpus; questions are read whole; remove it")
        return self


class Vector(Entry):
    """A steering vector: means added minus means subtracted, or the mean of a contrast."""

    add: Annotated[list[Name], Distinct] | None = Field(
        None, description="Activations of corpora whose means add."
    )
    subtract: Annotated[list[Name], Distinct] | None = Field(
        None, description="Activations whose means subtract."
    )
    permute: Literal["operands", "difference"] | None = Field(
        None,
        description="Control: shuffle both sums independently over the hidden dimension, as the "
        "authors did (`operands`; longer than the vector), or their difference (same length).",
    )
    seed: Seed = Field(13, description="Seed of the permutation and of resamples.")
    dtype: Dtype = Field(
        "float32",
        description="Number format that the sums and their difference are rounded to; the authors "
        "took the difference in `bfloat16`.",
    )
    contrast: Name | None = Field(None, description="Activations of a behaviour.")

    @model_validator(mode="after")
    def _one_method(self) -> Self:
        if (self.contrast is None) == (not self.add and not self.subtract):
            raise ValueError("give either contrast, or add and subtract")
        if self.contrast and (self.permute or self.dtype != "float32"):
            raise ValueError("permute and dtype are for vectors of add and subtract")
        return self


class Range(Entry):
    """Evenly spaced coefficients; 0 is put first when the range does not contain it."""

    start: Number
    stop: Number
    points: Annotated[int, Field(ge=2)]
    spacing: Literal["linear", "logarithmic"] = "linear"

    @model_validator(mode="after")
    def _has_logarithms(self) -> Self:
        if self.start == self.stop:
            raise ValueError("start and stop are equal; give two ends")
        if self.spacing == "logarithmic" and self.start * self.stop <= 0:
            raise ValueError("logarithmic spacing needs start and stop of one sign, neither 0")
        return self

    @model_validator(mode="after")
    def _far_enough_apart(self) -> Self:
        if len(set(self.values())) < len(self.values()):
            raise ValueError(
                f"start {self.start!r} and stop {self.stop!r} are too close for {self.points} "
                "points, some of which would be equal in 12 digits; move them apart, or give fewer"
            )
        return self

    def values(self) -> list[float]:
        """The coefficients, rounded to 12 significant digits; in linear spacing one that would be
        nothing beside the larger end is 0."""
        if self.spacing == "linear":
            nothing = 1e-12 * max(abs(self.start), abs(self.stop))
            spaced = np.linspace(self.start, self.stop, self.points)
            spaced[abs(spaced) < nothing] = 0
        else:
            spaced = np.geomspace(self.start, self.stop, self.points)
        values = [float(f"{value:.12g}") for value in spaced]
        return values if 0.0 in values else [0.0, *values]


Coefficients = Numbers | Range


class SkillStopping(Entry):
    """Early stopping of a skill sweep (paper, code of the skill experiments).

    Judged on the sweep's first corpus, relative to its top-1 accuracy at coefficient 0, from where
    the coefficients must grow in one direction.
    """

    stop: Share = Field(
        rules.SkillStopping.stop, description="Below this relative accuracy the curve ends."
    )
    leap_below: Share = Field(
        rules.SkillStopping.leap_below, description="Below this, several coefficients are skipped."
    )
    leap: Count = Field(
        rules.SkillStopping.leap, description="Places to advance in the list below `leap_below`."
    )


class GridStopping(Entry):
    """When a column of a grid search ends (paper, code of the grid search)."""

    collapse: Share = Field(
        rules.GridStopping.collapse,
        description="More than this share of one answer is mode collapse: the cell is not chosen, "
        "and tables and figures mark it, also in sweeps of a choice from here. The column ends if "
        "the share is also larger than that of any answer unsteered.",
    )
    faulty: Annotated[int, Field(ge=0)] = Field(
        rules.GridStopping.faulty, description="Ends after more than this many faulty answers."
    )


class Run(Entry):
    """What every sweep says about running the model."""

    model: Name
    path: Literal["shared", "plain"] = Field(
        "shared",
        description="`shared`: layers below the injection run once for all coefficients; "
        "`plain`: the whole model for each, the reference.",
    )
    dtype: Dtype | None = Field(
        None,
        description="Number format of the model in this sweep; the model's own if left out.",
    )
    vector_dtype: Dtype = Field(
        "float32",
        description="Number format that vectors are rounded to before they are injected. (The "
        "product with the coefficient is taken in float32, the sum in the model's format.)",
    )
    transfer: bool = Field(False, description=TRANSFER)
    resamples: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="Also run the sweep with this many bootstrap resamples of its vectors: the "
        "documents or questions that they are means over are drawn anew, from the activations that "
        "are there. Tables get intervals over vectors (`…_vector_low`, `…_vector_high`).",
    )


class SkillSweep(Run):
    """Next-token accuracy on corpora along injection coefficients."""

    kind: Literal["skill"]
    title: str | None = Field(
        None, description="Name in trade-off figures, as a control or beside other sweeps."
    )
    inject: Name | OwnLayers = Field(
        description="A vector, injected at each of `layers`; or several, each with its layer."
    )
    layers: Literal["all"] | Annotated[list[LayerSet], Some, Distinct] | None = Field(
        None, description="One curve per layer, or per set of layers steered together."
    )
    coefficients: Coefficients
    corpora: Names = Field(
        description="Validation splits evaluated; the first is the one steered away from."
    )
    tokens: Count = Field(
        500_000, description="Tokens per coefficient and corpus, about; with `precision`, at most."
    )
    paired: bool = Field(
        True,
        description="Evaluate the same documents at every coefficient, so that comparisons are "
        "paired; `false` reads on from coefficient to coefficient, as the authors do, which takes "
        "as many more documents and is less precise.",
    )
    precision: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Half-width of the 95 % interval that the relative top-1 accuracy shall have "
        "on every corpus at every coefficient visited, paired over documents. Only as many "
        "documents are evaluated as that takes.",
    )
    precision_by: Literal["curve", "coefficient"] = Field(
        "curve",
        description="`curve`: the same documents at every coefficient, as many as the one that "
        "takes most; `coefficient`: at each the first ones, as many as it takes itself, held "
        "against the same ones at 0, which takes far fewer tokens where a curve begins.",
    )
    pilot: Annotated[int, Field(ge=2)] = Field(
        PILOT,
        description="Documents per corpus that `precision` is planned with; with `stopping`, they "
        "alone decide which coefficients are visited.",
    )
    max_tokens: Count | None = Field(None, description=CUT)
    skip: Count = Field(SKIP, description="Most frequent tokens left out of the `kept` measures.")
    skip_tokens: Literal["fixed", "authors"] = Field(
        "fixed",
        description="`fixed`: leave out the `skip` most frequent tokens of the corpus's training "
        "split; `authors`: what their filter does, which compares with the token id 1 instead.",
    )
    stopping: SkillStopping | Literal[False] = Field(
        False, description="`{}` stops early as in the paper; `false` evaluates every coefficient."
    )

    @model_validator(mode="after")
    def _paired_where_it_has_to_be(self) -> Self:
        for name in ("precision", "resamples"):
            if not self.paired and getattr(self, name):
                raise ValueError(
                    f"{name} compares the same documents, but paired is false; remove one of them"
                )
        return self

    @model_validator(mode="after")
    def _stops_away_from_0(self) -> Self:
        values = coefficients(self.coefficients)
        for before, after in itertools.pairwise(values) if self.stopping else ():
            if before * after < 0 or abs(after) < abs(before):
                raise ValueError(
                    "stopping ends a curve where its accuracy is lost, so coefficients must grow "
                    f"from 0 in one direction, but {after:g} comes after {before:g}; order them "
                    "so, take a sweep for each sign, or set stopping to false"
                )
        return self

    @model_validator(mode="after")
    def _with_a_precision_only(self) -> Self:
        if self.precision is None:
            for name, given in (
                ("pilot", self.pilot != PILOT),
                ("precision_by", self.precision_by != "curve"),
            ):
                if given:
                    raise ValueError(
                        f"{name} is for `precision`, which is missing; add it, or remove {name}"
                    )
        return self

    @model_validator(mode="after")
    def _as_many_as_the_authors(self) -> Self:
        if self.skip_tokens == "authors" and self.skip != SKIP:
            raise ValueError(
                f"skip is {self.skip}, but skip_tokens is authors, whose filter counts no tokens; "
                "remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _resampled_on_the_same_documents(self) -> Self:
        if self.resamples and self.precision_by == "coefficient":
            raise ValueError(
                "resamples takes the same documents at every coefficient, but precision_by is "
                "coefficient; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _layers_once(self) -> Self:
        if isinstance(self.inject, str) == (self.layers is None):
            raise ValueError(
                "layers belongs to a single injected vector; a mapping names each vector's layer"
            )
        return self


class GridSweep(Run):
    """Grid search on a split: each vector on its own behaviour, layers by multipliers by sign."""

    kind: Literal["grid"]
    vectors: Names
    layers: Literal["all"] | Layers
    multipliers: Annotated[list[Annotated[Number, Field(gt=0)]], Some, Distinct]
    split: Literal["validation", "test"] = "validation"
    stopping: GridStopping | Literal[False] = Field(
        GridStopping(), description="`false` evaluates every cell."
    )


class SingleSweep(Run):
    """Single steering: default, add and subtract, with chosen multipliers."""

    kind: Literal["single"]
    choice: Name
    layers: Layers
    split: Literal["validation", "test"] = "test"


class CombinedSweep(Run):
    """All vectors of a choice combined into one, added and subtracted, on all behaviours."""

    kind: Literal["combined"]
    choice: Name
    layers: Layers
    combine: Annotated[list[Literal["mean", "sum"]], Some, Distinct] = ["mean", "sum"]
    weighted: Annotated[list[bool], Some, Distinct] = Field(
        [False, True], description="Without and with the chosen multipliers as weights."
    )
    split: Literal["validation", "test"] = "test"


class SimultaneousSweep(Run):
    """Several vectors at their own layers, all times one global coefficient."""

    kind: Literal["simultaneous"]
    inject: OwnLayers = Field(description="Each vector's layer.")
    coefficients: Coefficients
    split: Literal["validation", "test"] = "test"


Sweep = Annotated[
    SkillSweep | GridSweep | SingleSweep | CombinedSweep | SimultaneousSweep,
    Field(discriminator="kind"),
]


class Multipliers(Entry):
    """The multipliers of one vector at one layer, picked by hand."""

    add: Annotated[Number, Field(gt=0)]
    subtract: Annotated[Number, Field(lt=0)]


class Choice(Entry):
    """Multipliers for vectors at layers: picked from a grid search by a rule, or given."""

    grid: Name | None = Field(None, description="A grid sweep on the validation split.")
    max_faulty: Share = Field(
        MAX_FAULTY, description="Cells with a larger share of faulty answers are not chosen."
    )
    multipliers: dict[Name, dict[LayerKey, Multipliers]] | None = Field(
        None,
        description="In place of `grid`: for each vector and layer `{add: …, subtract: …}`, the "
        "second negative.",
    )

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.grid is None) == (not self.multipliers):
            raise ValueError("give either grid, to pick from it, or multipliers")
        if self.multipliers and self.max_faulty != MAX_FAULTY:
            raise ValueError(
                "max_faulty is for multipliers picked from a grid, and these are given; remove it"
            )
        return self


class Samples(Entry):
    """Greedy continuations, steered at every position, to be read."""

    model: Name
    vector: Name
    transfer: bool = Field(False, description=TRANSFER)
    layer: Layer
    coefficients: Numbers
    prompts: Annotated[list[str], Some, Distinct]
    tokens: Count = 40
    title: str | None = None


class Titled(Entry):
    """A corpus or a behaviour of the published results."""

    key: str = Field(description="What the authors' files call it.")
    title: str | None = Field(None, description="Name in figures.")


class PublishedSkill(Entry):
    """Published skill results, a file for each injected layer."""

    kind: Literal["skill"]
    files: Annotated[list[str], Some, Distinct] = Field(
        description="Paths in the repository; the layer stands in each file."
    )
    vector: Name = Field(description="Name of the vector in the table.")
    corpora: Names = Field(
        description="Names under `published.corpora`; the first is the one steered away from."
    )
    title: str | None = Field(
        None, description="Name in trade-off figures, as a control or beside other sweeps."
    )


class PublishedGrid(Entry):
    """Published grid search, a file for each sign."""

    kind: Literal["grid"]
    add: str
    subtract: str


class PublishedSingle(Entry):
    """Published single steering."""

    kind: Literal["single"]
    file: str


class PublishedCombined(Entry):
    """Published combined steering, a file for each way to combine."""

    kind: Literal["combined"]
    mean: str
    sum: str


class PublishedSimultaneous(Entry):
    """Published simultaneous steering."""

    kind: Literal["simultaneous"]
    file: str
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Some, Distinct] = Field(
        description="Layers of the vectors, which the file does not say."
    )


PublishedSweep = Annotated[
    PublishedSkill | PublishedGrid | PublishedSingle | PublishedCombined | PublishedSimultaneous,
    Field(discriminator="kind"),
]


class Published(Entry):
    """Published results of the paper's authors, as tables that figures and scorecards take like
    those of the study's own sweeps."""

    source: str = Field(
        "shipped",
        description="`shipped`: the tables in this repository; or the authors' files, in a "
        "folder of their repository's structure (absolute, in the working directory, or in "
        "this repository), or at a raw-file address at one commit, as "
        "https://raw.githubusercontent.com/OWNER/REPOSITORY/COMMIT.",
    )
    commit: Annotated[str, Field(pattern=COMMIT)] = Field(
        description="Commit of their repository that the files are of, for the provenance."
    )
    listing: str | None = Field(
        None,
        description="With an address: where the commit's tree with its git blob ids is, in the "
        "form of GitHub's API. Every file is verified against it. An address at GitHub implies it.",
    )
    corpora: dict[Name, Titled] = Field({}, description="Corpora by our names.")
    behaviours: dict[Name, Titled] = Field({}, description="Behaviours by our names.")
    sweeps: dict[Name, PublishedSweep] = Field(
        {}, description="Result files; each entry becomes a table of that name."
    )
    activations: dict[Name, str] = Field(
        {}, description="Files of mean activations (`.pt`), by the name of their corpus."
    )
    vectors: dict[Name, str] = Field(
        {}, description="Files of contrast vectors (`.pt`), by the name of their behaviour."
    )
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Distinct] = Field(
        [], description="Layers for which histograms of activations and vectors are made."
    )
    bins: Count = Field(100, description="Bins of those histograms.")

    @model_validator(mode="after")
    def _verified(self) -> Self:
        if self.source.startswith(("https://", "http://")) and not self.tree:
            raise ValueError(
                f"source is the address {self.source}, and listing is missing; give the address of "
                "the commit's tree, so that what is downloaded can be verified"
            )
        return self

    @property
    def tree(self) -> str | None:
        """Where the commit's tree is: `listing`, or what a raw-file address at GitHub implies."""
        at_github = re.fullmatch(
            r"https://raw\.githubusercontent\.com/([\w.-]+/[\w.-]+)/([0-9a-f]{40})/?", self.source
        )
        if self.listing or not at_github:
            return self.listing
        return "https://api.github.com/repos/{}/git/trees/{}?recursive=1".format(
            *at_github.groups()
        )

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name, sweep in self.sweeps.items():
            for corpus in sweep.corpora if isinstance(sweep, PublishedSkill) else []:
                if corpus not in self.corpora:
                    raise ValueError(
                        f"sweeps.{name}.corpora names {corpus}, which is not in published.corpora; "
                        "add it there"
                    )
        return self


class Figure(Entry):
    """What every figure may say."""

    title: str | None = None
    caption: str | None = Field(
        None,
        description="Caption in the report; what controls, lines and dots are, the layers of "
        "vectors that have each their own, and what intervals are over, are said after it.",
    )


class WithIntervals(Figure):
    """A figure with intervals."""

    intervals: Literal["items", "vectors", "both"] = Field(
        "items",
        description="Uncertainty shown: over documents or questions; over vectors, where the "
        "sweeps have `resamples`; or both, their half-widths added in squares.",
    )


class TradeoffFigure(WithIntervals):
    """Relative accuracy on one corpus against another, a line per layer."""

    kind: Literal["tradeoff"]
    sweeps: Names
    controls: list[Name] = Field([], description="Sweeps drawn as controls.")
    layers: list[LayerSet] | None = Field(None, description="All of the sweeps' if left out.")
    measure: Literal["top1", "top10", "kept_top1", "kept_top10"] = Field(
        "top1",
        description="Accuracy drawn; `kept` leaves the most frequent tokens out.",
    )
    limits: tuple[float, float] | None = Field(None, description="Both axes, in per cent.")


class HeatmapFigure(Figure):
    """Grid search: layers across, multipliers down."""

    kind: Literal["heatmap"]
    sweep: Name
    behaviour: Name | None = Field(None, description="One behaviour; all if left out.")
    direction: Literal["add", "subtract"] | None = Field(None, description="Both if left out.")
    layers: Layers | None = None


class SingleFigure(WithIntervals):
    """Matching score by default, added and subtracted."""

    kind: Literal["single"]
    sweep: Name
    layers: Layers | None = None


class CombinedFigure(WithIntervals):
    """Matching score under combined vectors, beside single steering."""

    kind: Literal["combined"]
    sweep: Name
    single: Name
    layers: Layers | None = None
    max_faulty: int = Field(10, description="Bars with more faulty answers are not drawn.")


class SimultaneousFigure(WithIntervals):
    """Matching scores along the global coefficient, with the alignment tax."""

    kind: Literal["simultaneous"]
    sweep: Name
    tax: Name | None = None
    max_faulty: int = Field(5, description="Points with more faulty answers are not drawn.")


class DistributionsFigure(Figure):
    """Histograms of mean activations or of steering vectors over the hidden dimension."""

    kind: Literal["distributions"]
    activations: list[Name] = []
    vectors: list[Name] = []
    layers: Layers
    bins: Count = 100
    log: bool = Field(True, description="Logarithmic counts.")

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if bool(self.activations) == bool(self.vectors):
            raise ValueError("name either activations or vectors")
        return self


AnyFigure = Annotated[
    TradeoffFigure
    | HeatmapFigure
    | SingleFigure
    | CombinedFigure
    | SimultaneousFigure
    | DistributionsFigure,
    Field(discriminator="kind"),
]


class Scorecard(Entry):
    """Two sets of sweeps over the same figure, compared curve by curve: published against one's
    own, or one setting against another."""

    sweeps: Names = Field(description="Sweeps of this study, its own or published ones.")
    against: Annotated[list[str], Some, Distinct] = Field(
        description="As many sweeps to compare them with, in the same order; `STUDY/SWEEP` is one "
        "of another study that was run in the same folder."
    )
    title: str | None = Field(None, description="Heading of the page and the figure.")
    caption: str | None = Field(None, description="Caption in the report.")

    @model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if len(self.sweeps) != len(self.against):
            raise ValueError(
                f"sweeps names {len(self.sweeps)} and against {len(self.against)}; name as many "
                "in both, in the same order"
            )
        return self


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

    def model_of(self, vector: str) -> str:
        """The model whose activations made a vector."""
        entry = self.vectors[vector]
        operands = (
            [entry.contrast] if entry.contrast else [*(entry.add or []), *(entry.subtract or [])]
        )
        models = {self.activations[operand].model for operand in operands}
        if len(models) > 1:
            raise StudyError(
                f"vectors.{vector} is made from activations of {' and '.join(sorted(models))}; "
                "use one model for all of them."
            )
        return models.pop()

    def behaviour_of(self, vector: str) -> str:
        """The behaviour whose contrast made a vector."""
        contrast = self.vectors[vector].contrast
        behaviour = self.activations[contrast].behaviour if contrast else None
        if behaviour is None:
            raise StudyError(
                f"vectors.{vector} is not a contrast vector of a behaviour, "
                "which a behaviour sweep needs; name a vector with `contrast`."
            )
        return behaviour

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


def coefficients(given: list[float] | Range) -> list[float]:
    """The coefficients in the order of the sweep, 0 first."""
    values = given.values() if isinstance(given, Range) else given
    return [0.0, *(value + 0.0 for value in values if value != 0)]


SECTIONS: dict[str, tuple[type[Entry], ...]] = {
    "models": (Model,),
    "corpora": (InstalledCorpus, HubCorpus, FilesCorpus, HubSplit, FilesSplit, Filter, Shuffle),
    "behaviours": (GeneratedBehaviour, ModelWrittenBehaviour, PreparedBehaviour),
    "activations": (Activations,),
    "vectors": (Vector,),
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
    "figures": (
        TradeoffFigure,
        HeatmapFigure,
        SingleFigure,
        CombinedFigure,
        SimultaneousFigure,
        DistributionsFigure,
    ),
    "scorecards": (Scorecard,),
    "statistics": (Statistics,),
}
