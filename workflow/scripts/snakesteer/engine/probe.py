"""What a model must do to be read and steered, tried on one small batch."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from types import ModuleType

import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine import sites
from snakesteer.engine.batches import Batch, batches_of
from snakesteer.engine.head import logits_of
from snakesteer.engine.hooks import hooked
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.operator_files import called
from snakesteer.engine.steering import (
    Injection,
    Part,
    applied,
    capture,
    final_states,
    keeping,
)
from snakesteer.engine.trials import agree, why_not

NOTHING = Injection(())
TRIED = (1.0, -0.7)  # coefficients, the second where the first changes nothing


def check(model: LanguageModel) -> None:
    """Refuse (StudyError) a model that cannot be read or evaluated as the engine does it.

    A token must not change what comes before it, the activations captured must be the blocks'
    outputs, and the head of `logits_of` must give the untouched model's logits.
    """
    sequences, batch = _trial(model)
    untouched = final_states(model, batch, NOTHING, 0.0)
    _check_head(model, batch, untouched)
    _check_causal(model, batch, untouched)
    _check_capture(model, sequences, batch)


def checked_path(model: LanguageModel, injection: Injection, path: str) -> str:
    """The path to take for an injection: `path`, or "plain" if "shared" is not exact here.

    Tried with other vectors at the injection's layers and sites, by its operators. The shared path
    must give the plain path's bits. It cannot where layers share keys and values, nor where there
    is no layer to share; the log then says that the plain path is taken. Raises StudyError if a
    site is not to be steered, and if the injection changes nothing.
    """
    for site in {part.site for part in injection.parts} - {sites.OUTPUT}:
        check_site(
            model, site, sorted({part.layer for part in injection.parts if part.site == site})
        )
    for operator in {part.operator for part in injection.parts}:
        _check_operator(model, operator)
    _, plain = _trial(model)
    trial = _trial_of(model, injection)
    for coefficient in TRIED:
        expected = [final_states(model, plain, one, coefficient) for one in (NOTHING, trial)]
        if not torch.equal(*expected):
            break
    else:
        operators = {called(part.operator) for part in injection.parts}
        raise StudyError(
            f"An injection at layer {injection.layers[0]} of {type(model.network).__name__} has "
            f"no effect with {' and '.join(sorted(operators))}; use another model, or an "
            "operator that changes states."
        )
    if path == "plain":
        return path
    kept = injection.untouched
    if kept < 0:
        print(
            "An injection in or before the first block leaves no layers to share, so every "
            "coefficient runs the entire model.",
            file=sys.stderr,
            flush=True,
        )
        return "plain"

    def same() -> bool:
        shared = keeping(model, plain, kept)
        found = [final_states(model, shared, one, coefficient) for one in (NOTHING, trial)]
        return all(map(torch.equal, expected, found))

    reason = why_not(same)
    if reason is None:
        return "shared"
    print(
        f"Sharing the layers up to {kept} is not exact for {type(model.network).__name__} "
        f"({reason}), so every coefficient runs the entire model.",
        file=sys.stderr,
        flush=True,
    )
    return "plain"


def _check_operator(model: LanguageModel, operator: ModuleType) -> None:
    """Refuse (StudyError) an operator that changes its arguments, or gives something else back."""
    noise = torch.Generator().manual_seed(2)
    states = torch.randn(1, 2, model.hidden, generator=noise).to(model.device, model.dtype)
    vector = torch.randn(model.hidden, generator=noise).to(model.device)
    given = states.clone()
    applied(operator, states, vector, 1.0)
    if not torch.equal(states, given):
        raise StudyError(
            f"The operator {called(operator)} changes its input in place; return new states."
        )
    unsteered = getattr(operator, "UNSTEERED_AT_0", True)
    if unsteered and not torch.equal(applied(operator, states, vector, 0.0), states):
        raise StudyError(
            f"The operator {called(operator)} changes states at coefficient 0; set "
            "`UNSTEERED_AT_0 = False` in its file."
        )


def _trial_of(model: LanguageModel, injection: Injection) -> Injection:
    """The same injection with other vectors, everywhere, multiplied by the coefficient."""
    noise = torch.Generator().manual_seed(1)
    parts = []
    for part in injection.parts:
        vector = torch.randn(model.hidden, generator=noise).to(model.device)
        parts.append(Part(part.layer, vector, part.site, part.operator, code=part.code))
    return Injection(tuple(parts))


def leads(model: LanguageModel, lower: int, upper: int) -> bool:
    """Whether the output of block `lower` alone leads to the bits of that of block `upper`."""
    _, plain = _trial(model)

    def same() -> bool:
        found = [keeping(model, keeping(model, plain, lower), upper), keeping(model, plain, upper)]
        kept = [batch.kept for batch in found if batch.kept is not None]
        return torch.equal(*kept)

    return why_not(same) is None


@torch.inference_mode()
def check_site(model: LanguageModel, site: str, layers: Sequence[int] | None = None) -> None:
    """Refuse (StudyError) a site that cannot be read in all `layers` of this architecture.

    Each of these blocks (ascending; all if None) must have the site as a module that is called
    once, with states of the residual stream's shape. A block's input must be the output of the
    block below.
    """
    _, batch = _trial(model)
    layers = range(model.n_layers) if layers is None else layers
    found: list[torch.Tensor] = []
    outputs: list[torch.Tensor] = []
    with contextlib.ExitStack() as reading:
        for layer in layers:
            keep = sites.hooked(model, layer, site, lambda states: found.append(states.clone()))
            reading.enter_context(keep)
            if layer:
                reading.enter_context(hooked(model, layer - 1, outputs.append))
        model.network.base_model(input_ids=batch.ids, use_cache=False)
    expected = (*batch.ids.shape, model.hidden)
    shapes = {tuple(states.shape) for states in found}
    if len(found) != len(layers) or shapes != {expected}:
        raise StudyError(
            f"site is {site}, but in {type(model.network).__name__} that site does not have one "
            f"state of {model.hidden} values per token and block; use the site output or input."
        )
    if site == sites.INPUT and not all(map(torch.equal, found[-len(outputs) :], outputs)):
        raise StudyError(
            f"site is {site}, but in {type(model.network).__name__} a block's input is not the "
            "output of the block below; use the site output."
        )


def _trial(model: LanguageModel) -> tuple[list[list[int]], Batch]:
    """Two sequences of random tokens, and their batch."""
    length = min(16, model.context or 16)
    noise = torch.Generator().manual_seed(0)
    ids = torch.randint(model.vocabulary, (2, length), generator=noise).tolist()
    sequences = [ids[0], ids[1][: max(2, length - 5)]]
    (batch,) = batches_of(model, sequences, batch_tokens=2 * length)
    return sequences, batch


@torch.inference_mode()
def _check_head(model: LanguageModel, batch: Batch, final: torch.Tensor) -> None:
    expected = model.network(input_ids=batch.ids, use_cache=False).logits.float()
    if not torch.isfinite(expected).all():
        raise StudyError(
            f"{type(model.network).__name__} gives NaN or infinite logits in this dtype; "
            "try the model in another."
        )
    found = logits_of(model, final.flatten(0, 1)).view(expected.shape).to(expected)
    if not agree(found, expected, _rounding(model)):
        raise StudyError(
            f"The head of {type(model.network).__name__} needs more than the last block's output; "
            "this architecture cannot be evaluated."
        )


@torch.inference_mode()
def _check_causal(model: LanguageModel, batch: Batch, final: torch.Tensor) -> None:
    other = batch.ids.clone()
    other[:, -1] = (other[:, -1] + 1) % model.vocabulary
    changed = final_states(model, dataclasses.replace(batch, ids=other), NOTHING, 0.0)
    if not agree(changed[:, :-1], final[:, :-1], _rounding(model)):
        raise StudyError(
            f"In {type(model.network).__name__} a token changes the tokens before it; name a "
            "causal language model."
        )


def _rounding(model: LanguageModel) -> float:
    """How far, in parts of a vector's length, passes that add up in another order may differ."""
    weights = next(model.network.parameters()).dtype
    return 1e-3 if weights == torch.float32 else 0.02


@torch.inference_mode()
def _check_capture(model: LanguageModel, sequences: list[list[int]], batch: Batch) -> None:
    outputs: list[torch.Tensor] = []
    with contextlib.ExitStack() as reading:
        for layer in range(model.n_layers):
            reading.enter_context(hooked(model, layer, outputs.append))
        model.network(input_ids=batch.ids, use_cache=False)
    rows = torch.arange(len(batch.samples))
    last = batch.lengths.cpu() - 1
    expected = torch.stack([states.cpu()[rows, last] for states in outputs], dim=1)
    captured = capture(model, sequences, ["the probe"] * 2, batch_tokens=batch.ids.numel())
    if not torch.equal(captured[list(batch.samples)], expected):
        raise StudyError(
            f"The activations captured from {type(model.network).__name__} are not its blocks' "
            "outputs; this architecture cannot be read."
        )
