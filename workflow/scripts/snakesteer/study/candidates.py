"""What choices among candidates, and chosen vectors, must be so that a rule can choose.

The names that they mention are there, which `references` has checked before.
"""

from __future__ import annotations

from collections.abc import Iterator

from snakesteer.core.errors import StudyError
from snakesteer.engine.operator_files import needs_direction
from snakesteer.study.choices import Best, Bound, CandidateChoice
from snakesteer.study.designs import AloneDesign
from snakesteer.study.figures import columns_of, on_several
from snakesteer.study.schema import Study
from snakesteer.study.sweeps import SweepEntry
from snakesteer.study.tables import Table
from snakesteer.study.vectors import ChosenVector, ControlVector, Scale

# Kinds of steering in which a row is of several vectors, or its coefficient chosen before.
OTHERS = ("single", "combined", "simultaneous")


def scores(choice: CandidateChoice) -> Iterator[tuple[str, Best | Bound]]:
    """The scores of a choice, with the fields that they stand in."""
    yield "best", choice.best
    for place, limit in enumerate(choice.limits):
        yield f"limits.{place}", limit


def column(study: Study, score: Best | Bound) -> str:
    """The column of a score, the main one of its measure unless another is named."""
    return score.column or next(iter(columns_of(study.table(score.table))))


def check_choice(study: Study, entry: str, choice: CandidateChoice) -> None:
    """Raise StudyError unless every table has one score of each candidate, from validation data."""
    models = {}
    for field, score in scores(choice):
        _score(study, f"{entry}.{field}", score)
        table = study.table(score.table)
        if isinstance(table, Table):
            models[table.sweep.model] = score.table
    if len(models) > 1:
        said = " and ".join(f"sweeps.{name} steers {model}" for model, name in models.items())
        raise StudyError(f"{entry} is among candidates of one model, but {said}; name one's.")


def _score(study: Study, entry: str, score: Best | Bound) -> None:
    name, table = score.table, study.table(score.table)
    says = f"{entry} names sweeps.{name}"
    if table.kind in OTHERS:
        raise StudyError(
            f"{says}, which does not steer with vectors alone at coefficients of its own; "
            "name one that does."
        )
    columns = columns_of(table)
    if score.column is not None and score.column not in columns:
        raise StudyError(
            f"{entry}.column is {score.column}, but of sweeps.{name}, which is {table.measure}, "
            f"{', '.join(columns) or 'nothing'} can be taken; name one of these."
        )
    sources = list(study.titles_of(name))
    if score.source is not None and score.source not in sources:
        raise StudyError(
            f"{entry}.source is {score.source}, but sweeps.{name} is on {', '.join(sources)}; "
            "name one of these."
        )
    if score.source is None and on_several(study, name):
        raise StudyError(
            f"{says}, which is on {', '.join(sources)}; say on which the score is, as `source`."
        )
    if isinstance(table, Table):
        _own(study, entry, name, table)


def _own(study: Study, entry: str, name: str, table: Table) -> None:
    measure = table.measured
    if measure.section == "prompts":
        raise StudyError(
            f"{entry} names sweeps.{name}, which is on prompts of its own, and candidates are "
            "chosen on validation splits; give it `corpora` or `behaviours`."
        )
    if measure.section == "behaviours" and getattr(measure, "split", None) != "validation":
        raise StudyError(
            f"{entry} names sweeps.{name}, which reads the test split; choose on the validation "
            "split."
        )
    if drawn := study.draws_of(study.vectors_of(table.sweep)):
        raise StudyError(
            f"{entry} names sweeps.{name}, which injects the draws of vectors.{next(iter(drawn))}, "
            "and none of them can be chosen; leave it out there."
        )


def check_layers(study: Study, entry: str, choice: CandidateChoice) -> None:
    """Raise StudyError unless every candidate is read at one layer and injected in one place."""
    for field, score in scores(choice):
        table = study.table(score.table)
        if not isinstance(table, Table):
            continue
        assert isinstance(table.sweep.inject, AloneDesign)
        layers, read = table.sweep.inject.layers, table.sweep.inject.source_layers
        says = f"{entry}.{field} names sweeps.{score.table}"
        if read is None and any(isinstance(each, list) for each in layers):
            raise StudyError(
                f"{says}, which injects a vector at several layers together, each as it was read "
                "there, and a candidate is read at one; give its inject `source_layers: all`."
            )
        if read is not None and (layers == "all" or len(layers) > 1):
            raise StudyError(
                f"{says}, which injects what is read at a layer at several others in turn, so that "
                "a candidate has several scores; give its inject one set of layers, as [all]."
            )


def check_chosen(study: Study, name: str, vector: ChosenVector) -> None:
    """Raise StudyError unless a choice among candidates is there that chooses out of its vector,
    and does not need it first."""
    entry, choice = f"vectors.{name}", study.choices[vector.choice]
    if not isinstance(choice, CandidateChoice):
        raise StudyError(
            f"{entry}.choice names {vector.choice}, which has multipliers for vectors as they are; "
            "name one with `best`."
        )
    table = study.table(choice.best.table)
    if isinstance(table, Table):
        among = study.vectors_of(table.sweep)
        if among != [vector.of]:
            raise StudyError(
                f"{entry} is chosen out of vectors.{vector.of}, but choices.{vector.choice} is "
                f"among {' and '.join(among)}; name as `of` the one vector that it is among."
            )
    _not_before_itself(study, name)


def _not_before_itself(study: Study, vector: str, above: tuple[str, ...] = ()) -> None:
    if vector in above:
        raise StudyError(
            f"vectors.{vector} is chosen by what is measured with itself, by way of "
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
        table = study.table(score.table)
        if isinstance(table, Table):
            needed += study.vectors_of(table.sweep)
    return list(dict.fromkeys(needed))


def check_steered(study: Study, entry: str, sweep: SweepEntry) -> None:
    """Raise StudyError where a sweep takes a direction at layers where a chosen vector is zero."""
    for vector in study.vectors_of(sweep):
        check_operator(study, f"{entry}.inject", vector, sweep.inject.operator_of(vector))


def check_operator(study: Study, entry: str, vector: str, operator: str) -> None:
    """Raise StudyError where an operator takes the direction of a vector that is zero at all layers
    but one."""
    made = study.vectors[vector]
    of = study.vectors[made.of] if isinstance(made, ControlVector) else made
    if isinstance(of, ChosenVector) and of.at == "own" and needs_direction(operator):
        raise StudyError(
            f"{entry} takes the direction of vectors.{vector} (operator {operator}), which is zero "
            "at all layers but one; give the vector `at: all`."
        )
