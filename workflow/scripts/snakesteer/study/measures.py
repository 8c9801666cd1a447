"""The measures of sweeps: what is counted under an injection, and on which texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from snakesteer.core.records import plain
from snakesteer.measures import next_token_settings, two_choice_settings
from snakesteer.measures.choice_settings import By
from snakesteer.prompts.formats import PLAIN
from snakesteer.prompts.which_tokens import Counted
from snakesteer.study.behaviours import BehaviourEntry
from snakesteer.study.columns import Column
from snakesteer.study.entries import (
    CUT,
    Count,
    Distinct,
    Entry,
    MeasureName,
    Name,
    Names,
    Seed,
    Share,
    Some,
)
from snakesteer.study.formats import FORMAT, Format
from snakesteer.study.scores import Scores
from snakesteer.study.tokens import EPSILON, FIRST_TOKENS, Epsilon, FirstTokens
from snakesteer.sweeps.job import Precision
from snakesteer.tables.continuation import ALWAYS, ENDS
from snakesteer.tables.continuation import COLUMNS as OF_TEXTS

Section = Literal["corpora", "behaviours", "prompts"]
LISTED = "prompts"  # the source of those that a study lists
TOKENS = 500_000
ANSWER_PREFIX = (
    "Beginning of the answer, after the prompt in its format, such as `(`. Answers are "
    "then recognised by their letters or words, without brackets and spaces around them. "
    "Without it, each answer must be one token as it is."
)
BY_CATEGORY = (
    "`true` also reports each category of the questions, and the mean over categories, "
    "in which each counts the same. Figures draw one of these with `category`."
)
PILOT = 32
SKIP = 50


class MeasureEntry(Entry):
    """What every measure says.

    Its `sources` are entries of the section `SECTION`. Fields in `READS` say which texts are read,
    those in `TABLED` what its table holds; all others are the settings of its plugin, which gets
    those in `OPTIONAL` where they are given.
    `columns` of its table can be drawn, the first unless a figure names another; `COLUMNS` are
    those that it has whatever it says. With `RELATIVE` its values are held against those of the
    unsteered model, and with `BOOTSTRAPPED` its table has intervals of bootstrap samples.
    """

    SECTION: ClassVar[Literal["corpora", "behaviours"]]
    RELATIVE: ClassVar[bool] = False
    BOOTSTRAPPED: ClassVar[bool] = False
    READS: ClassVar[frozenset[str]]
    TABLED: ClassVar[frozenset[str]] = frozenset()
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()
    COLUMNS: ClassVar[Mapping[str, Column]] = {}

    measure: str
    format: Name | Format = Field(PLAIN, description=FORMAT)

    @property
    def sources(self) -> list[str] | None:
        """The corpora or behaviours it names; None: the own behaviours of each vector."""
        raise NotImplementedError

    @property
    def section(self) -> Section:
        """The section of its sources; `prompts` where these are its own."""
        return self.SECTION

    @property
    def columns(self) -> Mapping[str, Column]:
        """The columns of its table that can be drawn, the main one first."""
        return self.COLUMNS

    @property
    def writes(self) -> bool:
        """Whether the model goes on from its texts, so that a completion follows each."""
        return False

    @property
    def before_last(self) -> bool:
        """Whether it is blind to what happens at the last token of a text."""
        return False

    @property
    def ends_early(self) -> bool:
        """Whether a curve may end before its last coefficient."""
        return bool(getattr(self, "stopping", None))

    def reads_behind_prompts(self, completions: bool) -> bool:
        """Whether it reads something that follows a prompt, of texts that have `completions` or
        not."""
        return completions

    def settings(self) -> dict[str, Any]:
        """The settings of its plugin."""
        fields = type(self).model_fields
        usual = {name for name in self.OPTIONAL if getattr(self, name) == fields[name].default}
        asked = self.model_dump(exclude={*self.READS, *self.TABLED, *usual, "measure", "format"})
        if not asked.get("stopping", True):
            asked["stopping"] = None
        return asked

    def tabled(self) -> dict[str, Any]:
        """What the job of its table gets beside what all do."""
        return {}

    def check(self, coefficients: Sequence[float], resamples: int | None) -> None:
        """Raise ValueError if it cannot be measured along these coefficients, or with resamples."""


class OnCorpora(MeasureEntry):
    """A measure on documents: the validation splits of corpora."""

    SECTION = "corpora"
    RELATIVE = True
    BOOTSTRAPPED = True
    READS = frozenset(
        {"corpora", "tokens", "paired", "precision", "precision_by", "pilot", "max_tokens"}
    )

    corpora: Names = Field(
        description="Corpora whose validation splits are read. The first is the one to "
        "steer away from."
    )
    tokens: Count = Field(
        TOKENS,
        description="About how many tokens are read of each corpus, at each coefficient. "
        "With `precision`: the most.",
    )
    paired: bool = Field(
        True,
        description="`true`: the same documents at every coefficient, so that comparisons "
        "are paired. `false`: each coefficient reads on from the previous one, as the "
        "authors do. That needs more documents and is less precise.",
    )
    precision: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Wanted half-width of the 95 % interval of the relative top-1 "
        "accuracy. It holds on every corpus at every coefficient visited, paired over "
        "documents. Only as many documents as needed are read.",
    )
    precision_by: Literal["curve", "coefficient"] = Field(
        "curve",
        description="`curve`: the same documents at every coefficient, as many as the most "
        "demanding one needs. `coefficient`: each coefficient reads only as many documents as "
        "it needs, and is compared with the same documents at 0. That takes far fewer tokens "
        "where a curve begins.",
    )
    pilot: Annotated[int, Field(ge=2)] = Field(
        PILOT,
        description="Documents of each corpus that `precision` is planned with. With "
        "`stopping`, only they decide which coefficients are visited.",
    )
    max_tokens: Count | None = Field(None, description=CUT)

    @property
    def sources(self) -> list[str] | None:
        return self.corpora

    def tabled(self) -> dict[str, Any]:
        return {"target": self.corpora[0]}

    @property
    def planned(self) -> Precision | None:
        """How many documents are read, where a precision decides."""
        if self.precision is None:
            return None
        return Precision(self.precision, self.pilot, self.precision_by)

    def check(self, coefficients: Sequence[float], resamples: int | None) -> None:
        for name, given in (("precision", self.precision), ("resamples", resamples)):
            if not self.paired and given:
                raise ValueError(
                    f"{name} needs the same documents at every coefficient, but paired is false; "
                    "remove one of them"
                )
        if resamples and self.precision_by == "coefficient":
            raise ValueError(
                "resamples needs the same documents at every coefficient, but precision_by is "
                "coefficient; remove one of them"
            )
        both_signs = min(coefficients) < 0 < max(coefficients)
        if self.ends_early and both_signs and (self.precision or not self.paired):
            name = "precision is given" if self.precision else "paired is false"
            raise ValueError(
                f"stopping can end a curve on either side of 0, but {name}, which needs one "
                "curve; make one sweep for each sign, or set stopping to false"
            )

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


class OnBehaviours(MeasureEntry):
    """A measure on questions: a split of behaviours."""

    SECTION = "behaviours"
    READS = frozenset({"behaviours", "split"})

    behaviours: Names | None = Field(
        None,
        description="Behaviours whose questions are asked. Default: each vector's own, or "
        "those of all vectors if several are injected together.",
    )
    split: Literal["validation", "test"] = Field(
        "test", description="Questions to ask: those of the `validation` or of the `test` split."
    )

    @property
    def sources(self) -> list[str] | None:
        return self.behaviours

    def tabled(self) -> dict[str, Any]:
        return {"split": self.split}

    def readings(self, behaviour: BehaviourEntry) -> int:
        """How many texts it reads of a question, at most, as far as the study says it."""
        return 1

    def why_not(self, behaviour: BehaviourEntry) -> str | None:
        """Why it cannot ask a behaviour's questions, and what to name instead; None if it can."""
        if behaviour.choices_at_most > 2:
            return (
                "whose items can have more than two choices; use the measure `choice`, or name "
                "a two-choice behaviour"
            )
        return None


