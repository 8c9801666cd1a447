"""About what a study will cost, before anything is run: jobs, tokens, GPU hours and disk.

Estimates; tokens and hours are a range where curves may stop early or a stated precision may take
fewer documents (`reads`). Padding, loading the model and the start of jobs are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from snakesteer.core.dtypes import ITEM_BYTES
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.corpora.drawing import SPLITS
from snakesteer.plan import models
from snakesteer.plan.artefacts import STAGES, Artefact, Product
from snakesteer.plan.plan import Plan
from snakesteer.plan.reads import DOCUMENT_BYTES, Count, Reading, Texts, counting, readings
from snakesteer.plan.resources import RUNS_A_MODEL, Size, documents_in, positions, samples
from snakesteer.sweeps.job import SweepJob

# Two operations a parameter and token, at 5,242 tokens a second with Llama-2-7b, which is what the
# authors' records of their coding experiments come to (19.85 hours for 374.6 million tokens).
TFLOPS = 2 * 6.74e9 * 5242 / 1e12
HEAD_LAYERS = 1  # what a pass does beside its layers, in layers


@dataclass(frozen=True)
class Item:
    """Jobs of one rule: all, those still to be run, and what these take, at least and at most."""

    rule: str
    jobs: int
    to_run: int
    least_tokens: int = 0
    tokens: int = 0
    least_gpu_hours: float = 0.0
    gpu_hours: float = 0.0
    gigabytes: float = 0.0


def bill(plan: Plan, tflops: float = TFLOPS) -> list[Item]:
    """An item per rule that fills the cache or makes what a person opens, in running order.

    `tflops` is the speed of one GPU in this work, in 10^12 operations a second. StudyError if it
    is no number above 0.
    """
    if not 0 < tflops < math.inf:
        raise StudyError(f"TFLOPS is {tflops:g}; give the speed of one GPU, a number above 0.")
    items, left = [], set()
    texts = Texts(plan.repository)
    for stage in STAGES:
        made = plan.artefacts(stage)
        if made:
            absent = [one for one in made if not all(Path(path).exists() for path in one.paths)]
            items.append(_item(stage, len(made), absent, plan, texts, tflops))
            left |= {path for one in absent for path in one.paths}
    for rule, products in _products(plan).items():
        to_make = [
            path
            for path, inputs in products.items()
            if not Path(path).exists() or not left.isdisjoint(inputs)
        ]
        if products:
            items.append(Item(rule, len(products), len(to_make)))
            left |= {*to_make}
    return items


def _products(plan: Plan) -> dict[str, dict[str, list[str]]]:
    """Rule -> a file of each of its products -> what that is made from."""

    def of(folder: str, ending: str, made: Mapping[str, Product]) -> dict[str, list[str]]:
        return {
            plan.path(folder, f"{name}.{ending}"): [
                path for paths in product.inputs.values() for path in paths
            ]
            for name, product in made.items()
        }

    return {
        "study_vector": {
            plan.path("vectors", f"{name}.safetensors"): plan.vectors[name].paths
            for name in plan.study.vectors
        },
        "table": of("tables", "parquet", plan.tables),
        "samples_page": {
            plan.path("tables", f"{name}.parquet"): made.paths
            for name, made in plan.samples.items()
        },
        "texts_page": {
            plan.path("samples", f"{name}.html"): list(plan.tables[name].inputs["sweeps"])
            for name in plan.texts
        },
        "study_published": of("tables", "parquet", plan.published),
        "slopes": of("effects", "slopes.parquet", plan.slopes),
        "control": of("effects", "control.parquet", plan.controls),
        "ranking": of("rankings", "arms.parquet", plan.rankings),
        "figure": of("figures", "pdf", plan.figures),
        "scorecard": of("scorecards", "parquet", plan.scorecards),
    }


def _item(
    stage: str, jobs: int, left: Iterable[Artefact], plan: Plan, texts: Texts, tflops: float
) -> Item:
    sized = [(one, models.size(plan.graph, one)) for one in left]
    read, operations, written = [0.0, 0.0], [0.0, 0.0], 0.0
    for one, size in sized:
        written += _bytes(one, size)
        if stage in RUNS_A_MODEL and size:
            for end, reading in enumerate(readings(one, texts, _count(plan, one))):
                read[end] += reading.tokens
                share = _evaluated(one, size, reading)
                operations[end] += 2 * size.parameters * reading.tokens * share
    least, most = (round(tokens) for tokens in read)
    least_hours, hours = (done / (tflops * 1e12) / 3600 for done in operations)
    return Item(stage, jobs, len(sized), least, most, least_hours, hours, written / 1e9)


def _count(plan: Plan, artefact: Artefact) -> Count:
    ((model, _),) = artefact.inputs["model"]
    made = plan.study.models[model.name].is_made
    return counting(None if made else models.folder(plan.graph, model.name))


def _evaluated(artefact: Artefact, size: Size, reading: Reading) -> float:
    """The share of the whole model that a token's pass evaluates, over all coefficients.

    On the shared path the layers up to the injections are evaluated once for all at which the same
    documents are read, or the same behaviour's questions asked.
    """
    if artefact.stage != "sweep":
        return 1.0
    job = read(SweepJob, artefact.settings)
    if job.path != "shared" or any(measured.read_on for measured in job.measures):
        return 1.0
    whole = size.layers + HEAD_LAYERS
    weights = [injected.points for injected in job.counted]
    shared = [injected.shared for injected in job.counted]
    below = sum(map(math.prod, zip(weights, shared, strict=True))) / sum(weights)
    return (max(shared) + reading.points * (whole - below)) / (reading.points * whole)


def _bytes(artefact: Artefact, size: Size | None) -> float:
    """About how large an artefact is; tables of numbers count as nothing beside the others."""
    settings: Any = artefact.settings
    match artefact.stage:
        case "documents" | "selected_documents":
            return float(DOCUMENT_BYTES * sum(documents_in(artefact, split) for split in SPLITS))
        case "activations" if size:
            each = size.layers * size.hidden * ITEM_BYTES[settings["dtype"]]
            return float(samples(artefact) * each * positions(artefact))
        case "mean" | "vector" | "resampled_vectors" | "drawn_vectors" if size:
            each = size.layers * size.hidden * ITEM_BYTES["float32"] * positions(artefact)
            return float(settings.get("resamples", settings.get("draws", 1)) * each)
        case "model" if size and "revision" in settings:
            return size.weights
        case "gguf_model" if size:
            return size.parameters * ITEM_BYTES["float32"]
    return 0.0


def printed(items: list[Item], study: str, tflops: float) -> str:
    """The bill as lines to be read in a terminal."""
    titles = ("rule", "jobs", "to run", "tokens", "GPU hours", "disk (GB)")
    sums = [sum(column) for column in list(zip(*map(astuple, items), strict=True))[1:]]
    lines = [
        f"{name:<28}{jobs:>6}{to_run:>8}{_range(f'{least:,}', f'{most:,}'):>34}"
        f"{_range(f'{least_hours:.2f}', f'{most_hours:.2f}'):>22}{disk:>11.2f}"
        for name, jobs, to_run, least, most, least_hours, most_hours, disk in (
            *map(astuple, items),
            ("total", *sums),
        )
    ]
    head = "{:<28}{:>6}{:>8}{:>34}{:>22}{:>11}".format(*titles)
    return "\n".join(
        [
            f"Estimate for the study {study}; nothing was run.",
            "",
            head,
            *lines,
            "",
            "Tokens count what is still to run, from fewest to most where curves or texts can "
            "end early.",
            f"Documents that do not exist yet count as {DOCUMENT_BYTES:,} characters each.",
            f"GPU hours assume {tflops:g} TFLOP/s per GPU (set another speed with TFLOPS=...) "
            "and exclude padding, loading and starting.",
            f"Disk counts {DOCUMENT_BYTES:,} bytes per document and nothing for tables.",
        ]
    )


def _range(least: str, most: str) -> str:
    return least if least == most else f"{least} to {most}"
