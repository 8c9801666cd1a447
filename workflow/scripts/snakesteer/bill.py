"""What a study will cost, before anything is run: jobs, tokens, GPU hours and disk.

All are upper bounds: curves may stop early, documents be shorter than `max_tokens`, and a stated
precision take fewer of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from snakesteer.dtypes import ITEM_BYTES
from snakesteer.plan import Plan
from snakesteer.resources import RUNS_A_MODEL, Size, points, samples, tokens
from snakesteer.stages import STAGES, Artefact

# Two operations a parameter and token, at 5,242 tokens a second with Llama-2-7b, which is what the
# authors' records of their coding experiments come to (19.85 hours for 374.6 million tokens).
TFLOPS = 2 * 6.74e9 * 5242 / 1e12
HEAD_LAYERS = 1  # what a pass does beside its layers, in layers
DOCUMENT_BYTES = 4000


@dataclass(frozen=True)
class Item:
    """Jobs of one rule: all, those still to be run, and what these take."""

    rule: str
    jobs: int
    to_run: int
    tokens: int
    gpu_hours: float
    gigabytes: float


def bill(plan: Plan, tflops: float = TFLOPS) -> list[Item]:
    """An item per rule that fills the cache, and one for what a person opens, in running order.

    `tflops` is the speed of one GPU in this work, in 10^12 operations a second.
    """
    items = []
    for stage in STAGES:
        made = plan.artefacts(stage)
        if made:
            left = [one for one in made if not all(Path(path).exists() for path in one.paths)]
            items.append(_item(stage, len(made), left, plan, tflops))
    products = [*plan.tables, *plan.samples, *plan.published, *plan.figures, *plan.scorecards]
    items.append(Item("tables, figures, scorecards", len(products), len(products), 0, 0.0, 0.0))
    return items


def _item(stage: str, jobs: int, left: Iterable[Artefact], plan: Plan, tflops: float) -> Item:
    sized = [(one, plan.size(one)) for one in left]
    read, operations, written = 0, 0.0, 0.0
    for one, size in sized:
        written += _bytes(one, size)
        if stage in RUNS_A_MODEL and size:
            read += tokens(one)
            operations += 2 * size.parameters * tokens(one) * _evaluated(one, size)
    return Item(stage, jobs, len(sized), read, operations / (tflops * 1e12) / 3600, written / 1e9)


def _evaluated(artefact: Artefact, size: Size) -> float:
    """The share of the whole model that a token's pass evaluates, over all coefficients.

    On the shared path the layers up to the injection are evaluated once for all of them.
    """
    settings = artefact.settings
    if settings.get("path") != "shared":
        return 1.0
    if artefact.stage == "skill_sweep":
        shared_by = len(settings["coefficients"])
    else:
        shared_by = sum(points(injection["runs"]) for injection in settings["injections"])
    below = 1 + min(layer for layers in settings["layers"].values() for layer in layers)
    whole = size.layers + HEAD_LAYERS
    return (below + shared_by * (whole - below)) / (shared_by * whole)


def _bytes(artefact: Artefact, size: Size | None) -> float:
    """About how large an artefact is; tables of numbers count as nothing beside the others."""
    settings: Any = artefact.settings
    match artefact.stage:
        case "documents":
            return float(DOCUMENT_BYTES * (settings["train"] + settings["validation"]))
        case "activations" if size:
            each = size.layers * size.hidden * ITEM_BYTES[settings["dtype"]]
            return float(samples(artefact) * each)
        case "mean" | "vector" if size:
            return float(size.layers * size.hidden * ITEM_BYTES["float32"])
        case "model" if size and "revision" in settings:
            return size.weights
    return 0.0


def printed(items: list[Item], study: str, tflops: float) -> str:
    """The bill as lines to be read in a terminal."""
    titles = ("rule", "jobs", "to run", "tokens", "GPU hours", "disk (GB)")
    sums = [sum(column) for column in list(zip(*map(astuple, items), strict=True))[1:]]
    rows = [astuple(item) for item in items] + [("total", *sums)]
    lines = [
        f"{name:<28}{jobs:>6}{to_run:>8}{read:>18,}{hours:>11.2f}{disk:>11.2f}"
        for name, jobs, to_run, read, hours, disk in rows
    ]
    head = "{:<28}{:>6}{:>8}{:>18}{:>11}{:>11}".format(*titles)
    return "\n".join(
        [
            f"The study {study}, at most; nothing was run.",
            "",
            head,
            *lines,
            "",
            f"GPU hours are at {tflops:g} TFLOP/s a GPU; TFLOPS=... sets another speed.",
        ]
    )
