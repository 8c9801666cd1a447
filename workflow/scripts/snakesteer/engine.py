"""Reading and steering a language model's residual stream.

Conventions: layer L (0-based) is decoder block L and its activation the block's raw output
[batch, tokens, hidden].

Steering adds coefficient × vector to a block's output at every position (paper: activation
addition). The product is taken in float32 and added in the model's dtype. At coefficient 0 nothing
is added, so the outcome is that of the untouched model to the bit.

Two paths give the same bits for the same batches. `plain` runs the whole model with hooks on the
blocks. `shared` uses that an addition at layer L leaves the layers 0 … L untouched: their output is
computed once and kept, and the model's own forward then runs with those blocks replaced by ones
that return it. So after one pass over the layers 0 … L every coefficient costs only the layers
above and the head. `probe.checked_path` says whether a model allows it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from snakesteer.batches import Batch, batches_of, on_each, pad
from snakesteer.errors import StudyError
from snakesteer.hooks import hooked, replaced
from snakesteer.models import LanguageModel


@dataclass(frozen=True, eq=False)
class Injection:
    """What is added to the residual stream: (layer, vector [hidden] float32) parts.

    All parts are multiplied by one coefficient; several parts at one layer add up.
    """

    parts: tuple[tuple[int, torch.Tensor], ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers with a part, ascending."""
        return tuple(sorted({layer for layer, _ in self.parts}))

    def digest(self) -> str:
        """What tells this injection from any other."""
        content = hashlib.sha256()
        for layer, vector in self.parts:
            content.update(f"{layer} ".encode() + vector.cpu().numpy().tobytes())
        return content.hexdigest()

    def additions(self, coefficient: float, model: LanguageModel) -> dict[int, torch.Tensor]:
        """What is added at each layer, [hidden] in the model's dtype; nothing at coefficient 0."""
        if coefficient == 0:
            return {}
        sums: dict[int, torch.Tensor] = {}
        for layer, vector in self.parts:
            sums[layer] = sums[layer] + vector if layer in sums else vector
        return {layer: (coefficient * vector).to(model.dtype) for layer, vector in sums.items()}


