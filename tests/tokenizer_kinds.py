"""Small tokenizers of the kinds that models of the hub have, as folders of their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llama
import tiny
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

CODE = "def area(w, h):\n    return w * h\n\n\nfor i in range(10):\n\tprint(i, 12345)\n"
TEXTS = [tiny.PROSE, CODE, "HELLO World's na\u00efve caf\u00e9 \u4f60\u597d"] * 20
SPECIALS = ["<unk>", "<s>", "</s>", "[CLS]", "[SEP]", "[gMASK]", "<|endoftext|>", "<bos>", "<eos>"]
IDS = {special: number for number, special in enumerate(SPECIALS)}
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Kind:
    """`raw` gives what tokenizer.json says, `settings` what tokenizer_config.json does.

    `before` and `behind` are the tokens that it puts around a text; `answers`, whether it gives "A"
    and "B" behind an opened bracket one token each; `as_text`, whether it can read "</s>" as text.
    """

    raw: Callable[[], Tokenizer]
    settings: dict[str, Any] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    answers: bool = True
    as_text: bool = True

    def write(self, folder: Path) -> Path:
        folder.mkdir()
        self.raw().save(str(folder / "tokenizer.json"))
        settings = {"bos_token": "<s>", "eos_token": "</s>", **self.settings}
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", **settings}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
        return folder


def byte_level(
    post: Any = None, *, prefix: bool = False, split: Any = None, normalizer: Any = None
) -> Tokenizer:
    raw = Tokenizer(models.BPE())
    whole = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=split is None)
    raw.pre_tokenizer = pre_tokenizers.Sequence([split, whole]) if split else whole
    if normalizer:
        raw.normalizer = normalizer
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(raw, trainers.BpeTrainer, post, vocab_size=600, initial_alphabet=alphabet)


def metaspace_unigram(post: Any = None, normalizer: Any = None) -> Tokenizer:
    raw = Tokenizer(models.Unigram())
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    if normalizer:
        raw.normalizer = normalizer
    raw.decoder = decoders.Metaspace()
    return _trained(raw, trainers.UnigramTrainer, post, vocab_size=200, unk_token="<unk>")


def word_piece(post: Any = None, *, lowercase: bool = False) -> Tokenizer:
    raw = Tokenizer(models.WordPiece(unk_token="<unk>"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.decoder = decoders.WordPiece()
    return _trained(raw, trainers.WordPieceTrainer, post, vocab_size=300)


def word_level(post: Any = None) -> Tokenizer:
    raw = Tokenizer(models.WordLevel(unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    return _trained(raw, trainers.WordLevelTrainer, post, vocab_size=300)


def llama_2(post: Any = None) -> Tokenizer:
    """As the file of Llama 2 is: the space before a text comes from a normalizer."""
    raw = Tokenizer.from_str(llama.tokenizer().backend_tokenizer.to_str())
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.pre_tokenizer = None
    raw.post_processor = post
    return raw


def gemma() -> Tokenizer:
    raw = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    raw.normalizer = normalizers.Replace(" ", "▁")
    raw.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    raw = _trained(raw, trainers.BpeTrainer, template("<bos> $A"), vocab_size=500)
    raw.add_special_tokens(["<pad>", "<mask>"])
    return raw


def stored_lengths() -> Tokenizer:
    raw = byte_level(template("<s> $A"))
    raw.enable_truncation(4)
    raw.enable_padding(length=64)
    return raw


def template(single: str) -> processors.TemplateProcessing:
    used = [(name, IDS[name]) for name in single.split() if name != "$A"]
    return processors.TemplateProcessing(single=single, special_tokens=used)


def _trained(raw: Tokenizer, trainer: Any, post: Any, **settings: Any) -> Tokenizer:
    special = [AddedToken(name, special=True, normalized=False) for name in SPECIALS]
    raw.train_from_iterator(TEXTS, trainer(special_tokens=special, show_progress=False, **settings))
    if post:
        raw.post_processor = post
    return raw


GPT_2 = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
QWEN = pre_tokenizers.Split(Regex(CL100K.replace("{1,3}", "")), "isolated")
NO_BOS = {"bos_token": None}

KINDS = {
    "byte-level, BOS named and not added": Kind(byte_level),
    "byte-level, BOS by a template": Kind(lambda: byte_level(template("<s> $A")), {}, ("<s>",)),
    "byte-level, templates in a sequence (Llama 3)": Kind(
        lambda: byte_level(
            processors.Sequence([processors.ByteLevel(), template("<s> $A")]),
            split=pre_tokenizers.Split(Regex(CL100K), "isolated"),
        ),
        {},
        ("<s>",),
    ),
    "byte-level, a space before": Kind(lambda: byte_level(prefix=True)),
    "byte-level, digits apart (SmolLM)": Kind(
        lambda: byte_level(split=pre_tokenizers.Digits(individual_digits=True))
    ),
    "byte-level, EOS behind": Kind(lambda: byte_level(template("$A </s>")), {}, (), ("</s>",)),
    "byte-level, BOS before and EOS behind": Kind(
        lambda: byte_level(template("<s> $A </s>")), {}, ("<s>",), ("</s>",)
    ),
    "byte-level, one token for both": Kind(
        lambda: byte_level(template("<|endoftext|> $A <|endoftext|>")),
        GPT_2,
        ("<|endoftext|>",),
        ("<|endoftext|>",),
    ),
    "byte-level, BOS by the configuration alone, which does not count": Kind(
        byte_level, {"add_bos_token": True, "add_eos_token": True}
    ),
    "byte-level, two tokens before (GLM)": Kind(
        lambda: byte_level(template("[gMASK] <bos> $A")), NO_BOS, ("[gMASK]", "<bos>")
    ),
    "byte-level, lengths stored in the file": Kind(stored_lengths, {}, ("<s>",)),
    "GPT-2": Kind(byte_level, {"tokenizer_class": "GPT2Tokenizer", **GPT_2}),
    "Qwen": Kind(
        lambda: byte_level(split=QWEN, normalizer=normalizers.NFC()),
        {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|endoftext|>", **NO_BOS},
    ),
    "Llama, metaspace": Kind(
        lambda: llama.tokenizer().backend_tokenizer,
        {"tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>"},
        ("<s>",),
    ),
    "Llama 2": Kind(
        lambda: llama_2(template("<s> $A")),
        {"tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>", "add_bos_token": True},
        ("<s>",),
    ),
    "Llama 2, by its file": Kind(lambda: llama_2(template("<s> $A")), {}, ("<s>",)),
    "Gemma": Kind(
        gemma,
        {"tokenizer_class": "GemmaTokenizer", "bos_token": "<bos>", "eos_token": "<eos>"},
        ("<bos>",),
    ),
    "Unigram": Kind(metaspace_unigram, as_text=False),
    "Unigram, EOS behind (T5)": Kind(
        lambda: metaspace_unigram(template("$A </s>")), NO_BOS, (), ("</s>",), as_text=False
    ),
    "Unigram, BOS before, NFKC": Kind(
        lambda: metaspace_unigram(template("<s> $A"), normalizers.NFKC()),
        {},
        ("<s>",),
        as_text=False,
    ),
    "WordPiece (BERT)": Kind(
        lambda: word_piece(processors.BertProcessing(("[SEP]", 4), ("[CLS]", 3))),
        NO_BOS,
        ("[CLS]",),
        ("[SEP]",),
    ),
    "WordPiece, lower case": Kind(lambda: word_piece(lowercase=True), answers=False),
    "WordLevel": Kind(word_level),
    "WordLevel (RoBERTa's processor)": Kind(
        lambda: word_level(processors.RobertaProcessing(("</s>", 2), ("<s>", 1))),
        {},
        ("<s>",),
        ("</s>",),
    ),
}
