"""Reading and steering a language model's residual stream.

Conventions: layer L (0-based) is decoder block L and its activation the block's raw output
[batch, tokens, hidden].

Steering changes a block's output at every position by an operator (`engine.operators`), such as
the addition of coefficient × vector. At coefficient 0 nothing is changed, so the outcome is that of
the untouched model to the bit.

Two paths give the same bits for the same batches. `plain` runs the whole model with hooks on the
blocks. `shared` uses that a change at layer L leaves the layers 0 … L untouched: their output is
computed once and kept, and the model's own forward then runs with those blocks replaced by ones
that return it. So after one pass over the layers 0 … L every coefficient costs only the layers
above and the head. `probe.checked_path` says whether a model allows it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from snakesteer.core.errors import Overflow, StudyError
from snakesteer.engine import sites
from snakesteer.engine.batches import Batch, batches_of
from snakesteer.engine.compilation import compiled_blocks
from snakesteer.engine.hooks import hooked, replaced
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.operators import add

Operator = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
"""(states [batch, tokens, hidden], vector [hidden] float32, coefficient) -> states."""

Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Injection:
    """What is injected into the residual stream: (layer, vector [hidden] float32) parts.

    All parts have one coefficient and one operator; the vectors of several parts at one layer add
    up.
    """

    parts: tuple[tuple[int, torch.Tensor], ...]
    operator: Operator = add.apply

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers with a part, ascending."""
        return tuple(sorted({layer for layer, _ in self.parts}))

    def digest(self) -> str:
        """What tells this injection from any other."""
        content = hashlib.sha256(f"{self.operator.__module__} ".encode())
        for layer, vector in self.parts:
            content.update(f"{layer} ".encode() + vector.cpu().numpy().tobytes())
        return content.hexdigest()

    def changes(self, coefficient: float) -> dict[int, Change]:
        """What is done to the states of each layer; nothing at coefficient 0."""
        if coefficient == 0:
            return {}
        sums: dict[int, torch.Tensor] = {}
        for layer, vector in self.parts:
            sums[layer] = sums[layer] + vector if layer in sums else vector
        return {layer: self._change(vector, coefficient) for layer, vector in sums.items()}

    def _change(self, vector: torch.Tensor, coefficient: float) -> Change:
        return lambda states: self.operator(states, vector, coefficient)


def injection(
    model: LanguageModel,
    parts: Iterable[tuple[int, np.ndarray | torch.Tensor]],
    operator: Operator = add.apply,
) -> Injection:
    """An injection into `model`, its (layer, vector [hidden]) parts checked.

    Raises StudyError for a layer outside the model, a vector of another width, NaN or infinity.
    """
    made = []
    for layer, vector in parts:
        vector = torch.as_tensor(vector, dtype=torch.float32, device=model.device)
        if not 0 <= layer < model.n_layers:
            raise StudyError(
                f"Injection layer {layer} is outside the model; name one of 0 to "
                f"{model.n_layers - 1}."
            )
        if vector.shape != (model.hidden,):
            raise StudyError(
                f"The vector injected at layer {layer} has the shape {list(vector.shape)}, the "
                f"model's hidden size is {model.hidden}; use a vector made with this model."
            )
        if not torch.isfinite(vector).all():
            raise StudyError(
                f"The vector injected at layer {layer} holds NaN or infinity; "
                "look at the activations it was made from."
            )
        made.append((layer, vector))
    if not made:
        raise StudyError("The injection has no parts; name a vector and its layer.")
    return Injection(tuple(made), operator)


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
        model.network.base_model(input_ids=batch.ids, use_cache=False)
    return dataclasses.replace(batch, layer=layer, kept=found[0])


@torch.inference_mode()
def final_states(
    model: LanguageModel, batch: Batch, injection: Injection, coefficient: float
) -> torch.Tensor:
    """Output of the last block [batch, tokens, hidden] under `coefficient` × `injection`.

    Raises ValueError for an injection below the layer that `batch` was prepared for.
    """
    if batch.kept is not None and min(injection.layers, default=batch.layer) < batch.layer:
        raise ValueError(
            f"an injection at layer {injection.layers[0]} does not reach states kept at layer "
            f"{batch.layer}"
        )
    changes = injection.changes(coefficient)
    final: list[torch.Tensor] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(compiled_blocks(model))
        if batch.kept is not None:
            states = changes.pop(batch.layer, torch.clone)(batch.kept)
            lower = {layer: lambda: states for layer in range(batch.layer + 1)}
            stack.enter_context(replaced(model, lower))
        for layer, change in changes.items():
            stack.enter_context(hooked(model, layer, change))
        stack.enter_context(hooked(model, model.n_layers - 1, final.append))
        model.network.base_model(input_ids=batch.ids, use_cache=False)
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


def last_outputs(model: LanguageModel, batch: Batch) -> torch.Tensor:
    """Outputs of all blocks at each sequence's last token, [batch, n_layers, hidden]."""
    return read_at(model, batch, LAST)


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
    values: np.ndarray, names: Sequence[str], where: str, coefficient: float
) -> None:
    """Raise Overflow naming the first sample whose value, [n_samples], is NaN or infinite."""
    broken = np.flatnonzero(~np.isfinite(values))
    if len(broken):
        raise Overflow(
            f"The output for {names[broken[0]]} is NaN or infinite under injection at layer "
            f"{where} with coefficient {coefficient:g}; leave such coefficients out, or try the "
            "model in another dtype."
        )
