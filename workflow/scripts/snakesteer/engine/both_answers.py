"""Activations of two answers to one prompt, which is computed once where that gives the same."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

import torch

from snakesteer.engine import sites
from snakesteer.engine.batches import Batch, batches_of, pad, refuse_unknown
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Spots, at, capture, read_at, reading, refuse_broken
from snakesteer.engine.trials import agree, why_not


@torch.inference_mode()
def shares_prompts(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    answers: torch.Tensor,
    site: str = sites.OUTPUT,
) -> bool:
    """Whether `capture_answers` may compute these prompts `once`; the log says if it may not.

    Tried on the shortest and the longest prompt in one batch. A model with a limited window keeps
    only that many tokens in its cache. So nothing is left of a short prompt that is padded by more
    than the window. `answers` [n_prompts, 2] are token ids. Raises StudyError for a prompt beyond
    the model's context, and when one alone does not fit into the device's memory.
    """
    refuse_unknown(model, int(answers.max()))
    by_length = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    samples = (by_length[0], by_length[-1])
    sequences = _answered([prompts[sample] for sample in samples], answers[list(samples), 0])
    lengths = torch.tensor([len(sequence) for sequence in sequences], device=model.device)
    trial = [Batch(samples, pad(model, sequences), lengths)]

    def same(batch: Batch) -> bool:
        others = answers[list(batch.samples), 1].to(model.device)
        ids = batch.ids.clone()
        ids[torch.arange(len(ids), device=ids.device), batch.lengths - 1] = others
        alone = (batch, dataclasses.replace(batch, ids=ids))
        expected = torch.stack([read_at(model, side, Spots(site)) for side in alone], dim=1)
        most = 1e-3 if model.dtype == torch.float32 else 0.05
        return agree(_both_outputs(model, batch, others, site), expected, most)

    reason = why_not(lambda: all(agree for _, agree in on_each(trial, same)))
    if reason:
        print(
            f"The cache of {type(model.network).__name__} cannot be shared by two answers "
            f"({reason}), so every prompt runs twice.",
            file=sys.stderr,
            flush=True,
        )
    return reason is None


@torch.inference_mode()
def capture_answers(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    answers: torch.Tensor,
    names: Sequence[str],
    *,
    batch_tokens: int,
    once: bool,
    site: str = sites.OUTPUT,
) -> torch.Tensor:
    """Activations of all layers at the last token of prompt + answer, for two answers a prompt.

    `answers` [n_prompts, 2] are token ids. With `once`, the first answer runs after the prompt. The
    second runs alone, on the cached keys and values of the prompt. Without it, every prompt runs
    twice. `shares_prompts` says whether both give the same, but for rounding. Returns [n_prompts,
    2, n_layers, hidden] as `capture` does, and raises the same.
    """
    first = _answered(prompts, answers[:, 0])
    if not once:
        sides = (first, _answered(prompts, answers[:, 1]))
        return torch.stack(
            [
                capture(model, side, names, batch_tokens=batch_tokens, spots=Spots(site))
                for side in sides
            ],
            dim=1,
        )
    found = torch.empty((len(prompts), 2, model.n_layers, model.hidden), dtype=model.dtype)

    def both(batch: Batch) -> torch.Tensor:
        others = answers[list(batch.samples), 1].to(model.device)
        return _both_outputs(model, batch, others, site)

    for batch, read in on_each(batches_of(model, first, batch_tokens), both):
        found[list(batch.samples)] = read.cpu()
    for side in (0, 1):
        refuse_broken(found[:, side], names)
    return found


def _answered(prompts: Sequence[Sequence[int]], answers: torch.Tensor) -> list[list[int]]:
    return [[*ids, answer] for ids, answer in zip(prompts, answers.tolist(), strict=True)]


def _both_outputs(
    model: LanguageModel, batch: Batch, others: torch.Tensor, site: str = sites.OUTPUT
) -> torch.Tensor:
    """What all blocks have at a site at the last token, and at `others` [batch] in its place.

    Returns [batch, 2, n_layers, hidden].
    """
    rows = torch.arange(len(batch.samples), device=model.device)
    last = batch.lengths - 1
    with reading(model, at(rows, last), site) as first:
        cache = model.network.base_model(input_ids=batch.ids, use_cache=True).past_key_values
    prompt = torch.arange(batch.ids.shape[1], device=model.device) < last[:, None]
    with reading(model, at(rows, torch.zeros_like(last)), site) as second:
        model.network.base_model(
            input_ids=others[:, None],
            attention_mask=torch.cat([prompt, torch.ones_like(prompt[:, :1])], dim=1).long(),
            position_ids=last[:, None],
            past_key_values=cache,
            use_cache=True,
        )
    return torch.stack([torch.stack(first, dim=1), torch.stack(second, dim=1)], dim=1)
