"""The schema of a study file: what may be written, what it means, and what is wrong with it.

A study is one YAML file. Its entries have names and refer to each other by name; `extends` starts
from another file, whose entries are overridden key by key. Everything that can be checked without
a model is checked here, and every mistake is one sentence that names the entry.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import yaml
from pydantic import Field, ValidationError, model_validator

from snakesteer.entries import Count, Distinct, Entry, Name, Names, Some
from snakesteer.errors import StudyError
from snakesteer.source_entries import (
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

Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Numbers = Annotated[list[Number], Some, Distinct]
Dtype = Literal["float32", "bfloat16", "float16"]
# A number of a decoder block, or a fraction of the model's depth; see `depth`.
Fraction = Annotated[float, Field(ge=0, le=1, strict=True, title="fraction of depth")]
Layer = Annotated[int, Field(ge=0, strict=True)] | Fraction
Layers = Annotated[list[Layer], Some, Distinct]
LayerSet = Layer | Layers
# Keys of mappings are text in JSON.
LayerKey = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, le=1, title="fraction")]
OwnLayers = Annotated[dict[Name, LayerSet], Some]


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
    seed: int = Field(13, description="Seed of the permutation and of resamples.")
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

    def values(self) -> list[float]:
        """The coefficients, rounded to 12 significant digits."""
        space = np.linspace if self.spacing == "linear" else np.geomspace
        values = [float(f"{v:.12g}") + 0.0 for v in space(self.start, self.stop, self.points)]
        return values if 0.0 in values else [0.0, *values]


Coefficients = Numbers | Range


class SkillStopping(Entry):
    """Early stopping of a skill sweep (paper, code of the skill experiments).

    Judged on the sweep's first corpus, relative to its top-1 accuracy at coefficient 0.
    """

    stop: Share = Field(0.05, description="Below this relative accuracy the curve ends.")
    leap_below: Share = Field(0.15, description="Below this, several coefficients are skipped.")
    leap: Count = Field(5, description="Places to advance in the list below `leap_below`.")


class GridStopping(Entry):
    """When a column of a grid search ends (paper, code of the grid search)."""

    collapse: Share = Field(
        0.95,
        description="More than this share of one answer is mode collapse: the column ends, the "
        "cell is not chosen, and tables and figures mark it, also in sweeps of a choice from here.",
    )
    faulty: Annotated[int, Field(ge=0)] = Field(
        10, description="Ends after more than this many faulty answers."
    )


class Run(Entry):
    """What every sweep says about running the model."""

    model: Name
    title: str | None = Field(None, description="Name in figures.")
    path: Literal["shared", "plain"] = Field(
        "shared",
        description="`shared`: layers below the injection run once for all coefficients; "
        "`plain`: the whole model for each, the reference.",
    )
    vector_dtype: Dtype = Field(
        "float32",
        description="Number format that vectors are rounded to before they are injected. (The "
        "product with the coefficient is taken in float32, the sum in the model's format.)",
    )
    resamples: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="Also run the sweep with this many bootstrap resamples of its vectors: the "
        "documents or questions that they are means over are drawn anew, from the activations that "
        "are there. Tables get intervals over vectors (`…_vector_low`, `…_vector_high`).",
    )


class SkillSweep(Run):
    """Next-token accuracy on corpora along injection coefficients."""

    kind: Literal["skill"]
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
    precision: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Half-width of the 95 % interval that the relative top-1 accuracy shall have "
        "on every corpus at every coefficient, paired over documents. Only as many documents are "
        "evaluated as that takes.",
    )
    pilot: Annotated[int, Field(ge=2)] = Field(
        32, description="Documents per corpus that `precision` is planned with."
    )
    max_tokens: Count | None = Field(None, description=CUT)
    skip: Count = Field(50, description="Most frequent tokens left out of the `kept` measures.")
    skip_tokens: Literal["fixed", "authors"] = Field(
        "fixed",
        description="`fixed`: leave out the `skip` most frequent tokens of the corpus's training "
        "split; `authors`: what their filter does, which compares with the token id 1 instead.",
    )
    stopping: SkillStopping | Literal[False] = Field(
        False, description="`{}` stops early as in the paper; `false` evaluates every coefficient."
    )

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
        0.05, description="Cells with a larger share of faulty answers are not chosen."
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
        return self


class Samples(Entry):
    """Greedy continuations, steered at every position, to be read."""

    model: Name
    vector: Name
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
    title: str | None = Field(None, description="Name in figures.")


class PublishedGrid(Entry):
    """Published grid search, a file for each sign."""

    kind: Literal["grid"]
    add: str
    subtract: str
    title: str | None = None


class PublishedSingle(Entry):
    """Published single steering."""

    kind: Literal["single"]
    file: str
    title: str | None = None


class PublishedCombined(Entry):
    """Published combined steering, a file for each way to combine."""

    kind: Literal["combined"]
    mean: str
    sum: str
    title: str | None = None


class PublishedSimultaneous(Entry):
    """Published simultaneous steering."""

    kind: Literal["simultaneous"]
    file: str
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Some, Distinct] = Field(
        description="Layers of the vectors, which the file does not say."
    )
    title: str | None = None


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
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] = Field(
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
    caption: str | None = Field(None, description="Caption in the report.")


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

    resamples: Count = Field(1000, description="Bootstrap resamples of the documents.")
    seed: int = 13


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


# What tells the entries of a section apart; another one makes another entry.
TAGS = {"corpora": "source", "behaviours": "source", "sweeps": "kind", "figures": "kind"}


def coefficients(given: list[float] | Range) -> list[float]:
    """The coefficients in the order of the sweep, 0 first."""
    values = given.values() if isinstance(given, Range) else given
    return [0.0, *(value + 0.0 for value in values if value != 0)]


def load(path: str | Path) -> Study:
    """Read, merge (`extends`), validate and cross-check a study file.

    Raises StudyError with one sentence for the first mistake found.
    """
    return parse(read(Path(path)), str(path))


def read(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A study file as plain data, after following `extends`."""
    if path.resolve() in seen:
        raise StudyError(f"{path} extends itself; remove `extends` from one of the files.")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"The study file {path} does not exist; check the path.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise StudyError(
            f"{path} is not YAML{place}: {getattr(error, 'problem', error)}."
        ) from None
    if not isinstance(data, dict):
        raise StudyError(f"{path} holds no study; it needs at least `name`.")
    return resolve(data, path.parent, (*seen, path.resolve()))


