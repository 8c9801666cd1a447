"""Two studies side by side, and what changed since a study was last run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from snakesteer.artefacts import write_table
from snakesteer.comparison import compare
from snakesteer.differences import differences
from snakesteer.errors import StudyError

SINGLE = {
    "name": "first",
    "sweeps": {"single": {"kind": "single", "layers": [4]}},
    "figures": {"one": {"title": "One"}},
}


def run_of(results: Path, name: str, matches: int, change: dict[str, Any]) -> None:
    """What a finished study with one single-steering sweep leaves behind."""
    folder = results / name
    folder.mkdir(parents=True)
    study = {**SINGLE, "name": name, **change}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    low, high = matches / 100 - 0.05, matches / 100 + 0.05
    rows = [
        {"sweep": "single", "kind": "single", "split": "test", "layer": "4", "behaviour": "myopia"}
        | {"direction": direction, "coefficient": coefficient, "combine": None, "weighted": None}
        | {"score": matches / 100, "score_low": low, "score_high": high}
        for direction, coefficient in (("subtract", -1.0), ("default", 0.0), ("add", 1.0))
    ]
    write_table(folder / "tables" / "single.parquet", pa.Table.from_pylist(rows), {})


def test_differences_name_the_setting_and_both_values() -> None:
    before = {"name": "a", "models": {"m": {"dtype": "float32", "source": "x"}}, "scorecards": {}}
    after = {"name": "a", "models": {"m": {"dtype": "bfloat16", "source": "x"}, "n": {"layers": 2}}}
    assert list(map(str, differences(before, after))) == [
        'models.m.dtype: "float32" -> "bfloat16"',
        'models.n: absent -> {"layers": 2}',
    ]
    assert [str(one) for one in differences(after, before)][-1] == (
        'models.n: {"layers": 2} -> absent'
    )
    assert not differences(before, before)


def test_a_comparison_has_the_differing_settings_and_metrics(tmp_path: Path) -> None:
    run_of(tmp_path, "first", 50, {})
    change = {"sweeps": {"single": {"kind": "single", "layers": [4], "path": "plain"}}}
    run_of(tmp_path, "second", 80, change)
    page = compare(tmp_path, "first", "second")
    assert page == tmp_path / "comparisons" / "first-against-second" / "index.html"
    assert "sweeps.single.path" in page.read_text()
    settings = pq.read_table(page.parent / "settings.parquet").to_pylist()
    assert settings == [{"entry": "sweeps.single.path", "before": "", "after": '"plain"'}]
    (curve,) = pq.read_table(page.parent / "curves.parquet").to_pylist()
    assert curve["difference"] == pytest.approx(-0.3)
    assert not curve["within"]
    pairs = pq.read_table(page.parent / "pairs.parquet").to_pylist()
    assert [pair["point"] for pair in pairs] == ["subtract", "default", "add"]
    assert (page.parent / "overlay.png").stat().st_size > 0


def test_sweeps_that_cannot_be_compared_are_named_with_the_reason(tmp_path: Path) -> None:
    run_of(tmp_path, "first", 50, {})
    run_of(tmp_path, "second", 50, {})
    path = tmp_path / "second" / "tables" / "single.parquet"
    table = pq.read_table(path).to_pandas().assign(split="validation")
    write_table(path, pa.Table.from_pandas(table, preserve_index=False), {})
    text = compare(tmp_path, "first", "second").read_text()
    assert "single: single and single are over other split values" in text


def test_a_study_that_was_not_run_is_refused(tmp_path: Path) -> None:
    run_of(tmp_path, "first", 50, {})
    with pytest.raises(StudyError, match="second is neither a study's file nor a study that was"):
        compare(tmp_path, "first", "second")
    file = tmp_path / "first.yaml"
    file.write_text("name: first\n")
    with pytest.raises(StudyError, match=r"first\.yaml was changed since it was run"):
        compare(tmp_path, str(file), "first")
