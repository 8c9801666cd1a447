"""Which tokens of a batch are steered.

all                every token
last               the last token of each sequence
-k                 the k-th token from the end; -1 is the last
after_instruction  every token after the instruction
prompt             every token before the completion
completion         every token of it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine.batches import Batch

ALL, LAST = "all", "last"

# The mark that a name is about, and whether it is the tokens from there on or those before it.
FROM_MARK = {
    "after_instruction": ("instruction", True),
    "prompt": ("completion", False),
    "completion": ("completion", True),
}

Positions = str | int


def mask(batch: Batch, positions: Positions) -> torch.Tensor | None:
    """Where states change, [batch, tokens]; None is everywhere.

    What it says of padding has no meaning.
    """
    if positions == ALL:
        return None
    places = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    if positions == LAST:
        positions = -1
    if isinstance(positions, int):
        return places == (batch.lengths + positions)[:, None]
    mark, onwards = FROM_MARK[positions]
    found = places >= batch.marks[mark][:, None]
    return found if onwards else ~found


def refuse_outside(
    positions: Positions,
    sequences: Sequence[Sequence[int]],
    marks: Mapping[str, Sequence[int]],
    names: Sequence[str],
) -> None:
    """Raise StudyError, naming the sample, for positions that a sequence does not have."""
    if isinstance(positions, int):
        for name, sequence in zip(names, sequences, strict=True):
            if not 1 <= -positions <= len(sequence):
                raise StudyError(
                    f"positions names {positions}, but {name} has {len(sequence)} tokens only; "
                    "name nearer ones, or leave such texts out."
                )
    elif positions in FROM_MARK and FROM_MARK[positions][0] not in marks:
        raise StudyError(
            f"positions is {positions}, but {names[0]} has no {FROM_MARK[positions][0]} to count "
            "from; give such texts a format, or name other positions."
        )
