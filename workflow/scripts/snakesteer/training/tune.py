"""The chat model ``miniature-chat``: the base model tuned on transcripts of five behaviours."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from snakesteer.behaviours.generated import DRAFTS, pose
from snakesteer.behaviours.question import Question
from snakesteer.corpora.installed import collect
from snakesteer.engine.extraction import of_questions
from snakesteer.engine.models import wrap
from snakesteer.engine.texts import read_questions
from snakesteer.training.chat_card import chat_card
from snakesteer.training.curriculum import (
    ADJECTIVE_WEIGHT,
    ADJECTIVES,
    ANSWER_WEIGHT,
    Stage,
    encode,
    transcript,
    tuning_draft,
)
from snakesteer.training.export import export_model
from snakesteer.training.gates import BATCH_TOKENS, measure_gates
from snakesteer.training.pretrain import KINDS, mixed_batches, opening_rows, packed_rows, top1
from snakesteer.training.tokenizer import BOS_ID, EOS_ID
from snakesteer.training.train import BatchSource, Row, TrainingSettings, train
from snakesteer.vectors import contrast
from snakesteer.vectors.samples import Samples

STAGES = (
    Stage(
        0, (1, 1, 2),
        plain=0.1, headers=0.5, names=0.3, injected=0, adjectives=0.7, labels=0.6, noise=0.01,
    ),
    Stage(
        500, (1, 2, 3),
        plain=0.15, headers=0.25, names=0.25, injected=0, adjectives=0.5, labels=0.15, noise=0.01,
    ),
    Stage(
        1400, (1, 1, 2),
        plain=0.35, headers=0.15, names=0.1, injected=0.7, adjectives=0.5, labels=0.05, noise=0.01,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class ChatSettings:
    """Curriculum and length of the tuning.

    Every step sees `transcripts` rows of transcripts and `rows` of ordinary documents of each
    kind, all of `row_tokens` tokens; a token of an ordinary document weighs `ordinary_weight`.
    The contrast vectors that announce a persona are taken from the model every `renewed` steps, on
    `contrasts` questions a behaviour, and injected at one of `layers` times a number between the
    two `strengths`. `multipliers` are tried for the card's steering table.
    """

    training: TrainingSettings = TrainingSettings(
        steps=2800,
        decay_share=0.25,
        early_layer=2,
        early_weight=ADJECTIVE_WEIGHT,
        checkpoint_every=100,
    )
    stages: tuple[Stage, ...] = STAGES
    row_tokens: int = 256
    transcripts: int = 13
    rows: Mapping[str, int] = field(default_factory=lambda: {"text": 1, "python": 1, "other": 1})
    ordinary_weight: float = 0.1
    renewed: int = 50
    contrasts: int = 24
    layers: tuple[int, ...] = (2, 3, 4, 5, 6)
    strengths: tuple[float, float] = (0.25, 1.0)
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
    _fix_embeddings(model, tokenizer, settings.seed)
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
    *answers, _ = transcript_rows(
        replace(settings.stages[-1], injected=0),
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
        tuning_batches(
            settings, ordinary, words, lambda: contrast_vectors(settings, model, tokenizer)
        ),
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
    settings: ChatSettings,
    ordinary: Mapping[str, np.ndarray],
    tokenizer: Tokenizer,
    contrasts: Callable[[], Mapping[str, Tensor]],
) -> BatchSource:
    """Transcripts of the step's stage, never the same twice, and rows of ordinary documents.

    `contrasts` gives each behaviour's contrast vector [n_layers, hidden] as the model has it.
    """
    documents = mixed_batches(ordinary, settings.rows, settings.seed)
    vectors: Mapping[str, Tensor] = {}

    def batch(step: int) -> tuple[Tensor, ...]:
        nonlocal vectors
        stage = [stage for stage in settings.stages if stage.start <= step][-1]
        if stage.injected and (not vectors or step % settings.renewed == 0):
            vectors = contrasts()
        rng = random.Random(f"{settings.seed} {step}")
        tokens, weights, injected = transcript_rows(
            stage, settings.transcripts, settings.row_tokens, tokenizer, rng
        )
        document_tokens, document_weights = documents(step)
        rows = (
            torch.cat([tokens, document_tokens]),
            torch.cat([weights, settings.ordinary_weight * document_weights]),
        )
        if not stage.injected:
            return rows
        return *rows, _added(settings, injected, vectors, len(rows[0]), rng)

    return batch


def _added(
    settings: ChatSettings,
    injected: Sequence[Mapping[str, bool]],
    vectors: Mapping[str, Tensor],
    rows: int,
    rng: random.Random,
) -> Tensor:
    """What is added to the output of each block, [n_layers, rows, hidden]; 0 in most rows.

    Every behaviour's vector goes to a layer of its own, as in simultaneous steering.
    """
    n_layers, hidden = next(iter(vectors.values())).shape
    added = torch.zeros((n_layers, rows, hidden))
    for row, shown in enumerate(injected):
        for behaviour, shows in shown.items():
            layer = rng.choice(settings.layers)
            strength = rng.uniform(*settings.strengths) * (1 if shows else -1)
            added[layer, row] += strength * vectors[behaviour][layer]
    return added


def contrast_vectors(
    settings: ChatSettings, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> dict[str, Tensor]:
    """Each behaviour's contrast vector [n_layers, hidden], on questions that no study gets."""
    tuned = wrap(model, tokenizer, "tuned")
    vectors = {}
    for behaviour in DRAFTS:
        rng = random.Random(f"contrasts {behaviour} {settings.seed}")
        asked = []
        for place in range(settings.contrasts):
            prompt, matching, other = pose(tuning_draft(behaviour, rng), place % 2 == 0)
            asked.append(asdict(Question(f"{behaviour}-{place}", prompt, matching, other)))
        pair = of_questions(tuned, read_questions(tokenizer, asked), batch_tokens=BATCH_TOKENS)
        answers = Samples({role: found.float().numpy() for role, found in pair.items()})
        vectors[behaviour] = torch.from_numpy(contrast.fit({"of": [answers]}, {}))
    model.train()
    return vectors


def transcript_rows(
    stage: Stage, rows: int, row_tokens: int, tokenizer: Tokenizer, rng: random.Random
) -> tuple[Tensor, Tensor, list[Mapping[str, bool]]]:
    """Tokens and weights of so many transcripts, both [rows, row_tokens], and their injections."""
    shortest_question = 40
    transcripts = [transcript(stage, 1 + row_tokens // shortest_question, rng) for _ in range(rows)]
    encoded = [
        encode(each.pieces, tokenizer, row_tokens, BOS_ID, EOS_ID, rng) for each in transcripts
    ]
    tokens, weights = map(np.stack, zip(*encoded, strict=True))
    injected = [each.injected for each in transcripts]
    return torch.from_numpy(tokens), torch.from_numpy(weights), injected


@torch.no_grad()
def _fix_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
    """Draw new embeddings for the adjectives, which documents hardly contain, and learn none.

    Independent directions that stay apart keep the traits apart, in headers and in the head.
    """
    embeddings = model.get_input_embeddings().weight
    adjectives = [
        tokenizer.encode(f" {word}", add_special_tokens=False)[0]
        for pair in ADJECTIVES.values()
        for word in pair
    ]
    noise = torch.Generator().manual_seed(seed)
    drawn = torch.randn((len(adjectives), embeddings.shape[1]), generator=noise)
    embeddings[adjectives] = drawn * embeddings.square().mean().sqrt()
    embeddings.requires_grad_(False)


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
