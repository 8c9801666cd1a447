"""Which tokens of a batch are steered: `prompts.which_tokens` says what positions there are.

While a text is generated, `last` and the k-th from the end are counted from the end of its prompt,
which is marked. The generated text is the completion. So a token that is steered once is steered
whenever the text is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine.batches import Batch
from snakesteer.prompts.marks import INSTRUCTION
from snakesteer.prompts.which_tokens import AFTER, ALL, COMPLETION, LAST, PROMPT, From, Steered

END = "end"  # the mark of where a prompt ends, of texts that are being written

# The mark that a name is about, and whether it is the tokens from there on or those before it.
FROM_MARK = {
    AFTER: (INSTRUCTION, True),
    PROMPT: (COMPLETION, False),
    COMPLETION: (COMPLETION, True),
}

Positions = Steered


def mask(batch: Batch, positions: Positions) -> torch.Tensor | None:
    """Where states change, [batch, tokens]; None is everywhere.

    What it says of padding has no meaning.
    """
    if positions == ALL:
        return None
    places = batch.places
    if positions == LAST:
        positions = -1
    if isinstance(positions, int):
        return places == (batch.marks.get(END, batch.lengths) + positions)[:, None]
    mark, onwards = _mark(positions)
    found = places >= batch.marks[mark][:, None]
    return found if onwards else ~found


def places_of(
    ids: Sequence[int], marks: Mapping[str, Sequence[int]], positions: Positions
) -> list[int] | None:
    """The places of one sequence where states change; None is everywhere.

    `marks` are those of a batch of it alone.
    """
    marked = {name: torch.tensor(places) for name, places in marks.items()}
    alone = Batch((0,), torch.tensor([ids]), torch.tensor([len(ids)]), marks=marked)
    where = mask(alone, positions)
    return None if where is None else where[0].nonzero()[:, 0].tolist()


def _mark(positions: str | From) -> tuple[str, bool]:
    return (str(positions), True) if isinstance(positions, From) else FROM_MARK[positions]


def refuse_outside(
    positions: Positions,
    sequences: Sequence[Sequence[int]],
    marked: Mapping[str, Sequence[int]],
    names: Sequence[str],
) -> None:
    """Raise StudyError, naming the sample, for positions that a sequence does not have."""
    if isinstance(positions, int):
        for name, sequence in zip(names, sequences, strict=True):
            if not 1 <= -positions <= len(sequence):
                raise StudyError(
                    f"positions names {positions}, but {name} has only {len(sequence)} tokens; "
                    "name positions nearer the end, or remove such texts."
                )
    elif positions not in (ALL, LAST) and _mark(positions)[0] not in marked:
        raise StudyError(
            f"positions is {positions}, but {names[0]} has no {_mark(positions)[0]} to count "
            "from; give such texts a format, or name other positions."
        )
