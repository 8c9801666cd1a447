"""What the entries of a study say of each other, checked: names, kinds, models, layers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Literal, get_args

from snakesteer.core.errors import StudyError
from snakesteer.prompts.formats import CHAT, PLAIN, SYSTEM
from snakesteer.study import candidates, controls, never_generated, ranked, steered
from snakesteer.study.activations import Activations, Mean, Several
from snakesteer.study.behaviours import OfFiles
from snakesteer.study.choices import CandidateChoice, of_one
from snakesteer.study.corpora import SelectedCorpus
from snakesteer.study.designs import AloneDesign, ChosenDesign, CombinedDesign
from snakesteer.study.figures import Drawn, Figure, LayersFigure, WithIntervals, columns_of
from snakesteer.study.formats import Formatted
from snakesteer.study.measures import Choice as ChoiceMeasure
from snakesteer.study.measures import OnBehaviours, TwoChoice
from snakesteer.study.published import PublishedSweep
from snakesteer.study.samples import Samples
from snakesteer.study.schema import Study
from snakesteer.study.scorecards import Scorecard
from snakesteer.study.sweeps import SweepEntry
from snakesteer.study.tables import Table, tables_of
from snakesteer.study.vectors import (
    METHODS,
    ChosenVector,
    ControlVector,
    FileVector,
    Scale,
    VectorEntry,
)

# What a kind of steering is called.
KINDS = {
    "skill": "published skills",
    "grid": "vectors alone",
    "single": "vectors alone with chosen multipliers",
    "combined": "vectors combined",
    "simultaneous": "vectors together",
    "candidate": "what a choice takes",
    "items": "published items",
    "scores": "published scores",
    "candidate-log-odds": "published candidate directions",
    "candidate-divergence": "published candidate directions",
    "chosen": "a published choice",
    "directions": "published directions",
    "losses": "published losses",
}


def check(study: Study) -> None:
    """Check all references between entries, but those to layers.

    Raises StudyError with one sentence for the first that does not hold.
    """
    _corpora(study)
    _repositories(study)
    _activations(study)
    _vectors(study)
    for name, sweep in study.sweeps.items():
        _named_by(study, f"sweeps.{name}", sweep)
    candidates.check_circles(study)
    _choices(study)
    for name, vector in study.vectors.items():
        if isinstance(vector, ChosenVector):
            candidates.check_chosen(study, name, vector)
    for name, sweep in study.sweeps.items():
        _sweep(study, f"sweeps.{name}", sweep)
    _names(study)
    for name, samples in study.samples.items():
        _known(study, f"samples.{name}.model", "models", [samples.model])
        _injected_by_samples(study, f"samples.{name}", samples)
        _known_format(study, f"samples.{name}", samples)
    for name, export in study.exports.items():
        _known(study, f"exports.{name}.vectors", "vectors", export.vectors or [])
        if not study.vectors:
            raise StudyError(f"exports.{name}: the study has no vectors; add some, or remove it.")
    for name, compared in study.scorecards.items():
        for ours, theirs in zip(compared.sweeps, compared.against, strict=True):
            one = _known_table(study, f"scorecards.{name}", ours)
            _has_curves(f"scorecards.{name}", compared, ours, one)
            if "/" not in theirs:
                other = _known_table(study, f"scorecards.{name}", theirs)
                _comparable(f"scorecards.{name}", (ours, one), (theirs, other))
        _known(study, f"scorecards.{name}.choices", "choices", compared.choices or [])
        for choice in compared.choices or []:
            if not isinstance(study.choices[choice], CandidateChoice):
                raise StudyError(
                    f"scorecards.{name}.choices names {choice}, which has multipliers and no "
                    "candidate to compare; name one with `best`."
                )
            of_one(f"scorecards.{name}.choices", choice, study.choices[choice])
    for name, effects in study.effects.items():
        for field, tables in (("sweep", [effects.sweep]), ("controls", effects.controls)):
            for table in tables:
                _known_table(study, f"effects.{name}.{field}", table)
        controls.check(study, f"effects.{name}", effects)
    for name, ranking in study.rankings.items():
        for arm, vectors in ranking.arms.items():
            _known(study, f"rankings.{name}.arms.{arm}", "vectors", vectors)
        for table in ranking.sweeps:
            _known_table(study, f"rankings.{name}.sweeps", table)
        ranked.check(study, f"rankings.{name}", ranking)
    for name, figure in study.figures.items():
        _figure(study, f"figures.{name}", figure)


def check_layers(study: Study) -> None:
    """Check what entries say of each other's layers, in a study without fractions of depth.

    Raises StudyError with one sentence for the first that does not hold.
    """
    for name, sweep in study.sweeps.items():
        if sweep.choice:
            _has_multipliers(study, f"sweeps.{name}", sweep, sweep.choice)
    for name, choice in study.choices.items():
        if isinstance(choice, CandidateChoice):
            candidates.check_layers(study, f"choices.{name}", choice)
    for name, figure in study.figures.items():
        _layers(study, f"figures.{name}", figure)
        figure.check_layers(f"figures.{name}", study)


def _injected_by_samples(study: Study, entry: str, samples: Samples) -> None:
    if samples.choice is not None:
        _known(study, f"{entry}.choice", "choices", [samples.choice])
        candidates.check_taken(study, f"{entry}.choice", samples.choice, samples.model)
        of_one(f"{entry}.choice", samples.choice, study.choices[samples.choice])
        vectors = [study.vectors_of(each) for each in study.searched(samples.choice).values()]
        _same_model(study, entry, samples, chain(*vectors))
        return
    assert samples.vector is not None
    _known(study, f"{entry}.vector", "vectors", [samples.vector])
    _same_model(study, entry, samples, [samples.vector])
    positions = study.positions_of(samples.vector)
    _one_position(f"{entry}.vector", f"vectors.{samples.vector}", positions)
    candidates.check_operator(study, entry, samples.vector, samples.operator)


def _known(
    study: Study, entry: str, section: str, names: Iterable[str], published: Iterable[str] = ()
) -> None:
    """Names that an entry mentions are in a section, or among the published ones."""
    entries = {*getattr(study, section), *published}
    for name in names:
        if name not in entries:
            near = difflib.get_close_matches(name, sorted(entries), n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"add it under `{section}`."
            raise StudyError(f"{entry} names `{name}`, which is not in {section}; {hint}")


def _comparable(entry: str, *given: tuple[str, Table | PublishedSweep]) -> None:
    """Two tables count the same thing, and answers under the same kind of steering."""
    said = []
    for name, table in given:
        steering = table.kind if isinstance(table, Table) else table.steering
        kind = f" of {KINDS[steering]}" if table.measure == "two_choice" else ""
        said.append((name, f"{table.measure}{kind}"))
    (ours, one), (theirs, other) = said
    if one != other:
        raise StudyError(
            f"{entry} compares sweeps.{ours}, which measures {one}, with sweeps.{theirs}, which "
            f"measures {other}; compare sweeps of one kind."
        )


def _has_curves(entry: str, compared: Scorecard, name: str, table: Table | PublishedSweep) -> None:
    """A table has the column and the categories that are compared, and curves along what they are
    to run along."""
    known = columns_of(table)
    if compared.column and compared.column not in known:
        raise StudyError(
            f"{entry}.column names {compared.column}, but sweeps.{name} measures {table.measure}, "
            f"which has {', '.join(known)}; name one of these."
        )
    told = not isinstance(table, Table) or getattr(table.measured, "by_category", False)
    if compared.by_category and not told:
        raise StudyError(
            f"{entry}.by_category is true, but the measure of sweeps.{name} does not report "
            "categories; set `by_category: true` there, or remove it here."
        )
    steering = table.kind if isinstance(table, Table) else table.steering
    if compared.along == "layer" and (table.measure == "next_token" or steering != "grid"):
        raise StudyError(
            f"{entry}.along is layer, but sweeps.{name} measures {table.measure} of "
            f"{KINDS[steering]}, which has no curve along the layer; use {KINDS['grid']}, or "
            "remove along."
        )


def _known_table(study: Study, entry: str, name: str) -> Table | PublishedSweep:
    """A table that an entry names is there."""
    sweep = name.split(".")[0]
    if sweep in study.sweeps and name not in study.tabled:
        named = list(tables_of(sweep, study.sweeps[sweep]))
        several = "several measures" if len(named) > 1 else "one measure"
        raise StudyError(
            f"{entry} names sweeps.{name}, but sweeps.{sweep} has {several}; name "
            f"{' or '.join(named)}."
        )
    _known(study, entry, "sweeps", [name], study.tabled)
    return study.table(name)


def _table(study: Study, entry: str, name: str, drawn: Drawn) -> Table | PublishedSweep:
    """A table that an entry names is there, and of what it must be."""
    table = _known_table(study, entry, name)
    of = drawn.measure in (table.measure, None)
    if not of or drawn.kind not in (table.kind, None):
        curves = ", or use `kind: curves`" if entry.startswith("figures.") and not of else ""
        kinds = " of ".join(filter(None, (drawn.measure, KINDS.get(drawn.kind or ""))))
        raise StudyError(
            f"{entry} names sweeps.{name}, which measures {table.measure} of {KINDS[table.kind]}, "
            f"but needs {kinds}; name one{curves}."
        )
    return table


def _corpora(study: Study) -> None:
    selections = {
        name: corpus for name, corpus in study.corpora.items() if isinstance(corpus, SelectedCorpus)
    }
    for name, corpus in selections.items():
        entry = f"corpora.{name}"
        _known(study, f"{entry}.of", "corpora", [corpus.of])
        _known(study, f"{entry}.model", "models", [corpus.model])
        _known_format(study, entry, corpus)
    for name, corpus in selections.items():
        above = [name]
        while corpus.of in selections:
            if corpus.of in above:
                raise StudyError(
                    f"corpora.{name}.of leads back to corpora.{corpus.of}, through "
                    f"{' and '.join(above)}; name a corpus of another source."
                )
            above.append(corpus.of)
            corpus = selections[corpus.of]


def _repositories(study: Study) -> None:
    """The repositories in which files lie are there."""
    for section in ("corpora", "behaviours"):
        for name, entry in getattr(study, section).items():
            named = getattr(entry, "repository", None)
            entry = f"{section}.{name}.repository"
            _known(study, entry, "repositories", filter(None, [named]))


def _activations(study: Study) -> None:
    for name, activations in study.activations.items():
        entry = f"activations.{name}"
        _known(study, f"{entry}.model", "models", [activations.model])
        _known(study, f"{entry}.corpus", "corpora", filter(None, [activations.corpus]))
        _known(study, f"{entry}.behaviour", "behaviours", filter(None, [activations.behaviour]))
        _enough_documents(study, entry, activations)
        _enough_questions(study, entry, activations)
        _format(study, entry, activations)


def _enough_questions(study: Study, entry: str, activations: Activations) -> None:
    """Of questions there are two sides, and some to read."""
    if activations.behaviour is None:
        return
    behaviour = study.behaviours[activations.behaviour]
    of = f"{entry} reads behaviours.{activations.behaviour}"
    if behaviour.choices_at_most > 2:
        raise StudyError(
            f"{of}, whose items can have more than two choices, but activations have two sides; "
            "name a behaviour with two."
        )
    _in_splits(study, entry, activations.behaviour, "train")
    if not behaviour.has_split("train"):
        raise StudyError(f"{of}, whose `train` is 0; set how many of its items are for training.")


def _known_format(study: Study, entry: str, read: Formatted, own: bool = False) -> None:
    """The format is there, and its place for a system prompt is filled, or texts have their own."""
    if isinstance(read.format, str):
        _known(study, f"{entry}.format", "formats", [read.format], (PLAIN, CHAT))
    form = study.format_of(read)
    if form and form.template != CHAT and form.takes_system and not (own or form.system):
        raise StudyError(
            f"{entry}.format has a place for a system prompt in {form.template!r}, but none is "
            "given; add `system`, or remove {system} from the template."
        )


def _format(study: Study, entry: str, activations: Activations) -> None:
    """The format is there, and has a place for system prompts if there are some."""
    own = activations.behaviour and study.behaviours[activations.behaviour].has_system
    _known_format(study, entry, activations, bool(own))
    form = study.format_of(activations)
    if own and not (form and form.takes_system):
        raise StudyError(
            f"{entry} reads behaviours.{activations.behaviour}, whose sides have system prompts, "
            "for which its format has no place; give it `format: chat`, or a template with "
            f"{SYSTEM}."
        )
    if own and form and form.system is not None:
        raise StudyError(
            f"{entry}.format has a system prompt, and behaviours.{activations.behaviour} has its "
            "own; keep one of them."
        )
    _completions(study, entry, activations)


def _completions(study: Study, entry: str, activations: Activations) -> None:
    """There are answers or completions where positions ask for them."""
    if activations.positions not in ("letter", Mean(mean="completion")):
        return
    if (
        activations.corpus
        and getattr(study.origin_of(activations.corpus), "completion", None) is None
    ):
        raise StudyError(
            f"{entry}.positions asks for the mean over completions, but "
            f"corpora.{activations.corpus} has no completions; set its `completion` to the field "
            "that holds them."
        )
    if activations.behaviour and not study.behaviours[activations.behaviour].answered:
        raise StudyError(
            f"{entry}.positions asks for answers, but in behaviours.{activations.behaviour} none "
            "follow a prompt; give it prompt, matching and not_matching, or use other positions."
        )


def _vectors(study: Study) -> None:
    for name, vector in study.vectors.items():
        for field, named in vector.activations().items():
            _known(study, f"vectors.{name}.{field}", "activations", named)
            for activations in named:
                _read(study, f"vectors.{name}.{field}", vector, field, activations)
        for field, named in vector.vectors().items():
            _known(study, f"vectors.{name}.{field}", "vectors", named)
        if isinstance(vector.scale, Scale):
            _known(study, f"vectors.{name}.scale", "vectors", vector.scale.vectors)
        if isinstance(vector, ControlVector):
            _control(study, f"vectors.{name}", vector)
        if isinstance(vector, ChosenVector):
            _known(study, f"vectors.{name}.choice", "choices", [vector.choice])
        if isinstance(vector, FileVector):
            _known(study, f"vectors.{name}.model", "models", [vector.model])
            _known(
                study, f"vectors.{name}.behaviour", "behaviours", filter(None, [vector.behaviour])
            )
    for name in study.vectors:
        _not_of_itself(study, name)
        study.model_of(name)
        study.positions_of(name)


def _choices(study: Study) -> None:
    for name, choice in study.choices.items():
        if isinstance(choice, CandidateChoice):
            for field, score in candidates.scores(choice):
                for table in score.tables:
                    _known_table(study, f"choices.{name}.{field}", table)
            candidates.check_choice(study, f"choices.{name}", choice)
            continue
        if choice.grid is None:
            vectors = choice.multipliers or {}
            _known(study, f"choices.{name}.multipliers", "vectors", vectors)
            for vector in vectors:
                if vector not in study.behaviours_of([vector]):
                    raise StudyError(
                        f"choices.{name}.multipliers names {vector}, which is not made of a "
                        "behaviour; give its coefficients in the sweep instead."
                    )
            _distinct_behaviours(study, f"choices.{name}.multipliers", vectors)
            continue
        entry = f"choices.{name}.grid"
        grid = _table(study, entry, choice.grid, Drawn(None, "grid"))
        if not isinstance(grid, Table):
            raise StudyError(f"{entry} names {choice.grid}, published results; name a sweep.")
        _searches(study, entry, choice.grid, grid)
        if choice.by == "propensity" and "propensity" not in grid.measured.COLUMNS:
            raise StudyError(
                f"choices.{name}.by is propensity, which sweeps.{choice.grid} has "
                "not measured; use score."
            )
        if choice.limit:
            _limits(study, f"choices.{name}.limit.table", choice.grid, choice.limit.table)


def _limits(study: Study, entry: str, grid: str, name: str) -> None:
    """A limit is of the same injections as the grid, on one corpus."""
    table = _table(study, entry, name, Drawn("next_token", "grid"))
    if name.split(".")[0] != grid.split(".")[0]:
        raise StudyError(
            f"{entry} names sweeps.{name}, which is not in the sweep of {grid}; give that sweep "
            "a measure next_token."
        )
    assert isinstance(table, Table)
    corpora = table.measured.sources or []
    if len(corpora) > 1:
        raise StudyError(
            f"{entry} names sweeps.{name}, which is on {', '.join(corpora)}; name a table on one "
            "corpus."
        )


def _searches(study: Study, entry: str, name: str, grid: Table) -> None:
    """A grid is one that a choice can be made from."""
    if not isinstance(grid.measured, TwoChoice | ChoiceMeasure):
        raise StudyError(
            f"{entry} names sweeps.{name}, which measures {grid.measure}; name one of two_choice "
            "or choice."
        )
    if grid.measured.split == "test":
        raise StudyError(
            f"{entry} names sweeps.{name}, which reads the test split; "
            "set `split: validation` in its measure."
        )
    _distinct_behaviours(study, f"sweeps.{name}.inject", study.vectors_of(grid.sweep))
    if grid.sweep.inject.several_sources:
        raise StudyError(
            f"{entry} names sweeps.{name}, which has a curve for every source layer or position, "
            "but a choice needs one at each layer; name one there."
        )
    values = grid.sweep.steered
    if not min(values) < 0 < max(values):
        raise StudyError(
            f"{entry} names sweeps.{name}, whose coefficients have one sign; set them to "
            "`{magnitudes: […]}`."
        )
    if grid.measured.behaviours is not None:
        raise StudyError(
            f"{entry} names sweeps.{name}, which names behaviours, and a choice takes each "
            "vector's own; remove behaviours there."
        )


def _named_by(study: Study, entry: str, sweep: SweepEntry) -> None:
    """The model of a sweep, what it injects, and what it is measured on are there."""
    _known(study, f"{entry}.model", "models", [sweep.model])
    _known(study, f"{entry}.inject", "vectors", sweep.inject.named or [])
    if sweep.candidate:
        _known(study, f"{entry}.inject.choice", "choices", [sweep.candidate])
    for name, measure in sweep.measures.items():
        if measure.section != "prompts":
            place = f"{entry}.measures.{name}.{measure.section}"
            _known(study, place, measure.section, measure.sources or [])


def _sweep(study: Study, entry: str, sweep: SweepEntry) -> None:
    if sweep.choice:
        _known(study, f"{entry}.coefficients.choice", "choices", [sweep.choice])
        if isinstance(study.choices[sweep.choice], CandidateChoice):
            raise StudyError(
                f"{entry}.coefficients.choice names {sweep.choice}, which chooses a candidate and "
                "has no multipliers; inject what it takes, as `inject: {choice: "
                f"{sweep.choice}}}`."
            )
        _searched(study, entry, sweep, sweep.choice)
    if sweep.candidate:
        candidates.check_injected(study, entry, sweep)
    vectors = study.vectors_of(sweep)
    for name in [] if sweep.candidate else vectors:
        _read_at(study, f"{entry}.inject", name, sweep.inject.read_at(name))
    _draws(study, entry, sweep, study.draws_of(vectors))
    for name, measure in sweep.measures.items():
        place = f"{entry}.measures.{name}"
        if measure.sources is None and not isinstance(sweep.inject, AloneDesign | ChosenDesign):
            _distinct_behaviours(study, place, vectors)
        never_generated.check(study, place, sweep, measure)
        if measure.section == "behaviours" and isinstance(measure, OnBehaviours):
            asked = study.sources_of(sweep, measure)
            for behaviour in asked:
                _in_splits(study, place, behaviour, measure.split)
            if not measure.writes:
                _can_be_asked(study, place, measure, asked)
        _known_format(study, place, measure)
        steered.check(study, entry, name, sweep)
    _same_model(study, entry, sweep, vectors)
    candidates.check_steered(study, entry, sweep)


def _figure(study: Study, entry: str, figure: Figure) -> None:
    for field, drawn in figure.draws.items():
        for name in figure.named(field):
            _table(study, f"{entry}.{field}", name, drawn)
    for field, section in figure.names.items():
        published = getattr(study.published, section, ())
        _known(study, f"{entry}.{field}", section, figure.named(field), published)
        for name in figure.named(field):
            if section == "activations" and name in study.activations:
                several = study.activations[name].several
                _one_position(f"{entry}.{field}", f"activations.{name}", several)
            if section == "vectors" and name in study.vectors and not figure.describes_vectors:
                _one_position(f"{entry}.{field}", f"vectors.{name}", study.positions_of(name))
    figure.check(entry, study)
    if isinstance(figure, WithIntervals) and figure.intervals != "items":
        _resamples(study, entry, figure)


def _names(study: Study) -> None:
    """No name stands for two things in figures, and no two entries write one file."""
    published = study.published
    for section in ("activations", "vectors") if published else ():
        for name in getattr(published, section):
            if name in getattr(study, section):
                raise StudyError(
                    f"published.{section}.{name} has the name of an entry of the study's own; "
                    "rename one."
                )
    written: dict[str, str] = {}
    for entry, table in _tables(study):
        if table in written:
            raise StudyError(
                f"{entry} and {written[table]} both write the table {table}; rename one."
            )
        written[table] = entry
    for name in study.draws_of(study.vectors):
        if f"{name}-draws" in study.vectors:
            raise StudyError(
                f"vectors.{name}-draws and the draws of vectors.{name} both write "
                f"{name}-draws.safetensors; rename one."
            )
    for name in study.scorecards:
        if f"{name}-pairs" in study.scorecards:
            raise StudyError(
                f"scorecards.{name}-pairs and scorecards.{name} both write "
                f"{name}-pairs.parquet; rename one."
            )


def _tables(study: Study) -> Iterator[tuple[str, str]]:
    """Entries with the names of the tables that they write."""
    for section in ("sweeps", "samples"):
        for name in getattr(study, section):
            yield f"{section}.{name}", name
    if published := study.published:
        for section, ending in (("sweeps", ""), ("activations", "-mean"), ("vectors", "-vector")):
            for name in getattr(published, section):
                yield f"published.{section}.{name}", f"{name}{ending}"


def _read(study: Study, entry: str, vector: VectorEntry, field: str, activations: str) -> None:
    """The activations of a vector are what its method reads there."""
    of = "corpus" if study.activations[activations].corpus else "behaviour"
    if vector.READS[field] == of:
        return
    names = f"{entry} names activations.{activations}, which come from a {of}"
    says = f"{names}, but method {vector.method}"
    if fields := [name for name, kind in vector.READS.items() if kind == of]:
        raise StudyError(f"{says} reads those from {' and '.join(fields)}; name them there.")
    other = next(method for method in METHODS if of in method.READS.values())
    (name,) = get_args(other.model_fields["method"].annotation)
    raise StudyError(f"{says} needs activations of a {vector.READS[field]}; use `method: {name}`.")


def _control(study: Study, entry: str, control: ControlVector) -> None:
    """A control is of a vector that is no control, and that has what it shuffles."""
    of = study.vectors[control.of]
    if isinstance(of, ControlVector):
        raise StudyError(
            f"{entry}.of names vectors.{control.of}, which is a control itself; name the vector "
            "that it controls for."
        )
    roles = {role for role, named in of.activations().items() if named}
    if control.how == "labels" and roles not in ({"of"}, {"add", "subtract"}):
        raise StudyError(
            f"{entry}.how is labels, but vectors.{control.of} is not made of two classes of "
            "samples; set it to random or permuted."
        )
    if control.how == "operands" and of.scale:
        raise StudyError(
            f"{entry}.how is operands, which have no scale, but vectors.{control.of} has one; set "
            "it to permuted, or name a vector without."
        )


def _not_of_itself(
    study: Study, vector: str, scaled: bool = True, above: tuple[tuple[str, bool], ...] = ()
) -> None:
    """No vector is made of itself, be it by way of others or of their lengths."""
    if (vector, scaled) in above:
        ways = [name for name, _ in above if name != vector]
        raise StudyError(
            f"vectors.{vector} is made of itself"
            + (f" by way of {' and '.join(dict.fromkeys(ways))}" if ways else "")
            + "; name other vectors."
        )
    entry, above = study.vectors[vector], (*above, (vector, scaled))
    if scaled:
        _not_of_itself(study, vector, False, above)
        for other in entry.scale.vectors if isinstance(entry.scale, Scale) else ():
            _not_of_itself(study, other, False, above)
    else:
        for other in chain(*entry.vectors().values()):
            _not_of_itself(study, other, True, above)


def _read_at(
    study: Study, entry: str, vector: str, given: Literal["all"] | list[int] | None
) -> None:
    """A vector of several positions is injected as it is at some of them, any other without."""
    positions = study.positions_of(vector)
    if given is None and positions:
        raise StudyError(
            f"{entry} names vectors.{vector}, which has the positions {positions}; set the one to "
            "inject, as `source_positions: all`, or in `together` as `source_position: -1`."
        )
    if given is None or given == positions:
        return
    if not positions:
        raise StudyError(
            f"{entry} has source_positions, but vectors.{vector} has one position; remove them."
        )
    if given == "all" and not isinstance(positions, list):
        raise StudyError(
            f"{entry}.source_positions is all, but how many positions vectors.{vector} has is not "
            "known before it is made; list them, as [-3, -2, -1]."
        )
    for position in given if given != "all" else ():
        if isinstance(positions, list) and position not in positions:
            raise StudyError(
                f"{entry} takes vectors.{vector} at position {position}, but it has "
                f"{positions}; name one of those."
            )


def _one_position(entry: str, named: str, positions: Several | None) -> None:
    """Activations or a vector that an entry names are not of several positions."""
    if positions:
        raise StudyError(
            f"{entry} names {named}, which has the positions {positions}, but needs one; read its "
            "activations at one, as `positions: -1`."
        )


def _resamples(study: Study, entry: str, figure: WithIntervals) -> None:
    for name in figure.drawn:
        table = study.table(name)
        drawn = isinstance(table, Table) and study.drawn_only(table.sweep)
        if not drawn and (not isinstance(table, Table) or not table.sweep.resamples):
            raise StudyError(
                f"{entry}.intervals is {figure.intervals}, but sweeps.{name} has no resamples of "
                "its vectors; set `resamples` there, or remove intervals."
            )


def _layers(study: Study, entry: str, figure: Figure) -> None:
    """A figure of matching scores by layer has layers of its sweep; published results say theirs
    themselves."""
    for name in figure.own:
        table = study.table(name)
        if not isinstance(table, Table):
            continue
        design = table.sweep.inject
        if isinstance(design, AloneDesign | CombinedDesign):
            held = design.layers
            if isinstance(figure, LayersFigure) and isinstance(design, AloneDesign):
                held = design.read_layers or held
            for layer in getattr(figure, "layers", None) or []:
                if held != "all" and layer not in held:
                    raise StudyError(
                        f"{entry}.layers names layer {layer}, which sweeps.{name} does not have; "
                        "add it there."
                    )


def _draws(study: Study, entry: str, sweep: SweepEntry, draws: Mapping[str, int]) -> None:
    """What is injected at once is drawn equally often, and what is drawn has no resamples."""
    alone = isinstance(sweep.inject, AloneDesign | ChosenDesign)
    if len(set(draws.values())) > 1 and not alone:
        said = " and ".join(f"vectors.{name} has {number}" for name, number in draws.items())
        raise StudyError(
            f"{entry}.inject injects controls with different draws at once, as {said}; give them "
            "the same number."
        )
    if draws and sweep.resamples:
        raise StudyError(
            f"{entry}.resamples draws its vectors again, and so do the draws of "
            f"vectors.{next(iter(draws))}; remove resamples, or inject that in a separate "
            "sweep."
        )


def _same_model(
    study: Study, entry: str, steered: SweepEntry | Samples, vectors: Iterable[str]
) -> None:
    for vector in vectors:
        origin = study.model_of(vector)
        if origin != steered.model and not steered.transfer:
            raise StudyError(
                f"{entry}.model is {steered.model}, but vectors.{vector} is made with {origin}; "
                f"steer the model that the vector is from, or set {entry}.transfer to true."
            )


def _enough_documents(study: Study, entry: str, activations: Activations) -> None:
    if activations.corpus and activations.documents:
        held = study.origin_of(activations.corpus).train
        if activations.documents > held:
            selected = isinstance(study.corpora[activations.corpus], SelectedCorpus)
            holds = f" holds {held} at most" if selected else f".train holds {held}"
            raise StudyError(
                f"{entry}.documents asks for {activations.documents}, but "
                f"corpora.{activations.corpus}{holds}; ask for fewer."
            )


def _searched(study: Study, entry: str, sweep: SweepEntry, choice: str) -> None:
    """The vectors of a choice are those that the sweep names, searched on the model it steers."""
    chosen = study.chosen_vectors(choice)
    for vector in sweep.inject.named or []:
        if vector not in chosen:
            raise StudyError(
                f"{entry}.inject names {vector}, for which choices.{choice} has no multipliers; "
                f"name some of {', '.join(chosen)}, or none for all."
            )
    if grid := study.multipliers(choice).grid:
        table = study.table(grid)
        assert isinstance(table, Table)
        if table.sweep.model != sweep.model:
            raise StudyError(
                f"{entry}.model is {sweep.model}, but choices.{choice} picks from sweeps.{grid}, "
                f"which steers {table.sweep.model}; search on {sweep.model} as well."
            )


def _has_multipliers(study: Study, entry: str, sweep: SweepEntry, choice: str) -> None:
    assert isinstance(sweep.inject, AloneDesign | CombinedDesign)
    entry, given = f"{entry}.inject.layers", study.multipliers(choice)
    if sweep.inject.layers == "all":
        raise StudyError(f"{entry} is all, but multipliers are chosen by layer; name the layers.")
    for layer in sweep.inject.layers if sweep.inject.uses_multipliers else ():
        if isinstance(layer, list):
            raise StudyError(
                f"{entry} names layers {layer} together, but choices.{choice} has multipliers for "
                "single layers; name these."
            )
        lacks = f"{entry} names layer {layer}, for which choices.{choice} has no"
        if given.grid is None:
            for vector in study.vectors_of(sweep):
                if layer not in (given.multipliers or {})[vector]:
                    raise StudyError(f"{lacks} multipliers of {vector}; add them there.")
            continue
        grid = study.table(given.grid)
        assert isinstance(grid, Table) and isinstance(grid.sweep.inject, AloneDesign)
        searched = grid.sweep.inject.layers
        if searched != "all" and layer not in searched:
            raise StudyError(f"{lacks} multipliers; add it to the layers of sweeps.{given.grid}.")


def _distinct_behaviours(study: Study, entry: str, vectors: Iterable[str]) -> None:
    behaviours = [study.behaviour_of(vector) for vector in vectors]
    for behaviour in set(behaviours):
        if behaviours.count(behaviour) > 1:
            raise StudyError(f"{entry} names two vectors of the behaviour {behaviour}; keep one.")


def _in_splits(study: Study, entry: str, behaviour: str, split: str) -> None:
    """A behaviour whose splits have files of their own has one for this split."""
    asked = study.behaviours[behaviour]
    if isinstance(asked, OfFiles) and asked.splits and not asked.has_split(split):
        raise StudyError(
            f"{entry} reads the {split} split of behaviours.{behaviour}, whose `splits` has no "
            f"file for {split}; add it, or read another."
        )


def _can_be_asked(
    study: Study, entry: str, measure: OnBehaviours, behaviours: Iterable[str]
) -> None:
    """The questions of these behaviours are such that the measure can ask them."""
    for name in behaviours:
        behaviour = study.behaviours[name]
        if behaviour.has_system:
            raise StudyError(
                f"{entry} would ask behaviours.{name}, whose sides differ in the system "
                "prompt and are not two-choice questions; name a vector of another behaviour."
            )
        if not behaviour.has_split(measure.split):
            raise StudyError(
                f"{entry}.split is validation, but `validation` of behaviours.{name} is 0; set how "
                "many of its items it has, or ask its test split."
            )
        if why := measure.why_not(behaviour):
            raise StudyError(f"{entry} would ask behaviours.{name}, {why}.")
