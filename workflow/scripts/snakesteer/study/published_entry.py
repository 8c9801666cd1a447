"""What every published result says."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from snakesteer.study.entries import Entry

if TYPE_CHECKING:
    from snakesteer.study.published import Published


class PublishedEntry(Entry):
    """What every published result says.

    `READER` is the plugin that reads its files, `measure` what its table counts. With
    `BOOTSTRAPPED` and `COLLAPSES` its table takes the study's statistics, and its share of mode
    collapse. It is over the entries of `published` in `SECTION`, all of them unless it names some;
    `OWN` says that each vector is on its own ones alone, `INTERVALS` whether what it tells has any.
    It is compared with sweeps of its `steering`, which is its kind unless it says another. `HOLDS`
    are the columns of its measure that its table has, where it has not all.
    """

    READER: ClassVar[str]
    SECTION: ClassVar[Literal["corpora", "behaviours"]]
    BOOTSTRAPPED: ClassVar[bool] = False
    COLLAPSES: ClassVar[bool] = False
    OWN: ClassVar[bool] = False
    INTERVALS: ClassVar[bool] = True
    HOLDS: ClassVar[Collection[str] | None] = None

    kind: str
    measure: ClassVar[str]

    @property
    def paths(self) -> dict[str, str] | list[str]:
        """Its files, by what each holds of it where they are told apart by that."""
        raise NotImplementedError

    @property
    def sources(self) -> list[str] | None:
        """The entries of `SECTION` that it is over; None for all."""
        return None

    @property
    def steering(self) -> str:
        """What it says of how the sweep steers."""
        return self.kind

    @property
    def steered(self) -> list[str]:
        """The behaviours whose vectors it is of, where it names them."""
        return []

    def files_of(self, published: Published) -> dict[str, str] | list[str]:
        """Its `paths`, where these do not depend on what the authors call things."""
        return self.paths

    def settings(self, published: Published) -> dict[str, Any]:
        """What its reader gets beside its files."""
        raise NotImplementedError
