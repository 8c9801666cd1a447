"""Reading and steering a language model's residual stream.

Conventions: layer L (0-based) is decoder block L and its activation the block's raw output
[batch, tokens, hidden].

Steering changes states at a site of a block (`engine.sites`), at some positions
(`engine.positions`), by an operator (`engine.operators`), such as the addition of coefficient ×
vector. Where a coefficient means that nothing is changed, as 0 does for an addition, the outcome is
that of the untouched model to the bit. None in place of a coefficient always means that.

Two paths give the same bits for the same batches. `plain` runs the whole model with hooks on the
blocks. `shared` uses that a change of block L's output leaves the layers 0 … L untouched, and one
inside the block or of its input the layers 0 … L - 1: the highest one's output is computed once and
kept, and the model's own forward then runs with those blocks replaced by ones that return it. So
after one pass over them every coefficient costs only the layers above and the head.
`probe.checked_path` says whether a model allows it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import torch

from snakesteer.core.errors import Overflow, StudyError
from snakesteer.core.own_code import failed, is_own_module
from snakesteer.engine import sites
from snakesteer.engine.batches import Batch, batches_of
from snakesteer.engine.compilation import compiled_blocks
from snakesteer.engine.hooks import hooked, replaced
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.operator_files import called
from snakesteer.engine.operators import add
from snakesteer.engine.positions import ALL, Positions, mask

Change = Callable[[torch.Tensor], torch.Tensor]
Place = tuple[int, str]
"""A layer and a site in it."""


@dataclass(frozen=True, eq=False)
class Part:
    """What is done to the states of one place, along a `vector` [hidden].

    `operator` is a plugin (`engine.operators`), or a module of the study's author with its `code`,
    what tells it from any other. Its coefficient is the swept one, unless the part has a `constant`
    of its own.
    """

    layer: int
    vector: torch.Tensor
    site: str = sites.OUTPUT
    operator: ModuleType = add
    constant: float | None = None
    positions: Positions = ALL
    code: str = ""

    @property
    def place(self) -> Place:
        """Where it acts."""
        return self.layer, self.site

    @property
    def untouched(self) -> int:
        """The highest layer whose block computes what it does without this part; -1 is none."""
        return self.layer if self.site == sites.OUTPUT else self.layer - 1

    def coefficient(self, swept: float | None) -> float | None:
        """What its operator is given; None where that changes nothing, as where nothing is steered
        (`swept` is None)."""
        if swept is None:
            return None
        own = swept if self.constant is None else self.constant
        return None if own == 0 and getattr(self.operator, "UNSTEERED_AT_0", True) else own

    def adds_up(self, other: Part) -> bool:
        """Whether the sum of both vectors says the same as both parts, one after the other."""
        alike = (self.place, self.constant, self.positions)
        additions = self.operator is add and other.operator is add
        return additions and alike == (other.place, other.constant, other.positions)


@dataclass(frozen=True, eq=False)
class Injection:
    """What is injected: parts, which act at one place in the order given.

    Vectors added one after the other at one place add up before they are multiplied.
    """

    parts: tuple[Part, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers with a part, ascending."""
        return tuple(sorted({part.layer for part in self.parts}))

    @property
    def untouched(self) -> int:
        """The highest layer whose block computes what it does unsteered; -1 is none."""
        return min(part.untouched for part in self.parts)

    def digest(self) -> str:
        """What tells this injection from any other."""
        content = hashlib.sha256()
        for part in self.parts:
            operator = (part.operator.__name__, part.code)
            said = (*operator, *part.place, part.constant, part.positions)
            content.update(repr(said).encode() + part.vector.cpu().numpy().tobytes())
        return content.hexdigest()

    def steers(self, coefficient: float | None) -> bool:
        """Whether anything is changed at this coefficient."""
        return any(part.coefficient(coefficient) is not None for part in self.parts)

    @functools.cached_property
    def unsteered(self) -> float | None:
        """The coefficient of the unsteered model: 0, or None where 0 changes states as well."""
        return None if self.steers(0.0) else 0.0

    @functools.cached_property
    def at_places(self) -> dict[Place, list[Part]]:
        """The parts by their place, additions as one where they follow on one another."""
        found: dict[Place, list[Part]] = {}
        for part in self.parts:
            here = found.setdefault(part.place, [])
            if here and here[-1].adds_up(part):
                here[-1] = dataclasses.replace(part, vector=here[-1].vector + part.vector)
            else:
                here.append(part)
        return found

    def changes(self, coefficient: float | None, batch: Batch) -> dict[Place, Change]:
        """What is done to the states of a batch, by place."""
        changes = {}
        for place, parts in self.at_places.items():
            acting = []
            for part in parts:
                own = part.coefficient(coefficient)
                if own is not None:
                    acting.append(_change(part, own, mask(batch, part.positions)))
            if acting:
                changes[place] = _one_after_the_other(acting)
        return changes


