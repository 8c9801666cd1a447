"""Designs with measures that the paper does not put together, from a study to its tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from checkout import copy_of_repository

TOKENS = {"corpora": ["text", "code"], "tokens": 400, "max_tokens": 64, "stopping": {}}


def study() -> dict[str, Any]:
    model = {"source": "resources/models/miniature-chat", "dtype": "float32", "batch_tokens": 512}
    few = {"questions": 40, "train": 12, "validation": 12}
    corpora = {
        kind: {"source": "installed", "kind": kind, "train": 12, "validation": 4}
        for kind in ("text", "code")
    }
    behaviours = {
        trait: {"source": "generated", "trait": trait, **few}
        for trait in ("myopia", "wealth-seeking")
    }
    given = {trait: {"3": {"add": 0.5, "subtract": -0.5}} for trait in behaviours}
    skill = {
        "model": "m",
        "inject": {"vector": "code", "layers": [[1, 2], 3]},
        "coefficients": {"start": -1, "stop": 1, "points": 5},
    }
    chosen = {"model": "m", "coefficients": {"choice": "given"}}
    return {
        "name": "designs",
        "models": {"m": model},
        "corpora": corpora,
        "behaviours": behaviours,
        "activations": {
            **{kind: {"model": "m", "corpus": kind, "max_tokens": 64} for kind in corpora},
            **{trait: {"model": "m", "behaviour": trait} for trait in behaviours},
        },
        "vectors": {
            "code": {"method": "difference", "add": ["text"], "subtract": ["code"]},
            **{trait: {"method": "contrast", "of": trait} for trait in behaviours},
        },
        "choices": {"given": {"multipliers": given}},
        "sweeps": {
            "both": {
                **skill,
                "measures": {
                    "next_token": TOKENS,
                    "letters": {
                        "measure": "two_choice",
                        "behaviours": ["myopia"],
                        "stopping": {},
                    },
                },
            },
            "alone": {**skill, "measures": {"next_token": TOKENS}},
            "chosen": {
                **chosen,
                "inject": {"vector": "myopia", "layers": [3]},
                "measures": {"next_token": TOKENS},
            },
            "combined": {
                **chosen,
                "inject": {"combine": ["mean"], "weighted": [False], "layers": [3]},
                "measures": {"next_token": TOKENS},
            },
        },
        "figures": {
            "curves": {"kind": "tradeoff", "sweeps": ["both.next_token"]},
            "cells": {"kind": "heatmap", "sweep": "both.letters"},
        },
        "scorecards": {"same": {"sweeps": ["both.next_token"], "against": ["alone"]}},
    }


@pytest.mark.long
def test_any_design_meets_any_measure(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path).folder
    (folder / "designs.yaml").write_text(json.dumps(study()))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "designs.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    made = folder / "results" / "designs"
    names = ("both.next_token", "both.letters", "alone", "chosen", "combined")
    tables = {name: pd.read_parquet(made / "tables" / f"{name}.parquet") for name in names}
    alone = tables["alone"]
    assert list(alone.groupby("layer").size()) == [10, 10]
    assert tables["both.next_token"].assign(sweep="alone").equals(alone)
    letters = tables["both.letters"]
    assert set(letters.vector) == {"code"} and set(letters.behaviour) == {"myopia"}
    assert set(letters.layer) == {"1+2", "3"} and set(letters.direction) >= {"default", "add"}
    for name, coefficients in (("chosen", [-0.5, 0, 0.5]), ("combined", [0, 1])):
        table = tables[name]
        unsteered = table[table.coefficient == 0]
        assert sorted(set(table.coefficient)) == coefficients
        assert (unsteered.relative_top1 == 1).all() and set(table.corpus) == {"text", "code"}
    assert set(tables["combined"].vector) == {"mean add", "mean subtract"}
    for figure in ("curves", "cells"):
        assert (made / "figures" / f"{figure}.png").stat().st_size > 0
    pairs = pd.read_parquet(made / "scorecards" / "same-pairs.parquet")
    assert (pairs["difference"] == 0).all()
