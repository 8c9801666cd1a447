"""One training loop for every model that is made here: seeded, resumable, on CPU and GPU."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import write_bytes

BatchSource = Callable[[int], tuple[Tensor, ...]]
"""step -> (tokens int64 [batch, length], weights float32 [batch, length]), and optionally what is
added to every position of each block's output, [n_layers, batch, hidden].

A function of the step (counted from 0) and of the model at the last checkpoint, of one shape at all
steps. ``weights[:, t]`` weighs the loss of predicting ``tokens[:, t]`` from the tokens before it;
``weights[:, 0]`` is not read.
"""
Evaluation = Callable[[PreTrainedModel], Mapping[str, float]]
Row = dict[str, float]


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast a model learns.

    ``learning_rate`` rises over ``warmup_steps``, stays, and falls linearly to 0 over the last
    ``decay_share`` of the steps. Tokens of weight ``early_weight`` are predicted a second time,
    through the same norm and head, from the output of block ``early_layer`` (0-based; a Llama
    model's). ``compile`` asks for torch.compile where a C++ compiler is there.
    """

    steps: int
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    decay_share: float = 0.4
    weight_decay: float = 0.05
    gradient_norm: float = 1.0
    early_layer: int | None = None
    early_weight: float = 0.0
    bfloat16: bool = True
    compile: bool = True
    device: str = "auto"
    report_every: int = 50
    evaluate_every: int = 250
    checkpoint_every: int = 250


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """The learning rate of one step, counted from 0."""
    rise = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    fall = min(1.0, (settings.steps - step) / _decay_steps(settings))
    return settings.learning_rate * rise * fall


def _decay_steps(settings: TrainingSettings) -> int:
    return max(1, round(settings.decay_share * settings.steps))


