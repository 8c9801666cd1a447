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
