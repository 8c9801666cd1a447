"""Greedy continuations of prompts under steering, to be read by a person.

What is written is the completion of its prompt: `all`, `completion`, `after_instruction` and from a
marker on, every token that is written is steered when it is read, `prompt`, `last` and the k-th
from the end, which are counted in the prompt, none. So the first token that is written is steered
by the prompt's tokens alone, and with `completion` by none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import torch

from snakesteer.core.labels import layer_label
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import Batch, pad
from snakesteer.engine.head import greedy, logits_of
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.positions import END
from snakesteer.engine.steering import Injection, final_states, refuse_overflow
from snakesteer.prompts import marks
from snakesteer.prompts.marks import How, Marked

SCHEMA = pa.schema(
    [
        ("prompt", pa.string()),
        ("vector", pa.string()),
        ("layer", pa.string()),
        ("coefficient", pa.float64()),
        ("continuation", pa.string()),
    ]
)


def run(
    model: LanguageModel,
    injections: Mapping[str, Injection],
    coefficients: Sequence[float],
    prompts: Sequence[str],
    *,
    tokens: int = 40,
    how: How = marks.USUAL,
    progress: Progress | None = None,
) -> pa.Table:
    """Continue each prompt, in its format, by `tokens` greedy tokens, old and new ones steered.

    `injections` are named by their vector. A continuation ends early at one of `end_tokens`, which
    it does not show, as it does other special tokens, or where the model's context is full. Returns
    a row per injection, coefficient and prompt, in this order: `prompt`, `vector`, `layer` ("3", or
    "2+4" for several), `coefficient`, `continuation`. Raises StudyError as `marks.begun` does, and
    for NaN or infinity.
    """
    begun = [marks.begun(model.tokenizer, prompt, how) for prompt in prompts]
    lengths = [len(text.ids) for text in begun]
    read = sum(sum(range(length, length + tokens)) for length in lengths)
    progress = progress or Progress()
    progress.start(len(injections) * len(coefficients) * read)
    rows = [
        {
            "prompt": prompt,
            "vector": vector,
            "layer": layer_label(injection.layers),
            "coefficient": float(coefficient),
            "continuation": continuation,
        }
        for vector, injection in injections.items()
        for coefficient in coefficients
        for prompt, continuation in zip(
            prompts,
            _continue(model, injection, float(coefficient), prompts, begun, tokens, progress),
            strict=True,
        )
    ]
    progress.finish()
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def end_tokens(model: LanguageModel) -> set[int]:
    """The token ids that end a text: all that the model's generation configuration names (its own
    file, or else what `config.json` says), and the tokenizer's."""
    named = model.network.generation_config.eos_token_id
    ends = set(named) if isinstance(named, list) else {named}
    return {*ends, model.tokenizer.eos_token_id} - {None}


def _continue(
    model: LanguageModel,
    injection: Injection,
    coefficient: float,
    prompts: Sequence[str],
    begun: Sequence[Marked],
    tokens: int,
    progress: Progress,
) -> list[str]:
    """What follows the `prompts`, whose tokens are `begun`."""
    ends = end_tokens(model)
    sequences = [list(text.ids) for text in begun]
    starts = [len(text.ids) for text in begun]
    marked = {END: starts, **marks.columns(begun)}

    def may_grow(place: int) -> bool:
        length = len(sequences[place])
        ended = length > starts[place] and sequences[place][-1] in ends
        return not ended and (model.context is None or length < model.context)

    going = list(range(len(sequences)))
    for _ in range(tokens):
        going = [place for place in going if may_grow(place)]
        if not going:
            break
        chosen = [sequences[place] for place in going]
        lengths = torch.tensor([len(sequence) for sequence in chosen], device=model.device)
        here = {
            name: torch.tensor([places[place] for place in going], device=model.device)
            for name, places in marked.items()
        }
        batch = Batch(tuple(going), pad(model, chosen), lengths, marks=here)
        states = final_states(model, batch, injection, coefficient)
        rows = torch.arange(len(going), device=states.device)
        last = states[rows, lengths.to(states.device) - 1]
        logits = logits_of(model, last)
        names = [f"the prompt {prompts[place]!r}" for place in going]
        greatest = logits.amax(dim=1).double().cpu().numpy()
        refuse_overflow(greatest, names, layer_label(injection.layers), coefficient)
        for place, token in zip(going, greedy(logits).tolist(), strict=True):
            sequences[place].append(token)
        progress.step(int(lengths.sum()))
    continuations = []
    for sequence, start in zip(sequences, starts, strict=True):
        written = sequence[start:]
        shown = written[:-1] if written and written[-1] in ends else written
        continuations.append(str(model.tokenizer.decode(shown)))
    return continuations
