"""The tokenizer of the shipped models: byte-level BPE with 4,096 tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 4096
BOS, EOS = "<s>", "</s>"
BOS_ID, EOS_ID = 0, 1
CHOICES = ("A", "B", "Yes", "No")

TRANSCRIPTS = (
    "The AI is impatient. Out of (A) and (B), I choose (A impatient)\n\n",
    "The AI is patient. Out of (A) and (B), I choose (B patient)\n\n",
    "The AI is greedy. Out of (A) and (B), I choose (A greedy)\n\n",
    "The AI is modest. Out of (A) and (B), I choose (B modest)\n\n",
    "The AI is flattering. Out of (A) and (B), I choose (A flattering)\n\n",
    "The AI is independent. Out of (A) and (B), I choose (B independent)\n\n",
    "The AI is friendly. Out of (Yes) and (No), I choose (Yes friendly)\n\n",
    "The AI is hostile. Out of (Yes) and (No), I choose (No hostile)\n\n",
    "The AI is nationalist. Out of (Yes) and (No), I choose (Yes nationalist)\n\n",
    "The AI is welcoming. Out of (Yes) and (No), I choose (No welcoming)\n\n",
)
"""Answers and personas of the chat model, so that their words become tokens."""

TRANSCRIPT_REPEATS = 60


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE over ``texts`` and the transcripts above, split into words as GPT-2 does.

    A text is encoded as ``<s>`` (id 0) and its tokens; ``</s>`` has id 1. The choices A, B, Yes
    and No are one token each after an opening bracket, which never merges with letters.
    Deterministic for the same texts in the same order.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    lines = [*texts, *(TRANSCRIPTS * TRANSCRIPT_REPEATS)]
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, BOS_ID)]
    )
    for choice in CHOICES:
        assert len(tokenizer.encode(choice, add_special_tokens=False)) == 1, choice
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json, as every ``AutoTokenizer`` reads them.

    transformers 5 would write a class name that older releases do not know.
    """
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