def injection(
    model: LanguageModel, parts: Iterable[tuple[int, np.ndarray | torch.Tensor]]
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
    return Injection(tuple(made))


@torch.inference_mode()
def prepare(
    model: LanguageModel,
    sequences: Sequence[Sequence[int]],
    layer: int,
    *,
    batch_tokens: int,
    path: str,
) -> list[Batch]:
    """Batches of `sequences`, to be steered at `layer` and above.

    On the shared path the output of block `layer` is computed and kept.
    """
    planned = batches_of(model, sequences, batch_tokens)
    if path == "plain":
        return planned
    return [
        dataclasses.replace(batch, layer=layer, kept=kept)
        for batch, kept in on_each(planned, lambda batch: _output_of(model, batch.ids, layer))
    ]


@torch.inference_mode()
def final_states(
    model: LanguageModel, batch: Batch, injection: Injection, coefficient: float
) -> torch.Tensor:
    """Output of the last block [batch, tokens, hidden] under `coefficient` × `injection`.

    The injection must lie at the layer that `batch` was prepared for, or above.
    """
    additions = injection.additions(coefficient, model)
    final: list[torch.Tensor] = []
    with contextlib.ExitStack() as changes:
        if batch.kept is not None:
            addition = additions.pop(batch.layer, None)
            kept = batch.kept
            states = kept.clone() if addition is None else kept + addition.to(kept.device)
            lower = {layer: lambda: states for layer in range(batch.layer + 1)}
            changes.enter_context(replaced(model, lower))
        for layer, addition in additions.items():
            changes.enter_context(hooked(model, layer, _adding(addition)))
        changes.enter_context(hooked(model, model.n_layers - 1, final.append))
        model.network.base_model(input_ids=batch.ids, use_cache=False)
    return final[0]


@torch.inference_mode()
def capture(
    model: LanguageModel,
    sequences: Sequence[Sequence[int]],
    names: Sequence[str],
    *,
    batch_tokens: int,
) -> torch.Tensor:
    """Activations of all layers at each sequence's last token.

    Returns [n_sequences, n_layers, hidden] in the model's dtype, in memory of the host. Raises
    StudyError naming the sample and the layer of an activation that is NaN or infinite.
    """
    found = torch.empty((len(sequences), model.n_layers, model.hidden), dtype=model.dtype)
    planned = batches_of(model, sequences, batch_tokens)
    for batch, read in on_each(planned, lambda batch: _last_outputs(model, batch)):
        found[list(batch.samples)] = read.cpu()
    _refuse_broken(found, names)
    return found


@torch.inference_mode()
def capture_answers(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    answers: torch.Tensor,
    names: Sequence[str],
    *,
    batch_tokens: int,
) -> torch.Tensor:
    """Activations of all layers at the last token of prompt + answer, for two answers a prompt.

    `answers` [n_prompts, 2] are token ids. The prompt is computed once for both: the first answer
    runs behind it, and the second alone, on the keys and values that the model's cache has of the
    prompt. A model that does not give the same that way, but for rounding, runs every prompt twice,
    and the log says so. Returns [n_prompts, 2, n_layers, hidden] as `capture` does, and raises
    the same.
    """
    first = [[*ids, answer] for ids, answer in zip(prompts, answers[:, 0].tolist(), strict=True)]
    other = [[*ids, answer] for ids, answer in zip(prompts, answers[:, 1].tolist(), strict=True)]
    if not _shares_prompts(model, first[:2], other[:2]):
        sides = [capture(model, side, names, batch_tokens=batch_tokens) for side in (first, other)]
        return torch.stack(sides, dim=1)
    found = torch.empty((len(prompts), 2, model.n_layers, model.hidden), dtype=model.dtype)

    def both(batch: Batch) -> torch.Tensor:
        return _both_outputs(model, batch, answers[list(batch.samples), 1].to(model.device))

    for batch, read in on_each(batches_of(model, first, batch_tokens), both):
        found[list(batch.samples)] = read.cpu()
    for side in (0, 1):
        _refuse_broken(found[:, side], names)
    return found


def refuse_overflow(
    values: np.ndarray, names: Sequence[str], where: str, coefficient: float
) -> None:
    """Raise StudyError naming the first sample whose value, [n_samples], is NaN or infinite."""
    broken = np.flatnonzero(~np.isfinite(values))
    if len(broken):
        raise StudyError(
            f"The output for {names[broken[0]]} is NaN or infinite under injection at layer "
            f"{where} with coefficient {coefficient:g}; leave such coefficients out, or try the "
            "model in another dtype."
        )


def _adding(addition: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda states: states + addition.to(states.device)


def _output_of(model: LanguageModel, ids: torch.Tensor, layer: int) -> torch.Tensor:
    """Output of block `layer` [batch, tokens, hidden]; the blocks above do not run."""
    found: list[torch.Tensor] = []
    upper = {above: lambda: found[0] for above in range(layer + 1, model.n_layers)}
    with hooked(model, layer, found.append), replaced(model, upper):
        model.network.base_model(input_ids=ids, use_cache=False)
    return found[0]


@contextlib.contextmanager
def _reading(
    model: LanguageModel, rows: torch.Tensor, positions: torch.Tensor
) -> Iterator[list[torch.Tensor]]:
    """The outputs [batch, hidden] of every block, in order, at one position of each row."""
    read: list[torch.Tensor] = []

    def keep(states: torch.Tensor) -> None:
        place = (rows.to(states.device), positions.to(states.device))
        read.append(states[place].to(rows.device))

    with contextlib.ExitStack() as changes:
        for layer in range(model.n_layers):
            changes.enter_context(hooked(model, layer, keep))
        yield read


def _last_outputs(model: LanguageModel, batch: Batch) -> torch.Tensor:
    """Outputs of all blocks at each sequence's last token, [batch, n_layers, hidden]."""
    rows = torch.arange(len(batch.samples), device=model.device)
    with _reading(model, rows, batch.lengths - 1) as read:
        model.network.base_model(input_ids=batch.ids, use_cache=False)
    return torch.stack(read, dim=1)


def _both_outputs(model: LanguageModel, batch: Batch, others: torch.Tensor) -> torch.Tensor:
    """Outputs of all blocks at the last token and at `others` [batch] in its place.

    Returns [batch, 2, n_layers, hidden].
    """
    rows = torch.arange(len(batch.samples), device=model.device)
    last = batch.lengths - 1
    with _reading(model, rows, last) as first:
        cache = model.network.base_model(input_ids=batch.ids, use_cache=True).past_key_values
    prompt = torch.arange(batch.ids.shape[1], device=model.device) < last[:, None]
    with _reading(model, rows, torch.zeros_like(last)) as second:
        model.network.base_model(
            input_ids=others[:, None],
            attention_mask=torch.cat([prompt, torch.ones_like(prompt[:, :1])], dim=1).long(),
            position_ids=last[:, None],
            past_key_values=cache,
            use_cache=True,
        )
    return torch.stack([torch.stack(first, dim=1), torch.stack(second, dim=1)], dim=1)


def _shares_prompts(
    model: LanguageModel, first: Sequence[Sequence[int]], other: Sequence[Sequence[int]]
) -> bool:
    """Whether a cached prompt gives what two passes give, tried on a few sequences."""
    lengths = torch.tensor([len(sequence) for sequence in first], device=model.device)
    samples = tuple(range(len(first)))
    one, two = (Batch(samples, pad(model, side), lengths) for side in (first, other))
    expected = torch.stack([_last_outputs(model, batch) for batch in (one, two)], dim=1)
    last = torch.tensor([sequence[-1] for sequence in other], device=model.device)
    try:
        error = (_both_outputs(model, one, last) - expected).float().norm(dim=-1)
        most = 1e-3 if model.dtype == torch.float32 else 0.05
        reason = (
            None if bool((error <= most * expected.float().norm(dim=-1)).all()) else "other values"
        )
    except Exception as failure:  # whatever an architecture does with a cache cut short
        reason = f"{type(failure).__name__}: {failure}"
    if reason:
        print(
            f"The cache of {type(model.network).__name__} does not serve two answers ({reason}): "
            "every prompt runs twice.",
            file=sys.stderr,
            flush=True,
        )
    return reason is None


def _refuse_broken(found: torch.Tensor, names: Sequence[str]) -> None:
    broken = (~torch.isfinite(found)).any(dim=2).nonzero()
    if len(broken):
        sample, layer = broken[0].tolist()
        raise StudyError(
            f"The activation of {names[sample]} at layer {layer} is NaN or infinite; "
            "try the model in another dtype."
        )
