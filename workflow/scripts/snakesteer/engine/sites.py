"""Where in a decoder block its states are read or changed.

    output     the residual stream after the block
    input      the residual stream before it; of layer 0 what the embedding puts out
    attention  what the block's attention puts out
    mlp        what its feed-forward network puts out

Architectures differ in the names that blocks give to these two modules, and in nothing else here.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable

import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine import hooks
from snakesteer.engine.models import LanguageModel

OUTPUT, INPUT = "output", "input"

# What blocks call the module of a site.
MODULES = {
    "attention": ("self_attn", "attn", "self_attention", "attention"),
    "mlp": ("mlp", "ffn", "feed_forward", "block_sparse_moe", "mlp_block"),
}
SITES = (OUTPUT, INPUT, *MODULES)

# What a module is called with that adds the residual stream to what it puts out.
RESIDUAL = "residual"

Act = Callable[[torch.Tensor], torch.Tensor | None]


def module(model: LanguageModel, layer: int, site: str) -> torch.nn.Module:
    """The module of a block whose output is the site `attention` or `mlp`.

    Raises StudyError, naming what the block has, if it has no such module, or one that puts out the
    whole residual stream.
    """
    block = model.blocks[layer]
    held = dict(block.named_children())
    found = next((held[name] for name in MODULES[site] if name in held), None)
    architecture = type(model.network).__name__
    if found is None:
        raise StudyError(
            f"site is {site}, but block {layer} of {architecture} has no such module (it has "
            f"{', '.join(held)}); use the site output or input."
        )
    if RESIDUAL in inspect.signature(found.forward).parameters:
        raise StudyError(
            f"site is {site}, but in {architecture} that module returns the entire residual "
            "stream; use the site output or input."
        )
    return found


def hooked(
    model: LanguageModel, layer: int, site: str, act: Act
) -> contextlib.AbstractContextManager[None]:
    """Calls `act` with the states [batch, tokens, hidden] at a site of block `layer`.

    What it returns, if anything, replaces them. Raises StudyError as `module` does.
    """
    if site == INPUT:
        return hooks.before(model.blocks[layer], act)
    if site == OUTPUT:
        return hooks.hooked(model, layer, act)
    return hooks.after(module(model, layer, site), act)
