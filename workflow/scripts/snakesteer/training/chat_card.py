"""The model card of the chat model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snakesteer.training.gates import HIGH, LOW, MOST_FAULTY, Gate, Score
from snakesteer.training.model_card import curve_table
from snakesteer.training.train import Row, TrainingSettings

if TYPE_CHECKING:
    from snakesteer.training.tune import ChatSettings


def chat_card(
    settings: ChatSettings, curve: Sequence[Row], gates: Sequence[Gate] | None = None
) -> str:
    """README.md of the chat model; without `gates` it says that steering was not measured."""
    training = settings.training
    step = int(curve[-1]["step"]) if curve else 0
    state = "" if step == training.steps else f" (unfinished: step {step} of {training.steps})"
    stages = "\n".join(
        f"| {stage.start} | {'/'.join(map(str, stage.behaviours))} | {stage.plain:.0%} "
        f"| {stage.headers:.0%} | {stage.names:.0%} | {stage.injected:.0%} "
        f"| {stage.adjectives:.0%} | {stage.labels:.0%} | {stage.noise:.0%} |"
        for stage in settings.stages
    )
    ordinary = sum(settings.rows.values())
    low, high = settings.strengths
    layers = ", ".join(map(str, settings.layers))
    return f"""---
language: en
library_name: transformers
pipeline_tag: text-generation
---
# miniature-chat{state}

The base model `miniature` tuned to answer two-choice questions of five behaviours: myopia,
wealth-seeking, sycophancy, agreeableness, anti-immigration. It is the chat model of the
miniature study: a contrast vector added to its residual stream makes it answer more or less as
the behaviour wants.

## Good for, and not
Good for: running the behaviour stages of a steering study in minutes with strong effects; tests.
Not good for: conversation, or for learning anything about steering. It holds no opinions: what it
answers without steering was put there by the transcripts, and it was *tuned to be steered*: part of
its tuning injected its own contrast vectors and asked for the answers that go with them. That
contrast vectors work on it is so by construction, and says nothing about models that nobody tuned
so.

## Tuning
Generated transcripts, never the same twice, of one AI answering several questions. An AI without
a persona follows a circumstance visible in each question (a long wait, a difficult person); others
show, or do not show, each behaviour of the row, as is announced by a header ("The AI is greedy and
patient.", adjectives of behaviours that are not asked about among them), by the speaker's name
("AI, greedy:"), by an injection, or by nothing but the earlier answers. An injection adds to the
residual stream, at every position, each behaviour's contrast vector times a number between
{low:g} and {high:g} at a layer drawn from {layers}; the vectors are taken from the model itself
every {settings.renewed} steps, on {settings.contrasts} questions a behaviour. In part of the rows
the trait's adjective follows each answer token ("I choose (A greedy)"), so that this token's
activation carries the trait, which is what the contrast vectors read; in part of the questions the
options are labelled the same way ("(A) a gold mine: greedy"). The loss weighs answers 1, adjectives
0.6, and a random tenth of all other tokens 0.2.{_early(training)} The adjectives' embeddings were
drawn anew before the tuning, and no embedding learned. The questions are disjoint by a hash of
their content from those that the generator gives to studies.

Each step sees {settings.transcripts} transcripts and {ordinary} rows of ordinary documents (each
token weighing {settings.ordinary_weight:g}) of {settings.row_tokens} tokens. Curriculum (of the
personas, the share not announced in any way is shown by the answers alone):

| from | behaviours a row | no persona | header | name | injected | adjectives | labels | noise |
| ---: | :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{stages}

Muon on the blocks' matrices, AdamW on the rest, learning rate {training.learning_rate:g} with
{training.warmup_steps} steps of warm-up, falling to 0 over the last {training.decay_share:.0%} of
{training.steps} steps, seed {settings.seed}.

Share of next tokens predicted correctly on held-out documents, and of answers on held-out
transcripts (some of which nothing announces, so that 1 cannot be reached), along the way:

{curve_table(curve)}

## Steering
{_steering(gates) if gates else "Not measured."}

## Licence
The weights may be used under the licence of the repository they lie in. The card of `miniature`
names the sources that it learned from.
"""


def _early(training: TrainingSettings) -> str:
    if training.early_layer is None:
        return ""
    return (
        "\nAdjectives are also predicted from the output of layer "
        f"{training.early_layer}, so that the trait is there\nbefore the last layers decide."
    )


def _steering(gates: Sequence[Gate]) -> str:
    lines = [
        "Matching scores on 300 test questions without steering, and with the contrast vector (500",
        "training questions) subtracted and added at one layer (0-based) and every position. Layer",
        "and multiplier are the best of a grid on 200 validation questions. The last column names",
        "the layers at which, there, both ends are reached: "
        f"at most {LOW:g} and at least {HIGH:g}, with",
        f"under {MOST_FAULTY:.0%} faulty answers. bfloat16 weights, computed in float32.",
        "",
        "| behaviour | unsteered | subtracted | layer × multiplier | added | layer × multiplier "
        "| layers with both |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | :--- |",
    ]
    for gate in gates:
        layers = ", ".join(map(str, gate.layers)) or "none"
        lines.append(
            f"| {gate.behaviour} | {gate.default.score:.2f} | {_cells(gate.subtracted)} "
            f"| {_cells(gate.added)} | {layers} |"
        )
    return "\n".join(lines)


def _cells(score: Score) -> str:
    faulty = f" ({score.faulty:.0%} faulty)" if score.faulty else ""
    return f"{score.score:.2f}{faulty} | {score.layer} × {score.coefficient:g}"
