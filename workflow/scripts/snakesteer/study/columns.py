"""Columns of tables that figures can draw."""

from __future__ import annotations

from typing import Literal, NamedTuple

Better = Literal["lower", "higher"]


class Column(NamedTuple):
    """A column of a measure's table: what it is on an axis, and which values are better.

    A mean of ratings by a model has the name of that score in `judged`. Where its interval does not
    have how far the judge agrees with people, though that is known, `drawn_as` names the column
    that has, which is to be drawn.
    """

    label: str
    better: Better = "higher"
    judged: str | None = None
    drawn_as: str | None = None
