"""The tokenizer inside a GGUF file: byte-level BPE, with the pre-tokenizer that the file names.

`tokenizer.ggml.pre` says how a text is split before merges are applied. Names and patterns are
those of llama.cpp's table (`llama_vocab::impl::load` and `llm_tokenizer_bpe` in llama-vocab.cpp).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
)

from snakesteer.core.errors import StudyError, reason_of

# Roles of tokens -> what a GGUF file calls their ids.
SPECIAL = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}
CONTROL, USER_DEFINED = 3, 4  # kinds of tokens in tokenizer.ggml.token_type

GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# That of Llama 3; Qwen 2 differs in that each digit is a piece of its own.
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
DIGITS = r"\p{N}"

# How texts are split: patterns, each applied to what those before it have left.
SPLITS = {
    "gpt-2": (GPT_2,),
    "smollm": (DIGITS, GPT_2),
    "llama-bpe": (LLAMA_3,),
    "qwen2": (QWEN_2,),
}
WHOLE_TOKENS = ("llama-bpe",)  # a piece that is a token is not put together from merges
BOS_UNLESS_SAID = ("llama-bpe",)


def tokenizer(values: Mapping[str, Any], file: str) -> Tokenizer:
    """The tokenizer that the metadata `values` of a GGUF file describes.

    Raises StudyError for another kind than byte-level BPE, for a pre-tokenizer that is not among
    `SPLITS`, and for what is damaged.
    """
    kind = values.get("tokenizer.ggml.model")
    if kind != "gpt2":
        raise StudyError(
            f"{file} has a tokenizer of the kind {kind}, but only byte-level BPE (gpt2) can be "
            "converted; name the model's folder with safetensors weights and tokenizer.json."
        )
    splits = _splits(values, file)
    _refuse_damaged(values, file)
    tokens = values["tokenizer.ggml.tokens"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = [tuple(merge.split(" ")) for merge in values["tokenizer.ggml.merges"]]
    whole = values["tokenizer.ggml.pre"] in WHOLE_TOKENS
    try:
        made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=whole))
    except Exception as error:  # as tokenizers raises it
        raise StudyError(
            f"{file} has a tokenizer that is damaged ({reason_of(error)}); get another file."
        ) from None
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in splits),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    kinds = [*zip(tokens, values["tokenizer.ggml.token_type"], strict=True)]
    control = [token for token, kind in kinds if kind == CONTROL]
    defined = [token for token, kind in kinds if kind == USER_DEFINED]
    made.add_special_tokens([AddedToken(token, normalized=False) for token in control])
    made.add_tokens([AddedToken(token, normalized=False) for token in defined])
    made.post_processor = _around(values)
    return made


def _refuse_damaged(values: Mapping[str, Any], file: str) -> None:
    """Refuse (StudyError) a tokenizer with a part that is missing, or does not fit the others."""
    for name in ("tokens", "merges", "token_type"):
        if not isinstance(values.get(f"tokenizer.ggml.{name}"), list):
            raise StudyError(f"{file} has no tokenizer.ggml.{name}; get another file.")
    tokens = values["tokenizer.ggml.tokens"]
    if len({*tokens}) != len(tokens):
        raise StudyError(f"{file} has a token twice in its vocabulary; get another file.")
    kinds = values["tokenizer.ggml.token_type"]
    if len(kinds) != len(tokens):
        raise StudyError(
            f"{file} has {len(tokens):,} tokens, but kinds of {len(kinds):,}; get another file."
        )
    for name in SPECIAL.values():
        number = values.get(f"tokenizer.ggml.{name}", 0)
        if not 0 <= number < len(tokens):
            raise StudyError(
                f"{file} has {number} as {name}, but {len(tokens):,} tokens; get another file."
            )


def _splits(values: Mapping[str, Any], file: str) -> tuple[str, ...]:
    pre = values.get("tokenizer.ggml.pre")
    if pre not in SPLITS:
        raise StudyError(
            f"{file} names the pre-tokenizer {pre} (tokenizer.ggml.pre), but only "
            f"{', '.join(SPLITS)} are supported; name the model's folder with safetensors "
            "weights and tokenizer.json."
        )
    return SPLITS[pre]


def _around(values: Mapping[str, Any]) -> processors.PostProcessor:
    """What stands before and behind every text."""
    tokens = values["tokenizer.ggml.tokens"]
    first, last = added(values)
    around = processors.ByteLevel(trim_offsets=False)
    if not first and not last:
        return around
    before = [tokens[values["tokenizer.ggml.bos_token_id"]]] if first else []
    behind = [tokens[values["tokenizer.ggml.eos_token_id"]]] if last else []
    template = processors.TemplateProcessing(
        single=[*before, "$A", *behind],
        pair=[*before, "$A", *behind, *before, "$B:1", *behind],
        special_tokens=[(token, tokens.index(token)) for token in {*before, *behind}],
    )
    return processors.Sequence([around, template])


def added(values: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the beginning token is put before a text, and the end token behind it."""
    usual = values.get("tokenizer.ggml.pre") in BOS_UNLESS_SAID
    return (
        bool(values.get("tokenizer.ggml.add_bos_token", usual))
        and "tokenizer.ggml.bos_token_id" in values,
        bool(values.get("tokenizer.ggml.add_eos_token", False))
        and "tokenizer.ggml.eos_token_id" in values,
    )