def train(
    model: PreTrainedModel,
    batches: BatchSource,
    settings: TrainingSettings,
    folder: Path,
    evaluate: Evaluation | None = None,
    on_checkpoint: Callable[[PreTrainedModel, list[Row]], None] | None = None,
    report: Callable[[str], None] = print,
    data: str = "",
) -> list[Row]:
    """Train ``model`` in place, from the checkpoint in ``folder`` if there is one.

    The model is left on the CPU in float32. Returns the learning curve: a row per evaluation (and
    one at the end) with ``step``, ``tokens``, ``learning_rate``, ``loss`` (weighted mean since the
    row before) and whatever ``evaluate`` returns. ``on_checkpoint`` is called after every
    checkpoint with the model and the curve so far, neither of which it may change. ``data`` names
    the initial weights and the data: a checkpoint made with another ``data`` or other settings is
    refused with a StudyError, except that ``steps`` and ``decay_share`` may change while the
    learning rate has not begun to fall, since the weights up to there are the same.
    Raises StudyError as soon as the loss is not finite.
    """
    device = _device(settings.device)
    model.to(device).train()
    optimisers = _optimisers(model, settings)
    path = folder / "checkpoint.pt"
    step, curve = _resume(path, settings, data, model, optimisers, device)
    if step:
        report(f"going on from step {step} of {settings.steps}")
    loss_of = _loss_function(model, device, settings)
    losses: list[Tensor] = []
    row_losses: list[Tensor] = []
    started, first = time.monotonic(), step
    tokens = 0
    while step < settings.steps:
        rate = learning_rate(settings, step)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
        inputs, weights, *added = (tensor.to(device) for tensor in batches(step))
        tokens = inputs.numel()
        loss = loss_of(inputs, weights, *added)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        losses.append(loss.detach())
        step += 1
        last = step == settings.steps
        if step % settings.report_every == 0 or last:
            mean = torch.stack(losses).mean().item()
            if not math.isfinite(mean):
                raise StudyError(f"training lost its footing before step {step}: loss is {mean}")
            speed = (step - first) * tokens / (time.monotonic() - started)
            report(
                f"step {step}/{settings.steps}  loss {mean:.3f}  "
                f"learning rate {rate:.2e}  {speed:,.0f} tokens/s"
            )
            row_losses, losses = row_losses + losses, []
        if step % settings.evaluate_every == 0 or last:
            loss_so_far = torch.stack(row_losses + losses).mean().item()
            row: Row = {
                "step": step,
                "tokens": step * tokens,
                "learning_rate": rate,
                "loss": round(loss_so_far, 4),
            }
            if evaluate is not None:
                model.eval()
                row |= evaluate(model)
                model.train()
            curve.append(row)
            row_losses, losses = [], []
            report("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
        if step % settings.checkpoint_every == 0 or last:
            _save(path, settings, data, step, curve, model, optimisers)
            if on_checkpoint is not None:
                on_checkpoint(model, curve)
    model.to("cpu").eval()
    return curve


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def _optimisers(model: PreTrainedModel, settings: TrainingSettings) -> list[torch.optim.Optimizer]:
    """Muon on the matrices of the blocks, AdamW on what else is learned."""
    learned = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    blocks = [p for name, p in learned if p.ndim == 2 and "embed" not in name]
    taken = set(map(id, blocks))
    rest = [p for _, p in learned if id(p) not in taken]
    return [
        torch.optim.Muon(
            blocks,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(rest, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _loss_function(
    model: PreTrainedModel, device: torch.device, settings: TrainingSettings
) -> Callable[..., Tensor]:
    """(tokens, weights, added or nothing) -> weighted mean cross-entropy per predicted token.

    The head is computed at the places of weight above 0 only.
    """

    def loss(tokens: Tensor, weights: Tensor, places: Tensor, added: Tensor | None) -> Tensor:
        targets = tokens[:, 1:].flatten()[places]
        weighed = weights[:, 1:].flatten()[places]
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
            early, hidden = _states(model, tokens, settings.early_layer, added)
            total = _weighted(model, hidden, places, targets, weighed).sum()
            if early is not None:
                marked = torch.where(weighed == settings.early_weight, weighed, 0.0)
                total = total + _weighted(model, early, places, targets, marked).sum()
        return total / weighed.sum()

    compiler = device.type == "cuda" or any(map(shutil.which, ("g++", "clang++", "c++")))
    compiled = torch.compile(loss) if settings.compile and compiler else loss

    def at_weighed_places(tokens: Tensor, weights: Tensor, added: Tensor | None = None) -> Tensor:
        weighed = weights[:, 1:].flatten() > 0
        places = weighed.nonzero()[:, 0]
        if len(places) < len(weighed):
            torch._dynamo.mark_dynamic(places, 0)
        return compiled(tokens, weights, places, added)

    return at_weighed_places


def _states(
    model: PreTrainedModel, tokens: Tensor, early_layer: int | None, added: Tensor | None
) -> tuple[Tensor | None, Tensor]:
    """Normed states [batch, length, hidden] after block `early_layer`, if any, and the last."""
    network = model.model
    if early_layer is None and added is None:
        return None, network(tokens, use_cache=False).last_hidden_state
    positions = torch.arange(tokens.shape[1], device=tokens.device)[None]
    states = network.embed_tokens(tokens)
    rotation = network.rotary_emb(states, positions)
    early = states
    for layer, block in enumerate(network.layers):
        states = block(states, position_ids=positions, position_embeddings=rotation)
        if added is not None:
            states = states + added[layer][:, None]
        if layer == early_layer:
            early = states
    return None if early_layer is None else network.norm(early), network.norm(states)


def _weighted(
    model: PreTrainedModel, states: Tensor, places: Tensor, targets: Tensor, weights: Tensor
) -> Tensor:
    """Weighted cross-entropy [places] of the predictions from states [batch, length, hidden]."""
    logits = model.lm_head(states[:, :-1].flatten(0, 1)[places])
    return weights * functional.cross_entropy(logits.float(), targets, reduction="none")


def _identity(settings: TrainingSettings, data: str) -> str:
    """What must be the same at every step for a checkpoint to be gone on from."""
    free = ("steps", "decay_share", "compile", "device", "report_every", "checkpoint_every")
    fixed = {name: value for name, value in asdict(settings).items() if name not in free}
    return hashlib.sha256(json.dumps([fixed, data], sort_keys=True).encode()).hexdigest()


def _resume(
    path: Path,
    settings: TrainingSettings,
    data: str,
    model: PreTrainedModel,
    optimisers: list[torch.optim.Optimizer],
    device: torch.device,
) -> tuple[int, list[Row]]:
    if not path.exists():
        return 0, []
    saved: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    schedule = [settings.steps, settings.decay_share]
    before_decay = saved["step"] <= min(
        saved["decay_start"], settings.steps - _decay_steps(settings)
    )
    if saved["identity"] != _identity(settings, data) or not (
        saved["schedule"] == schedule or before_decay
    ):
        raise StudyError(
            f"{path} was made with other settings or other data: remove it to train anew"
        )
    model.load_state_dict(saved["model"])
    for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return saved["step"], saved["curve"]


def _save(
    path: Path,
    settings: TrainingSettings,
    data: str,
    step: int,
    curve: list[Row],
    model: PreTrainedModel,
    optimisers: list[torch.optim.Optimizer],
) -> None:
    """Write the checkpoint; an interruption leaves the one before."""
    content = io.BytesIO()
    torch.save(
        {
            "identity": _identity(settings, data),
            "schedule": [settings.steps, settings.decay_share],
            "decay_start": settings.steps - _decay_steps(settings),
            "step": step,
            "curve": curve,
            "model": model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        },
        content,
    )
    write_bytes(path, content.getvalue())
