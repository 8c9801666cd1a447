"""What the shipped models can do, measured on held-out documents and questions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import REPOSITORY

from snakesteer.corpora import drawing
from snakesteer.engine import models
from snakesteer.engine.extraction import of_documents
from snakesteer.engine.texts import read_documents
from snakesteer.hub.manifest import manifest
from snakesteer.measures import next_token
from snakesteer.measures.next_token_settings import Stopping
from snakesteer.storage.points import Points
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.runner import Asked
from snakesteer.training.gates import HIGH, LOW, MOST_FAULTY, measure_gates
from snakesteer.vectors import control, difference
from snakesteer.vectors.samples import Samples

pytestmark = pytest.mark.long

KINDS = ("code", "text")
COEFFICIENTS = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0]
MAX_TOKENS = 256
BATCH_TOKENS = 2048


def shipped(name: str) -> models.LanguageModel:
    torch.set_num_threads(1)
    folder = REPOSITORY / "resources" / "models" / name
    return models.load(folder, manifest(folder))


def other_at(table: object, relative: float) -> float:
    """Relative accuracy of the second corpus where the first, falling, reaches `relative`."""
    counts = table.to_pandas().groupby(["coefficient", "corpus"], sort=False)["top1"].sum()
    curve = (counts.unstack("corpus") / counts[0.0]).sort_index()[["code", "text"]].to_numpy()
    after = int(np.argmax(curve[:, 0] < relative))
    assert curve[after, 0] < relative, "the sweep never got there"
    (above, text_above), (below, text_below) = curve[after - 1], curve[after]
    share = (above - relative) / (above - below)
    return float(text_above + share * (text_below - text_above))


def test_code_is_lost_before_text_at_four_layers_and_more() -> None:
    """At relative code accuracy .6 text keeps .70; the permuted control is on the diagonal."""
    model = shipped("miniature")
    documents = {
        (kind, split): drawing.documents(
            {"source": "installed", "kind": kind, "train": 60, "validation": 12}, split, 2
        )
        for kind in KINDS
        for split in drawing.SPLITS
    }

    def pairs(kind: str, split: str) -> list[tuple[str, str]]:
        rows = documents[kind, split].to_pylist()
        return [(row["document"], row["text"]) for row in rows]

    def samples(kind: str) -> list[Samples]:
        read = read_documents(model.tokenizer, pairs(kind, "train"), MAX_TOKENS)
        found = of_documents(model, read, batch_tokens=BATCH_TOKENS)
        return [Samples({"activations": found.float().numpy()})]

    points = Points()  # so that coefficient 0 is evaluated once

    def text_left(vector: np.ndarray, layer: int) -> float:
        corpora = {
            kind: next_token.read_corpus(
                model.tokenizer, kind, pairs(kind, "validation"), [], max_tokens=MAX_TOKENS
            )
            for kind in KINDS
        }
        (table,) = runner.run(
            model,
            [Asked("tokens", next_token, corpora, Stopping(stop=0.6))],
            [
                Steering(
                    "own",
                    (part(layer, vector[layer], "add"),),
                    tuple(COEFFICIENTS),
                    {"tokens": KINDS},
                )
            ],
            batch_tokens=BATCH_TOKENS,
            points=points,
        )
        return other_at(table, 0.6)

    roles = {"add": samples("text"), "subtract": samples("code")}
    settings = {"method": "difference", "dtype": "float32"}
    vector = difference.fit(roles, settings)
    permuted = control.fit(roles, {"how": "operands", "seed": 13, "of": settings})
    kept = {layer: text_left(vector, layer) for layer in range(4)}
    assert sum(text >= 0.70 for text in kept.values()) >= 4, kept
    assert abs(text_left(permuted, 3) - 0.6) <= 0.10


def test_every_behaviour_can_be_added_and_subtracted() -> None:
    """Layer and multiplier chosen on validation, scores of the test; both ends at five layers."""
    gates = measure_gates(
        shipped("miniature-chat"), multipliers=[0.5], layers=range(2, 7), questions=200
    )
    assert len(gates) == 5
    for gate in gates:
        assert gate.added.score >= HIGH, gate
        assert gate.subtracted.score <= LOW, gate
        assert max(gate.added.faulty, gate.subtracted.faulty) < MOST_FAULTY, gate
        assert 0.1 <= gate.default.score <= 0.9, gate
        assert len(gate.layers) == 5, gate
