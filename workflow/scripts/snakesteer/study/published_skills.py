"""Published results of "Extending Activation Steering to Broad Skills and Multiple Behaviours"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from snakesteer.core.labels import layer_label
from snakesteer.study.entries import Distinct, Name, Names, Some
from snakesteer.study.published_entry import PublishedEntry

if TYPE_CHECKING:
    from snakesteer.study.published import Published


class PublishedSkill(PublishedEntry):
    """Published skill results, a file for each injected layer."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          corpora: {code: {key: only_code}, text: {key: only_text}}
          sweeps:
            theirs:
              kind: skill
              files: [skill/layer_4.json]
              vector: less-code
              corpora: [code, text]
    """

    READER = "skill"
    SECTION = "corpora"
    BOOTSTRAPPED = True
    measure = "next_token"

    kind: Literal["skill"]
    files: Annotated[list[str], Some, Distinct] = Field(
        description="Paths in the repository. Each file contains its layer."
    )
    vector: Name = Field(description="Name of the vector in the table.")
    corpora: Names = Field(
        description="Names in `published.corpora`. The first is the one to steer away from."
    )
    title: str | None = Field(
        None, description="Name in trade-off figures, as a control or next to other sweeps."
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
    """A published grid search, a file for each sign."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          behaviours: {sycophancy: {key: sycophancy}}
          sweeps: {theirs: {kind: grid, add: grid/add.csv, subtract: grid/subtract.csv}}
    """

    OWN = True

    kind: Literal["grid"]
    add: str = Field(description="File of the results with vectors added.")
    subtract: str = Field(description="File of the results with vectors subtracted.")

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"add": self.add, "subtract": self.subtract}


class PublishedSingle(PublishedAnswers):
    """Published single steering."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          behaviours: {sycophancy: {key: sycophancy}}
          sweeps: {theirs: {kind: single, file: single.csv}}
    """

    OWN = True

    kind: Literal["single"]
    file: str = Field(description="Path in the repository.")

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"": self.file}


class PublishedCombined(PublishedAnswers):
    """Published combined steering, a file for each way to combine."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          behaviours: {sycophancy: {key: sycophancy}}
          sweeps: {theirs: {kind: combined, mean: mean.csv, sum: sum.csv}}
    """

    kind: Literal["combined"]
    mean: str = Field(description="File of the mean of the vectors.")
    sum: str = Field(description="File of their sum.")

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"mean": self.mean, "sum": self.sum}


class PublishedSimultaneous(PublishedAnswers):
    """Published simultaneous steering."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          behaviours: {sycophancy: {key: sycophancy}}
          sweeps: {theirs: {kind: simultaneous, file: together.csv, layers: [4]}}
    """

    kind: Literal["simultaneous"]
    file: str = Field(description="Path in the repository.")
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Some, Distinct] = Field(
        description="Layers of the vectors, which the file does not contain."
    )

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {layer_label(self.layers): self.file}