class SkillStopping(Entry):
    """Early stopping of a curve of next-token accuracy, as in the paper and its code. It looks
    at the measure's first corpus, relative to its top-1 accuracy at coefficient 0. Coefficients
    are visited in growing size, on each side of 0."""

    EXAMPLE = """
        sweeps:
          skill: {measures: {next_token: {stopping: {stop: 0.2}}}}
    """

    stop: Share = Field(
        next_token_settings.Stopping.stop,
        description="The curve ends below this relative accuracy.",
    )
    leap_below: Share = Field(
        next_token_settings.Stopping.leap_below,
        description="Below this relative accuracy, coefficients are skipped.",
    )
    leap: Count = Field(
        next_token_settings.Stopping.leap,
        description="Steps to advance in the list below `leap_below`.",
    )


class NextToken(OnCorpora):
    """Next-token accuracy on documents."""

    EXAMPLE = """
        sweeps:
          accuracy:
            model: base
            inject: {vector: less-code, layers: [4]}
            coefficients: [0, 1, 2, 4]
            measures: {next_token: {corpora: [code, text], tokens: 20000, stopping: {}}}
    """

    measure: Literal["next_token"]
    skip: Count = Field(
        SKIP, description="Number of most frequent tokens that the `kept` columns leave out."
    )
    skip_tokens: Literal["fixed", "authors"] = Field(
        "fixed",
        description="`fixed` leaves out the `skip` most frequent tokens of the corpus's "
        "training split. `authors` does what their filter does, which compares with the "
        "token id 1 instead.",
    )
    stopping: SkillStopping | Literal[False] = Field(
        False, description="`{}` stops early, as in the paper. `false` evaluates every coefficient."
    )

    counted: Counted = Field(
        "all",
        description="Tokens whose prediction counts: `all` but the first, or those of the "
        "`completion` after an instruction. `tokens` counts the tokens read in either case.",
    )

    READS = OnCorpora.READS | {"skip", "skip_tokens"}
    OPTIONAL = frozenset({"counted"})
    COLUMNS = {
        "relative_top1": Column("Relative top-1 accuracy"),
        "relative_top10": Column("Relative top-10 accuracy"),
        "relative_kept_top1": Column("Relative top-1 accuracy, rarer tokens"),
        "relative_kept_top10": Column("Relative top-10 accuracy, rarer tokens"),
        "top1": Column("Top-1 accuracy"),
        "top10": Column("Top-10 accuracy"),
        "kept_top1": Column("Top-1 accuracy, rarer tokens"),
        "kept_top10": Column("Top-10 accuracy, rarer tokens"),
        "perplexity": Column("Perplexity", "lower"),
        "nll": Column("Cross-entropy (nats per token)", "lower"),
    }

    @property
    def before_last(self) -> bool:
        return True

    @model_validator(mode="after")
    def _as_many_as_the_authors(self) -> Self:
        if self.skip_tokens == "authors" and self.skip != SKIP:
            raise ValueError(
                f"skip is {self.skip}, but skip_tokens: authors does not use it; remove one of them"
            )
        return self


