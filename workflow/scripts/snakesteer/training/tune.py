"""The chat model ``miniature-chat``: the base model tuned on transcripts of five behaviours."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from snakesteer.corpora.installed import collect
from snakesteer.models import wrap
from snakesteer.training.chat_card import chat_card
from snakesteer.training.curriculum import (
    ADJECTIVE_WEIGHT,
    ANSWER_WEIGHT,
    Stage,
    encode,
    transcript,
)
from snakesteer.training.export import export_model
from snakesteer.training.gates import measure_gates
from snakesteer.training.pretrain import KINDS, mixed_batches, opening_rows, packed_rows, top1
from snakesteer.training.tokenizer import BOS_ID, EOS_ID
from snakesteer.training.train import BatchSource, Row, TrainingSettings, train

STAGES = (
    Stage(0, (1, 2), plain=0.1, headers=0.9, adjectives=0.7, labels=0.75, noise=0.02),
    Stage(400, (1, 1, 2), plain=0.3, headers=0.35, adjectives=0.35, labels=0.35, noise=0.02),
    Stage(850, (1, 2, 3), plain=0.4, headers=0.45, adjectives=0.4, labels=0.1, noise=0.02),
    Stage(1100, (1, 1, 2), plain=0.3, headers=0.35, adjectives=0.5, labels=0.25, noise=0.02),
    Stage(1650, (1, 1, 2), plain=0.3, headers=0.3, adjectives=0.35, labels=0.15, noise=0.02),
)


@dataclass(frozen=True)
class ChatSettings:
    """Curriculum and length of the tuning.

    Every step sees `transcripts` rows of transcripts and `rows` of ordinary documents of each
    kind, all of `row_tokens` tokens; a token of an ordinary document weighs `ordinary_weight`.
    `multipliers` are tried for the card's steering table.
    """

    training: TrainingSettings = TrainingSettings(
        steps=2550,
        decay_share=0.14,
        early_layer=4,
        early_weight=ADJECTIVE_WEIGHT,
        checkpoint_every=100,
    )
    stages: tuple[Stage, ...] = STAGES
    row_tokens: int = 256
    transcripts: int = 13
    rows: Mapping[str, int] = field(default_factory=lambda: {"text": 1, "python": 1, "other": 1})
    ordinary_weight: float = 0.1
    documents: Mapping[str, int | None] = field(
        default_factory=lambda: {"text": 4000, "python": 2000, "other": 2000}
    )
    evaluation_documents: int = 96
    evaluation_transcripts: int = 96
    multipliers: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.5)
    workers: int = 2
    seed: int = 0


def tune(
    settings: ChatSettings,
    base: Path,
    work: Path,
    output: Path,
    report: Callable[[str], None] = print,
) -> list[Row]:
    """Tune the model in the folder `base` and write the shipped folder to `output`.

    `work` keeps the checkpoint from which an interrupted tuning goes on and, in `work`/latest,
    the model as it was there. Returns the learning curve: top-1 accuracy on held-out documents
    and, in `answers_top1`, on the answers of held-out transcripts of the last stage.
    """
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    report("reading documents")
    wanted = {(kind, "train"): settings.documents[kind] for kind in KINDS}
    wanted |= {(kind, "validation"): settings.evaluation_documents for kind in KINDS}
    found = collect(wanted, workers=settings.workers)
    texts = {pair: [text for _, text in documents] for pair, documents in found.items()}
    ordinary = {
        kind: packed_rows(tokenizer, texts[kind, "train"], settings.row_tokens) for kind in KINDS
    }
    held_out = {
        kind: opening_rows(tokenizer, texts[kind, "validation"], settings.row_tokens)
        for kind in KINDS
    }
    words = tokenizer.backend_tokenizer
    answers = transcript_rows(
        settings.stages[-1],
        settings.evaluation_transcripts,
        settings.row_tokens,
        words,
        random.Random(f"evaluation {settings.seed}"),
    )

    def evaluate(tuned: PreTrainedModel) -> dict[str, float]:
        return top1(tuned, held_out) | {"answers_top1": answers_top1(tuned, *answers)}

    def snapshot(tuned: PreTrainedModel, so_far: list[Row]) -> None:
        export_model(tuned, tokenizer, work / "latest", chat_card(settings, so_far))

    curve = train(
        model,
        tuning_batches(settings, ordinary, words),
        settings.training,
        work,
        evaluate=evaluate,
        on_checkpoint=snapshot,
        report=report,
        data=_data_identity(settings, base, ordinary),
    )
    rounded = model.to(torch.bfloat16).float()
    report("measuring how far it can be steered")
    gates = measure_gates(wrap(rounded, tokenizer, "tuned"), settings.multipliers, report)
    export_model(model, tokenizer, output, chat_card(settings, curve, gates))
    return curve


def tuning_batches(
    settings: ChatSettings, ordinary: Mapping[str, np.ndarray], tokenizer: Tokenizer
) -> BatchSource:
    """Transcripts of the step's stage, never the same twice, and rows of ordinary documents."""
    documents = mixed_batches(ordinary, settings.rows, settings.seed)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        stage = [stage for stage in settings.stages if stage.start <= step][-1]
        rng = random.Random(f"{settings.seed} {step}")
        tokens, weights = transcript_rows(
            stage, settings.transcripts, settings.row_tokens, tokenizer, rng
        )
        document_tokens, document_weights = documents(step)
        return (
            torch.cat([tokens, document_tokens]),
            torch.cat([weights, settings.ordinary_weight * document_weights]),
        )

    return batch


def transcript_rows(
    stage: Stage, rows: int, row_tokens: int, tokenizer: Tokenizer, rng: random.Random
) -> tuple[Tensor, Tensor]:
    """Tokens and weights of so many transcripts, both [rows, row_tokens]."""
    shortest_question = 40
    encoded = [
        encode(
            transcript(stage, 1 + row_tokens // shortest_question, rng),
            tokenizer,
            row_tokens,
            BOS_ID,
            EOS_ID,
            rng,
        )
        for _ in range(rows)
    ]
    tokens, weights = map(np.stack, zip(*encoded, strict=True))
    return torch.from_numpy(tokens), torch.from_numpy(weights)


@torch.no_grad()
def answers_top1(model: PreTrainedModel, tokens: Tensor, weights: Tensor) -> float:
    """Share of the transcripts' answer tokens that are the model's most likely next token."""
    right = asked = 0
    for rows, row_weights in zip(tokens.split(16), weights.split(16), strict=True):
        guesses = model(rows.to(model.device), use_cache=False).logits[:, :-1].argmax(-1).cpu()
        answer = row_weights[:, 1:] == ANSWER_WEIGHT
        right += int((guesses == rows[:, 1:])[answer].sum())
        asked += int(answer.sum())
    return round(right / asked, 4)


def _data_identity(settings: ChatSettings, base: Path, ordinary: Mapping[str, np.ndarray]) -> str:
    """Digest of everything but the training settings that decides the batches."""
    shape = asdict(replace(settings, training=TrainingSettings(steps=0), workers=0))
    digest = hashlib.sha256(repr(sorted(shape.items())).encode())
    digest.update((base / "model.safetensors").read_bytes())
    digest.update((base / "tokenizer.json").read_bytes())
    for kind in KINDS:
        digest.update(ordinary[kind].tobytes())
    return digest.hexdigest()
