"""What steering some tokens costs beside steering all, in seconds of a sweep.

    PYTHONPATH=workflow/scripts python benchmarks/positions.py

At each layer both run in turns on the shared path, on random weights of SmolLM2's shape unless
another model is named; the ratio is that of the medians. Steered are the tokens from the middle of
each document on. Seconds are those of the processors, or on a GPU those of the wall. See
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
from typing import Any

import measure
import numpy as np
import workload
from workload import WORKLOADS, Documents

from snakesteer.engine.models import DTYPES, LanguageModel
from snakesteer.measures import next_token
from snakesteer.prompts.marks import INSTRUCTION
from snakesteer.prompts.which_tokens import AFTER, ALL
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.runner import Asked


def run(
    model: LanguageModel,
    documents: Documents,
    vector: np.ndarray,
    layer: int,
    coefficients: Sequence[float],
    batch_tokens: int,
    positions: str,
) -> None:
    """One sweep of next-token accuracy, with the vector added at these positions."""
    corpora = {}
    for name, corpus in documents.corpora.items():
        middles = [len(ids) // 2 for ids in corpus.sequences]
        corpora[name] = replace(corpus, marks={INSTRUCTION: middles})
    added = part(layer, vector[layer], "add", positions=positions)
    steering = Steering("own", (added,), tuple(coefficients), {"tokens": tuple(corpora)})
    with contextlib.redirect_stderr(io.StringIO()):
        asked = [Asked("tokens", next_token, corpora)]
        runner.run(model, asked, [steering], batch_tokens=batch_tokens)


def main() -> None:
    """Measure, print the ratios and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=WORKLOADS, default="smollm2")
    parser.add_argument("--tokens", type=int, help="predicted tokens per corpus and point")
    parser.add_argument("--dtype", choices=DTYPES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--layers", type=int, nargs="+", help="three, evenly spread, if left out")
    parser.add_argument("--coefficients", type=int, default=6, help="how many, 0 among them")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    work = WORKLOADS[options.model]
    dtype = options.dtype or work.dtype
    documents = workload.read(work, options.tokens or work.tokens)
    model = workload.load(work, dtype, options.device)
    vector = workload.vector(model, documents)
    coefficients = np.linspace(0, 6, options.coefficients).tolist()
    print(
        f"{options.model}: {model.n_layers} layers × {model.hidden}, {dtype}, {model.device.type}, "
        f"{workload.THREADS} threads\n{len(coefficients)} coefficients × {documents.tokens:,} "
        f"tokens; medians of {options.repeats}\n\n{'layer':>5} {'all':>9} {'some':>9} {'ratio':>6}",
        flush=True,
    )
    rows: list[dict[str, Any]] = []
    for layer in options.layers or workload.spread(model.n_layers, 3):
        ways: dict[str, Callable[[], None]] = {}
        for name, positions in (("all", ALL), ("some", AFTER)):
            given = (model, documents, vector, layer, coefficients, work.batch_tokens, positions)
            ways[name] = partial(run, *given)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.repeats):
            for name, act in ways.items():
                taken[name].append(measure.processor_seconds(model.device, act))
        row = {name: statistics.median(times) for name, times in taken.items()}
        rows.append({"layer": layer, **row, "ratio": row["some"] / row["all"]})
        print(
            f"{layer:>5} {row['all']:>9.2f} {row['some']:>9.2f} {rows[-1]['ratio']:>6.3f}",
            flush=True,
        )
    total = sum(row["some"] for row in rows) / sum(row["all"] for row in rows)
    print(f"\nAll layers: {total:.3f}")
    measure.write(f"positions-{options.model}-{dtype}", rows, {**vars(options), "dtype": dtype})


if __name__ == "__main__":
    main()
