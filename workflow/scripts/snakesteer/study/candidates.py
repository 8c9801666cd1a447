"""What choices among candidates, and chosen vectors, must be so that a rule can choose.

The names that they mention are there, which `references` has checked before.
"""

from __future__ import annotations

from collections.abc import Iterator

from snakesteer.core.errors import StudyError
from snakesteer.engine.operator_files import needs_direction
from snakesteer.study.activations import Several
from snakesteer.study.choices import AtKl, Best, Bound, CandidateChoice, Choice, of_one
from snakesteer.study.coefficients import Refined
from snakesteer.study.designs import AloneDesign
from snakesteer.study.figures import columns_of, on_several
from snakesteer.study.published import PublishedSweep
from snakesteer.study.schema import Study
from snakesteer.study.sweeps import SweepEntry
from snakesteer.study.tables import Table
from snakesteer.study.vectors import ChosenVector, ControlVector, Scale
from snakesteer.sweeps.candidates import COUNTED

Scored = Best | Bound | AtKl
# Kinds of steering in which a row is of several vectors, or its coefficient chosen before.
OTHERS = ("single", "combined", "simultaneous")


def scores(choice: CandidateChoice) -> Iterator[tuple[str, Scored]]:
    """The scores of a choice, with the fields that they stand in."""
    yield "best", choice.best
    for place, limit in enumerate(choice.limits):
        yield f"limits.{place}", limit
    if choice.at_kl:
        yield "at_kl", choice.at_kl


def column(study: Study, score: Scored) -> str:
    """The column of a score, the main one of its measure unless another is named."""
    return score.column or next(iter(columns_of(study.table(score.tables[0]))))


def columns_for(table: Table | PublishedSweep) -> list[str]:
    """The columns of a table that may decide: those that can be drawn, and shares of answers."""
    counted = COUNTED if table.measure == "two_choice" and isinstance(table, Table) else ()
    return [*columns_of(table), *counted]


def check_choice(study: Study, entry: str, choice: CandidateChoice) -> None:
    """Raise StudyError unless every table has one score of each candidate, from validation data."""
    models = {}
    for field, score in scores(choice):
        measures = {}
        for name in score.tables:
            _score(study, f"{entry}.{field}", name, score)
            table = study.table(name)
            measures[table.measure] = name
            if isinstance(table, Table):
                models[table.sweep.model] = name
        if len(measures) > 1:
            said = " and ".join(f"sweeps.{name} ({of})" for of, name in measures.items())
            raise StudyError(
                f"{entry}.{field} names tables of different measures, {said}; name tables of one "
                "measure."
            )
    sweeps = [name.split(".")[0] for name in choice.best.tables]
    for sweep in sweeps:
        if sweeps.count(sweep) > 1:
            raise StudyError(
                f"{entry}.best names two tables of sweeps.{sweep}, but each candidate has one "
                "score; name one of the tables."
            )
    for field, score in scores(choice) if choice.at_kl else ():
        table = study.table(score.tables[0])
        own = isinstance(table, Table) and table.measured.sources is None
        if score.source and own:
            raise StudyError(
                f"{entry}.{field}.source is {score.source}, but sweeps.{score.tables[0]} asks each "
                "vector about its own behaviour, and at_kl takes one for every vector; remove "
                "source."
            )
    if choice.at_kl and choice.at_kl.table.split(".")[0] not in sweeps:
        raise StudyError(
            f"{entry}.at_kl names sweeps.{choice.at_kl.table}, another sweep than that of best "
            f"({sweeps[0]}); measure the divergence there, and name that table."
        )
    if len(models) > 1:
        said = " and ".join(f"sweeps.{name} steers {model}" for model, name in models.items())
        raise StudyError(
            f"{entry} must compare candidates of one model, but {said}; name sweeps of one model."
        )


def _score(study: Study, entry: str, name: str, score: Scored) -> None:
    table = study.table(name)
    says = f"{entry} names sweeps.{name}"
    if table.kind in OTHERS:
        raise StudyError(
            f"{says}, which does not steer with single vectors at its own coefficients; name a "
            "sweep that does."
        )
    columns = columns_for(table)
    if score.column is not None and score.column not in columns:
        raise StudyError(
            f"{entry}.column is {score.column}, but sweeps.{name}, which measures "
            f"{table.measure}, has "
            f"{', '.join(columns) or 'nothing'}; name one of these."
        )
    sources = list(study.titles_of(name))
    if score.source is not None and score.source not in sources:
        raise StudyError(
            f"{entry}.source is {score.source}, but sweeps.{name} is measured on "
            f"{', '.join(sources)}; name one of these."
        )
    if score.source is None and on_several(study, name):
        raise StudyError(
            f"{says}, which is measured on {', '.join(sources)}; set `source` to one of these."
        )
    if isinstance(table, Table):
        _own(study, entry, name, table)


