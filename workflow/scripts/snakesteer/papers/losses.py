"""The authors' next-token losses on corpora as rows of this workflow's tables.

A file has for each corpus the mean loss, its exponential and the number of tokens. They are of the
unsteered model, of a direction taken out, or of one added (Arditi et al. 2024). Their third corpus,
`alpaca_custom_completions`, is left out: its texts, completions by their models, are not published.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.papers.candidates import LARGEST
from snakesteer.papers.source import read_results
from snakesteer.tables.next_token import PERPLEXITY, SKILL_COLUMNS

_NUMBERS = ("ce_loss", "perplexity", "n_tokens")
_LEAST = {"ce_loss": 0, "perplexity": 1}
_ROUNDING = 1e-6  # nats, between a loss and the logarithm of its perplexity


def read(settings: Mapping[str, Any], part: str, path: str, content: bytes) -> pd.DataFrame:
    """The losses of one file, whose coefficient is `part`."""
    return read_losses(path, content, settings["corpora"])


def table(settings: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The losses of all files; see `loss_table`.

    Columns, a row for each published loss:
        * (as tables.next_token.table)
    """
    losses = {float(of): rows[path] for of, path in settings["files"].items() if path in rows}
    target = next(iter(settings["corpora"]))
    return loss_table(settings["sweep"], settings["vector"], settings["layer"], losses, target)


def read_losses(path: str, content: bytes, corpora: Mapping[str, str]) -> pd.DataFrame:
    """`corpus`, `tokens`, `nll` (per token, in nats) and `perplexity` of each corpus of a file.

    `corpora` maps our names to the file's keys. Raises StudyError for a corpus that it lacks, and
    for other keys or values of one.
    """
    held = read_results(path, content)
    rows = []
    for corpus, key in corpora.items():
        if key not in held:
            raise StudyError(f"{path} lacks the corpus {key} (it has {', '.join(held)})")
        numbers = held[key]
        keys = list(numbers) if isinstance(numbers, Mapping) else []
        if set(keys) != set(_NUMBERS):
            raise StudyError(
                f"{path}: {key} has {', '.join(keys) or 'no numbers'}; {', '.join(_NUMBERS)} were "
                "expected"
            )
        loss, perplexity, tokens = (numbers[name] for name in _NUMBERS)
        if type(tokens) is not int or tokens < 1:
            raise StudyError(f"{path}: {key}.n_tokens is {tokens!r}; a number above 0 was expected")
        for name, least in _LEAST.items():
            if type(numbers[name]) not in (int, float) or not least <= numbers[name] < LARGEST:
                raise StudyError(
                    f"{path}: {key}.{name} is {numbers[name]!r}; a number from {least} on was "
                    "expected"
                )
        if not math.isclose(math.log(perplexity), loss, abs_tol=_ROUNDING):
            raise StudyError(f"{path}: {key} has perplexity {perplexity}, which is not e to {loss}")
        rows.append({"corpus": corpus, "tokens": tokens, "nll": loss, "perplexity": perplexity})
    return pd.DataFrame(rows)


def loss_table(
    sweep: str, vector: str, layer: str, losses: Mapping[float, pd.DataFrame], target: str
) -> pd.DataFrame:
    """The losses by coefficient as one table: `SKILL_COLUMNS` and `PERPLEXITY`.

    0 is the unsteered model. `layer` is the label of the layers steered, and `target` the corpus
    with the role "target". Accuracies and intervals are NaN: they are not published.
    """
    columns = [*SKILL_COLUMNS, *PERPLEXITY]
    if not losses:
        return pd.DataFrame(columns=columns)
    parts = [
        rows.assign(coefficient=coefficient, unsteered=coefficient == 0)
        for coefficient, rows in losses.items()
    ]
    found = pd.concat(parts, ignore_index=True).assign(sweep=sweep, vector=vector, layer=layer)
    found["role"] = np.where(found["corpus"] == target, "target", "other")
    return found.assign(**{name: np.nan for name in columns if name not in found})[columns]
