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
        description="The one of them whose questions were asked, such as another task; each "
        "vector's own if left out.",
    )
    title: str | None = Field(None, description="Name in figures, beside other sweeps.")

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
    """Published probabilities of A and B for every question, a file for each point.

    Their names are as in the results of "Steering Llama 2 via Contrastive Activation Addition".
    """

    READER = "items"
    COLLAPSES = True

    kind: Literal["items"]
    files: Annotated[list[str], Some, Distinct] = Field(
        description="Paths in the repository, in which `{behavior}`, `{layer}` and `{multiplier}` "
        "stand for the authors' name of each of the vectors, and each of the next two."
    )
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Distinct] = []
    multipliers: Annotated[list[Number], Distinct] = Field(
        [], description="They have one decimal at least in the names of files, as `-1.0`."
    )
    tests: str | None = Field(
        None,
        description="The file of the questions, in which `{behavior}` stands as above: a result "
        "file with other questions is left out.",
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
    """Published mean probabilities, without the items that they are means of: a CSV file.

    A row is a point, with the columns `behaviour` (of the vector), `layer`, `multiplier` and
    `score`, which may also be by `category`.
    """

    READER = "scores"
    INTERVALS = False

    kind: Literal["scores"]
    file: str
    unsteered: str | None = Field(
        None, description="Such a file of which the rows of multiplier 0 are taken as well."
    )
    only: dict[str, str] = Field(
        {}, description="By column the value that rows must have, in a file that has the column."
    )

    @property
    def paths(self) -> dict[str, str] | list[str]:
        return {"": self.file} | ({"unsteered": self.unsteered} if self.unsteered else {})

    def settings(self, published: Published) -> dict[str, Any]:
        return super().settings(published) | {"only": self.only}
