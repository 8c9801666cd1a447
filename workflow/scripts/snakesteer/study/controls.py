"""Which controls are held against the effects of a sweep, and what effects must be so that there
are some.

The sweeps that entries mention are there, which `references` has checked before.
"""

from __future__ import annotations

from collections.abc import Iterator

from snakesteer.core.errors import StudyError
from snakesteer.study.designs import AloneDesign
from snakesteer.study.effects import Effects
from snakesteer.study.figures import columns_of
from snakesteer.study.measures import Choice, TwoChoice
from snakesteer.study.schema import Study
from snakesteer.study.tables import Table
from snakesteer.study.vectors import ControlVector

ENOUGH = 2  # draws of a band


def has_slopes(study: Study, effects: Effects) -> bool:
    """Whether effects have slopes of single questions."""
    table = study.table(effects.sweep)
    return isinstance(table, Table) and isinstance(table.measured, TwoChoice | Choice)


def controls_of(study: Study, effects: Effects) -> dict[str, tuple[str, ...]]:
    """By vector of the sweep the controls of it that are drawn several times, in the sweep itself
    and in those named as controls."""
    found: dict[str, tuple[str, ...]] = {}
    for _, control in _controls(study, effects):
        entry = study.vectors[control]
        assert isinstance(entry, ControlVector)
        if (entry.draws or 0) >= ENOUGH:
            found[entry.of] = (*found.get(entry.of, ()), control)
    return found


def column_of(study: Study, effects: Effects) -> str:
    """The column that is held against controls."""
    return effects.column or next(iter(columns_of(study.table(effects.sweep))))


def check(study: Study, entry: str, effects: Effects) -> None:
    """Raise StudyError unless an entry has slopes or controls, and its controls are of its vectors,
    drawn twice or more, and measured alike."""
    name, table = effects.sweep, study.table(effects.sweep)
    if not isinstance(table, Table):
        raise StudyError(
            f"{entry}.sweep names {name}, published results, which have no rows for single "
            "items; name a sweep."
        )
    if table.kind == "combined":
        raise StudyError(
            f"{entry}.sweep names sweeps.{name}, which combines vectors, so no coefficient "
            "varies that a slope could be taken over; name another sweep."
        )
    if effects.column is not None and effects.column not in columns_of(table):
        raise StudyError(
            f"{entry}.column names {effects.column}, but sweeps.{name} measures {table.measure}, "
            f"which has {', '.join(columns_of(table))}; name one of these."
        )
    for control in effects.controls:
        _check_control(study, entry, effects, control)
    seen: dict[str, str] = {}
    for sweep, control in _controls(study, effects):
        if control in seen:
            raise StudyError(
                f"{entry} finds vectors.{control} in sweeps.{seen[control]} and sweeps.{sweep}, "
                "so its draws would count twice; remove one of the sweeps."
            )
        seen[control] = sweep
    if has_slopes(study, effects):
        values = table.sweep.values
        if values is not None and len(table.sweep.steered) < 2:
            raise StudyError(
                f"{entry}.sweep names sweeps.{name}, which has one coefficient, but a slope "
                "needs two or more; add some there."
            )
        return
    if effects.balanced:
        raise StudyError(
            f"{entry}.balanced is for answers, but sweeps.{name} measures {table.measure}; remove "
            f"it."
        )
    if not controls_of(study, effects):
        raise StudyError(
            f"{entry}.sweep names sweeps.{name}, which measures {table.measure} and so has no "
            f"slopes "
            "of single questions; add `controls`, or name a sweep of two_choice or choice."
        )


def _check_control(study: Study, entry: str, effects: Effects, name: str) -> None:
    own, table = study.table(effects.sweep), study.table(name)
    says = f"{entry}.controls names sweeps.{name}"
    assert isinstance(own, Table)
    if not isinstance(table, Table) or table.measure != own.measure:
        raise StudyError(
            f"{says}, which does not measure {own.measure} as sweeps.{effects.sweep} does; name "
            "a sweep that does."
        )
    for design in (own.sweep.inject, table.sweep.inject):
        if not isinstance(design, AloneDesign):
            raise StudyError(
                f"{says}, but chosen vectors, and vectors injected together, have no individual "
                "controls; name sweeps of single vectors."
            )
    found = list(_of_vectors(study, effects, name))
    if not found:
        raise StudyError(
            f"{says}, which injects no control whose `of` is a vector of sweeps.{effects.sweep}; "
            "name a sweep that does."
        )
    for control in found:
        entry_of = study.vectors[control]
        assert isinstance(entry_of, ControlVector)
        if (entry_of.draws or 0) < ENOUGH:
            raise StudyError(
                f"{says}, whose vectors.{control} has one draw, but a band needs two or more; "
                "give it `draws` (at least 19 for a p-value)."
            )
    for aspect in ("model", "coefficients"):
        if getattr(table.sweep, aspect) != getattr(own.sweep, aspect):
            raise StudyError(
                f"{says}, whose {aspect} differ from those of sweeps.{effects.sweep}; make "
                f"`{aspect}` equal."
            )
    if not table.injects_like(own):
        raise StudyError(
            f"{says}, which injects with another operator, or at other sites or positions, than "
            f"sweeps.{effects.sweep}; make `inject` the same in both."
        )
    for aspect in ("split", "sources", "format"):
        if getattr(table.measured, aspect, None) != getattr(own.measured, aspect, None):
            raise StudyError(
                f"{says}, which has other {aspect} than sweeps.{effects.sweep}; measure both on "
                "the same."
            )


def _controls(study: Study, effects: Effects) -> Iterator[tuple[str, str]]:
    """The controls of an entry's vectors, each with the sweep that injects it."""
    for sweep in [effects.sweep, *effects.controls]:
        for control in _of_vectors(study, effects, sweep):
            yield sweep, control


def _of_vectors(study: Study, effects: Effects, name: str) -> Iterator[str]:
    """The controls in a sweep that are of vectors of the entry's own."""
    own, table = study.table(effects.sweep), study.table(name)
    assert isinstance(own, Table) and isinstance(table, Table)
    if not isinstance(table.sweep.inject, AloneDesign):
        return
    vectors = study.vectors_of(own.sweep)
    for vector in study.vectors_of(table.sweep):
        entry = study.vectors[vector]
        if isinstance(entry, ControlVector) and entry.of in vectors:
            yield vector
