"""Reading and steering a language model's residual stream.

Conventions: layer L (0-based) is decoder block L and its activation the block's raw output
[batch, tokens, hidden]. Batches are padded on the right and carry no attention mask: in a causal
model a position after the last real token cannot reach the real ones, and is not read.

Steering adds coefficient × vector to a block's output at every position (paper: activation
addition). The product is taken in float32 and added in the model's dtype. At coefficient 0 nothing
is added, so the outcome is that of the untouched model to the bit.

Two paths give the same bits for the same batches. `plain` runs the whole model with hooks on the
blocks. `shared` uses that an addition at layer L leaves the layers 0 … L untouched: their output is
computed once and kept, and the model's own forward then runs with those blocks replaced by ones
that return it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snakesteer.errors import StudyError
from snakesteer.models import LanguageModel, states_of

PAD = 0
HEAD_ROWS = 256
KEEP_BYTES = 2**30


@dataclass(frozen=True)
class Injection:
    """What is added to the residual stream: (layer, vector [hidden] float32) parts.

    All parts are multiplied by one coefficient; several parts at one layer add up.
    """

    parts: tuple[tuple[int, torch.Tensor], ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers with a part, ascending."""
        return tuple(sorted({layer for layer, _ in self.parts}))

    def additions(self, coefficient: float, model: LanguageModel) -> dict[int, torch.Tensor]:
        """What is added at each layer, [hidden] in the model's dtype; nothing at coefficient 0."""
        if coefficient == 0:
            return {}
        sums: dict[int, torch.Tensor] = {}
        for layer, vector in self.parts:
            sums[layer] = sums[layer] + vector if layer in sums else vector
        return {
            layer: (coefficient * vector).to(model.device, model.dtype)
            for layer, vector in sums.items()
        }


def injection(
    model: LanguageModel, parts: Iterable[tuple[int, np.ndarray | torch.Tensor]]
) -> Injection:
    """An injection into `model`, its (layer, vector [hidden]) parts checked.

    Raises StudyError for a layer outside the model, a vector of another width, NaN or infinity.
    """
    made = []
    for layer, vector in parts:
        vector = torch.as_tensor(vector, dtype=torch.float32)
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


@dataclass(frozen=True)
class Batch:
    """Some sequences, padded on the right to one length.

    `samples` are their places in the list they come from, `ids` [batch, tokens], `lengths`
    [batch]. `kept` is the output [batch, tokens, hidden] of block `layer`, None on the plain path.
    """

    samples: tuple[int, ...]
    ids: torch.Tensor
    lengths: torch.Tensor
    layer: int
    kept: torch.Tensor | None


# Batches ----------------------------------------------------------------------------------


def batch_plan(lengths: Sequence[int], batch_tokens: int) -> list[tuple[int, ...]]:
    """Places of the sequences in each batch: by ascending length, and as many as fit into
    `batch_tokens` tokens, padding included; a longer sequence is a batch of its own.
    """
    plan: list[tuple[int, ...]] = []
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (lengths[place], place)):
        if batch and (len(batch) + 1) * lengths[place] > batch_tokens:
            plan.append(tuple(batch))
            batch = []
        batch.append(place)
    return [*plan, tuple(batch)] if batch else plan


