"""Published results of the paper's authors."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from snakesteer.core.labels import layer_label
from snakesteer.study.entries import Count, Distinct, Entry, Name, Names, Some, Titled
from snakesteer.study.models import COMMIT


class PublishedEntry(Entry):
    """What every published result says.

    `READER` is the plugin that reads its files, `measure` what its table counts. With
    `BOOTSTRAPPED` and `COLLAPSES` its table takes the study's statistics, and its share of mode
    collapse. It is over the entries of `published` in `SECTION`, all of them unless it names some;
    `OWN` says that each vector is on its own ones alone.
    """

    READER: ClassVar[str]
    SECTION: ClassVar[Literal["corpora", "behaviours"]]
    BOOTSTRAPPED: ClassVar[bool] = False
    COLLAPSES: ClassVar[bool] = False
    OWN: ClassVar[bool] = False

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

    def settings(self, published: Published) -> dict[str, Any]:
        """What its reader gets beside its files."""
        raise NotImplementedError


class PublishedSkill(PublishedEntry):
    """Published skill results, a file for each injected layer."""

    READER = "skill"
    SECTION = "corpora"
    BOOTSTRAPPED = True
    measure = "next_token"

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

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return self.files

    @property
    def sources(self) -> list[str] | None:
        return self.corpora

    def settings(self, published: Published) -> dict[str, Any]:
        corpora = {name: published.corpora[name].key for name in self.corpora}
        return {"vector": self.vector, "target": self.corpora[0], "corpora": corpora}


class PublishedAnswers(PublishedEntry):
    """Published answers of the multi-steering experiments."""

    READER = "behaviours"
    SECTION = "behaviours"
    COLLAPSES = True
    measure = "two_choice"

    def settings(self, published: Published) -> dict[str, Any]:
        return {"behaviours": {name: entry.key for name, entry in published.behaviours.items()}}


class PublishedGrid(PublishedAnswers):
    """Published grid search, a file for each sign."""

    OWN = True

    kind: Literal["grid"]
    add: str
    subtract: str

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"add": self.add, "subtract": self.subtract}


class PublishedSingle(PublishedAnswers):
    """Published single steering."""

    OWN = True

    kind: Literal["single"]
    file: str

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"": self.file}


class PublishedCombined(PublishedAnswers):
    """Published combined steering, a file for each way to combine."""

    kind: Literal["combined"]
    mean: str
    sum: str

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"mean": self.mean, "sum": self.sum}


class PublishedSimultaneous(PublishedAnswers):
    """Published simultaneous steering."""

    kind: Literal["simultaneous"]
    file: str
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Some, Distinct] = Field(
        description="Layers of the vectors, which the file does not say."
    )

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {layer_label(self.layers): self.file}


PublishedSweep = Annotated[
    PublishedSkill | PublishedGrid | PublishedSingle | PublishedCombined | PublishedSimultaneous,
    Field(discriminator="kind"),
]
PUBLISHED: tuple[type[PublishedEntry], ...] = get_args(get_args(PublishedSweep)[0])


class Published(Entry):
    """Published results of the paper's authors, as tables that figures and scorecards take like
    those of the study's own sweeps."""

    paper: Name = Field(
        description="The folder of `resources/published/` that ships its tables, and the blob ids "
        "of its files."
    )
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
            for source in sweep.sources or []:
                if source not in getattr(self, sweep.SECTION):
                    raise ValueError(
                        f"sweeps.{name}.{sweep.SECTION} names {source}, which is not in "
                        f"published.{sweep.SECTION}; add it there"
                    )
        return self
