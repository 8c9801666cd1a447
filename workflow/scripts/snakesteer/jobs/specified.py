"""What jobs get: written by the plan, read back by their scripts (`core.records`).

What the job of a sweep gets is in `sweeps.job`, those of a table and a choice in `tables.job`; jobs
of plugins (corpora, behaviours, vector methods, figures) get the settings of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from snakesteer.core.dtypes import Dtype
from snakesteer.core.records import unless_said
from snakesteer.prompts.formats import Format
from snakesteer.sweeps.job import Injected, Placed, choices_of


class Running(Protocol):
    """What every job that runs a model says of that."""

    @property
    def dtype(self) -> Dtype: ...
    @property
    def attention(self) -> str: ...
    @property
    def device_map(self) -> str | None: ...


@dataclass(frozen=True)
class ActivationsJob:
    """Activations of a training split: of its first `documents` (all if None), cut at `max_tokens`,
    or of its questions. `positions`: see `prompts.positions`.
    """

    dtype: Dtype
    attention: str
    device_map: str | None
    batch_tokens: int | Literal["auto"]
    bos: str
    special_tokens: str = "token"
    documents: int | None = None
    max_tokens: int | None = None
    format: Format | None = None
    site: str = "output"
    positions: Any = "last"


@dataclass(frozen=True)
class SamplesJob:
    """So many `tokens` of continuations of prompts under a vector at a 0-based layer, or under the
    one of all `candidates` that choices take, with its coefficients.

    `sites` and `positions` say where states change (`engine.sites`, `prompts.which_tokens`); `own`
    is the digest of an operator that is a file of the study's author, by its path.
    """

    dtype: Dtype
    attention: str
    device_map: str | None
    batch_tokens: int | Literal["auto"]
    bos: str
    vector: str | None
    layer: int | None
    operator: str | None
    coefficients: tuple[float, ...]
    prompts: tuple[str, ...]
    tokens: int
    transfer: bool = False
    format: Format | None = unless_said(None)
    sites: tuple[str, ...] = unless_said(("output",))
    positions: str | int | Mapping[str, str] = unless_said("all")
    own: Mapping[str, str] | None = unless_said(None)
    candidates: tuple[Injected, ...] = unless_said(())

    @property
    def placed(self) -> Placed:
        """The vector in its place, where that is known before."""
        assert self.vector is not None and self.layer is not None and self.operator is not None
        return Placed(self.vector, (self.layer,), self.operator, self.sites, self.positions)

    @property
    def vectors(self) -> tuple[str, ...]:
        """The names of all vectors, in the order of the job's inputs."""
        if self.vector is not None:
            return (self.vector,)
        return tuple(dict.fromkeys(one.parts[0].vector for one in self.candidates))

    @property
    def choices(self) -> tuple[str, ...]:
        """The names of the choices that say which candidate is injected."""
        return choices_of(self.candidates)


@dataclass(frozen=True)
class SkipTokensJob:
    """The `skip` most frequent tokens of documents cut at `max_tokens`, or the `authors`' own.

    Of instructions they are those of the tokens that are `counted`, in their `format`.
    """

    skip: int
    max_tokens: int
    method: Literal["fixed", "authors"]
    bos: str
    special_tokens: str
    format: Format | None = unless_said(None)
    counted: Literal["all", "completion"] = unless_said("all")
