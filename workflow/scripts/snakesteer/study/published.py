"""Published results of the paper's authors."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from snakesteer.study.entries import Count, Distinct, Entry, Name, Names, Some, Titled
from snakesteer.study.models import COMMIT


class PublishedSkill(Entry):
    """Published skill results, a file for each injected layer."""

    measure: ClassVar = "next_token"

    kind: Literal["skill"]
    files: Annotated[list[str], Some, Distinct] = Field(
        description="Paths in the repository; the layer stands in each file."
    )
    vector: Name = Field(description="Name of the vector in the table.")
    corpora: Names = Field(
        description="Names under `published.corpora`; the first is the one steered away from."
    )
    title: str | None = Field(
        None, description="Name in trade-off figures, as a control or beside other sweeps."
    )


class PublishedGrid(Entry):
    """Published grid search, a file for each sign."""

    measure: ClassVar = "two_choice"

    kind: Literal["grid"]
    add: str
    subtract: str


class PublishedSingle(Entry):
    """Published single steering."""

    measure: ClassVar = "two_choice"

    kind: Literal["single"]
    file: str


class PublishedCombined(Entry):
    """Published combined steering, a file for each way to combine."""

    measure: ClassVar = "two_choice"

    kind: Literal["combined"]
    mean: str
    sum: str


class PublishedSimultaneous(Entry):
    """Published simultaneous steering."""

    measure: ClassVar = "two_choice"

    kind: Literal["simultaneous"]
    file: str
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Some, Distinct] = Field(
        description="Layers of the vectors, which the file does not say."
    )


PublishedSweep = Annotated[
    PublishedSkill | PublishedGrid | PublishedSingle | PublishedCombined | PublishedSimultaneous,
    Field(discriminator="kind"),
]


class Published(Entry):
    """Published results of the paper's authors, as tables that figures and scorecards take like
    those of the study's own sweeps."""

    source: str = Field(
        "shipped",
        description="`shipped`: the tables in this repository; or the authors' files, in a "
        "folder of their repository's structure (absolute, in the working directory, or in "
        "this repository), or at a raw-file address at one commit, as "
        "https://raw.githubusercontent.com/OWNER/REPOSITORY/COMMIT.",
    )
    commit: Annotated[str, Field(pattern=COMMIT)] = Field(
        description="Commit of their repository that the files are of, for the provenance."
    )
    listing: str | None = Field(
        None,
        description="With an address: where the commit's tree with its git blob ids is, in the "
        "form of GitHub's API. Every file is verified against it. An address at GitHub implies it.",
    )
    corpora: dict[Name, Titled] = Field({}, description="Corpora by our names.")
    behaviours: dict[Name, Titled] = Field({}, description="Behaviours by our names.")
    sweeps: dict[Name, PublishedSweep] = Field(
        {}, description="Result files; each entry becomes a table of that name."
    )
    activations: dict[Name, str] = Field(
        {}, description="Files of mean activations (`.pt`), by the name of their corpus."
    )
    vectors: dict[Name, str] = Field(
        {}, description="Files of contrast vectors (`.pt`), by the name of their behaviour."
    )
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Distinct] = Field(
        [], description="Layers for which histograms of activations and vectors are made."
    )
    bins: Count = Field(100, description="Bins of those histograms.")

    @model_validator(mode="after")
    def _verified(self) -> Self:
        if self.source.startswith(("https://", "http://")) and not self.tree:
            raise ValueError(
                f"source is the address {self.source}, and listing is missing; give the address of "
                "the commit's tree, so that what is downloaded can be verified"
            )
        return self

    @property
    def tree(self) -> str | None:
        """Where the commit's tree is: `listing`, or what a raw-file address at GitHub implies."""
        at_github = re.fullmatch(
            r"https://raw\.githubusercontent\.com/([\w.-]+/[\w.-]+)/([0-9a-f]{40})/?", self.source
        )
        if self.listing or not at_github:
            return self.listing
        return "https://api.github.com/repos/{}/git/trees/{}?recursive=1".format(
            *at_github.groups()
        )

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name, sweep in self.sweeps.items():
            for corpus in sweep.corpora if isinstance(sweep, PublishedSkill) else []:
                if corpus not in self.corpora:
                    raise ValueError(
                        f"sweeps.{name}.corpora names {corpus}, which is not in published.corpora; "
                        "add it there"
                    )
        return self