def _own(study: Study, entry: str, name: str, table: Table) -> None:
    measure = table.measured
    if measure.section == "prompts":
        raise StudyError(
            f"{entry} names sweeps.{name}, which has its own prompts, but candidates are chosen "
            "on validation splits; give the sweep `corpora` or `behaviours`."
        )
    if measure.section == "behaviours" and getattr(measure, "split", None) != "validation":
        raise StudyError(
            f"{entry} names sweeps.{name}, which reads the test split; set `split: validation` "
            "in its measure."
        )
    for behaviour in study.titles_of(name) if measure.section == "behaviours" else ():
        if not study.behaviours[behaviour].has_split("validation"):
            raise StudyError(
                f"{entry} names sweeps.{name}, but candidates are chosen on validation items, "
                f"and behaviours.{behaviour} has `validation: 0`; give it a number of items."
            )
    if drawn := study.draws_of(study.vectors_of(table.sweep)):
        raise StudyError(
            f"{entry} names sweeps.{name}, which injects the draws of "
            f"vectors.{next(iter(drawn))}, and draws cannot be chosen; remove that vector from "
            "the sweep."
        )


def check_layers(study: Study, entry: str, choice: CandidateChoice) -> None:
    """Raise StudyError unless every candidate is read at one layer and injected in one place."""
    for field, score in scores(choice):
        for name in score.tables:
            _one_layer(study, f"{entry}.{field} names sweeps.{name}", name)


def _one_layer(study: Study, says: str, name: str) -> None:
    table = study.table(name)
    if isinstance(table, Table) and isinstance(table.sweep.inject, AloneDesign):
        layers, read = table.sweep.inject.layers, table.sweep.inject.source_layers
        if read is None and any(isinstance(each, list) for each in layers):
            raise StudyError(
                f"{says}, which injects a vector at several layers together, but a candidate is "
                "read at one layer; give its inject `source_layers: all`."
            )
        if read is not None and (layers == "all" or len(layers) > 1):
            raise StudyError(
                f"{says}, which injects each candidate at several layers in turn, so a candidate "
                "has several scores; give its inject one set of layers, as [all]."
            )


def check_chosen(study: Study, name: str, vector: ChosenVector) -> None:
    """Raise StudyError unless a choice among candidates is there that chooses out of its vector,
    and does not need it first."""
    entry, choice = f"vectors.{name}", study.choices[vector.choice]
    if not isinstance(choice, CandidateChoice):
        raise StudyError(
            f"{entry}.choice names {vector.choice}, which chooses multipliers, not a candidate; "
            "name a choice with `best`."
        )
    of_one(f"{entry}.choice", vector.choice, choice)
    among: dict[str, None] = {}
    for sweep in study.searched(vector.choice).values():
        among |= dict.fromkeys(study.vectors_of(sweep))
    if among and list(among) != [vector.of]:
        raise StudyError(
            f"{entry} is chosen from vectors.{vector.of}, but choices.{vector.choice} compares "
            f"candidates from {' and '.join(among)}; set `of` to one of these."
        )
    _not_before_itself(study, name)


def _not_before_itself(study: Study, vector: str, above: tuple[str, ...] = ()) -> None:
    if vector in above:
        raise StudyError(
            f"vectors.{vector} is chosen from measurements of itself, through "
            f"{' and '.join(above[above.index(vector) + 1 :]) or 'its choice'}; let the sweeps of "
            "its choice inject other vectors."
        )
    for other in _needed(study, vector):
        _not_before_itself(study, other, (*above, vector))


def _needed(study: Study, vector: str) -> list[str]:
    """The vectors that must be there before a vector is made."""
    entry = study.vectors[vector]
    needed = [name for named in entry.vectors().values() for name in named]
    needed += entry.scale.vectors if isinstance(entry.scale, Scale) else []
    choice = study.choices[entry.choice] if isinstance(entry, ChosenVector) else None
    for _, score in scores(choice) if isinstance(choice, CandidateChoice) else ():
        for name in score.tables:
            table = study.table(name)
            if isinstance(table, Table):
                needed += study.vectors_of(table.sweep)
    return list(dict.fromkeys(needed))


def check_steered(study: Study, entry: str, sweep: SweepEntry) -> None:
    """Raise StudyError where a sweep takes a direction at layers where a chosen vector is zero."""
    for design in study.designs_of(sweep):
        for vector in study.vectors_of(sweep):
            check_operator(study, f"{entry}.inject", vector, design.operator_of(vector))