class GridStopping(Entry):
    """When a curve of answers ends, on each side of 0, as in the paper's grid search."""

    EXAMPLE = """
        sweeps:
          grid: {measures: {two_choice: {stopping: {faulty: 10}}}}
    """

    collapse: Share = Field(
        two_choice_settings.Stopping.collapse,
        description="More than this share of one answer is mode collapse. Such a cell is "
        "not chosen, and tables and figures mark it, also in sweeps that take a choice from "
        "here. The curve ends if the share is also larger than that of any answer of the "
        "unsteered model.",
    )
    faulty: Annotated[int, Field(ge=0)] = Field(
        two_choice_settings.Stopping.faulty,
        description="The curve ends after more than this many faulty answers.",
    )


class TwoChoice(OnBehaviours):
    """Answers to two-choice questions, given by their letters or words."""

    EXAMPLE = """
        sweeps:
          letters:
            model: chat
            inject: {vector: sycophancy, layers: [8], positions: after_instruction}
            coefficients: [-1, 0, 1]
            measures: {two_choice: {format: chat, answer_prefix: "(", letters: [A, B]}}
    """

    OPTIONAL = frozenset({"answer_prefix", "letters"})
    TABLED = frozenset({"by_category"})
    COLUMNS = {
        "score": Column("Matching score"),
        "probability": Column("Probability of the matching answer"),
        "propensity": Column("Propensity (logits)"),
        "choice_mass": Column("Probability of both answers"),
    }

    measure: Literal["two_choice"]
    answer_prefix: str = Field("", description=ANSWER_PREFIX)
    letters: Annotated[list[Annotated[str, Some]], Field(min_length=2), Distinct] | None = Field(
        None,
        description="The answers over which probability is normalised, such as [A, B]. "
        "The probability is 0 if the matching answer is not among them. Default: the question's "
        "own two.",
    )
    by_category: bool = Field(False, description=BY_CATEGORY)
    stopping: GridStopping | Literal[False] = Field(
        False, description="`{}` stops early, as in the paper. `false` evaluates every coefficient."
    )

    def reads_behind_prompts(self, completions: bool) -> bool:
        return bool(self.answer_prefix)


