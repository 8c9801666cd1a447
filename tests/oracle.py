"""The experiments as a naive loop: one text at a time, hooks on the blocks, `topk`.

Shares no code with the package; tests hold the package against it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import torch

Blocks = Sequence[torch.nn.Module]


class Part(NamedTuple):
    """What is done at a site of a block, to the tokens `where` (all if None).

    `constant` is a coefficient of its own in place of the swept one.
    """

    layer: int
    vector: torch.Tensor
    site: str = "output"
    how: str = "add"
    where: Collection[int] | None = None
    constant: float | None = None


Parts = Sequence[tuple[Any, ...]]


def steered(part: Part, states: torch.Tensor, swept: float) -> torch.Tensor:
    """States [1, tokens, hidden] after a part has acted on them, token by token."""
    coefficient = swept if part.constant is None else part.constant
    unit = part.vector.double() / part.vector.double().norm()
    projection = torch.outer(unit, unit)
    changed = states.clone()
    for token, given in enumerate(states[0].double()):
        if part.where is not None and token not in part.where:
            continue
        if part.how == "add":
            state = given + coefficient * part.vector.double()
        elif part.how == "ablate":
            state = given - coefficient * (projection @ given)
        else:
            state = given - projection @ given + coefficient * unit
        changed[0, token] = state.to(states.dtype)
    return changed


def module_of(block: torch.nn.Module, site: str) -> torch.nn.Module:
    """What a hook goes on."""
    if site in ("output", "input"):
        return block
    names = {"attention": ("self_attn", "attention", "attn"), "mlp": ("mlp",)}[site]
    (name,) = [name for name, _ in block.named_children() if name in names]
    return block.get_submodule(name)


@contextlib.contextmanager
def hooked(blocks: Blocks, parts: Sequence[Part], coefficient: float) -> Iterator[None]:
    """A hook for every part, in their order."""

    def before(part: Part) -> Callable[..., Any]:
        def act(_module: torch.nn.Module, args: Any) -> Any:
            return (steered(part, args[0], coefficient), *args[1:])

        return act

    def after(part: Part) -> Callable[..., Any]:
        def act(_module: torch.nn.Module, _args: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (steered(part, output[0], coefficient), *output[1:])
            return steered(part, output, coefficient)

        return act

    handles = []
    for part in parts:
        module = module_of(blocks[part.layer], part.site)
        if part.site == "input":
            handles.append(module.register_forward_pre_hook(before(part)))
        else:
            handles.append(module.register_forward_hook(after(part)))
    yield
    for handle in handles:
        handle.remove()


def forward(
    network: torch.nn.Module,
    blocks: Blocks,
    ids: list[int],
    parts: Parts = (),
    coefficient: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [tokens, vocabulary] and block outputs [n_layers, tokens, hidden] of one text."""
    outputs: dict[int, torch.Tensor] = {}

    def reading(layer: int) -> Callable[..., Any]:
        def read(_module: torch.nn.Module, _args: Any, output: Any) -> None:
            outputs[layer] = (output[0] if isinstance(output, tuple) else output)[0]

        return read

    with torch.no_grad(), hooked(blocks, [Part(*part) for part in parts], coefficient):
        handles = [block.register_forward_hook(reading(i)) for i, block in enumerate(blocks)]
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
    first: int = 1,
) -> tuple[dict[str, int], float, list[float]]:
    """Counts and summed loss of one document, and by token how near its top-1 or top-10 is.

    Tokens before the one at place `first` do not count.
    """
    logits = forward(network, blocks, ids, parts, coefficient)[0][first - 1 : -1]
    counts = dict(tokens=0, top1=0, top10=0, kept=0, kept_top1=0, kept_top10=0)
    margins = []
    for row, target in zip(logits, ids[first:], strict=True):
        best = row.topk(10)
        hits = {"top1": target == best.indices[0], "top10": target in best.indices[:10]}
        for name, hit in hits.items():
            counts[name] += int(hit)
            counts[f"kept_{name}"] += int(hit and target not in skip)
        counts["tokens"] += 1
        counts["kept"] += int(target not in skip)
        others = torch.cat([row[:target], row[target + 1 :]]).topk(10).values
        margins.append(float((others[[0, 9]] - row[target]).abs().min()))
    nll = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[first:]), reduction="sum")
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


def likelihood(
    network: torch.nn.Module,
    blocks: Blocks,
    ids: list[int],
    first: int,
    parts: Parts,
    coefficient: float,
) -> float:
    """The sum of the log-probabilities of a text's tokens from the one at place `first` on."""
    logits = forward(network, blocks, ids, parts, coefficient)[0].double()
    found = 0.0
    for place in range(first, len(ids)):
        found += float(torch.log_softmax(logits[place - 1], dim=0)[ids[place]])
    return found


def log_odds(logits: torch.Tensor, tokens: Sequence[int], epsilon: float = 0.0) -> float:
    """Of a set of tokens as the next one, in float64: as the code of Arditi et al. has it."""
    p = torch.softmax(logits.to(torch.float64), dim=-1)[list(tokens)].sum()
    return float(torch.log(p + epsilon) - torch.log(1 - p + epsilon))


def last_activations(network: torch.nn.Module, blocks: Blocks, ids: list[int]) -> torch.Tensor:
    """Block outputs at the last token, [n_layers, hidden]."""
    return forward(network, blocks, ids)[1][:, -1]