def pad(model: LanguageModel, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
    """Token ids [batch, tokens], padded on the right.

    Raises StudyError for a sequence that is longer than the model's context.
    """
    longest = max(map(len, sequences))
    if model.context is not None and longest > model.context:
        raise StudyError(
            f"A text of {longest} tokens is longer than the model's context of {model.context}; "
            "lower max_tokens, or shorten the question."
        )
    rows = [[*sequence, *[PAD] * (longest - len(sequence))] for sequence in sequences]
    return torch.tensor(rows, device=model.device)


@torch.inference_mode()
def prepare(
    model: LanguageModel,
    sequences: Sequence[Sequence[int]],
    layer: int,
    *,
    batch_tokens: int,
    path: str,
    keep_bytes: int = KEEP_BYTES,
) -> list[Batch]:
    """Batches of `sequences`, to be steered at `layer` and above.

    On the shared path the output of block `layer` is computed and kept, batch by batch as long as
    `keep_bytes` hold it; the batches beyond run the whole model every time, to the same bits.
    """
    size = torch.finfo(model.dtype).bits // 8 * model.hidden
    batches = []
    for samples in batch_plan([len(sequence) for sequence in sequences], batch_tokens):
        chosen = [sequences[sample] for sample in samples]
        ids = pad(model, chosen)
        lengths = torch.tensor([len(sequence) for sequence in chosen], device=model.device)
        keep_bytes -= ids.numel() * size
        kept = _output_of(model, ids, layer) if path == "shared" and keep_bytes >= 0 else None
        batches.append(Batch(samples, ids, lengths, layer, kept))
    return batches


# Passes -----------------------------------------------------------------------------------


@torch.inference_mode()
def final_states(
    model: LanguageModel, batch: Batch, injection: Injection, coefficient: float
) -> torch.Tensor:
    """Output of the last block [batch, tokens, hidden] under `coefficient` × `injection`.

    The injection must lie at `batch.layer` and above.
    """
    additions = injection.additions(coefficient, model)
    final: list[torch.Tensor] = []
    with contextlib.ExitStack() as changes:
        if batch.kept is not None:
            addition = additions.pop(batch.layer, None)
            states = batch.kept.clone() if addition is None else batch.kept + addition
            lower = {layer: lambda: states for layer in range(batch.layer + 1)}
            changes.enter_context(_replaced(model, lower))
        for layer, addition in additions.items():
            changes.enter_context(_hooked(model, layer, addition.add))
        changes.enter_context(_hooked(model, model.n_layers - 1, final.append))
        model.network.base_model(input_ids=batch.ids, use_cache=False)
    return final[0]


@torch.inference_mode()
def logits_of(model: LanguageModel, states: torch.Tensor) -> torch.Tensor:
    """Logits [n, vocabulary] of outputs of the last block, `states` [n, hidden].

    The model's own final norm and head, in its dtype, with whatever capping or scaling it does:
    its forward pass over n sequences of one token, all blocks replaced.
    """
    every = {layer: lambda: states[:, None] for layer in range(model.n_layers)}
    ids = torch.full((len(states), 1), PAD, device=model.device)
    with _replaced(model, every):
        return model.network(input_ids=ids, use_cache=False).logits[:, 0]


def predictions(
    model: LanguageModel, states: torch.Tensor, targets: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Rank of each target and its negative log-probability, from outputs of the last block.

    `states` [n, hidden], `targets` [n]. The rank counts the tokens that beat the target: a greater
    logit, or an equal one and a lower id, as argmax breaks ties. So rank 0 is a hit of the top 1
    and a rank below 10 one of the top 10. The log-probability is taken in float32. Only
    `HEAD_ROWS` rows of logits exist at a time.
    """
    ranks, losses = [], []
    for some, wanted in zip(states.split(HEAD_ROWS), targets.split(HEAD_ROWS), strict=True):
        logits = logits_of(model, some)
        rank, loss = _rank_and_loss(logits.float(), wanted)
        ranks.append(rank)
        losses.append(loss)
    return torch.cat(ranks).cpu().numpy(), torch.cat(losses).cpu().numpy()


@torch.inference_mode()
def _rank_and_loss(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    target = logits.gather(1, targets[:, None])
    rank = torch.count_nonzero(logits > target, dim=1)
    equal = logits == target
    tied = (torch.count_nonzero(equal, dim=1) > 1).nonzero()[:, 0]
    if len(tied):
        ids = torch.arange(logits.shape[1], device=logits.device)
        rank[tied] += torch.count_nonzero(equal[tied] & (ids < targets[tied, None]), dim=1)
    loss = torch.logsumexp(logits, dim=1) - target[:, 0]
    return rank, loss


def greedy(logits: torch.Tensor) -> torch.Tensor:
    """The token [n] with the greatest of `logits` [n, vocabulary]; the lower id of equal ones."""
    ids = torch.arange(logits.shape[1], device=logits.device)
    greatest = logits == logits.amax(dim=1, keepdim=True)
    return torch.where(greatest, ids, logits.shape[1]).amin(dim=1)


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
    for samples in batch_plan([len(sequence) for sequence in sequences], batch_tokens):
        found[list(samples)] = _last_outputs(model, [sequences[sample] for sample in samples]).cpu()
    broken = (~torch.isfinite(found)).any(dim=2).nonzero()
    if len(broken):
        sample, layer = broken[0].tolist()
        raise StudyError(
            f"The activation of {names[sample]} at layer {layer} is NaN or infinite; "
            "try the model in another dtype."
        )
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


def checked_path(model: LanguageModel, layer: int, path: str) -> str:
    """The path to take for steering at `layer`: `path`, or "plain" if "shared" is not exact here.

    Tries one small batch: the head of `logits_of` must give the untouched model's logits, an
    injection must change them, and the shared path must give the plain path's bits. (It cannot
    where layers share keys and values; the log then says that the plain path is taken.)
    Raises StudyError for a model that fails the first two.
    """
    length = min(16, model.context or 16)
    noise = torch.Generator().manual_seed(0)
    ids = torch.randint(model.vocabulary, (2, length), generator=noise).tolist()
    sequences = [ids[0], ids[1][: max(2, length - 5)]]
    vector = torch.randn(model.hidden, generator=noise)
    trial = Injection(((layer, vector),))
    (plain,) = prepare(model, sequences, layer, batch_tokens=2 * length, path="plain")
    expected = [final_states(model, plain, trial, coefficient) for coefficient in (0.0, 1.0)]
    _check_head(model, plain, expected[0])
    if torch.equal(expected[0], expected[1]):
        raise StudyError(
            f"An injection at layer {layer} of {type(model.network).__name__} changes nothing; "
            "this architecture cannot be steered."
        )
    if path == "plain":
        return path
    try:
        (shared,) = prepare(model, sequences, layer, batch_tokens=2 * length, path="shared")
        found = [final_states(model, shared, trial, coefficient) for coefficient in (0.0, 1.0)]
        reason = None if all(map(torch.equal, expected, found)) else "other values"
    except Exception as error:  # whatever an architecture does without its lower layers
        reason = f"{type(error).__name__}: {error}"
    if reason is None:
        return "shared"
    print(
        f"Sharing the layers up to {layer} is not exact for {type(model.network).__name__} "
        f"({reason}): every coefficient runs the whole model.",
        file=sys.stderr,
        flush=True,
    )
    return "plain"


@torch.inference_mode()
def _check_head(model: LanguageModel, batch: Batch, final: torch.Tensor) -> None:
    expected = model.network(input_ids=batch.ids, use_cache=False).logits.float()
    found = logits_of(model, final.flatten(0, 1)).view(expected.shape).float()
    tolerance = 16 * torch.finfo(model.dtype).eps * expected.abs().max()
    if not torch.allclose(found, expected, rtol=0, atol=float(tolerance)):
        raise StudyError(
            f"The head of {type(model.network).__name__} needs more than the last block's output; "
            "this architecture cannot be evaluated."
        )


def _output_of(model: LanguageModel, ids: torch.Tensor, layer: int) -> torch.Tensor:
    """Output of block `layer` [batch, tokens, hidden]; the blocks above do not run."""
    found: list[torch.Tensor] = []
    upper = {above: lambda: found[0] for above in range(layer + 1, model.n_layers)}
    with _hooked(model, layer, found.append), _replaced(model, upper):
        model.network.base_model(input_ids=ids, use_cache=False)
    return found[0]


def _last_outputs(model: LanguageModel, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
    """Outputs of all blocks at each sequence's last token, [batch, n_layers, hidden]."""
    rows = torch.arange(len(sequences), device=model.device)
    last = torch.tensor([len(sequence) - 1 for sequence in sequences], device=model.device)
    found: list[torch.Tensor] = []

    def read(states: torch.Tensor) -> None:
        found.append(states[rows, last])

    with contextlib.ExitStack() as changes:
        for layer in range(model.n_layers):
            changes.enter_context(_hooked(model, layer, read))
        model.network.base_model(input_ids=pad(model, sequences), use_cache=False)
    return torch.stack(found, dim=1)


# Changes to the model, undone on leaving ---------------------------------------------------


@contextlib.contextmanager
def _replaced(
    model: LanguageModel, returns: Mapping[int, Callable[[], torch.Tensor]]
) -> Iterator[None]:
    """Blocks that do not compute: block L returns the states `returns[L]()`."""

    def forward(states: Callable[[], torch.Tensor]) -> Callable[..., Any]:
        return lambda *_args, **_kwargs: model.output(states())

    blocks = {layer: model.blocks[layer] for layer in returns}
    own = {
        layer: vars(block)["forward"] for layer, block in blocks.items() if "forward" in vars(block)
    }
    try:
        for layer, block in blocks.items():
            block.forward = forward(returns[layer])
        yield
    finally:
        for layer, block in blocks.items():
            if layer in own:
                block.forward = own[layer]
            else:
                vars(block).pop("forward", None)


@contextlib.contextmanager
def _hooked(
    model: LanguageModel, layer: int, act: Callable[[torch.Tensor], torch.Tensor | None]
) -> Iterator[None]:
    """Calls `act` with the states of block `layer`; what it returns, if anything, replaces them."""

    def hook(_module: torch.nn.Module, _args: Any, output: Any) -> Any:
        changed = act(states_of(output))
        if changed is None:
            return None
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = model.blocks[layer].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
