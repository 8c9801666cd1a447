"""A trained model as the folder that ships: hub layout, bfloat16, with hashes."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

from snakesteer.training.tokenizer import save_tokenizer

HASHES = "SHA256SUMS"


def export_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path, card: str
) -> None:
    """Write config, bfloat16 weights, tokenizer, model card and SHA256SUMS into ``folder``.

    The model itself is not changed.
    """
    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    copy.deepcopy(model).to("cpu", torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    save_tokenizer(tokenizer, folder)
    (folder / "README.md").write_text(card, encoding="utf-8")
    write_hashes(folder)


def write_hashes(folder: Path) -> None:
    """SHA256SUMS over all other files of ``folder``, in the format of ``sha256sum``."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != HASHES
    ]
    (folder / HASHES).write_text("".join(lines), encoding="utf-8")
