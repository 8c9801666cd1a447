"""Published results of "Refusal in Language Models Is Mediated by a Single Direction": candidate
directions, the one chosen, and losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from snakesteer.core.labels import layer_label
from snakesteer.study.entries import Count, Name, Names, NoneOrMore, Number
from snakesteer.study.published_entry import PublishedEntry

if TYPE_CHECKING:
    from snakesteer.study.published import Published


def _not_zero(value: float) -> float:
    if value == 0:
        raise ValueError("is 0, which is unsteered; give the coefficient of the other file")
    return value


class OfDirections(PublishedEntry):
    """Published numbers of directions that were read at several positions and layers."""

    SECTION = "corpora"
    INTERVALS = False

    vector: Name = Field(description="Name of the vector in the table.")
    positions: Count = Field(description="Positions that directions were read at, the last ones.")
    layers: Count = Field(description="Layers that the model has.")

    @property
    def sources(self) -> list[str] | None:
        return []

    def settings(self, published: Published) -> dict[str, Any]:
        return {"vector": self.vector, "positions": self.positions, "layers": self.layers}


class PublishedCandidates(OfDirections):
    """One score of all candidate directions of a file."""

    READER = "candidates"

    file: str
    corpus: Name = Field(description="Name under `published.corpora` of what it was scored on.")

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return [self.file]

    @property
    def sources(self) -> list[str] | None:
        return [self.corpus]

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"source": self.corpus}


class PublishedLogOdds(PublishedCandidates):
    """Published mean log-odds of candidate directions."""

    HOLDS = ("log_odds",)
    measure = "first_token"

    kind: Literal["candidate-log-odds"]
    score: Literal["refusal_score", "steering_score"] = Field(
        description="The file's score: of the direction taken out at all layers, or added at its "
        "own."
    )

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"score": self.score}


class PublishedDivergence(PublishedCandidates):
    """Published divergence from the unsteered model with each candidate direction taken out."""

    HOLDS = ("kl",)
    measure = "divergence"

    kind: Literal["candidate-divergence"]

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"score": "kl_div_score"}


class PublishedChosen(OfDirections):
    """The candidate direction that was chosen, among those that the rule had left."""

    READER = "chosen"
    HOLDS = ()
    measure = "chosen"

    kind: Literal["chosen"]
    file: str = Field(description="File of the position and layer chosen.")
    left: str = Field(description="File of the candidates left, best first.")
    candidates: str = Field(
        description="File of all candidates, which those left are held against."
    )

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"chosen": self.file, "left": self.left, "candidates": self.candidates}


class PublishedDirections(OfDirections):
    """The candidate directions in numbers: lengths, and cosines with the chosen one."""

    READER = "directions"
    HOLDS = ()
    measure = "directions"

    kind: Literal["directions"]
    file: str = Field(description="File of all directions (`.pt`).")
    chosen: str = Field(description="File of the chosen one (`.pt`).")
    hidden: Count = Field(description="How wide the model is.")

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"all": self.file, "chosen": self.chosen}

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"hidden": self.hidden}


class PublishedLosses(PublishedEntry):
    """Published next-token losses, unsteered and at one coefficient."""

    READER = "losses"
    SECTION = "corpora"
    INTERVALS = False
    HOLDS = ("nll", "perplexity")
    measure = "next_token"

    kind: Literal["losses"]
    unsteered: str = Field(description="File of the unsteered model.")
    file: str = Field(description="File at the coefficient.")
    coefficient: Annotated[Number, AfterValidator(_not_zero)]
    layers: Count = Field(description="Layers that the model has.")
    layer: NoneOrMore | None = Field(
        None, description="The one that was steered, which the files do not say; all if left out."
    )
    vector: Name = Field(description="Name of the vector in the table.")
    corpora: Names = Field(description="Names under `published.corpora`.")
    title: str | None = Field(None, description="Name in figures, beside other sweeps.")

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"0": self.unsteered, f"{self.coefficient:g}": self.file}

    @property
    def sources(self) -> list[str] | None:
        return self.corpora

    def settings(self, published: Published) -> dict[str, Any]:
        corpora = {name: published.corpora[name].key for name in self.corpora}
        at = range(self.layers) if self.layer is None else [self.layer]
        return {"vector": self.vector, "layer": layer_label(at), "corpora": corpora}
