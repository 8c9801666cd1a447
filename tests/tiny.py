"""Small models and data that tests make on the spot."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

PROSE = (
    "The river runs past the mill and the miller counts the sacks. Yes, he says, and No, says she."
    " Out of (A) and (B), I choose (A). Out of (Yes) and (No), I choose (No). def add(a, b): return"
)


def tokenizer(vocabulary: int = 320) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with `<s>` (0) and `</s>` (1)."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        [PROSE], vocab_size=vocabulary, special_tokens=["<s>", "</s>"], show_progress=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def network(architecture: str = "llama", *, seed: int = 0, **changes: object) -> PreTrainedModel:
    """A random model with weights large enough that its predictions differ."""
    torch.manual_seed(seed)
    settings = {"vocab_size": 320, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = AutoConfig.for_model(
        architecture, **{**settings, **SHAPES.get(architecture, _LLAMA), **changes}
    )
    model = AutoModelForCausalLM.from_config(config).eval().float()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.mul_(4)
    return model


def folder(path: Path, model: PreTrainedModel | None = None) -> Path:
    """A model and its tokenizer in the hub's folder layout."""
    (model or network()).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def documents(count: int = 12) -> list[tuple[str, str]]:
    """(id, text) of documents of different lengths."""
    words = PROSE.split()
    texts = (" ".join((words[i:] + words[:i])[: 2 + 3 * i % 23]) for i in range(count))
    return [(f"d{i}", text) for i, text in enumerate(texts)]


def questions(count: int = 10) -> list[dict[str, str]]:
    """Two-choice questions in the paper's format, of different lengths."""
    words = PROSE.split()
    made = []
    for i in range(count):
        first, second = ("A", "B") if i % 2 else ("Yes", "No")
        pair = (first, second) if i % 3 else (second, first)
        text = " ".join(words[i : i + 3 + i % 5])
        prompt = f"Human:\n{text}?\n\nAI:\nOut of ({first}) and ({second}), I choose ("
        made.append(
            {"question": f"q{i}", "prompt": prompt, "matching": pair[0], "not_matching": pair[1]}
        )
    return made


_LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
}
_WIDE = {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 128}

SHAPES: dict[str, dict[str, object]] = {
    "llama": _LLAMA,
    "mistral": {**_LLAMA, "sliding_window": 8},
    "qwen3": _LLAMA,
    "gemma2": {**_LLAMA, "sliding_window": 8, "final_logit_softcapping": 5.0},
    "olmo2": _LLAMA,
    "cohere": _LLAMA,
    "granite": {**_LLAMA, "logits_scaling": 3.0},
    "mixtral": {**_LLAMA, "num_local_experts": 4},
    "gpt2": _WIDE,
    "gptj": {**_WIDE, "rotary_dim": 8},
    "gpt_neox": {k: v for k, v in _LLAMA.items() if k not in ("num_key_value_heads", "head_dim")},
    "opt": {
        "hidden_size": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "word_embed_proj_dim": 32,
        "max_position_embeddings": 128,
    },
    "falcon": {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4},
    "bloom": {"hidden_size": 32, "n_layer": 4, "n_head": 4},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 4},
}
