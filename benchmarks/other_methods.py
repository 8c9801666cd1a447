"""Vectors of steering-vectors and repeng beside ours, from the same activations of the same model.

    PYTHONPATH=workflow/scripts python benchmarks/other_methods.py

Questions of the built-in generator are read by the shipped chat model, with either answer, and
repeng takes the activations at their last token. From these both libraries and ours make vectors;
printed is how far ours lies from theirs, over the length of theirs, at the layer where that is
most. A vector that each library has written to a file is read again. See docs/vectors.md.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from steering_vectors import SteeringVector, aggregators
from transformers import AutoModelForCausalLM, AutoTokenizer

from snakesteer.behaviours import generated
from snakesteer.core import plugins
from snakesteer.vectors.foreign import read_vector
from snakesteer.vectors.samples import Samples

np.float_ = np.float64  # which repeng asks for, and numpy 2 no longer has
from repeng import extract  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent
MODEL = REPOSITORY / "resources" / "models" / "miniature-chat"
QUESTIONS = 60
C = 0.01
AT_MOST = 1e-5


def ours(samples: dict[str, list[Samples]], method: str, **settings: Any) -> np.ndarray:
    vector: np.ndarray = plugins.load("vectors", method).fit(samples, settings)
    return vector


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


def away(found: np.ndarray, theirs: np.ndarray) -> float:
    """The largest distance of a layer's vector from theirs, over the length of theirs."""
    apart = np.linalg.norm(found - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    return float(apart.max())


def main() -> None:
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    tokenizer.pad_token = tokenizer.eos_token
    layers = list(range(model.config.num_hidden_layers))
    asked = generated.questions({"trait": "myopia", "questions": QUESTIONS, "seed": 13}, REPOSITORY)
    dataset = [
        extract.DatasetEntry(one.prompt + one.matching, one.prompt + one.not_matching)
        for one in asked
    ]
    texts = [text for entry in dataset for text in (entry.positive, entry.negative)]
    read = extract.batched_get_hiddens(model, tokenizer, texts, layers, 32)
    activations = np.stack([read[layer] for layer in layers], axis=1)
    matching, other = activations[::2], activations[1::2]
    samples = {"of": [Samples({"matching": matching, "not_matching": other})]}

    def aggregated(aggregate: Any) -> np.ndarray:
        given = (torch.from_numpy(answers) for answers in (matching, other))
        first, second = (answers.double() for answers in given)
        return np.stack([aggregate(first[:, i], second[:, i]).numpy() for i in layers])

    # It gives scikit-learn float32, in which a larger C ends short of the optimum.
    exact = {"C": C, "solver": "newton-cholesky", "tol": 1e-10}
    probe = aggregators.logistic_aggregator(exact)
    directions = extract.read_representations(
        model, tokenizer, dataset, hidden_layers=layers, method="pca_diff"
    )
    pca_diff = np.stack([directions[layer] for layer in layers])
    centred = ours(samples, "pca", centred=True)
    sides = np.sign((centred * pca_diff).sum(axis=1, keepdims=True))
    contrast = ours(samples, "contrast")
    found = {
        "steering-vectors, mean": away(contrast, aggregated(aggregators.mean_aggregator())),
        "steering-vectors, PCA": away(
            ours(samples, "pca", centred=False), aggregated(aggregators.pca_aggregator())
        ),
        "steering-vectors, logistic": away(
            unit(ours(samples, "logistic", C=C, paired=True)), aggregated(probe)
        ),
        "repeng, pca_diff up to sign": away(centred * sides, pca_diff),
    }
    manifest = {"source": "miniature-chat", "n_layers": len(layers), "hidden": contrast.shape[1]}
    entry = {"tensor": None, "layer": None, "offset": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.gguf"
        extract.ControlVector("llama", dict(zip(layers, contrast, strict=True))).export_gguf(path)
        found["repeng, a file of it"] = away(read_vector(path, entry, manifest)[0], contrast)
        path = Path(folder) / "a.pt"
        torch.save(SteeringVector(dict(enumerate(torch.from_numpy(contrast)))), path)
        found["steering-vectors, a file of it"] = away(
            read_vector(path, entry, manifest)[0], contrast
        )
    for name, apart in found.items():
        print(f"{name:<34}{apart:>10.1e}")
    if max(found.values()) > AT_MOST:
        sys.exit(f"A vector lies farther than {AT_MOST:g} from theirs.")


if __name__ == "__main__":
    main()
