"""Changes to a model's decoder blocks that are undone on leaving, also after an exception."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from snakesteer.engine.models import LanguageModel, states_of


@contextlib.contextmanager
def forwards(model: LanguageModel, given: Mapping[int, Callable[..., Any]]) -> Iterator[None]:
    """Blocks whose forward is another one, by layer."""
    blocks = {layer: model.blocks[layer] for layer in given}
    own = {
        layer: vars(block)["forward"] for layer, block in blocks.items() if "forward" in vars(block)
    }
    try:
        for layer, block in blocks.items():
            block.forward = given[layer]
        yield
    finally:
        for layer, block in blocks.items():
            if layer in own:
                block.forward = own[layer]
            else:
                vars(block).pop("forward", None)


def replaced(
    model: LanguageModel, returns: Mapping[int, Callable[[], torch.Tensor]]
) -> contextlib.AbstractContextManager[None]:
    """Blocks that do not compute: block L returns the states `returns[L]()`."""

    def forward(states: Callable[[], torch.Tensor]) -> Callable[..., Any]:
        return lambda *_args, **_kwargs: model.output(states())

    return forwards(model, {layer: forward(states) for layer, states in returns.items()})


def hooked(
    model: LanguageModel, layer: int, act: Callable[[torch.Tensor], torch.Tensor | None]
) -> contextlib.AbstractContextManager[None]:
    """Calls `act` with the states of block `layer`; what it returns, if anything, replaces them."""
    return after(model.blocks[layer], act)


@contextlib.contextmanager
def after(
    module: torch.nn.Module, act: Callable[[torch.Tensor], torch.Tensor | None]
) -> Iterator[None]:
    """Calls `act` with the states that a module puts out; what it returns, if anything, replaces
    them."""

    def hook(_module: torch.nn.Module, _args: Any, output: Any) -> Any:
        changed = act(states_of(output))
        if changed is None:
            return None
        return (changed, *output[1:]) if isinstance(output, (tuple, list)) else changed

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def before(
    module: torch.nn.Module, act: Callable[[torch.Tensor], torch.Tensor | None]
) -> Iterator[None]:
    """Calls `act` with the states that a module is given; what it returns, if anything, replaces
    them."""

    def hook(_module: torch.nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        changed = act(args[0] if args else named["hidden_states"])
        if changed is None:
            return None
        if args:
            return (changed, *args[1:]), named
        return args, {**named, "hidden_states": changed}

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