def applied(
    operator: ModuleType, states: torch.Tensor, vector: torch.Tensor, coefficient: float
) -> torch.Tensor:
    """What an operator makes of states.

    Raises StudyError where that is no such states, and where a file of the study's author fails.
    """
    try:
        found = operator.apply(states, vector, coefficient)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        if not is_own_module(operator):
            raise
        said = failed(Path(getattr(operator, "__file__", None) or called(operator)), error)
        raise StudyError(f"{said}; correct it.") from error
    if not isinstance(found, torch.Tensor):
        raise StudyError(
            f"The operator {called(operator)} returns a {type(found).__name__}; return states."
        )
    if found.shape != states.shape or found.dtype != states.dtype:
        raise StudyError(
            f"The operator {called(operator)} returns {found.dtype} {list(found.shape)} for states "
            f"of {states.dtype} {list(states.shape)}; return states of the same dtype and shape."
        )
    return found


def _change(part: Part, coefficient: float, where: torch.Tensor | None) -> Change:
    """What a part does to states, at the tokens `where` [batch, tokens] alone."""

    def change(states: torch.Tensor) -> torch.Tensor:
        changed = applied(part.operator, states, part.vector, coefficient)
        if where is None:
            return changed
        return torch.where(where.to(states.device)[:, :, None], changed, states)

    return change


def _one_after_the_other(changes: Sequence[Change]) -> Change:
    def change(states: torch.Tensor) -> torch.Tensor:
        for one in changes:
            states = one(states)
        return states

    return change


Swept = tuple[Injection, float | None]
"""An injection and its coefficient, None where nothing is steered."""


def changes_by_row(swept: Sequence[Swept], batch: Batch) -> dict[Place, Change]:
    """What is done to the states of a batch, by place, where each row has an injection of its own.

    Rows of one injection and coefficient that stand together are changed together.
    """
    found: dict[Place, list[tuple[slice, Change]]] = {}
    start = 0
    for (steered, coefficient), alike in itertools.groupby(swept):
        rows = slice(start, start + len(list(alike)))
        start = rows.stop
        for place, change in steered.changes(coefficient, batch.part(rows)).items():
            found.setdefault(place, []).append((rows, change))
    return {place: _each_its_own(parts) for place, parts in found.items()}


def _each_its_own(parts: Sequence[tuple[slice, Change]]) -> Change:
    def change(states: torch.Tensor) -> torch.Tensor:
        changed = states.clone()
        for rows, one in parts:
            changed[rows] = one(states[rows])
        return changed

    return change


@contextlib.contextmanager
def changing(model: LanguageModel, changes: Mapping[Place, Change]) -> Iterator[None]:
    """A model whose states change at these places."""
    with contextlib.ExitStack() as stack:
        for (layer, site), change in changes.items():
            stack.enter_context(sites.hooked(model, layer, site, change))
        yield


