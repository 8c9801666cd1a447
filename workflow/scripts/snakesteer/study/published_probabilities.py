"""Published results of "Steering Llama 2 via Contrastive Activation Addition": probabilities of
answers, item by item or their means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from snakesteer.study.entries import Distinct, Name, Names, Number, Some
from snakesteer.study.published_entry import PublishedEntry

if TYPE_CHECKING:
    from snakesteer.study.published import Published


class PublishedProbabilities(PublishedEntry):
    """Published probabilities of the matching answer, of vectors each by itself."""

    SECTION = "behaviours"
    OWN = True
    measure = "two_choice"

    vectors: Names = Field(
        description="Entries of `published.behaviours` whose vectors were injected."
    )
    asked: Name | None = Field(
        None,
        description="The entry whose questions were asked, such as another task. Default: "
        "each vector's own.",
    )
    title: str | None = Field(None, description="Name in figures, next to other sweeps.")

    @property
    def sources(self) -> list[str] | None:
        return [self.asked] if self.asked else self.vectors

    @property
    def steering(self) -> str:
        return "grid"

    @property
    def steered(self) -> list[str]:
        return self.vectors

    def settings(self, published: Published) -> dict[str, Any]:
        return {"vectors": self._keys(published), "asked": self.asked}

    def _keys(self, published: Published) -> dict[str, str]:
        return {name: published.behaviours[name].key for name in self.vectors}


class PublishedItems(PublishedProbabilities):
    """Published probabilities of A and B for every question, a file for each point. Files are as
    in the results of "Steering Llama 2 via Contrastive Activation Addition"."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          behaviours: {sycophancy: {key: sycophancy}}
          sweeps:
            theirs:
              kind: items
              vectors: [sycophancy]
              files: ["results/{behavior}/layer_{layer}_multiplier_{multiplier}.json"]
              layers: [4, 8]
              multipliers: [-1, 0, 1]
    """

    READER = "items"
    COLLAPSES = True

    kind: Literal["items"]
    files: Annotated[list[str], Some, Distinct] = Field(
        description="Paths in the repository. `{behavior}` stands for the authors' name of "
        "a vector, `{layer}` for a layer, and `{multiplier}` for a multiplier."
    )
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Distinct] = Field(
        [], description="Layers in the names of files."
    )
    multipliers: Annotated[list[Number], Distinct] = Field(
        [],
        description="Multipliers in the names of files. There they have at least one "
        "decimal, as `-1.0`.",
    )
    tests: str | None = Field(
        None,
        description="File of the questions; `{behavior}` stands for the authors' name. "
        "Result files with other questions are left out.",
    )

    def files_of(self, published: Published) -> dict[str, str] | list[str]:
        files: dict[str, None] = {}
        for key in self._keys(published).values():
            for layer in self.layers or [0]:
                for multiplier in self.multipliers or [0]:
                    for path in self.files:
                        filled = path.replace("{behavior}", key).replace("{layer}", str(layer))
                        files[filled.replace("{multiplier}", str(float(multiplier)))] = None
        return [*files, *dict.fromkeys(self._tests(published).values())]

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"tests": self._tests(published)}

    def _tests(self, published: Published) -> dict[str, str]:
        """The file of the questions of each vector."""
        if self.tests is None:
            return {}
        keys = self._keys(published).items()
        return {name: self.tests.replace("{behavior}", key) for name, key in keys}

    @model_validator(mode="after")
    def _filled(self) -> Self:
        for name, values in (("layer", self.layers), ("multiplier", self.multipliers)):
            named = any(f"{{{name}}}" in path for path in self.files)
            if named != bool(values):
                raise ValueError(
                    f"files {'name' if named else 'do not name'} {{{name}}}, but {name}s "
                    f"{'are missing' if named else 'are given'}; add or remove them"
                )
        return self


class PublishedScores(PublishedProbabilities):
    """Published mean probabilities in a CSV file, without single items. A row is a point. Its
    columns are `behaviour` (of the vector), `layer`, `multiplier` and `score`, and perhaps
    `category`."""

    EXAMPLE = """
        published:
          commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
          behaviours: {sycophancy: {key: sycophancy}}
          sweeps: {theirs: {kind: scores, vectors: [sycophancy], file: scores.csv}}
    """

    READER = "scores"
    INTERVALS = False

    kind: Literal["scores"]
    file: str = Field(description="Path in the repository.")
    unsteered: str | None = Field(
        None, description="Such a file, whose rows with multiplier 0 are added."
    )
    only: dict[str, str] = Field(
        {},
        description="Values that rows must have, by column. It applies to files that have "
        "the column.",
    )

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"": self.file} | ({"unsteered": self.unsteered} if self.unsteered else {})

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"only": self.only}
