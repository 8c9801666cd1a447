"""What steering does to single questions, and how far that is from what its controls do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snakesteer.study.entries import Distinct, Entry, Seed, TableName
from snakesteer.tables.slopes import SEED


class Effects(Entry):
    """The effects of a sweep, as tables under `effects/` of the results.

    Of `two_choice` and `choice` the slope of every question's propensity over the coefficient
    (`NAME.items.parquet`), and by behaviour, layer and vector their mean, the share below 0 and the
    agreement between halves of the coefficients (`NAME.slopes.parquet`). Of any measure, where
    vectors have controls with `draws`, each effect with its rank among these
    (`NAME.control.parquet`).
    """

    sweep: TableName = Field(
        description="A sweep of vectors by themselves or together, or one of its measures, "
        "SWEEP.MEASURE."
    )
    controls: Annotated[list[TableName], Distinct] = Field(
        [],
        description="Sweeps that inject controls `of` its vectors, each drawn twice or more. "
        "Controls in the sweep itself count without being named.",
    )
    column: str | None = Field(
        None,
        description="Column of the table whose change from the unsteered model is held against "
        "controls, beside slopes; the main one of its measure if left out.",
    )
    balanced: bool = Field(
        False,
        description="Counterbalance means of slopes: each answer, such as A or B, with each order "
        "of the options counts alike, however many questions have it.",
    )
    seed: Seed = Field(SEED, description="Of the halves of the coefficients.")
