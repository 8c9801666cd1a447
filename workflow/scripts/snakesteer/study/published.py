"""Published results of the paper's authors."""

from __future__ import annotations

from typing import Annotated, Self, get_args

from pydantic import Field, model_validator

from snakesteer.study.entries import Count, Distinct, Entry, Name, Titled
from snakesteer.study.models import COMMIT
from snakesteer.study.published_directions import (
    PublishedChosen,
    PublishedDirections,
    PublishedDivergence,
    PublishedLogOdds,
    PublishedLosses,
)
from snakesteer.study.published_entry import PublishedEntry
from snakesteer.study.published_probabilities import PublishedItems, PublishedScores
from snakesteer.study.published_skills import (
    PublishedCombined,
    PublishedGrid,
    PublishedSimultaneous,
    PublishedSingle,
    PublishedSkill,
)
from snakesteer.study.repositories import refuse_unlisted, tree_of

PublishedSweep = Annotated[
    PublishedSkill
    | PublishedGrid
    | PublishedSingle
    | PublishedCombined
    | PublishedSimultaneous
    | PublishedItems
    | PublishedScores
    | PublishedLogOdds
    | PublishedDivergence
    | PublishedChosen
    | PublishedDirections
    | PublishedLosses,
    Field(discriminator="kind"),
]
PUBLISHED: tuple[type[PublishedEntry], ...] = get_args(get_args(PublishedSweep)[0])


class Published(Entry):
    """Results that a paper's authors published. They become tables that figures and scorecards
    use like the study's own."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          paper: broad-skills
          behaviours: {sycophancy: {key: sycophancy}}
          sweeps:
            published-single: {kind: single, file: single.csv}
    """

    paper: Name = Field(
        "broad-skills",
        description="Folder of `resources/published/` that holds the paper's tables and "
        "the blob ids of its files.",
    )
    source: str = Field(
        "shipped",
        description="`shipped`: the tables in this repository. Otherwise the authors' "
        "files, in a folder with their repository's structure or at an address with the "
        "commit. A folder is absolute, in the working directory, or in this repository. An "
        "address is as https://raw.githubusercontent.com/OWNER/REPOSITORY/COMMIT.",
    )
    commit: Annotated[str, Field(pattern=COMMIT)] = Field(
        description="Commit of the authors' repository, for the provenance."
    )
    licence: str | None = Field(
        None, description="Licence of the results and its copyright line, for the provenance."
    )
    listing: str | None = Field(
        None,
        description="For an address: where the commit's tree with its blob ids is, in the "
        "form of GitHub's API. Every file is verified against it. Not needed for an address "
        "at GitHub.",
    )
    corpora: dict[Name, Titled] = Field({}, description="Corpora by our names.")
    behaviours: dict[Name, Titled] = Field({}, description="Behaviours by our names.")
    sweeps: dict[Name, PublishedSweep] = Field(
        {}, description="Result files. Each entry becomes a table of that name."
    )
    activations: dict[Name, str] = Field(
        {}, description="Files of mean activations (`.pt`), by the name of their corpus."
    )
    vectors: dict[Name, str] = Field(
        {}, description="Files of contrast vectors (`.pt`), by the name of their behaviour."
    )
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Distinct] = Field(
        [], description="Layers whose activations and vectors get histograms."
    )
    bins: Count = Field(100, description="Number of bins of those histograms.")

    @model_validator(mode="after")
    def _verified(self) -> Self:
        refuse_unlisted(self.source, self.tree)
        return self

    @property
    def tree(self) -> str | None:
        """Where the commit's tree is: `listing`, or what a raw-file address at GitHub implies."""
        return tree_of(self.source, self.listing)

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name, sweep in self.sweeps.items():
            for source in [*(sweep.sources or []), *sweep.steered]:
                if source not in getattr(self, sweep.SECTION):
                    raise ValueError(
                        f"sweeps.{name} names {source}, which is not in "
                        f"published.{sweep.SECTION}; add it there"
                    )
        return self