class Choice(OnBehaviours):
    """Choices between two or more texts after a prompt, by the likelihood of all their tokens.
    The texts are entire answers or letters."""

    EXAMPLE = """
        sweeps:
          tasks:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures: {choice: {behaviours: [myopia], by: character}}
    """

    OPTIONAL = frozenset({"separator"})
    TABLED = frozenset({"by_category"})
    COLUMNS = {
        "score": Column("Matching score"),
        "probability": Column("Probability of the matching choice"),
        "propensity": Column("Propensity (nats)"),
    }

    measure: Literal["choice"]
    by: By = Field(
        "sum",
        description="Score of a choice: its log-likelihood (`sum`), or that divided by its "
        "number of tokens, characters, or bytes in UTF-8. `sum`, `character` and `byte` "
        "choose like `acc`, `acc_norm` and `acc_bytes` of lm-evaluation-harness.",
    )
    separator: str = Field(
        "",
        description="Text between the prompt in its format and each choice, such as a "
        "space (`target_delimiter` in lm-evaluation-harness). Its likelihood counts, its "
        "characters do not.",
    )
    by_category: bool = Field(False, description=BY_CATEGORY)

    def reads_behind_prompts(self, completions: bool) -> bool:
        return True

    def readings(self, behaviour: BehaviourEntry) -> int:
        return behaviour.choices_at_most

    def why_not(self, behaviour: BehaviourEntry) -> str | None:
        if not behaviour.answered:
            return (
                "whose answers do not follow a prompt; give it prompt, matching and "
                "not_matching, or name another"
            )
        return None


class OnEither(OnBehaviours):
    """A measure on questions, or in their place on documents."""

    corpora: Names | None = Field(
        None, description="Corpora whose validation splits are read, instead of questions."
    )
    max_tokens: Count | None = Field(None, description=CUT)

    READS = OnBehaviours.READS | {"corpora", "max_tokens"}

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if self.corpora and self.behaviours:
            raise ValueError("names both corpora and behaviours; give each its own measure")
        of_corpora = [name for name in ("tokens", "max_tokens") if name in self.READS]
        for name in ("split",) if self.corpora else of_corpora:
            if getattr(self, name) != type(self).model_fields[name].default:
                of = "behaviours" if self.corpora else "corpora"
                raise ValueError(f"{name} is for {of}, but none are named; name some, or remove it")
        return self

    @property
    def section(self) -> Section:
        return "corpora" if self.corpora else "behaviours"

    @property
    def sources(self) -> list[str] | None:
        return self.corpora or self.behaviours

    def tabled(self) -> dict[str, Any]:
        return {}

    @property
    def budget(self) -> int | None:
        """Tokens of each corpus that it reads, about; all if None."""
        return None


