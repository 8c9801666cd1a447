"""What steering does to single questions, and how far that is from what its controls do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snakesteer.study.entries import Distinct, Entry, Seed, TableName
from snakesteer.tables.slopes import SEED


class Effects(Entry):
    """Effects of a sweep on single questions, and against drawn controls. The tables lie in
    `effects/` of the results.

    For `two_choice` and `choice`, `NAME.items.parquet` has the slope of every question's propensity
    over the coefficient. `NAME.slopes.parquet` has, by behaviour, layer and vector, their mean, the
    share below 0, and the agreement between halves of the coefficients. For any measure, if vectors
    have controls with `draws`, `NAME.control.parquet` has each effect and its rank among these.
    """

    EXAMPLE = """
        effects:
          by-question: {sweep: grid.two_choice}
    """

    sweep: TableName = Field(
        description="A sweep of vectors alone or together, or one of its measures, SWEEP.MEASURE."
    )
    controls: Annotated[list[TableName], Distinct] = Field(
        [],
        description="Sweeps that inject controls of its vectors, each with two draws or "
        "more. Controls in the sweep itself count without being named.",
    )
    column: str | None = Field(
        None,
        description="Column whose change from the unsteered model is compared with "
        "controls, in addition to slopes. Default: the main one of the measure.",
    )
    balanced: bool = Field(
        False,
        description="`true` counterbalances means of slopes. Each answer, such as A or B, "
        "with each order of the options counts the same, however many questions have it.",
    )
    seed: Seed = Field(SEED, description="Seed of the halves of the coefficients.")
