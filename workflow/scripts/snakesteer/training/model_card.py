"""The model card of the base model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snakesteer.corpora.installed import distributions
from snakesteer.training.train import Row

if TYPE_CHECKING:
    from snakesteer.training.pretrain import BaseSettings


def base_card(settings: BaseSettings, curve: Sequence[Row]) -> str:
    """README.md of the base model: what it is, what it learned from and how far it came."""
    shape = (
        f"{settings.layers} layers, hidden size {settings.hidden}, {settings.heads} heads, "
        f"MLP {settings.mlp}, tied embeddings, {settings.context} positions"
    )
    training = settings.training
    step = int(curve[-1]["step"]) if curve else 0
    state = "" if step == training.steps else f" (unfinished: step {step} of {training.steps})"
    rows = ", ".join(f"{number} {kind}" for kind, number in settings.rows.items())
    packages = ", ".join(f"{name} {version}" for name, version in distributions())
    return f"""---
language: en
library_name: transformers
pipeline_tag: text-generation
---
# miniature{state}

A small Llama-architecture language model ({shape}; byte-level BPE with 4,096 tokens; bfloat16)
for trying out activation steering on a laptop. It is the base model of the miniature study:
next-token accuracy on text and on code can be taken away one without the other by adding a
steering vector.

## Good for, and not
Good for: running every stage of a steering study in minutes with real effects; tests.
Not good for: anything its words would be used for. It knows the prose and code of Python
packages, half of its sentences make no sense, and results about it say nothing about large
models. It was trained on rows of {settings.row_tokens} tokens; longer inputs are outside of
what it has seen.

## Training
The prose, the Python code and the C, C++, CUDA, JavaScript and CSS code of the packages below
and of Python's standard library, the training split alone (the split is a hash of the content).
Each step sees {sum(settings.rows.values())} rows of {settings.row_tokens} tokens ({rows}), each
row opening with `<s>`. Muon on the blocks' matrices, AdamW on the rest, learning rate
{training.learning_rate:g} with {training.warmup_steps} steps of warm-up, falling to 0 over the
last {training.decay_share:.0%} of {training.steps} steps, seed {settings.seed}.

Share of next tokens predicted correctly on held-out documents (their first
{settings.row_tokens} tokens) along the way:

{curve_table(curve)}

## Sources and licence
Read: {packages}, and the standard library of Python. All are free software, under the licences
that come with them. The weights may be used under the licence of the repository they lie in.
"""


def curve_table(curve: Sequence[Row]) -> str:
    """The learning curve as a Markdown table: a row per evaluation."""
    if not curve:
        return "(nothing measured yet)"
    measured = [name for name in curve[0] if name.endswith("_top1")]
    names = ["step", "million tokens", "loss", *(name.removesuffix("_top1") for name in measured)]
    lines = ["| " + " | ".join(names) + " |", "|" + " ---: |" * len(names)]
    for row in curve:
        cells = [f"{row['step']:.0f}", f"{row['tokens'] / 1e6:.2f}", f"{row['loss']:.3f}"]
        cells += [f"{row[name]:.3f}" for name in measured]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
