"""A study's own candidate directions against a grid in the form of the authors' files."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
import yaml
from test_candidate_workflow import LEAST, MOST, N_LAYERS, POSITIONS, STUDY, checkout

from checkout import Checkout
from snakesteer.storage.files import read_json, read_provenance, read_table

pytestmark = pytest.mark.long

__all__ = ["checkout"]
OFFSET = 0.25
FILE = "select_direction/direction_evaluations.json"


def grid(checkout: Checkout) -> list[dict[str, Any]]:
    """The study's own scores in their form, refusal scores moved; the layer that it leaves out has
    scores by which it is not chosen."""
    tables = checkout.folder / "results" / "candidates" / "tables"
    scores: dict[tuple[int, int], dict[str, float]] = {}
    for name, column, score in (
        ("ablated.refusal", "log_odds", "refusal_score"),
        ("added", "log_odds", "steering_score"),
        ("ablated.kl", "kl", "kl_div_score"),
    ):
        table = read_table(tables / f"{name}.parquet").to_pandas()
        for row in table[~table["unsteered"]].to_dict("records"):
            layer = int(row.get("source_layer", row["layer"]))
            scores.setdefault((int(row["source_position"]), layer), {})[score] = row[column]
    rows = []
    for position in POSITIONS:
        rows.append({"position": position, "layer": 0, "refusal_score": 99.0})
        rows[-1] |= {"steering_score": 0.0, "kl_div_score": 0.0}
        for layer in range(1, N_LAYERS):
            found = scores[(position, layer)]
            moved = {"refusal_score": found["refusal_score"] + OFFSET}
            rows.append({"position": position, "layer": layer, **found, **moved})
    return rows


def study(folder: str) -> dict[str, Any]:
    about = {"file": FILE, "vector": "direction", "positions": len(POSITIONS), "layers": N_LAYERS}
    kinds = {
        "theirs-ablated": {"kind": "candidate-log-odds", "score": "refusal_score"},
        "theirs-added": {"kind": "candidate-log-odds", "score": "steering_score"},
        "theirs-kl": {"kind": "candidate-divergence"},
    }
    given = copy.deepcopy(STUDY)
    given["published"] = {
        "paper": "theirs",
        "source": folder,
        "commit": "0" * 40,
        "corpora": {"asking": {"key": "asking"}, "telling": {"key": "telling"}},
        "sweeps": {
            name: {**kind, **about, "corpus": "asking" if "ablated" in name else "telling"}
            for name, kind in kinds.items()
        },
    }
    given["choices"]["theirs"] = {
        "best": {"lowest": "theirs-ablated"},
        "limits": [
            {"table": "theirs-kl", "at_most": MOST},
            {"table": "theirs-added", "at_least": LEAST},
        ],
        "layers_below": 0.8,
    }
    ours = {"theirs-ablated": "ablated.refusal", "theirs-added": "added", "theirs-kl": "ablated.kl"}
    given["scorecards"] = {
        "cells": {
            "sweeps": list(ours.values()),
            "against": list(ours),
            "choices": ["best", "theirs"],
        }
    }
    return given


def test_own_candidates_differ_from_a_grid_by_what_it_was_moved(checkout: Checkout) -> None:
    folder = checkout.folder / "theirs"
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_text(json.dumps(grid(checkout)))
    config = checkout.folder / "against.yaml"
    config.write_text(yaml.safe_dump(study(str(folder)), sort_keys=False))
    checkout.forked("--cores", "1", config=config)
    results = checkout.folder / "results" / "candidates"
    pairs = read_table(results / "scorecards" / "cells-pairs.parquet").to_pandas()
    curves = read_table(results / "scorecards" / "cells.parquet").to_pandas()
    assert len(pairs) == 3 * len(POSITIONS) * (N_LAYERS - 1)
    moved = np.where(pairs["sweep"] == "ablated.refusal", -OFFSET, 0)
    np.testing.assert_allclose(pairs["difference"], moved, atol=1e-12)
    whole = curves[curves["curve"] == "all candidates"]
    assert list(whole["sweep"]) == ["ablated.refusal", "added", "ablated.kl"]
    np.testing.assert_allclose(whole["rank_agreement"], 1)
    own, theirs = (read_json(results / "choices" / f"{name}.json") for name in ("best", "theirs"))
    for name in ("vector", "layer", "position"):
        assert own["chosen"][name] == theirs["chosen"][name]
    said = read_provenance(results / "scorecards" / "cells.parquet")["chosen"]
    assert said.startswith("The same candidate is chosen in both: position −")
    assert said in (results / "scorecards" / "cells.html").read_text()