def injection(model: LanguageModel, parts: Iterable[Part]) -> Injection:
    """An injection into `model`, its parts checked.

    Raises StudyError for a layer outside the model, and for a site that a layer lacks or that is
    inside a compiled block. It does so as well for a vector of another width, with NaN or infinity,
    or without the direction that an operator needs.
    """
    made = []
    for part in parts:
        vector = part.vector.to(model.device, torch.float32)
        if not 0 <= part.layer < model.n_layers:
            raise StudyError(
                f"Injection layer {part.layer} is outside the model; name a layer from 0 to "
                f"{model.n_layers - 1}."
            )
        if part.site in sites.MODULES:
            sites.module(model, part.layer, part.site)
            if model.compiled:
                raise StudyError(
                    f"site is {part.site}, which is inside a compiled block; set `compile: false` "
                    "for the model, or use the site output or input."
                )
        if vector.shape != (model.hidden,):
            raise StudyError(
                f"The vector injected at layer {part.layer} has the shape {list(vector.shape)}, "
                f"but the model's hidden size is {model.hidden}; use a vector made with this "
                "model."
            )
        if not torch.isfinite(vector).all():
            raise StudyError(
                f"The vector injected at layer {part.layer} holds NaN or infinity; check the "
                "activations that it was made from."
            )
        length = float(vector.norm())
        least = 0.0 if getattr(part.operator, "ZERO_IS_NOTHING", False) else math.ulp(0)
        if getattr(part.operator, "DIRECTION", False) and not least <= length < math.inf:
            operator = called(part.operator)
            raise StudyError(
                f"The vector injected at layer {part.layer} has the length {length:g}, so it has "
                f"no direction to {operator} along; remove this layer, or use another vector."
            )
        made.append(dataclasses.replace(part, vector=vector))
    if not made:
        raise StudyError("The injection has no parts; name a vector and its layer.")
    return Injection(tuple(made))


def keep(model: LanguageModel, batches: list[Batch], layer: int) -> None:
    """Put in place of each batch one with the output of block `layer` computed and kept."""
    for place, (_, kept) in enumerate(on_each(batches, lambda batch: keeping(model, batch, layer))):
        batches[place] = kept


@torch.inference_mode()
def keeping(model: LanguageModel, batch: Batch, layer: int) -> Batch:
    """The batch with the output of block `layer` computed and kept.

    The blocks above do not run, nor those up to the layer whose output the batch has kept.
    """
    found: list[torch.Tensor] = []
    below = {}
    if batch.kept is not None:
        states = batch.kept.clone()  # blocks may change their input
        below = {done: lambda: states for done in range(batch.layer + 1)}
    upper = {above: lambda: found[0] for above in range(layer + 1, model.n_layers)}
    with (
        compiled_blocks(model),
        replaced(model, below),
        hooked(model, layer, found.append),
        replaced(model, upper),
    ):
        model.network.base_model(**batch.inputs(model.network.dtype), use_cache=False)
    return dataclasses.replace(batch, layer=layer, kept=found[0])


@torch.inference_mode()
def final_states(
    model: LanguageModel, batch: Batch, injection: Injection, coefficient: float | None
) -> torch.Tensor:
    """Output of the last block [batch, tokens, hidden] under `coefficient` × `injection`.

    Without a coefficient the model is unsteered. Raises ValueError for an injection that changes a
    block whose output `batch` has kept.
    """
    if batch.kept is not None and injection.parts and injection.untouched < batch.layer:
        raise ValueError(
            f"an injection at layer {injection.layers[0]} does not reach states kept at layer "
            f"{batch.layer}"
        )
    changes = injection.changes(coefficient, batch)
    final: list[torch.Tensor] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(compiled_blocks(model))
        if batch.kept is not None:
            states = changes.pop((batch.layer, sites.OUTPUT), torch.clone)(batch.kept)
            lower = {layer: lambda: states for layer in range(batch.layer + 1)}
            stack.enter_context(replaced(model, lower))
        stack.enter_context(changing(model, changes))
        stack.enter_context(hooked(model, model.n_layers - 1, final.append))
        model.network.base_model(**batch.inputs(model.network.dtype), use_cache=False)
    return final[0]


Pick = Callable[[torch.Tensor], torch.Tensor]
"""What is taken of states [batch, tokens, hidden]: [batch, hidden] or [batch, places, hidden]."""


@dataclass(frozen=True)
class Spots:
    """What is read of each sequence: at which `site`, at which `places` among its tokens.

    `places` are for each sequence the numbers (0-based) of its tokens; of every sequence as many,
    unless the mean over them is `taken`. With "one" there is one place, and with "each" the
    activations have an axis of places. None is the last token.
    """

    site: str = sites.OUTPUT
    places: Sequence[Sequence[int]] | None = None
    taken: Literal["one", "each", "mean"] = "one"

    def part(self, some: slice) -> Spots:
        """Those of some of the sequences."""
        return dataclasses.replace(self, places=self.places[some]) if self.places else self

    def pick(self, batch: Batch) -> Pick:
        """What is taken of the states of a batch."""
        device = batch.ids.device
        rows = torch.arange(len(batch.samples), device=device)
        if self.places is None:
            return at(rows, batch.lengths - 1)
        chosen = [self.places[sample] for sample in batch.samples]
        if self.taken == "one":
            return at(rows, torch.tensor([place for [place] in chosen], device=device))
        if self.taken == "each":
            return at(rows[:, None], torch.tensor(chosen, device=device))
        among = torch.zeros(batch.ids.shape, dtype=torch.bool, device=device)
        for row, places in enumerate(chosen):
            among[row, list(places)] = True
        return mean_of(among)


