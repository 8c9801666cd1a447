"""The base model ``miniature``: a small Llama trained on the installed packages' documents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from snakesteer.behaviours import generated
from snakesteer.corpora.installed import collect
from snakesteer.training.export import export_model
from snakesteer.training.model_card import base_card
from snakesteer.training.tokenizer import (
    BOS_ID,
    EOS_ID,
    VOCABULARY,
    save_tokenizer,
    train_tokenizer,
)
from snakesteer.training.train import BatchSource, Row, TrainingSettings, train

KINDS = ("text", "python", "other")


@dataclass(frozen=True)
class BaseSettings:
    """Shape, data and length of the base model's training.

    ``rows`` is how many rows of ``row_tokens`` tokens each kind gives to a step, ``documents``
    how many training documents of each kind are read at most (None: all there are).
    """

    training: TrainingSettings = TrainingSettings(steps=1750)
    layers: int = 8
    hidden: int = 192
    heads: int = 6
    mlp: int = 512
    context: int = 512
    row_tokens: int = 256
    rows: Mapping[str, int] = field(default_factory=lambda: {"text": 8, "python": 4, "other": 4})
    documents: Mapping[str, int | None] = field(
        default_factory=lambda: {"text": None, "python": 16_000, "other": None}
    )
    tokenizer_documents: Mapping[str, int] = field(
        default_factory=lambda: {"text": 2400, "python": 1200, "other": 1200}
    )
    evaluation_documents: int = 96
    workers: int = 2
    seed: int = 0


def pretrain(
    settings: BaseSettings, work: Path, output: Path, report: Callable[[str], None] = print
) -> list[Row]:
    """Train tokenizer and base model and write the shipped folder to ``output``.

    ``work`` keeps the tokenizer and the checkpoint from which an interrupted training goes on; a
    first usable model lies in ``work``/latest while it runs. Returns the learning curve.
    """
    report("reading documents")
    wanted = {(kind, "train"): settings.documents[kind] for kind in KINDS}
    wanted |= {(kind, "validation"): settings.evaluation_documents for kind in KINDS}
    found = collect(wanted, workers=settings.workers)
    texts = {pair: [text for _, text in documents] for pair, documents in found.items()}
    tokenizer = base_tokenizer(settings, texts, work / "tokenizer")
    rows = {
        kind: packed_rows(tokenizer, texts[kind, "train"], settings.row_tokens) for kind in KINDS
    }
    for kind in KINDS:
        documents = texts[kind, "train"]
        report(f"{kind}: {len(documents)} documents, {rows[kind].size / 1e6:.2f} M tokens")
    held_out = {
        kind: opening_rows(tokenizer, texts[kind, "validation"], settings.row_tokens)
        for kind in KINDS
    }
    torch.manual_seed(settings.seed)
    model = base_model(settings)

    def snapshot(trained: PreTrainedModel, curve: list[Row]) -> None:
        export_model(trained, tokenizer, work / "latest", base_card(settings, curve))

    curve = train(
        model,
        mixed_batches(rows, settings.rows, settings.seed),
        settings.training,
        work,
        evaluate=lambda trained: top1(trained, held_out),
        on_checkpoint=snapshot,
        report=report,
        data=_data_identity(settings, rows),
    )
    export_model(model, tokenizer, output, base_card(settings, curve))
    return curve


def base_model(settings: BaseSettings) -> LlamaForCausalLM:
    """The untrained model, its weights drawn from torch's seed."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=settings.hidden,
            intermediate_size=settings.mlp,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            num_key_value_heads=settings.heads,
            max_position_embeddings=settings.context,
            tie_word_embeddings=True,
            bos_token_id=BOS_ID,
            eos_token_id=EOS_ID,
        )
    )


def base_tokenizer(
    settings: BaseSettings, texts: Mapping[tuple[str, str], Sequence[str]], folder: Path
) -> PreTrainedTokenizerFast:
    """The tokenizer kept in ``folder``, trained and saved there the first time."""
    if (folder / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(folder)
    sample = [
        text
        for kind, number in settings.tokenizer_documents.items()
        for text in texts[kind, "train"][:number]
    ]
    sample += [
        question.prompt
        for trait in generated.DRAFTS
        for question in generated.questions({"trait": trait, "questions": 400, "seed": 0})
    ]
    save_tokenizer(train_tokenizer(sample), folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def packed_rows(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], row_tokens: int
) -> np.ndarray:
    """Documents end to end, each closed by EOS, in rows that open with BOS: uint16 [rows, tokens].

    The incomplete last row is left out.
    """
    encoded = tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False
    )
    stream = np.array(
        [token for ids in encoded["input_ids"] for token in (*ids, EOS_ID)], dtype=np.uint16
    )
    body = row_tokens - 1
    count = len(stream) // body
    rows = np.full((count, row_tokens), BOS_ID, dtype=np.uint16)
    rows[:, 1:] = stream[: count * body].reshape(count, body)
    return rows


def opening_rows(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], row_tokens: int
) -> np.ndarray:
    """BOS and the first tokens of every document that fills a row: uint16 [documents, tokens]."""
    encoded = tokenizer(list(texts), return_attention_mask=False, verbose=False)["input_ids"]
    full = [ids[:row_tokens] for ids in encoded if len(ids) >= row_tokens]
    return np.array(full, dtype=np.uint16)


def mixed_batches(
    rows: Mapping[str, np.ndarray], shares: Mapping[str, int], seed: int
) -> BatchSource:
    """Batches with a fixed number of rows of every kind, every epoch of a kind newly shuffled."""

    @lru_cache(maxsize=2 * len(shares))
    def order(kind: str, epoch: int) -> np.ndarray:
        kind_number = sorted(shares).index(kind)
        return np.random.default_rng([seed, kind_number, epoch]).permutation(len(rows[kind]))

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = []
        for kind, share in shares.items():
            for place in range(step * share, (step + 1) * share):
                epoch, position = divmod(place, len(rows[kind]))
                chosen.append(rows[kind][order(kind, epoch)[position]])
        tokens = torch.from_numpy(np.stack(chosen).astype(np.int64))
        return tokens, torch.ones(tokens.shape)

    return batch


@torch.no_grad()
def top1(model: PreTrainedModel, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Share of correctly predicted next tokens for every kind of held-out rows."""
    shares = {}
    for kind, all_rows in rows.items():
        right = 0
        for start in range(0, len(all_rows), 16):
            tokens = torch.from_numpy(all_rows[start : start + 16].astype(np.int64))
            tokens = tokens.to(model.device)
            guesses = model(tokens, use_cache=False).logits[:, :-1].argmax(-1)
            right += int((guesses == tokens[:, 1:]).sum())
        shares[f"{kind}_top1"] = round(right / (all_rows.shape[0] * (all_rows.shape[1] - 1)), 4)
    return shares


def _data_identity(settings: BaseSettings, rows: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    shape = {name: value for name, value in asdict(settings).items() if name != "training"}
    del shape["workers"]
    digest.update(repr(sorted(shape.items(), key=lambda item: item[0])).encode())
    for kind in KINDS:
        digest.update(rows[kind].tobytes())
    return digest.hexdigest()
