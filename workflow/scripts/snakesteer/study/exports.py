"""The files of other tools that a study's vectors are written as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.study.entries import (
    STEERED,
    Entry,
    FromEnd,
    Layers,
    Name,
    Names,
    Number,
    Site,
    Steered,
)


def _format(name: str) -> str:
    try:
        plugins.file_of("exports", name)
    except StudyError as error:
        raise ValueError(str(error).removesuffix(".")) from None
    return name


class Export(Entry):
    """Vectors as files of another tool, in `results/<study>/exports/<entry>/`. A list of
    formats, `exports: [gguf, caa]`, writes all vectors in each. Operator, coefficient and
    positions go into the file if its format has a place for them. Otherwise they go into the
    `.json` next to it, or the export is refused."""

    EXAMPLE = """
        exports:
          gguf: {vectors: [sycophancy], layers: [4, 8]}
          for-evaluation: {format: lm-eval, vectors: [sycophancy], layers: [8], coefficient: 1.5}
          steering-vectors: {vectors: [sycophancy]}
          caa: {vectors: [myopia], layers: [8]}
          safetensors: {}
    """

    format: Annotated[str, AfterValidator(_format)] = Field(
        description="`gguf`, `lm-eval`, `steering-vectors`, `caa` or `safetensors`. "
        "Default: the name of the entry."
    )
    vectors: Names | None = Field(None, description="Vectors to write. Default: all of the study.")
    layers: Layers | None = Field(
        None, description="Layers to write. Default: all that a vector has."
    )
    position: FromEnd | None = Field(
        None, description="For vectors at several positions: the one to write."
    )
    site: Site | None = Field(None, description="Site to change. Default: the site that was read.")
    operator: Literal["add", "ablate", "clamp"] = Field(
        "add", description="How states are meant to change, as in `inject` of a sweep."
    )
    coefficient: Number = Field(1.0, description="Coefficient of the operator.")
    positions: Steered = Field("all", description=STEERED)

    layered: ClassVar = ("layers",)


def _by_name(given: Any) -> Any:
    """Entries by name, of which a list gives the formats; the name is the format where none is
    given."""
    if isinstance(given, list):
        named: dict[Any, Any] = {}
        for item in given:
            entry = {"format": item} if isinstance(item, str) else item
            if not isinstance(entry, Mapping) or "format" not in entry:
                raise ValueError("must list names of formats, or mappings with a `format`")
            if entry["format"] in named:
                raise ValueError(
                    f"names the format {entry['format']} twice; give a mapping of names to "
                    "entries, each with its `format`"
                )
            named[entry["format"]] = entry
        return named
    if not isinstance(given, Mapping):
        return given
    return {
        name: {"format": name, **entry} if isinstance(entry, Mapping) else entry
        for name, entry in given.items()
    }


Exports = Annotated[
    dict[Name, Export],
    BeforeValidator(_by_name, json_schema_input_type=dict[Name, Export] | list[str | Export]),
]
