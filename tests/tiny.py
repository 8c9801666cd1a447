"""Small models and data that tests make on the spot."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    config = path / "tokenizer_config.json"
    kept = json.loads(config.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    config.write_text(json.dumps(kept))
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
_ROTARY = {**_WIDE, "rotary_dim": 8}
_WINDOW = {**_LLAMA, "sliding_window": 8}
_EXPERTS = {
    **_LLAMA,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
_MIXTURE = {**_LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2}
_INPUT_PER_LAYER = {"vocab_size_per_layer_input": 320, "hidden_size_per_layer_input": 8}
_MIXED = ["sliding_attention", "full_attention"] * 2

# All of 4 layers and of hidden size 32.
SHAPES: dict[str, Mapping[str, object]] = {
    # Attention and a feed-forward network.
    "llama": _LLAMA,
    "mistral": _WINDOW,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": {**_WINDOW, "final_logit_softcapping": 5.0},
    "gemma3_text": {**_WINDOW, "layer_types": _MIXED},
    "gemma4_text": {**_WINDOW, **_INPUT_PER_LAYER, "global_head_dim": 8, "layer_types": _MIXED},
    "olmo2": _LLAMA,
    "cohere": _LLAMA,
    "granite": {**_LLAMA, "logits_scaling": 3.0},
    "phi": _LLAMA,
    "phi3": _WINDOW,
    "stablelm": _LLAMA,
    "smollm3": _LLAMA,
    "nemotron": _LLAMA,
    "starcoder2": _WINDOW,
    "glm4": _LLAMA,
    "exaone4": _WINDOW,
    "gpt2": _WIDE,
    "gpt_bigcode": _WIDE,
    "gptj": _ROTARY,
    "codegen": _ROTARY,
    "gpt_neo": {
        "hidden_size": 32,
        "num_layers": 4,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 2]],
        "window_size": 8,
        "max_position_embeddings": 128,
    },
    "gpt_neox": {k: v for k, v in _LLAMA.items() if k not in ("num_key_value_heads", "head_dim")},
    "opt": {
        "hidden_size": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "word_embed_proj_dim": 16,
        "max_position_embeddings": 128,
    },
    "xglm": {
        "d_model": 32,
        "ffn_dim": 48,
        "num_layers": 4,
        "attention_heads": 4,
        "max_position_embeddings": 128,
    },
    "falcon": {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4},
    "bloom": {"hidden_size": 32, "n_layer": 4, "n_head": 4},
    "mpt": {"d_model": 32, "n_layers": 4, "n_heads": 4, "max_seq_len": 128},
    # Experts.
    "mixtral": _MIXTURE,
    "granitemoe": _MIXTURE,
    "gpt_oss": {**_MIXTURE, "sliding_window": 8},
    "llama4_text": {**_MIXTURE, "num_experts_per_tok": 1, "attention_chunk_size": 8},
    "olmoe": _EXPERTS,
    "qwen3_moe": _EXPERTS,
    "deepseek_v3": {
        **_LLAMA,
        "num_key_value_heads": 4,
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "first_k_dense_replace": 1,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "moe_intermediate_size": 16,
    },
    # Recurrent blocks, alone or among others.
    "mamba": {"hidden_size": 32, "num_hidden_layers": 4},
    "rwkv": {"hidden_size": 32, "num_hidden_layers": 4},
    "recurrent_gemma": {**_LLAMA, "attention_window_size": 8},
    "jamba": {
        **_LLAMA,
        "num_experts": 4,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "mamba_d_state": 8,
    },
    "falcon_h1": {
        **_LLAMA,
        "mamba_d_ssm": 64,
        "mamba_n_heads": 4,
        "mamba_d_head": 16,
        "mamba_d_state": 8,
        "mamba_chunk_size": 16,
    },
    "lfm2": {**_LLAMA, "layer_types": ["conv", "full_attention"] * 2},
    "qwen3_next": {
        **_EXPERTS,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    },
}

# Architectures whose blocks hand up more than the residual stream, so that a block may need what
# a lower one computes: here blocks 4 and 5 need the keys and values of blocks 2 and 3.
THREADED: dict[str, dict[str, object]] = {
    "gemma4_text": {
        **SHAPES["gemma4_text"],
        "num_hidden_layers": 6,
        "layer_types": ["sliding_attention", "full_attention"] * 3,
        "num_kv_shared_layers": 2,
    },
}