def check_taken(study: Study, entry: str, name: str, model: str) -> None:
    """Raise StudyError unless what a choice takes can be injected into a model.

    The choice of this name is there.
    """
    choice = study.choices[name]
    if not isinstance(choice, CandidateChoice):
        raise StudyError(
            f"{entry} names {name}, which chooses multipliers, not a candidate; write "
            f"`coefficients: {{choice: {name}}}` in a sweep of vectors and layers."
        )
    searched = study.searched(name)
    if len(searched) < len(choice.best.tables):
        raise StudyError(
            f"{entry} names {name}, which compares published results, whose vectors are not "
            "available; name a choice that compares sweeps."
        )
    for other in searched.values():
        if other.model != model:
            raise StudyError(
                f"{entry} names {name}, which compares candidates of {other.model}, but {model} "
                f"is steered; steer {other.model}."
            )


def check_injected(study: Study, entry: str, sweep: SweepEntry) -> None:
    """Raise StudyError unless what a choice takes can be injected by a sweep, and measured there.

    The choice that the sweep names is there.
    """
    name = sweep.candidate
    assert name is not None
    check_taken(study, f"{entry}.inject.choice", name, sweep.model)
    if isinstance(sweep.coefficients, Refined) or sweep.inject.named:
        of_one(f"{entry}.inject.choice", name, study.choices[name])
    searched = study.searched(name)
    read: list[Several | None] = [None]
    for vector in [each for other in searched.values() for each in study.vectors_of(other)]:
        read.append(study.positions_of(vector))
    for vector in sweep.inject.named or []:
        if study.positions_of(vector) not in read:
            raise StudyError(
                f"{entry}.inject names vectors.{vector}, read at {study.positions_of(vector)}, "
                f"but no candidate of choices.{name} is read there; name a vector of the same "
                "positions, or of one position."
            )
    for measure_name, measure in sweep.measures.items():
        for design in study.designs_of(sweep):
            last = any(positions in ("last", -1) for positions in design.all_positions)
            if measure.before_last and last:
                raise StudyError(
                    f"{entry}.measures.{measure_name} predicts the next tokens of documents, but "
                    f"the candidates of choices.{name} steer the last token, which has none; use "
                    "another measure."
                )


def check_circles(study: Study) -> None:
    """Raise StudyError where what a sweep injects is chosen by what is measured in it."""
    for name, sweep in study.sweeps.items():
        if sweep.candidate:
            _not_from_itself(study, ("sweeps", name), ())


Node = tuple[str, str]
"""A section, and the name of an entry."""


def _not_from_itself(study: Study, node: Node, above: tuple[Node, ...]) -> None:
    if node in above:
        ways = [f"{section}.{name}" for section, name in above[above.index(node) + 1 :]]
        raise StudyError(
            f"{node[0]}.{node[1]} depends on itself, through {' and '.join(ways)}; choose from "
            "other sweeps."
        )
    for other in _from(study, node):
        if other[1] in getattr(study, other[0]):
            _not_from_itself(study, other, (*above, node))


def _from(study: Study, node: Node) -> list[Node]:
    """What an entry comes from: of sweeps their vectors and choices, and so on."""
    section, name = node
    entry = getattr(study, section)[name]
    if isinstance(entry, SweepEntry):
        choices = [("choices", each) for each in (entry.candidate, entry.choice) if each]
        return choices + [("vectors", each) for each in entry.inject.named or []]
    if isinstance(entry, CandidateChoice):
        tables = [table for _, score in scores(entry) for table in score.tables]
        return [("sweeps", table.split(".")[0]) for table in tables]
    if isinstance(entry, Choice):
        return [("sweeps", entry.grid.split(".")[0])] if entry.grid else []
    named = [each for names in entry.vectors().values() for each in names]
    named += entry.scale.vectors if isinstance(entry.scale, Scale) else []
    chosen = [("choices", entry.choice)] if isinstance(entry, ChosenVector) else []
    return chosen + [("vectors", each) for each in named]


def check_operator(study: Study, entry: str, vector: str, operator: str) -> None:
    """Raise StudyError where an operator takes the direction of a vector that is zero at all layers
    but one."""
    made = study.vectors[vector]
    of = study.vectors[made.of] if isinstance(made, ControlVector) else made
    if isinstance(of, ChosenVector) and of.at == "own" and needs_direction(operator):
        raise StudyError(
            f"{entry} uses the direction of vectors.{vector} (operator {operator}), which is "
            "zero at all layers except one; give the vector `at: all`."
        )