class Divergence(OnEither):
    """KL divergence of the steered model's next token from the unsteered model's, in nats. It is
    KL(unsteered ‖ steered), which is 0 if steering changes nothing. If another measure of the
    sweep reads the same texts, cut to the same length, one pass serves both."""

    EXAMPLE = """
        sweeps:
          dose:
            model: base
            inject: {vector: less-code, layers: [4]}
            coefficients: [0, 1, 2]
            measures: {divergence: {corpora: [text], over: all}}
    """

    BOOTSTRAPPED = True

    measure: Literal["divergence"]
    tokens: Count = Field(
        TOKENS, description="About how many tokens are read of each corpus, at each coefficient."
    )
    over: Literal["last", "all"] = Field(
        "last",
        description="`last`: at the last token of each text. `all`: the mean over its "
        "tokens; in documents, over those that another token follows.",
    )
    epsilon: Epsilon = Field(0.0, description=EPSILON.format("1e-6"))

    answer_prefix: str = Field("", description=ANSWER_PREFIX)

    OPTIONAL = frozenset({"answer_prefix"})
    READS = OnEither.READS | {"tokens"}
    COLUMNS = {
        "kl": Column("KL from unsteered (nats)", "lower"),
        "kl_p95": Column("KL from unsteered, 95th percentile (nats)", "lower"),
    }

    @property
    def before_last(self) -> bool:
        return bool(self.corpora) and self.over == "all"

    def reads_behind_prompts(self, completions: bool) -> bool:
        return bool(self.answer_prefix) or completions

    def why_not(self, behaviour: BehaviourEntry) -> str | None:
        if not behaviour.prompted:
            return "which has no prompts; give it `prompt`, or name another"
        return super().why_not(behaviour) if self.answer_prefix else None

    @property
    def budget(self) -> int | None:
        return self.tokens


class FirstToken(OnEither):
    """Log-odds of a set of tokens as the first one of an answer, in nats. They are log(p) -
    log(1 - p), where p is the probability of all of them together at the last token of a prompt.
    Prompts are questions, or instructions in their format. If another measure of the sweep reads
    the same texts, one pass serves both."""

    EXAMPLE = """
        sweeps:
          refusal:
            model: chat
            inject: {vector: sycophancy, layers: [all], operator: ablate}
            coefficients: [0, 1]
            measures: {first_token: {corpora: [requests], format: chat, tokens: [I]}}
    """

    COLUMNS = {
        "log_odds": Column("Log-odds of the first token (nats)"),
        "probability": Column("Probability of the first token"),
    }

    measure: Literal["first_token"]
    tokens: FirstTokens = Field(description=FIRST_TOKENS)
    epsilon: Epsilon = Field(0.0, description=EPSILON.format("1e-8"))

    def reads_behind_prompts(self, completions: bool) -> bool:
        return False

    def why_not(self, behaviour: BehaviourEntry) -> str | None:
        if not behaviour.prompted:
            return "which has no prompts; give it `prompt`, or name another"
        return None


