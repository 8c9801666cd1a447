"""A network that a user has in memory as a model to be steered or read; it is left as it was."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine.around import FOLLOWED
from snakesteer.engine.models import LanguageModel, find_blocks, wrap
from snakesteer.engine.probe import check
from snakesteer.hub.loaded import Loaded

_CHECKED: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()


def to_steer(network: Any) -> LanguageModel:
    """The network as a model whose blocks are known, without running it.

    It has neither a tokenizer nor the form of a block's output. Raises StudyError for what is no
    causal language model of transformers, or has no list of decoder blocks.
    """
    config = _configuration(network)
    blocks = find_blocks(network)
    return LanguageModel(
        network=network,
        tokenizer=None,
        blocks=blocks,
        extras=None,
        n_layers=len(blocks),
        hidden=config.hidden_size,
        vocabulary=config.vocab_size,
        context=None,
        short_context=None,
        dtype=network.dtype,
        device=_device(network),
        identity="",
    )


@contextlib.contextmanager
def to_read(network: Any, tokenizer: Any) -> Iterator[LanguageModel]:
    """The network as a model to be read, in evaluation mode until this is left.

    The first time it is tried whether it can be read (`probe.check`). Raises StudyError as
    `to_steer`, `wrap` and `check` do, and where it is steered at positions that are counted, as
    batches are read without a mask.
    """
    _configuration(network)
    if network.get_output_embeddings() is None:
        raise StudyError(
            f"{type(network).__name__} has no head that predicts tokens; give a causal language "
            "model, as AutoModelForCausalLM.from_pretrained loads it."
        )
    if network in FOLLOWED:
        raise StudyError(
            "Activations are read in batches without a mask, so positions cannot be counted; "
            "read them outside `steer`, or steer with positions all."
        )
    training = {module: module.training for module in network.modules()}
    try:
        model = wrap(network, tokenizer, identity="")
        if network not in _CHECKED:
            check(model)
            _CHECKED.add(network)
        yield model
    finally:
        for module, before in training.items():
            module.training = before


def loaded(model: LanguageModel) -> Loaded:
    """What is known of where a model in memory comes from."""
    source = getattr(model.network, "name_or_path", None)
    revision = getattr(model.network.config, "_commit_hash", None)
    return Loaded(source or None, revision, model.n_layers, model.hidden)


def _configuration(network: Any) -> Any:
    """The configuration of the part that reads text."""
    config: Any = getattr(network, "config", None)
    if not isinstance(network, torch.nn.Module) or not hasattr(config, "get_text_config"):
        raise StudyError(
            f"{type(network).__name__} is not a causal language model of transformers; give one, "
            "as AutoModelForCausalLM.from_pretrained loads it."
        )
    text = config.get_text_config()
    for name in ("num_hidden_layers", "hidden_size", "vocab_size"):
        if not isinstance(getattr(text, name, None), int):
            raise StudyError(
                f"The configuration of {type(network).__name__} has no {name}; give a causal "
                "language model of decoder blocks."
            )
    return text


def _device(network: torch.nn.Module) -> torch.device:
    """Where its first weights are, of those that are not kept elsewhere until they are needed."""
    for weights in network.parameters():
        if not weights.is_meta:
            return weights.device
    return torch.device("cpu")
