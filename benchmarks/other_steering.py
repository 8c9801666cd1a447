"""Logits under steering beside those of steering-vectors and lm-eval, on the same tokens.

    PYTHONPATH=workflow/scripts python benchmarks/other_steering.py

The shipped model reads sentences, steered along random vectors at one layer or at all: by
steering-vectors' addition, its addition at some tokens and its ablation, and by the addition and
the clamp of lm-eval's steered model. Printed is how far our logits lie from theirs at the most, and
how far theirs are moved by steering.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from lm_eval.models.hf_steered import SteeredModel, steer
from steering_vectors import SteeringVector
from steering_vectors.steering_operators import ablation_operator
from transformers import AutoModelForCausalLM, AutoTokenizer

from snakesteer.engine import models
from snakesteer.engine.batches import batches_of
from snakesteer.engine.head import logits_of
from snakesteer.engine.operators import ablate, add, clamp
from snakesteer.engine.steering import Part, final_states, injection
from snakesteer.prompts.marks import INSTRUCTION
from snakesteer.prompts.which_tokens import AFTER

REPOSITORY = Path(__file__).resolve().parent.parent
MODEL = REPOSITORY / "resources" / "models" / "miniature"
TEXT = "The river runs by the mill, and the miller counts his sacks before the rain."
AFTER_TOKENS = 5  # of the tokens before those that are steered, where some are
AT_MOST = 1e-4

Theirs = Callable[[], contextlib.AbstractContextManager[None]]


@torch.inference_mode()
def main() -> None:
    """Print how far our logits lie from theirs; exit with 1 if that is too far."""
    network = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = models.wrap(network, tokenizer, "none")
    ids = tokenizer(TEXT)["input_ids"]
    noise = torch.Generator().manual_seed(0)
    vectors = torch.randn((model.n_layers, model.hidden), generator=noise)
    everywhere = range(model.n_layers)
    some = (torch.arange(len(ids)) >= AFTER_TOKENS).long()[None]
    of_library = partial(theirs, network, vectors)
    ways: dict[str, tuple[list[Part], float, Theirs]] = {
        "steering-vectors, addition": (
            parts(vectors, [3], add),
            2.0,
            of_library([3], multiplier=2.0),
        ),
        "steering-vectors, at some tokens": (
            parts(vectors, [3], add, AFTER),
            2.0,
            of_library([3], multiplier=2.0, min_token_index=None, token_indices=some),
        ),
        "steering-vectors, ablation": (
            parts(vectors, everywhere, ablate),
            1.0,
            of_library(everywhere, operator=ablation_operator()),
        ),
        "lm-eval, addition": (parts(vectors, [3], add), 2.0, of_lm_eval(network, vectors, 3, 2.0)),
        "lm-eval, clamp": (
            parts(vectors, [3], clamp),
            4.0,
            of_lm_eval(network, vectors, 3, 4.0, clamped=True),
        ),
    }
    untouched = network(torch.tensor([ids])).logits[0]
    farthest = 0.0
    for name, (steered, coefficient, context) in ways.items():
        (batch,) = batches_of(model, [ids], len(ids), {INSTRUCTION: [AFTER_TOKENS]})
        states = final_states(model, batch, injection(model, steered), coefficient)
        ours = logits_of(model, states[0])
        with context():
            expected = network(torch.tensor([ids])).logits[0]
        apart, moved = (float((expected - other).abs().max()) for other in (ours, untouched))
        print(f"{name:<34}{apart:>10.1e}{moved:>10.2g}")
        farthest = max(farthest, apart)
    if farthest > AT_MOST:
        sys.exit(f"Logits lie farther than {AT_MOST:g} from theirs.")


def parts(
    vectors: torch.Tensor, layers: Iterable[int], operator: ModuleType, positions: str = "all"
) -> list[Part]:
    """What is done at each of the layers."""
    return [Part(layer, vectors[layer], operator=operator, positions=positions) for layer in layers]


def theirs(network: Any, vectors: torch.Tensor, layers: Iterable[int], **settings: Any) -> Theirs:
    """The same by steering-vectors."""
    given = {layer: vectors[layer] for layer in layers}
    return partial(SteeringVector(given).apply, network, **settings)


def of_lm_eval(
    network: Any, vectors: torch.Tensor, layer: int, value: float, *, clamped: bool = False
) -> Theirs:
    """The same by the steered model of lm-eval."""
    vector = vectors[layer]
    change = partial(SteeredModel.add, vector=value * vector, head_index=None)
    if clamped:
        unit = vector / vector.norm()
        change = partial(SteeredModel.clamp, direction=unit, value=value, head_index=None)

    @contextlib.contextmanager
    def steering() -> Iterator[None]:
        with steer(network, {f"layers.{layer}": change}):
            yield

    return steering


if __name__ == "__main__":
    main()
