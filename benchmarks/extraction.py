"""Activations of all layers against a bare forward pass over the same documents.

    PYTHONPATH=workflow/scripts python benchmarks/extraction.py

An extraction, as a job does it, reads the output of every block at each document's last token and
writes a file, shard by shard. Bare passes run the blocks without reading anything: a document at a
time, and in the engine's batches. They take turns; the extraction is held against the faster of the
two. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import measure
import torch
import workload
from workload import WORKLOADS

from snakesteer.engine.batches import batches_of
from snakesteer.engine.extraction import Documents, extract
from snakesteer.engine.models import DTYPES, LanguageModel
from snakesteer.storage.points import Points


@torch.inference_mode()
def bare(model: LanguageModel, inputs: Sequence[torch.Tensor]) -> None:
    """Forward passes over token ids [batch, tokens], without the head."""
    for ids in inputs:
        model.network.base_model(input_ids=ids, use_cache=False)


def main() -> None:
    """Measure, print a table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=WORKLOADS, default="miniature")
    parser.add_argument("--tokens", type=int, help="of each corpus")
    parser.add_argument("--dtype", choices=DTYPES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    work = WORKLOADS[options.model]
    dtype = options.dtype or work.dtype
    sequences = workload.read(work, options.tokens or work.tokens, "train").sequences
    model = workload.load(work, dtype, options.device)
    documents = Documents([str(number) for number in range(len(sequences))], sequences)
    one_at_a_time = [torch.tensor([ids], device=model.device) for ids in sequences]
    in_batches = [batch.ids for batch in batches_of(model, sequences, work.batch_tokens)]

    def extraction() -> None:
        with tempfile.TemporaryDirectory() as folder:
            extract(
                Path(folder) / "activations.safetensors",
                model,
                documents,
                {},
                batch_tokens=work.batch_tokens,
                points=Points.of({}, Path(folder)),
            )

    ways = {
        "activations": extraction,
        "bare, one at a time": lambda: bare(model, one_at_a_time),
        "bare, in batches": lambda: bare(model, in_batches),
    }
    for act in ways.values():
        act()
    taken = measure.in_turns(model.device, ways, options.repeats)
    seconds = {way: statistics.median(times) for way, times in taken.items()}
    tokens = sum(map(len, sequences))
    print(
        f"{options.model}, {dtype}, {model.device.type}, {workload.THREADS} threads: {tokens:,} "
        f"tokens of {len(sequences)} documents, median of {options.repeats}"
    )
    print(f"{'':20}   seconds  tokens/s")
    for way, median in seconds.items():
        print(f"{way:20} {median:9.3f} {tokens / median:9,.0f}")
    engine, *passes = seconds.values()
    print(f"Activations of all layers take {engine / min(passes):.3f} times the faster bare pass")
    rows = [
        {"way": way, "repeat": repeat, "seconds": time, "tokens_per_second": tokens / time}
        for way, times in taken.items()
        for repeat, time in enumerate(times)
    ]
    settings = {
        **vars(options),
        "dtype": dtype,
        "device": model.device.type,
        "tokens": tokens,
        "threads": workload.THREADS,
    }
    measure.write(f"extraction-{options.model}-{dtype}", rows, settings)


if __name__ == "__main__":
    main()