LAST = Spots()


def at(rows: torch.Tensor, places: torch.Tensor) -> Pick:
    """The states at places of rows, [batch] or [batch, places]."""
    return lambda states: states[rows.to(states.device), places.to(states.device)]


def mean_of(among: torch.Tensor) -> Pick:
    """The mean over the tokens `among` [batch, tokens], summed in float32."""

    def mean(states: torch.Tensor) -> torch.Tensor:
        counted = among.to(states.device)[:, :, None]
        total = states.float().masked_fill(~counted, 0).sum(dim=1)
        return (total / counted.sum(dim=1)).to(states.dtype)

    return mean


@torch.inference_mode()
def capture(
    model: LanguageModel,
    sequences: Sequence[Sequence[int]],
    names: Sequence[str],
    *,
    batch_tokens: int,
    spots: Spots = LAST,
) -> torch.Tensor:
    """Activations of all layers at the `spots` of each sequence, which is its last token's output.

    Returns [n_sequences, n_layers, hidden], or where each of several places is taken [n_sequences,
    places, n_layers, hidden], in the model's dtype, in memory of the host. Raises StudyError naming
    the sample and the layer of an activation that is NaN or infinite.
    """
    shape = [model.n_layers, model.hidden]
    if spots.taken == "each" and spots.places:
        shape.insert(0, len(spots.places[0]))
    found = torch.empty((len(sequences), *shape), dtype=model.dtype)
    planned = batches_of(model, sequences, batch_tokens)
    for batch, read in on_each(planned, lambda batch: read_at(model, batch, spots)):
        found[list(batch.samples)] = read.cpu()
    refuse_broken(found, names)
    return found


@contextlib.contextmanager
def reading(
    model: LanguageModel, pick: Pick, site: str = sites.OUTPUT
) -> Iterator[list[torch.Tensor]]:
    """What is picked of the states at a site of every block, in order, on the model's device."""
    read: list[torch.Tensor] = []

    def keep(states: torch.Tensor) -> None:
        read.append(pick(states).to(model.device))

    with contextlib.ExitStack() as changes:
        for layer in range(model.n_layers):
            changes.enter_context(sites.hooked(model, layer, site, keep))
        yield read


def read_at(model: LanguageModel, batch: Batch, spots: Spots) -> torch.Tensor:
    """What all blocks have at the spots of a batch, [batch, (places,) n_layers, hidden]."""
    with reading(model, spots.pick(batch), spots.site) as read:
        model.network.base_model(input_ids=batch.ids, use_cache=False)
    return torch.stack(read, dim=-2)


def refuse_broken(found: torch.Tensor, names: Sequence[str]) -> None:
    """Raise StudyError naming the sample and the layer of an activation that is NaN or infinite.

    `found` is [n_samples, n_layers, hidden], or [n_samples, places, n_layers, hidden].
    """
    broken = (~torch.isfinite(found)).any(dim=-1).nonzero()
    if len(broken):
        sample, *_, layer = broken[0].tolist()
        raise StudyError(
            f"The activation of {names[sample]} at layer {layer} is NaN or infinite; "
            "try the model in another dtype."
        )


def refuse_overflow(
    values: np.ndarray, names: Sequence[str], where: str, coefficient: float | None
) -> None:
    """Raise Overflow naming the first sample whose value, [n_samples], is NaN or infinite."""
    broken = np.flatnonzero(~np.isfinite(values))
    if len(broken):
        if coefficient is None:
            raise Overflow(
                f"The output for {names[broken[0]]} is NaN or infinite without any injection; try "
                "the model in another dtype."
            )
        raise Overflow(
            f"The output for {names[broken[0]]} is NaN or infinite under injection at layer "
            f"{where} with coefficient {coefficient:g}; remove such coefficients, or try the "
            "model in another dtype."
        )