class Continuation(OnBehaviours):
    """Text that the model writes under steering, and scores of it. Every text is kept. Prompts
    are questions, instructions of corpora, or listed here."""

    EXAMPLE = """
        sweeps:
          written:
            model: chat
            inject: {vector: sycophancy, layers: [8]}
            coefficients: [-1, 0, 1]
            measures:
              continuation:
                corpora: [requests]
                items: 20
                format: chat
                tokens: 60
                scores: {length: {}, repetition: {}}
    """

    BOOTSTRAPPED = True
    COLUMNS = {
        "tokens": Column("Tokens of a text"),
        "finished": Column("Share of texts that ended"),
    }

    measure: Literal["continuation"]
    corpora: Names | None = Field(
        None, description="Corpora whose validation texts are the prompts, instead of questions."
    )
    prompts: Annotated[list[Annotated[str, Some]], Some, Distinct] | None = Field(
        None, description="The prompts themselves, instead of questions."
    )
    items: Count | None = Field(
        None, description="Takes this many prompts of each source, the first ones. Default: all."
    )
    tokens: Count = Field(40, description="Most tokens of a text.")
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0,
        description="0 takes the most likely token. Above 0, a token is drawn from the "
        "probabilities at that temperature.",
    )
    top_p: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="Draws only from the most likely tokens that together reach this probability.",
    )
    n: Count = Field(1, description="Number of texts drawn for each prompt.")
    seed: Seed = Field(
        0, description="Seed of the draws. Each text has its own seed derived from it."
    )
    stop: Annotated[list[Annotated[str, Some]], Distinct] = Field(
        [],
        description="A text ends before the first of these strings, or at the model's end tokens.",
    )
    scores: Scores = Field(
        {},
        description="Scores by name. `scorer` gives the kind; leave it out if the name is "
        "the kind.",
    )

    READS = OnBehaviours.READS | {"corpora"}

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        named = [name for name in ("behaviours", "corpora", "prompts") if getattr(self, name)]
        if len(named) > 1:
            raise ValueError(f"names {' and '.join(named)}; give each its own measure")
        if (self.corpora or self.prompts) and self.split != "test":
            raise ValueError(
                f"split is for behaviours, but {named[0]} are given instead; remove split"
            )
        if self.prompts and self.items:
            raise ValueError(
                "items is given, but the prompts are listed; remove items, and "
                "list only the prompts to use"
            )
        return self

    @model_validator(mode="after")
    def _drawn_or_not(self) -> Self:
        if not self.temperature:
            for name in ("n", "top_p", "seed"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name} is {getattr(self, name)}, but at temperature 0 nothing is "
                        "sampled; set temperature above 0, or remove it"
                    )
        return self

    @model_validator(mode="after")
    def _columns_of_their_own(self) -> Self:
        taken = dict.fromkeys([*OF_TEXTS, "draw", "draws"], "the table's own")
        taken |= {f"{name}{end}": "the table's own" for name in ALWAYS for end in ("", *ENDS)}
        for name, entry in self.scores.items():
            further = [f"{name}_{part}" for part in entry.further]
            for column in [*entry.asked(name).columns.values(), *further]:
                if column in taken:
                    raise ValueError(
                        f"scores.{name} has the column {column}, which is {taken[column]}; give "
                        "it another name"
                    )
                taken |= {f"{column}{end}": f"that of scores.{name}" for end in ("", *ENDS)}
        return self

    @property
    def section(self) -> Section:
        if self.prompts:
            return "prompts"
        return "corpora" if self.corpora else "behaviours"

    @property
    def columns(self) -> Mapping[str, Column]:
        of_scores: dict[str, Column] = {}
        for name, entry in self.scores.items():
            of_scores |= entry.drawn(name)
        return of_scores | self.COLUMNS

    @property
    def writes(self) -> bool:
        return True

    def reads_behind_prompts(self, completions: bool) -> bool:
        return True

    @property
    def sources(self) -> list[str] | None:
        return [LISTED] if self.prompts else self.corpora or self.behaviours

    def tabled(self) -> dict[str, Any]:
        columns: list[str] = []
        for name, entry in self.scores.items():
            columns += entry.asked(name).columns.values()
        return {"scores": tuple(columns)}

    def settings(self) -> dict[str, Any]:
        asked = super().settings()
        scores = [plain(entry.asked(name)) for name, entry in self.scores.items()]
        return {name: value for name, value in asked.items() if name != "scores"} | (
            {"scores": scores} if scores else {}
        )


Measure = Annotated[
    NextToken | TwoChoice | Choice | FirstToken | Divergence | Continuation,
    Field(discriminator="measure"),
]
MEASURES: tuple[type[MeasureEntry], ...] = get_args(get_args(Measure)[0])


def _with_measure(entries: Any) -> Any:
    """Measures with what each measures, which is its name unless the entry says it."""
    if not isinstance(entries, dict):
        return entries
    return {
        name: {"measure": name, **entry} if isinstance(entry, dict) else entry
        for name, entry in entries.items()
    }


Measures = Annotated[
    dict[MeasureName, Measure], Field(min_length=1), BeforeValidator(_with_measure)
]
