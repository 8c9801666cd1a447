"""What the modules of a model's decoder blocks are called, from its configuration alone."""

from __future__ import annotations

import inspect
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from snakesteer.core.errors import StudyError, reason_of
from snakesteer.engine.models import find_blocks
from snakesteer.engine.sites import MODULES, OUTPUT, RESIDUAL


def modules_of(folder: Path, site: str) -> str:
    """The name of a block's module, seen from the base model, with `{layer}` for its number.

    No weights are read. Raises StudyError for a model that cannot be made, whose blocks are not
    found, or which has no module for the site.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config)
    except Exception as error:  # whatever a configuration makes transformers raise
        raise StudyError(
            f"The model in {folder} cannot be made from its configuration ({reason_of(error)}); "
            "correct that, or use another format."
        ) from None
    block = find_blocks(network)[0]
    (name,) = (name for name, module in network.base_model.named_modules() if module is block)
    before, _, after = name.rpartition("0")
    pattern = f"{before}{{layer}}{after}"
    if site == OUTPUT:
        return pattern
    held = dict(block.named_children())
    found = next((each for each in MODULES[site] if each in held), None)
    if found is None or RESIDUAL in inspect.signature(held[found].forward).parameters:
        raise StudyError(
            f"{type(network).__name__} has no module whose output is the site {site} alone; use "
            "a vector of the site output."
        )
    return f"{pattern}.{found}"
