"""What rankings must be so that arms can be compared.

The names that entries mention are there, which `references` has checked before.
"""

from __future__ import annotations

from collections.abc import Iterator

from snakesteer.core.errors import StudyError
from snakesteer.study.choices import CandidateChoice
from snakesteer.study.coefficients import Refined
from snakesteer.study.designs import AloneDesign
from snakesteer.study.measures import Choice, TwoChoice
from snakesteer.study.rankings import Ranking
from snakesteer.study.schema import Study
from snakesteer.study.tables import Table


def injected(study: Study, ranking: Ranking) -> Iterator[tuple[str, str]]:
    """Each arm with each table of a sweep that injects its vectors."""
    for name in ranking.sweeps:
        table = study.table(name)
        assert isinstance(table, Table)
        vectors = study.vectors_of(table.sweep)
        for arm, own in ranking.arms.items():
            if not set(own).isdisjoint(vectors):
                yield arm, name


def check(study: Study, entry: str, ranking: Ranking) -> None:
    """Raise StudyError unless every arm has one vector for each of the same behaviours, and stands
    at one coefficient in some sweep."""
    for name in ranking.sweeps:
        _check_sweep(study, entry, name)
    _check_alike(study, entry, ranking)
    first = next(iter(ranking.arms))
    behaviours = {arm: _behaviours(study, entry, arm, own) for arm, own in ranking.arms.items()}
    for arm, own in behaviours.items():
        if set(own) != set(behaviours[first]):
            raise StudyError(
                f"{entry}.arms.{arm} has vectors for {', '.join(own)}, and {first} for "
                f"{', '.join(behaviours[first])}; give all arms the same behaviours."
            )
    if len(behaviours[first]) < 2:
        raise StudyError(
            f"{entry}.arms have one behaviour, but an interval needs at least two; add another "
            f"behaviour."
        )
    owners: dict[str, str] = {}
    for arm, own in ranking.arms.items():
        for vector in own:
            if vector in owners:
                raise StudyError(
                    f"{entry}.arms has vectors.{vector} in {owners[vector]} and {arm}; keep "
                    "it in one."
                )
            owners[vector] = arm
    found = list(injected(study, ranking))
    for arm, name in found:
        table = study.table(name)
        assert isinstance(table, Table)
        lacking = set(ranking.arms[arm]) - set(study.vectors_of(table.sweep))
        if lacking:
            raise StudyError(
                f"{entry}.arms.{arm} names vectors.{min(lacking)}, which sweeps.{name} does not "
                "inject as it does others of the arm; inject it there as well."
            )
    for arm in ranking.arms:
        if arm not in {own for own, _ in found}:
            raise StudyError(
                f"{entry}.arms.{arm} has vectors that no sweep of {entry}.sweeps injects; name one "
                "that does."
            )
    if len(found) < 2:
        raise StudyError(f"{entry} has one arm, but a ranking needs at least two; add another.")


def _check_alike(study: Study, entry: str, ranking: Ranking) -> None:
    """Raise StudyError unless all tables measure the same, in one unit and on one split."""
    kinds = {}
    for name in ranking.sweeps:
        table = study.table(name)
        assert isinstance(table, Table)
        measured = table.measured
        kinds[table.measure, getattr(measured, "by", None), getattr(measured, "split", None)] = name
    if len(kinds) > 1:
        named = " and ".join(f"sweeps.{name}" for name in kinds.values())
        raise StudyError(
            f"{entry}.sweeps names {named}, which differ in their measure, its `by` or its split; "
            "rank tables of one measure."
        )


def _check_sweep(study: Study, entry: str, name: str) -> None:
    table, says = study.table(name), f"{entry}.sweeps names sweeps.{name}"
    if not isinstance(table, Table) or not isinstance(table.measured, TwoChoice | Choice):
        raise StudyError(
            f"{says}, which has no questions of the study's own; name one of two_choice or choice."
        )
    if table.kind not in ("grid", "candidate"):
        raise StudyError(
            f"{says}, which does not steer with vectors by themselves; name one that does."
        )
    if table.measured.sources is not None:
        raise StudyError(
            f"{says}, which asks every vector the same questions; remove `behaviours`, so that "
            "each vector is asked its own."
        )
    if drawn := study.draws_of(study.vectors_of(table.sweep)):
        raise StudyError(
            f"{says}, which injects the draws of vectors.{next(iter(drawn))}, and an arm is of "
            "single vectors; make each a vector with a seed of its own."
        )
    design = table.sweep.inject
    if isinstance(design, AloneDesign) and (
        design.layers == "all" or len(design.layers) > 1 or design.several_sources
    ):
        raise StudyError(
            f"{says}, which injects each vector at several layers or positions, but arms are "
            "compared at one; name one, or take it from a choice with at_kl."
        )
    if table.sweep.candidate and not table.sweep.inject.named:
        choice = study.choices[table.sweep.candidate]
        if not isinstance(choice, CandidateChoice) or choice.at_kl is None:
            raise StudyError(
                f"{says}, which injects the one candidate of choices.{table.sweep.candidate}; "
                "use a choice with at_kl, or name `vectors` in its inject."
            )
    unsteered_at_0 = all(one.unsteered_at_0 for one in study.designs_of(table.sweep))
    values = table.sweep.values or (1.0,)
    steered = [each for each in values if each is not None and (each or not unsteered_at_0)]
    if len(steered) != 1 or isinstance(table.sweep.coefficients, Refined):
        raise StudyError(
            f"{says}, which does not have one coefficient, but arms are compared at one; use "
            "`coefficients: {choice: …}` of a choice with at_kl, or give one."
        )


def _behaviours(study: Study, entry: str, arm: str, vectors: list[str]) -> list[str]:
    found: dict[str, str] = {}
    for vector in vectors:
        behaviour = study.behaviour_of(vector)
        if behaviour in found:
            raise StudyError(
                f"{entry}.arms.{arm} has two vectors for {behaviour}, {found[behaviour]} and "
                f"{vector}; remove one."
            )
        found[behaviour] = vector
    return list(found)
