"""The experiments as a naive loop: one text at a time, hooks on the blocks, `topk`.

Shares no code with the package; tests hold the package against it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch

Blocks = Sequence[torch.nn.Module]
Parts = Sequence[tuple[int, torch.Tensor]]


def forward(
    network: torch.nn.Module,
    blocks: Blocks,
    ids: list[int],
    parts: Parts = (),
    coefficient: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [tokens, vocabulary] and block outputs [n_layers, tokens, hidden] of one text."""
    outputs: dict[int, torch.Tensor] = {}

    def hook(layer: int) -> Callable[..., Any]:
        def steer(_module: torch.nn.Module, _args: Any, output: Any) -> Any:
            states = output[0] if isinstance(output, tuple) else output
            for at, vector in parts:
                if at == layer and coefficient != 0:
                    states = states + coefficient * vector.to(states.dtype)
            outputs[layer] = states[0]
            return (states, *output[1:]) if isinstance(output, tuple) else states

        return steer

    handles = [block.register_forward_hook(hook(i)) for i, block in enumerate(blocks)]
    with torch.no_grad():
        logits = network(torch.tensor([ids])).logits[0].float()
    for handle in handles:
        handle.remove()
    return logits, torch.stack([outputs[layer] for layer in range(len(blocks))])


def skill(
    network: torch.nn.Module,
    blocks: Blocks,
    ids: list[int],
    parts: Parts,
    coefficient: float,
    skip: Collection[int],
) -> tuple[dict[str, int], float, list[float]]:
    """Counts and summed loss of one document, and by token how near its top-1 or top-10 is."""
    logits = forward(network, blocks, ids, parts, coefficient)[0][:-1]
    counts = dict(tokens=0, top1=0, top10=0, kept=0, kept_top1=0, kept_top10=0)
    margins = []
    for row, target in zip(logits, ids[1:], strict=True):
        best = row.topk(10)
        hits = {"top1": target == best.indices[0], "top10": target in best.indices[:10]}
        for name, hit in hits.items():
            counts[name] += int(hit)
            counts[f"kept_{name}"] += int(hit and target not in skip)
        counts["tokens"] += 1
        counts["kept"] += int(target not in skip)
        others = torch.cat([row[:target], row[target + 1 :]]).topk(10).values
        margins.append(float((others[[0, 9]] - row[target]).abs().min()))
    nll = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum")
    return counts, float(nll), margins


def answer(
    network: torch.nn.Module,
    blocks: Blocks,
    tokenizer: Any,
    ids: list[int],
    parts: Parts,
    coefficient: float,
) -> tuple[str, torch.Tensor, float]:
    """What follows the last "(" of the continued text, the last logits, and the greedy lead."""
    logits = forward(network, blocks, ids, parts, coefficient)[0][-1]
    best = logits.topk(2)
    text = tokenizer.decode([*ids, int(best.indices[0])]).split("(")[-1]
    return text, logits, float(best.values[0] - best.values[1])


def last_activations(network: torch.nn.Module, blocks: Blocks, ids: list[int]) -> torch.Tensor:
    """Block outputs at the last token, [n_layers, hidden]."""
    return forward(network, blocks, ids)[1][:, -1]
