"""What `divergence` costs beside `next_token`: seconds of a sweep of both over those of one.

    PYTHONPATH=workflow/scripts python benchmarks/divergence.py

At each layer both run in turns, on random weights of SmolLM2's shape unless another model is named;
the ratio is that of the medians. Seconds are those of the processors, which others on the machine
leave alone, or on a GPU those of the wall. `last` and `all` say at which tokens it is taken. See
docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import measure
import numpy as np
import workload
from workload import WORKLOADS, Documents

from snakesteer.engine.models import DTYPES, LanguageModel
from snakesteer.measures import divergence, next_token
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.runner import Asked

WAYS = ("alone", "last", "all")


def run(
    model: LanguageModel,
    documents: Documents,
    vector: np.ndarray,
    layer: int,
    coefficients: Sequence[float],
    batch_tokens: int,
    over: Literal["last", "all"] | None,
) -> None:
    """One sweep of next-token accuracy, and of the divergence `over` these tokens, if any."""
    asked = [Asked("tokens", next_token, documents.corpora)]
    if over:
        texts = {}
        for name, corpus in documents.corpora.items():
            of = divergence.DOCUMENTS
            texts[name] = divergence.Texts(corpus.names, corpus.sequences, of, over)
        asked.append(Asked("divergence", divergence, texts))
    sources = {each.name: tuple(documents.corpora) for each in asked}
    steering = Steering("own", (part(layer, vector[layer], "add"),), tuple(coefficients), sources)
    with contextlib.redirect_stderr(io.StringIO()):
        runner.run(model, asked, [steering], batch_tokens=batch_tokens)


def main() -> None:
    """Measure, print the ratios and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=WORKLOADS, default="smollm2")
    parser.add_argument("--tokens", type=int, help="predicted tokens per corpus and point")
    parser.add_argument("--max-tokens", type=int, help="where documents are cut")
    parser.add_argument("--dtype", choices=DTYPES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--layers", type=int, nargs="+", help="four, evenly spread, if left out")
    parser.add_argument("--coefficients", type=int, default=8, help="how many, 0 among them")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    work = WORKLOADS[options.model]
    dtype = options.dtype or work.dtype
    work = replace(work, max_tokens=options.max_tokens or work.max_tokens)
    documents = workload.read(work, options.tokens or work.tokens)
    model = workload.load(work, dtype, options.device)
    vector = workload.vector(model, documents)
    coefficients = np.linspace(0, 6, options.coefficients).tolist()
    layers = options.layers or [*workload.spread(model.n_layers, 3), model.n_layers - 1]
    print(
        f"{options.model}: {model.n_layers} layers × {model.hidden}, vocabulary "
        f"{model.vocabulary:,}, {dtype}, {model.device.type}, {workload.THREADS} threads\n"
        f"{len(coefficients)} coefficients × {documents.tokens:,} tokens; medians of "
        f"{options.repeats}\n\n"
        f"{'layer':>5} {'next_token':>11} {'+ last':>9} {'ratio':>6} {'+ all':>9} {'ratio':>6}",
        flush=True,
    )
    rows: list[dict[str, Any]] = []
    for layer in layers:
        ways: dict[str, Callable[[], None]] = {}
        for way in WAYS:
            over = None if way == "alone" else way
            given = (model, documents, vector, layer, coefficients, work.batch_tokens, over)
            ways[way] = partial(run, *given)
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(options.repeats):
            for way, act in ways.items():
                taken[way].append(measure.processor_seconds(model.device, act))
        row = {way: statistics.median(times) for way, times in taken.items()}
        last, every = (row[way] / row["alone"] for way in ("last", "all"))
        rows.append({"layer": layer, **row, "ratio_last": last, "ratio_all": every})
        print(
            f"{layer:>5} {row['alone']:>11.2f} {row['last']:>9.2f} {last:>6.3f} "
            f"{row['all']:>9.2f} {every:>6.3f}",
            flush=True,
        )
    totals = {way: sum(row[way] for row in rows) for way in WAYS}
    ratios = [totals[way] / totals["alone"] for way in ("last", "all")]
    print(f"\nAll layers: {ratios[0]:.3f} at the last token, {ratios[1]:.3f} over all tokens")
    measure.write(f"divergence-{options.model}-{dtype}", rows, {**vars(options), "dtype": dtype})


if __name__ == "__main__":
    main()
