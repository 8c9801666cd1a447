"""Doses: how strongly points steer, as figures say it, so that vectors are comparable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from snakesteer.core.errors import StudyError
from snakesteer.study.designs import AloneDesign
from snakesteer.study.entries import Entry, Name, TableName, TableNames
from snakesteer.study.published import PublishedSweep
from snakesteer.study.tables import Table
from snakesteer.sweeps.job import ADD


class KlDose(Entry):
    """A dose in KL from the unsteered model, instead of the coefficient."""

    EXAMPLE = """
        figures:
          by-dose: {kind: curves, sweeps: [grid.two_choice], dose: {kl: grid.divergence}}
    """

    kl: TableName | TableNames = Field(
        description="One or more tables of `divergence`, of the sweeps drawn or of others "
        "that inject the same. Points are joined by vector, layer, source layer or position, "
        "and coefficient."
    )
    source: Name | None = Field(
        None,
        description="Its corpus or behaviour. Required if the table has several for one injection.",
    )

    @property
    def tables(self) -> list[str]:
        """The tables of KL that it names."""
        return [self.kl] if isinstance(self.kl, str) else self.kl


def _one_of_the_doses(given: Any) -> Any:
    if isinstance(given, str) and given not in ("coefficient", "share"):
        raise ValueError(f"is {given}; give coefficient, share, or {{kl: TABLE}}")
    return given


def kl_alone(given: Any) -> Any:
    """Refuse, before it is validated, a dose that is no KL."""
    if isinstance(given, str):
        raise ValueError(f"is {given}, but curves are compared at equal KL; give {{kl: TABLE}}")
    return given


Dose = Annotated[Literal["coefficient", "share"] | KlDose, BeforeValidator(_one_of_the_doses)]

SHARE = "Share of the activations' mean length"
DOSE = (
    "Horizontal axis, with the sign of the coefficient. `coefficient`: the coefficient "
    "itself. `share`: its size times the vector's length, divided by the mean length of the "
    "activations that the vector is made from. `{kl: TABLE}`: how far the model has moved."
)
SHARE_SAID = (
    "Share: the coefficient times the vector's length at the injected layer, divided by the "
    "mean length there of the activations behind it. For layers steered together, the mean "
    "share."
)


def check_signed(entry: str, name: str, table: Table | PublishedSweep) -> None:
    """Raise StudyError for a table whose points have no dose with the sign of a coefficient."""
    if not isinstance(table, Table):
        raise StudyError(
            f"{entry} draws sweeps.{name}, published results, whose only dose is the "
            "coefficient; remove that sweep, or draw it over the coefficient."
        )
    if not table.sweep.inject.unsteered_at_0:
        raise StudyError(
            f"{entry} gives doses the sign of the coefficient, but sweeps.{name} also steers at "
            "coefficient 0; draw it over the coefficient."
        )


def adds_alone(table: Table) -> bool:
    """Whether each vector is added by itself, so that its length says how strongly it steers."""
    inject = table.sweep.inject
    return isinstance(inject, AloneDesign) and inject.operator == ADD


def check_shares(
    entry: str,
    name: str,
    table: Table,
    vectors: Sequence[str],
    activations_of: Callable[[str], list[str]],
) -> None:
    """Raise StudyError for a table of which not all points have a share."""
    if not adds_alone(table):
        raise StudyError(
            f"{entry} is share, which needs vectors that are added one at a time, but "
            f"sweeps.{name} does not add them so; use `{{kl: TABLE}}`."
        )
    for vector in vectors:
        if not activations_of(vector):
            raise StudyError(
                f"{entry} is share, but vectors.{vector} of sweeps.{name} is chosen or comes "
                "from a file, so it has no activations here; use `{kl: TABLE}`."
            )


def kl_tables(entry: str, name: str, table: Table, given: dict[str, Table]) -> list[str]:
    """Of the tables of KL those of what a table injects: that of its own sweep, or else those of
    sweeps that inject alike. Raises StudyError if there is none."""
    own = [kl for kl in given if kl.split(".")[0] == name.split(".")[0]]
    found = own or [kl for kl, other in given.items() if table.injects_like(other)]
    if not found:
        raise StudyError(
            f"{entry} names {' and '.join(f'sweeps.{kl}' for kl in given)}, which does not "
            f"inject the same as sweeps.{name}; measure `divergence` in "
            f"sweeps.{name.split('.')[0]} as well, and name that."
        )
    return found