def resolve(data: Mapping[str, Any], folder: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Merge a study's data over the file it `extends`, looked up from `folder`."""
    own = dict(data)
    base = own.pop("extends", None)
    if base is not None and not isinstance(base, str):
        raise StudyError(f"`extends` must name one study file, not {base!r}.")
    return merge(_without_replaced(read(folder / base, seen), own), own) if base else own


def _without_replaced(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The base without the entries to which `over` gives another source or kind, and which would
    leave it keys that it does not know."""
    kept = dict(base)
    for section, tag in TAGS.items():
        entries, others = base.get(section), over.get(section)
        if isinstance(entries, Mapping) and isinstance(others, Mapping):
            tags = {
                name: entry[tag]
                for name, entry in others.items()
                if isinstance(entry, Mapping) and tag in entry
            }
            kept[section] = {
                name: entry
                for name, entry in entries.items()
                if not isinstance(entry, Mapping)
                or tags.get(name, entry.get(tag)) == entry.get(tag)
            }
    return kept


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Override mapping by mapping; lists and scalars are replaced, `null` removes an entry."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def parse(data: Mapping[str, Any], origin: str = "the study") -> Study:
    """Validate plain data as a study and check the references between its entries."""
    try:
        study = Study.model_validate(data)
    except ValidationError as error:
        raise StudyError(_sentence(error, origin)) from None
    _check_references(study)
    return study


def _sentence(error: ValidationError, origin: str) -> str:
    """The first validation error as one sentence that names the entry and the remedy.

    Where a value matches no branch of a union there is an error for each: one that is not about
    the type, or else the one that got furthest into the value, says most.
    """
    errors = error.errors()
    entry_of_first = errors[0]["loc"][:2]
    problem = max(
        (each for each in errors if each["loc"][:2] == entry_of_first),
        key=lambda each: (not _of_type(each["type"]), len(each["loc"])),
    )
    place = _place(problem["loc"])
    entry, kind = ".".join(place), problem["type"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(place[-1], _known_keys(problem["loc"]), n=1, cutoff=0.6)
        hint = f"did you mean `{near[0]}`?" if near else "remove it."
        return f"{origin}: unknown key `{entry}`; {hint}"
    if kind == "missing":
        return f"{origin}: `{entry}` is missing; add it."
    if kind.startswith("union_tag"):
        known = ", ".join(tag.strip("'") for tag in _tags(problem))
        tag = str(problem.get("ctx", {}).get("discriminator", "kind")).strip("'")
        return f"{origin}: `{entry}.{tag}` must be one of {known}."
    if kind == "string_pattern_mismatch":
        return (
            f"{origin}: `{entry}`: the name {problem['input']!r} may have letters, digits and "
            "hyphens only; change it."
        )
    given = problem["input"]
    shown = f" (given: {given!r})" if isinstance(given, (str, int, float, bool)) else ""
    message = problem["msg"].removeprefix("Value error, ")
    named = f"`{entry}`: " if entry else ""
    return f"{origin}: {named}{message[0].lower()}{message[1:]}{shown}."


def _of_type(kind: str) -> bool:
    return kind == "literal_error" or kind.endswith(("_type", "_parsing"))


def _tags(problem: Any) -> list[str]:
    return str(problem.get("ctx", {}).get("expected_tags", "")).split(", ")


def _place(location: tuple[Any, ...]) -> list[str]:
    """A location as a reader's file has it, without the branches of unions pydantic puts in."""
    entry, rest = location[:2], location[2:]
    if location[:1] in (("sweeps",), ("figures",), ("corpora",), ("behaviours",)):
        rest = rest[1:]
    elif location[:2] == ("published", "sweeps"):
        rest = rest[:1] + rest[2:]
    branches = ("Range", "str", "int", "float", "SkillStopping", "GridStopping")
    prefixes = ("list[", "dict[", "constrained-", "function-", "literal[")
    inside = [part for part in map(str, rest) if part not in branches]
    return [*map(str, entry), *(part for part in inside if not part.startswith(prefixes))]


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


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    if len(location) == 1:
        return [*Study.model_fields, "extends"]
    if "stopping" in location:
        return [*SkillStopping.model_fields, *GridStopping.model_fields]
    return [key for entry in SECTIONS.get(str(location[0]), ()) for key in entry.model_fields]


def _check_references(study: Study) -> None:
    def known(
        entry: str, section: str, names: Iterable[str], published: Iterable[str] = ()
    ) -> None:
        entries = {*getattr(study, section), *published}
        for name in names:
            if name not in entries:
                near = difflib.get_close_matches(name, sorted(entries), n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"add it under `{section}`."
                raise StudyError(f"{entry} names `{name}`, which is not in {section}; {hint}")

    def kind(entry: str, section: str, name: str, *kinds: str) -> None:
        entries = getattr(study, section) if section != "sweeps" else study.tabled
        known(entry, section, [name], entries if entry.startswith("figures.") else ())
        actual = entries[name].kind
        if actual not in kinds:
            raise StudyError(
                f"{entry} names {section}.{name}, a {actual} sweep; it needs a "
                f"{' or '.join(kinds)} sweep."
            )

    for name, activations in study.activations.items():
        entry = f"activations.{name}"
        known(f"{entry}.model", "models", [activations.model])
        known(f"{entry}.corpus", "corpora", filter(None, [activations.corpus]))
        known(f"{entry}.behaviour", "behaviours", filter(None, [activations.behaviour]))
        _enough_documents(study, entry, activations)
    for name, vector in study.vectors.items():
        entry = f"vectors.{name}"
        operands = [*(vector.add or []), *(vector.subtract or [])]
        known(entry, "activations", [*operands, *filter(None, [vector.contrast])])
        for operand in operands:
            if study.activations[operand].corpus is None:
                raise StudyError(
                    f"{entry} adds or subtracts activations.{operand}, which are of a behaviour; "
                    "use `contrast` for it."
                )
        if vector.contrast and study.activations[vector.contrast].behaviour is None:
            raise StudyError(
                f"{entry}.contrast names activations.{vector.contrast}, which are of a corpus; "
                "use `add` and `subtract` for them."
            )
        study.model_of(name)
    for name, choice in study.choices.items():
        if choice.grid is None:
            known(f"choices.{name}.multipliers", "vectors", choice.multipliers or {})
            _distinct_behaviours(study, f"choices.{name}.multipliers", choice.multipliers or {})
            continue
        kind(f"choices.{name}.grid", "sweeps", choice.grid, "grid")
        grid = study.sweeps[choice.grid]
        if isinstance(grid, GridSweep) and grid.split == "test":
            raise StudyError(
                f"choices.{name}.grid names sweeps.{choice.grid}, which reads the test split; "
                "choose on the validation split."
            )
    for name, sweep in study.sweeps.items():
        _check_sweep(study, f"sweeps.{name}", sweep, known)
    _check_published(study)
    for name, samples in study.samples.items():
        known(f"samples.{name}.model", "models", [samples.model])
        known(f"samples.{name}.vector", "vectors", [samples.vector])
        _same_model(study, f"samples.{name}", samples.model, [samples.vector])
        if name in study.sweeps:
            raise StudyError(
                f"samples.{name} has the name of a sweep, and both write a table; rename one."
            )
    for name, compared in study.scorecards.items():
        own = [sweep for sweep in compared.against if "/" not in sweep]
        known(f"scorecards.{name}", "sweeps", [*compared.sweeps, *own], study.tabled)
    published = study.published
    for name, figure in study.figures.items():
        entry = f"figures.{name}"
        match figure:
            case TradeoffFigure():
                for sweep_name in [*figure.sweeps, *figure.controls]:
                    kind(entry, "sweeps", sweep_name, "skill")
                _check_tradeoff(study, entry, figure)
            case HeatmapFigure():
                kind(f"{entry}.sweep", "sweeps", figure.sweep, "grid")
                behaviours = published.behaviours if published else ()
                known(
                    f"{entry}.behaviour",
                    "behaviours",
                    filter(None, [figure.behaviour]),
                    behaviours,
                )
            case SingleFigure():
                kind(f"{entry}.sweep", "sweeps", figure.sweep, "single")
            case CombinedFigure():
                kind(f"{entry}.sweep", "sweeps", figure.sweep, "combined")
                kind(f"{entry}.single", "sweeps", figure.single, "single")
            case SimultaneousFigure():
                kind(f"{entry}.sweep", "sweeps", figure.sweep, "simultaneous")
                if figure.tax:
                    kind(f"{entry}.tax", "sweeps", figure.tax, "skill")
                    _check_tax(study, entry, figure)
            case DistributionsFigure():
                means = published.activations if published else ()
                vectors = published.vectors if published else ()
                known(f"{entry}.activations", "activations", figure.activations, means)
                known(f"{entry}.vectors", "vectors", figure.vectors, vectors)
                _check_histograms(study, entry, figure)
        if isinstance(figure, HeatmapFigure | SingleFigure | CombinedFigure):
            _check_layers(study, entry, figure)
        if isinstance(figure, WithIntervals) and figure.intervals != "items":
            _check_resamples(study, entry, figure)


def _check_published(study: Study) -> None:
    """No name stands for something of the study's own and for something published."""
    published = study.published
    if published is None:
        return
    for section, names, others in (
        ("sweeps", published.sweeps, {**study.sweeps, **study.samples}),
        ("activations", published.activations, study.activations),
        ("vectors", published.vectors, study.vectors),
    ):
        for name in names:
            if name in others:
                raise StudyError(
                    f"published.{section}.{name} has the name of an entry of the study's own; "
                    "rename one."
                )


def _check_histograms(study: Study, entry: str, figure: DistributionsFigure) -> None:
    """Published activations are drawn from histograms, of the layers and bins made for them."""
    published = study.published
    names = [*figure.activations, *figure.vectors]
    own = {**study.activations, **study.vectors}
    shown = [name for name in names if name not in own]
    if not shown or published is None:
        return
    if len(shown) < len(names):
        raise StudyError(
            f"{entry} mixes published activations ({', '.join(shown)}) with the study's own; give "
            "each its own figure."
        )
    if not set(figure.layers) <= set(published.layers) or figure.bins != published.bins:
        raise StudyError(
            f"{entry} draws layers {figure.layers} in {figure.bins} bins, but the published "
            f"histograms are of layers {published.layers} in {published.bins}; change "
            "published.layers and published.bins."
        )


def _check_resamples(study: Study, entry: str, figure: WithIntervals) -> None:
    keys = ("sweeps", "controls", "sweep", "single", "tax")
    given = [getattr(figure, key, None) or [] for key in keys]
    for name in (
        name for names in given for name in ([names] if isinstance(names, str) else names)
    ):
        if not getattr(study.tabled[name], "resamples", None):
            raise StudyError(
                f"{entry}.intervals is {figure.intervals}, but sweeps.{name} has no resamples of "
                "its vectors; give it `resamples`, or leave intervals out."
            )


def _check_tradeoff(study: Study, entry: str, figure: TradeoffFigure) -> None:
    corpora = {}
    for name in [*figure.sweeps, *figure.controls]:
        sweep = study.tabled[name]
        assert isinstance(sweep, SkillSweep | PublishedSkill)
        corpora[tuple(sweep.corpora)] = name
        if len(sweep.corpora) != 2:
            raise StudyError(
                f"{entry} needs two corpora to plot one against the other, but "
                f"sweeps.{name}.corpora names {len(sweep.corpora)}."
            )
    if len(corpora) > 1:
        raise StudyError(
            f"{entry} draws sweeps over different corpora "
            f"({', '.join(f'sweeps.{name}' for name in corpora.values())}); "
            "give each its own figure."
        )


def _check_tax(study: Study, entry: str, figure: SimultaneousFigure) -> None:
    sweep, tax = study.tabled[figure.sweep], study.tabled[figure.tax or ""]
    if not (isinstance(sweep, SimultaneousSweep) and isinstance(tax, SkillSweep)):
        return  # published results do not say what was injected
    if tax.inject != sweep.inject or tax.coefficients != sweep.coefficients:
        raise StudyError(
            f"{entry}.tax names sweeps.{figure.tax}, which injects something else, or with other "
            f"coefficients, than sweeps.{figure.sweep}; make `inject` and `coefficients` equal."
        )


def _check_layers(
    study: Study, entry: str, figure: HeatmapFigure | SingleFigure | CombinedFigure
) -> None:
    sweep = study.tabled[figure.sweep]
    if not isinstance(sweep, GridSweep | SingleSweep | CombinedSweep):
        return  # published results say their layers themselves
    for layer in figure.layers or []:
        if sweep.layers != "all" and layer not in sweep.layers:
            raise StudyError(
                f"{entry}.layers names layer {layer}, which sweeps.{figure.sweep} does not have; "
                "add it there."
            )
    if isinstance(figure, HeatmapFigure) and isinstance(sweep, GridSweep) and figure.behaviour:
        shown = [study.behaviour_of(vector) for vector in sweep.vectors]
        if figure.behaviour not in shown:
            raise StudyError(
                f"{entry}.behaviour names {figure.behaviour}, which sweeps.{figure.sweep} does "
                f"not search; name one of {', '.join(shown)}."
            )


def _same_model(study: Study, entry: str, model: str, vectors: Iterable[str]) -> None:
    for vector in vectors:
        origin = study.model_of(vector)
        if origin != model:
            raise StudyError(
                f"{entry}.model is {model}, but vectors.{vector} is made with {origin}; "
                "steer the model that the vector is from."
            )


def _enough_documents(study: Study, entry: str, activations: Activations) -> None:
    if activations.corpus and activations.documents:
        held = study.corpora[activations.corpus].train
        if activations.documents > held:
            raise StudyError(
                f"{entry}.documents asks for {activations.documents}, but "
                f"corpora.{activations.corpus}.train holds {held}; ask for fewer."
            )


def _check_sweep(study: Study, entry: str, sweep: Any, known: Any) -> None:
    known(f"{entry}.model", "models", [sweep.model])
    match sweep:
        case SkillSweep():
            vectors = [sweep.inject] if isinstance(sweep.inject, str) else list(sweep.inject)
            known(f"{entry}.inject", "vectors", vectors)
            known(f"{entry}.corpora", "corpora", sweep.corpora)
            _has_zero(entry, sweep.coefficients)
        case GridSweep():
            vectors = sweep.vectors
            known(f"{entry}.vectors", "vectors", vectors)
            _distinct_behaviours(study, entry, vectors)
        case SingleSweep() | CombinedSweep():
            known(f"{entry}.choice", "choices", [sweep.choice])
            vectors = study.chosen_vectors(sweep.choice)
            _has_multipliers(study, entry, sweep)
        case SimultaneousSweep():
            vectors = list(sweep.inject)
            known(f"{entry}.inject", "vectors", vectors)
            _distinct_behaviours(study, entry, vectors)
            _has_zero(entry, sweep.coefficients)
    _same_model(study, entry, sweep.model, vectors)


def _has_multipliers(study: Study, entry: str, sweep: SingleSweep | CombinedSweep) -> None:
    choice = study.choices[sweep.choice]
    for layer in sweep.layers:
        lacks = f"{entry}.layers names layer {layer}, for which choices.{sweep.choice} has no"
        if choice.grid is None:
            for vector, layers in (choice.multipliers or {}).items():
                if layer not in layers:
                    raise StudyError(f"{lacks} multipliers of {vector}; add them there.")
            continue
        grid = study.sweeps[choice.grid]
        assert isinstance(grid, GridSweep)
        if grid.layers != "all" and layer not in grid.layers:
            raise StudyError(f"{lacks} multipliers; add it to the layers of sweeps.{choice.grid}.")


def _distinct_behaviours(study: Study, entry: str, vectors: Iterable[str]) -> None:
    behaviours = [study.behaviour_of(vector) for vector in vectors]
    for behaviour in set(behaviours):
        if behaviours.count(behaviour) > 1:
            raise StudyError(f"{entry} names two vectors of the behaviour {behaviour}; keep one.")


def _has_zero(entry: str, given: list[float] | Range) -> None:
    if isinstance(given, list) and 0 not in given:
        raise StudyError(
            f"{entry}.coefficients has no 0, the unsteered model that all else is relative to; "
            "add it."
        )
