"""Decoder blocks compiled by torch.compile, which reads and writes less of the device's memory.

What a block computes stays the same but for rounding: sums in another order, and float32 where
transformers rounds to the model's dtype in between. So a model that is compiled gives other bits
than one that is not, on all paths alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine.hooks import forwards
from snakesteer.engine.models import LanguageModel

# Kernels are chosen without timing them, so that they are the same ones next time; and torch keeps
# no graphs for later, which would be pickles.
OPTIONS: dict[str, Any] = {"deterministic": True, "fx_graph_cache": False}


def with_compiled_blocks(model: LanguageModel) -> LanguageModel:
    """The model with compiled blocks: each class of block for one row, for several, for any length.

    What is compiled is the forward of the block's class. Raises StudyError as `when_called` says,
    and for blocks that would be compiled again for every length.
    """
    torch._dynamo.config.fail_on_recompile_limit_hit = True  # no silent change to uncompiled ones
    forward = [MethodType(when_called(type(block).forward), block) for block in model.blocks]
    model = dataclasses.replace(model, compiled=tuple(forward))
    _try(model, [(1, 23), (2, 29)])
    with torch._dynamo.config.patch(error_on_recompile=True):
        _try(model, [(1, 31), (3, 37)])
    return model


def compiled_blocks(model: LanguageModel) -> contextlib.AbstractContextManager[None]:
    """Blocks that run as they were compiled, if they were."""
    return forwards(model, dict(enumerate(model.compiled)))


@functools.cache
def when_called(act: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled when it is called, for tensors of any shape.

    It raises StudyError where it cannot be compiled, or not once for all layers and lengths, and
    where there is no compiler; the log then has the whole reason.
    """
    # Loading it takes a second.
    from torch._dynamo.exc import FailOnRecompileLimitHit, RecompileError, TorchDynamoException

    compiled = torch.compile(act, dynamic=True, options=OPTIONS)

    @functools.wraps(act)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return compiled(*args, **kwargs)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            print(error, file=sys.stderr, flush=True)
            if isinstance(error, (RecompileError, FailOnRecompileLimitHit)):
                reason = "it would be compiled again for every length or layer"
            else:
                reason = f"{str(error).strip().splitlines()[0]}; a C++ compiler is needed"
            raise StudyError(
                f"{act.__qualname__} cannot be compiled ({reason}); set `compile: false` for the "
                "model."
            ) from error

    return run


@torch.inference_mode()
def _try(model: LanguageModel, shapes: Sequence[tuple[int, int]]) -> None:
    for rows, tokens in shapes:
        size = (rows, min(tokens, model.context or tokens))
        with compiled_blocks(model):
            ids = torch.zeros(size, dtype=torch.long, device=model.device)
            model.network.base_model(input_ids=ids, use_cache=False)
