"""Seconds and memory of each vector method on a contrast set of a model's size.

    export PYTHONPATH=workflow/scripts OPENBLAS_NUM_THREADS=1
    python benchmarks/methods.py --pairs 500 --layers 32 --hidden 4096

The activations are random, in bfloat16 as a study keeps them, in a file of a temporary folder: what
two answers to a question have in common, a direction between them, and noise. Each method makes its
vector of the file, one after the other, by its defaults. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
import torch

from snakesteer.core import plugins
from snakesteer.storage.files import write_tensors
from snakesteer.vectors.samples import Samples

METHODS: dict[str, dict[str, Any]] = {
    "contrast": {},
    "pca": {"centred": False},
    "lda": {"shrinkage": "auto", "paired": False},
    "logistic": {"C": 1.0, "paired": False},
}
CPU = torch.device("cpu")


def contrast_set(path: Path, pairs: int, layers: int, hidden: int) -> None:
    """A file of activations [pairs, layers, hidden] at two answers each."""
    torch.manual_seed(0)
    question = torch.randn(pairs, layers, hidden)
    direction = 0.05 * torch.randn(layers, hidden)
    answers = {
        name: (question + side * direction + 0.5 * torch.randn(pairs, layers, hidden)).bfloat16()
        for name, side in (("matching", 1), ("not_matching", -1))
    }
    write_tensors(path, answers, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=4096)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "activations.safetensors"
        contrast_set(path, given.pairs, given.layers, given.hidden)
        samples = {"of": [Samples(str(path))]}
        print(f"{'method':<12}{'seconds':>10}{'of a core':>12}{'GB':>8}")
        for method, settings in METHODS.items():
            fit = plugins.load("vectors", method).fit

            def make(fit: Any = fit, settings: dict[str, Any] = settings) -> None:
                fit(samples, settings)

            before = time.process_time()
            seconds, _ = measure.timed(CPU, make)
            of_a_core = time.process_time() - before
            held = measure.peak_bytes(CPU, make) / 1e9
            print(f"{method:<12}{seconds:>10.1f}{of_a_core:>12.1f}{held:>8.2f}")


if __name__ == "__main__":
    main()
