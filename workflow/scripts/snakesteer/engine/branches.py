"""Texts that begin alike in one sequence: their common beginning once, then the rest of each.

Such a sequence has `forks`, the columns (0-based) where its branches begin. The stem is what
precedes the first branch. Each text is the stem and one branch, and its tokens keep the positions
that they have in the text alone. A token attends to the stem and to its own branch, as in the tree
attention of SpecInfer (Miao et al., 2024). A sequence without forks is one text.
"""

from __future__ import annotations

import inspect
import os.path
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from snakesteer.engine.batches import Forks, batches_of, paths
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, final_states
from snakesteer.engine.trials import agree, why_not

# What configurations call the number of tokens that a layer sees back, or in one piece.
WINDOWS = ("sliding_window", "attention_window_size", "attention_chunk_size", "window_size")


@dataclass(frozen=True)
class Tree:
    """Token `ids` of texts that begin alike, and the `forks` among them."""

    ids: list[int]
    forks: Forks

    @property
    def texts(self) -> list[list[int]]:
        """The texts, each by itself."""
        return texts(self.ids, self.forks)


def joined(several: Sequence[list[int]]) -> Tree:
    """Two or more texts in one sequence."""
    stem = len(os.path.commonprefix(list(several)))
    ids, forks = several[0][:stem], []
    for text in several:
        forks.append(len(ids))
        ids = ids + text[stem:]
    return Tree(ids, tuple(forks))


def texts(ids: Sequence[int], forks: Forks) -> list[list[int]]:
    """The texts of a sequence, each by itself."""
    return [[ids[column] for column in path] for path in paths(forks, len(ids))]


def longest(model: LanguageModel) -> int | None:
    """The most columns of a sequence with forks, None if there is no limit.

    With more tokens, an architecture that counts columns would exceed its context or, in some
    layer, its window. The mask of a sequence with forks does not have that window.
    """
    config = model.network.config.get_text_config()
    limits = [model.context, *(getattr(config, name, None) for name in WINDOWS)]
    return min(filter(None, limits), default=None)


@torch.inference_mode()
def why_apart(model: LanguageModel, trees: Sequence[Tree]) -> str | None:
    """Why each text has to run by itself, None if sequences with forks give the same.

    Tried on the shortest and the longest of the trees. Raises StudyError where one alone does not
    fit into the device's memory.
    """
    if model.short_context is not None:
        return f"its position embedding changes after {model.short_context} tokens"
    if model.compiled:
        return "its blocks are compiled for texts without a mask"
    if "position_ids" not in inspect.signature(model.network.base_model.forward).parameters:
        return "it does not accept the positions of tokens"
    ordered = sorted(trees, key=lambda tree: len(tree.ids))
    tried = [ordered[0], ordered[-1]]
    most = 1e-3 if model.dtype == torch.float32 else 0.05

    def same() -> bool:
        for tree in tried:
            (whole,) = _states(model, [tree.ids], [tree.forks])
            apart = _states(model, tree.texts)
            for path, alone in zip(paths(tree.forks, len(tree.ids)), apart, strict=True):
                if not agree(whole[path], alone[: len(path)], most):
                    return False
        return True

    return why_not(same)


def _states(
    model: LanguageModel, sequences: Sequence[list[int]], forks: Sequence[Forks] = ()
) -> list[torch.Tensor]:
    """Output of the last block for each sequence, unsteered, [tokens, hidden], padding included."""
    found: dict[int, torch.Tensor] = {}
    together = sum(map(len, sequences))
    planned = batches_of(model, sequences, together, forks=forks)
    unsteered = Injection(())
    for batch, states in on_each(planned, lambda one: final_states(model, one, unsteered, None)):
        found |= zip(batch.samples, states, strict=True)
    return [found[place] for place in range(len(sequences))]
