"""How likely a text is to the unsteered model, behind its prompt: low where it reads as the model's
own.

Columns:
    SCORE (number): Perplexity of a text behind its prompt, to the unsteered model.
    SCORE_nll (number): Its mean loss per token, in nats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from snakesteer.engine.batches import Batch, batches_of
from snakesteer.engine.head import predictions
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, final_states
from snakesteer.measures.written import Written

COLUMNS = ("", "nll")
BATCH_TOKENS = 4096
UNSTEERED = Injection(())


def score(
    written: Written, settings: Mapping[str, Any], model: LanguageModel
) -> dict[str, list[float]]:
    """exp of the mean negative log-likelihood of a text's tokens, and that mean, in nats a token.

    The end token is left out; a text without a token has none.
    """
    places = [place for place, ids in enumerate(written.ids) if ids]
    starts = [max(1, len(written.prompt_ids[place])) for place in places]
    whole = [[*written.prompt_ids[place], *written.ids[place]] for place in places]

    def losses(batch: Batch) -> list[float]:
        states = final_states(model, batch, UNSTEERED, None)
        found = []
        for row, sample in enumerate(batch.samples):
            start, end = starts[sample], len(whole[sample])
            targets = batch.ids[row, start:end]
            _, loss = predictions(model, states[row, start - 1 : end - 1], targets)
            found.append(float(loss.double().mean()))
        return found

    means = [math.nan] * len(written.ids)
    with torch.inference_mode():
        for batch, found in on_each(batches_of(model, whole, BATCH_TOKENS), losses):
            for sample, mean in zip(batch.samples, found, strict=True):
                means[places[sample]] = mean
    return {"": [_exp(mean) for mean in means], "nll": means}


def _exp(nats: float) -> float:
    return math.exp(min(nats, 700.0))
