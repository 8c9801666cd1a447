"""Merging an adapter that `peft` saved into the model that it was trained on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from snakesteer.core.errors import StudyError, reason_of
from snakesteer.hub.manifest import ADAPTER_WEIGHTS

NAME = "merged"


def merged(network: Any, folder: str | Path) -> Any:
    """The network with the adapter in `folder` merged into its weights, which are changed.

    Raises StudyError if `peft` is not installed, or the adapter cannot be merged (a prompt, for
    example). Also raises it if a tensor of the adapter does not fit the network, or is missing.
    """
    try:
        from peft import PeftConfig, PeftModel, set_peft_model_state_dict
    except ImportError:
        raise StudyError(
            f"merging the adapter in {folder} needs peft, which is not installed; run `pip "
            "install peft` in this workflow's environment."
        ) from None
    kind = type(network).__name__
    try:
        config = PeftConfig.from_pretrained(str(folder))
        if config.is_prompt_learning:
            raise ValueError(f"{config.peft_type.value} changes no weights")
        config.inference_mode = True
        wrapped = PeftModel(network, config, adapter_name=NAME)
        weights = load_file(Path(folder) / ADAPTER_WEIGHTS)
        told = set_peft_model_state_dict(wrapped, weights, adapter_name=NAME)
        missing = [name for name in told.missing_keys if f".{NAME}" in name]
        if faults := [*told.unexpected_keys, *missing]:
            raise StudyError(
                f"the adapter in {folder} does not fit {kind}, which has no "
                f"{faults[0]}{f' and {len(faults) - 1} more' if len(faults) > 1 else ''}; set "
                "source to the base model that it was trained on."
                if told.unexpected_keys
                else f"the adapter in {folder} is incomplete: {faults[0]} is missing; get its "
                "files again."
            )
        network = wrapped.merge_and_unload()
    except (StudyError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise StudyError(
            f"the adapter in {folder} cannot be merged into {kind} ({reason_of(error)}); name an "
            "adapter of weights (such as LoRA), and set source to the base model that it was "
            "trained on."
        ) from error
    print(f"{len(weights):,} tensors of the adapter are merged.", file=sys.stderr, flush=True)
    return network
