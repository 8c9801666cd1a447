"""GGUF files of small Llama models, as llama.cpp's own converter would write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from snakesteer.storage.files import read_tensors

# Parts of a block: their names in the hub's layout and in a GGUF file.
PARTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write(
    path: Path,
    folder: Path,
    *,
    pre: str | None = "smollm",
    kind: str = "gpt2",
    quantised: str | None = None,
    architecture: str = "llama",
    more: dict[str, Any] | None = None,
    tensors: dict[str, np.ndarray] | None = None,
) -> Path:
    """The Llama model in `folder` as a GGUF file at `path`.

    `quantised` is the number format of matrices (`Q4_1`, say), float32 if left out. `more` are
    settings that are written beside the usual ones, whole numbers, truths or texts, and `tensors`
    further tensors.
    """
    config = json.loads((folder / "config.json").read_text())
    writer = GGUFWriter(path, architecture)
    heads, of_keys = config["num_attention_heads"], config["num_key_value_heads"]
    writer.add_name("small")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(of_keys)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, folder, pre, kind)
    for name, value in (more or {}).items():
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        else:
            writer.add_string(name, value)
    held = read_tensors(folder / "model.safetensors")
    for name, tensor in held.items():
        named = _name(name)
        if "attn_q" in named or "attn_k" in named:
            tensor = permuted(tensor, heads if "attn_q" in named else of_keys)
        if quantised and tensor.ndim > 1:
            form = GGMLQuantizationType[quantised]
            writer.add_tensor(named, gguf.quants.quantize(tensor, form), raw_dtype=form)
        else:
            writer.add_tensor(named, tensor.astype(np.float32))
    for name, tensor in (tensors or {}).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head in llama.cpp's order: the halves that RoPE turns together interleaved."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, weights.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weights.shape))


def _name(name: str) -> str:
    fixed = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in fixed:
        return fixed[name]
    _, _, number, part = name.split(".", 3)
    return f"blk.{number}.{PARTS[part.removesuffix('.weight')]}.weight"


def _add_tokenizer(writer: GGUFWriter, folder: Path, pre: str | None, kind: str) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    tokens = sorted(vocabulary | special, key=(vocabulary | special).__getitem__)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    merges = tokenizer["model"]["merges"]
    writer.add_tokenizer_model(kind)
    if pre is not None:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([control if token in special else normal for token in tokens])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(special["<s>"])
    writer.add_eos_token_id(special["</s>"])
