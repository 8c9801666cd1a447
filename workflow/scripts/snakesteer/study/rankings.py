"""Ways of steering, ranked by how far they move the answers to questions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snakesteer.study.entries import Entry, Name, Names, Some, TableNames


class Ranking(Entry):
    """Arms, ranked by the mean change of propensity. The tables lie under `rankings/`.

    An arm is one way to make vectors, with one vector for each behaviour, under the operator of a
    sweep. Each vector is injected at one coefficient. `NAME.arms.parquet` has a row for each arm,
    `NAME.pairs.parquet` one for every two arms, with the ties, and `NAME.vectors.parquet` one for
    each vector.
    """

    EXAMPLE = """
        rankings:
          methods:
            sweeps: [compared]
            arms: {difference: [sycophancy, myopia], pca: [sycophancy-pca, myopia-pca]}
    """

    sweeps: TableNames = Field(
        description="Tables of `two_choice` or `choice` in which each vector gets the questions "
        "of its own behaviour. The `title` of a sweep names the operator in figures."
    )
    arms: Annotated[dict[Name, Names], Some] = Field(
        description="The vectors of each arm, one for each behaviour. A sweep injects all vectors "
        "of an arm or none."
    )
