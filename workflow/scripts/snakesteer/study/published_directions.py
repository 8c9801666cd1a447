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
        raise ValueError(
            "is 0, which is the unsteered model; give the coefficient of the other file"
        )
    return value


class OfDirections(PublishedEntry):
    """Published numbers of directions that were read at several positions and layers."""

    SECTION = "corpora"
    INTERVALS = False

    vector: Name = Field(description="Name of the vector in the table.")
    positions: Count = Field(
        description="Number of positions that directions were read at, the last ones."
    )
    layers: Count = Field(description="Number of layers of the model.")

    @property
    def sources(self) -> list[str] | None:
        return []

    def settings(self, published: Published) -> dict[str, Any]:
        return {"vector": self.vector, "positions": self.positions, "layers": self.layers}


class PublishedCandidates(OfDirections):
    """One score of all candidate directions of a file."""

    READER = "candidates"

    file: str = Field(description="Path in the repository.")
    corpus: Name = Field(description="Name in `published.corpora` of the texts that were scored.")

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

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          corpora: {code: {key: only_code}, text: {key: only_text}}
          sweeps:
            theirs:
              {kind: candidate-log-odds, file: evaluations.json, corpus: text, score: refusal_score,
               vector: direction, positions: 5, layers: 24}
    """

    HOLDS = ("log_odds",)
    measure = "first_token"

    kind: Literal["candidate-log-odds"]
    score: Literal["refusal_score", "steering_score"] = Field(
        description="Score in the file. `refusal_score`: the direction is ablated at all "
        "layers. `steering_score`: it is added at its own layer."
    )

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"score": self.score}


class PublishedDivergence(PublishedCandidates):
    """Published divergence from the unsteered model, with each candidate direction ablated."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          corpora: {code: {key: only_code}, text: {key: only_text}}
          sweeps:
            theirs:
              {kind: candidate-divergence, file: evaluations.json, corpus: text,
               vector: direction, positions: 5, layers: 24}
    """

    HOLDS = ("kl",)
    measure = "divergence"

    kind: Literal["candidate-divergence"]

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"score": "kl_div_score"}


class PublishedChosen(OfDirections):
    """The candidate direction that was chosen, among those that the rule kept."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          sweeps:
            theirs:
              {kind: chosen, file: chosen.json, left: kept.json, candidates: evaluations.json,
               vector: direction, positions: 5, layers: 24}
    """

    READER = "chosen"
    HOLDS = ()
    measure = "chosen"

    kind: Literal["chosen"]
    file: str = Field(description="File of the chosen position and layer.")
    left: str = Field(description="File of the candidates that the rule kept, best first.")
    candidates: str = Field(description="File of all candidates. Those kept are compared with it.")

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"chosen": self.file, "left": self.left, "candidates": self.candidates}


class PublishedDirections(OfDirections):
    """The candidate directions in numbers: lengths, and cosines with the chosen one."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          sweeps:
            theirs:
              {kind: directions, file: mean_diffs.pt, chosen: direction.pt, hidden: 2048,
               vector: direction, positions: 5, layers: 24}
    """

    READER = "directions"
    HOLDS = ()
    measure = "directions"

    kind: Literal["directions"]
    file: str = Field(description="File of all directions (`.pt`).")
    chosen: str = Field(description="File of the chosen one (`.pt`).")
    hidden: Count = Field(description="Width of the model.")

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"all": self.file, "chosen": self.chosen}

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"hidden": self.hidden}


class PublishedLosses(PublishedEntry):
    """Published next-token losses, of the unsteered model and at one coefficient."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          corpora: {code: {key: only_code}, text: {key: only_text}}
          sweeps:
            theirs:
              {kind: losses, unsteered: baseline.json, file: ablation.json, coefficient: 1,
               vector: direction, layers: 24, corpora: [text]}
    """

    READER = "losses"
    SECTION = "corpora"
    INTERVALS = False
    HOLDS = ("nll", "perplexity")
    measure = "next_token"

    kind: Literal["losses"]
    unsteered: str = Field(description="File of the unsteered model.")
    file: str = Field(description="File at the coefficient.")
    coefficient: Annotated[Number, AfterValidator(_not_zero)] = Field(
        description="The coefficient, not 0."
    )
    layers: Count = Field(description="Number of layers of the model.")
    layer: NoneOrMore | None = Field(
        None, description="Layer that was steered, which the files do not contain. Default: all."
    )
    vector: Name = Field(description="Name of the vector in the table.")
    corpora: Names = Field(description="Names in `published.corpora`.")
    title: str | None = Field(None, description="Name in figures, next to other sweeps.")

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
