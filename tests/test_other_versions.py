"""A run says once which cached artefacts other versions of torch or transformers have made."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import REPOSITORY

from checkout import SMALL, copy_of_repository
from snakesteer.plan import activations as plans
from snakesteer.plan import sweeps
from snakesteer.plan.plan import Plan
from snakesteer.storage import files
from snakesteer.storage.other_versions import other_versions
from snakesteer.study import study_file

OURS = {name: version(name) for name in ("numpy", "torch", "transformers", "tokenizers")}


def made(path: Path, kind: str, **packages: str) -> str:
    """An artefact whose provenance names other versions than those installed."""
    provenance: dict[str, Any] = {"kind": kind, "packages": OURS | packages}
    if path.suffix == ".parquet":
        files.write_table(path, pa.table({"a": [1]}), provenance)
    else:
        files.write_tensors(path, {"a": np.zeros(1)}, provenance)
    return str(path)


def test_one_sentence_names_versions_counts_and_what_to_do(tmp_path: Path) -> None:
    paths = [
        made(tmp_path / "a.safetensors", "activations", torch="0.1"),
        made(tmp_path / "b.parquet", "sweep", torch="0.1", transformers="0.2"),
        made(tmp_path / "c.parquet", "samples"),
        made(tmp_path / "d.parquet", "documents", numpy="0.3"),
        str(tmp_path / "absent.parquet"),
        str(tmp_path / "model.json"),
    ]
    assert other_versions(paths[2:]) is None
    sentence = other_versions(paths)
    assert sentence is not None and sentence.count("\n") == 0
    assert f"torch 0.1 (installed: {OURS['torch']}; artefacts: 2)" in sentence
    assert f"transformers 0.2 (installed: {OURS['transformers']}; artefacts: 1)" in sentence
    assert "numpy" not in sentence and "tokenizers" not in sentence
    assert "`--forcerun activations sweep`" in sentence


def test_a_damaged_artefact_is_left_to_the_job_that_reads_it(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.safetensors"):
        (tmp_path / name).write_bytes(b"")
        assert other_versions([str(tmp_path / name)]) is None
    files.write_table(tmp_path / "a.parquet", pa.table({"a": [1]}), {"qackages": {}})
    assert other_versions([str(tmp_path / "a.parquet")]) is None


@pytest.mark.long
def test_a_run_says_it_once_and_a_dry_run_does_not(tmp_path: Path) -> None:
    checkout = copy_of_repository(tmp_path)
    plan = Plan(study_file.load(SMALL), REPOSITORY)
    path = plans.questions(plan.graph, "myopia").paths[0]
    made(checkout.folder / path, "questions", torch="0.1")
    target = plans.questions(plan.graph, "wealth-seeking").paths[0]
    choice = sweeps.choice(plan.graph, "multipliers").paths[0]
    cell = {"add": 1.0, "add_qualifies": False, "subtract": -1.0, "subtract_qualifies": True}
    files.write_json(checkout.folder / choice, {"multipliers": {"myopia": {"4": cell}}})
    fallen_back = (
        "choices.multipliers: No multiplier qualified for myopia at layer 4 (add); the smallest "
        "was chosen."
    )
    dry = checkout.snakemake("-n", "--", target)
    assert "torch 0.1" not in dry and fallen_back not in dry
    printed = checkout.snakemake("--cores", "1", "--", target)
    assert printed.count("torch 0.1") == 1 and printed.count(fallen_back) == 1
    assert printed.index(fallen_back) > printed.index("1 of 1 steps (100%) done")
    assert "torch 0.1" not in checkout.snakemake("--cores", "1", "--", target)
