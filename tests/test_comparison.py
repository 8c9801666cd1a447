"""Two studies side by side."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import REPOSITORY
from described import check
from effect_rows import COEFFICIENTS, injected, job, questions, rows

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.core.records import plain
from snakesteer.plan.comparison import compare
from snakesteer.plan.plan import Plan
from snakesteer.reports.differences import differences
from snakesteer.storage.files import write_table
from snakesteer.study import study_file
from snakesteer.tables import two_choice

SINGLE = {
    "name": "first",
    "sweeps": {"single": {"inject": {"layers": [4]}}},
    "figures": {"one": {"title": "One"}},
}

NONE_QUALIFIED = "No multiplier qualified for myopia at layer 4 (add); the smallest was chosen."
UNQUALIFIED = {"second": NONE_QUALIFIED}


def run_of(results: Path, name: str, matches: int, change: dict[str, Any]) -> None:
    """What a finished study with one single-steering sweep leaves behind."""
    folder = results / name
    folder.mkdir(parents=True)
    study = {**SINGLE, "name": name, **change}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    low, high = matches / 100 - 0.05, matches / 100 + 0.05
    rows = [
        {"sweep": "single", "kind": "single", "split": "test", "layer": "4", "behaviour": "myopia"}
        | {
            "vector": "myopia",
            "direction": direction,
            "coefficient": coefficient,
            "combine": None,
            "weighted": None,
        }
        | {"score": matches / 100, "score_low": low, "score_high": high}
        for direction, coefficient in (("subtract", -1.0), ("default", 0.0), ("add", 1.0))
    ]
    write_table(
        folder / "tables" / "single.parquet",
        pa.Table.from_pylist(rows),
        {"inputs": {"sweeps": [f"key-of-{name}"]}, "unqualified": UNQUALIFIED.get(name)},
    )
    (folder / "artefacts.csv").write_text(f"stage,key\nsweep,key-of-{name}\n")


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
    change = {"sweeps": {"single": {"inject": {"layers": [4]}, "path": "plain"}}}
    run_of(tmp_path, "second", 80, change)
    page = compare(tmp_path, REPOSITORY, "first", "second")
    assert page == tmp_path / "comparisons" / "first-against-second" / "index.html"
    text = page.read_text()
    assert "sweeps.single.path" in text and 'src="data:image/png;base64,' in text
    assert f"<p>second, single: {NONE_QUALIFIED}</p>" in text
    assert "0 of 1 curves agree" in text
    parts = {"tables.scorecard.Scorecard.pairs", "tables.scorecard.Scorecard.curves"}
    assert check(page.parent) == {*parts, "reports.differences.Difference"}
    settings = pq.read_table(page.parent / "settings.parquet").to_pylist()
    assert settings == [{"entry": "sweeps.single.path", "before": "", "after": '"plain"'}]
    (curve,) = pq.read_table(page.parent / "curves.parquet").to_pylist()
    assert curve["difference"] == pytest.approx(-0.3)
    assert not curve["within"]
    assert curve["verdict"].startswith(
        "differs: the difference in mean matching score, -0.300 (-0.341 to -0.259), is not 0, and "
        "3 of 3 points differ"
    )
    pairs = pq.read_table(page.parent / "pairs.parquet").to_pylist()
    assert [pair["point"] for pair in pairs] == ["subtract", "default", "add"]
    assert (page.parent / "overlay.png").stat().st_size > 0


def asked_run(results: Path, name: str, prompt: str | None = None) -> Path:
    """What a finished study with one sweep of answers leaves behind; the raw table's path."""
    injection = injected("myopia")
    easy = np.random.default_rng(0).normal(size=(50, 1), scale=2)
    noise = np.random.default_rng(len(name)).normal(size=(50, len(COEFFICIENTS)), scale=0.3)
    raw = rows(injection, easy + np.array(COEFFICIENTS) + noise)
    asked = questions(50) if prompt is None else questions(50).assign(prompt=prompt)
    tabled = job("grid", [[injection]])
    folder, cache = results / name, results / "cache"
    path = cache / "sweeps" / f"grid.layer-3.{name}.parquet"
    for where, frame, described in (
        (cache / "questions" / f"myopia.of-{name}.parquet", asked, {}),
        (path, raw, {"inputs": {"questions": [f"of-{name}"]}}),
        (
            folder / "tables" / "grid.parquet",
            two_choice.table(tabled, [raw], ()),
            {"kind": "table", "settings": plain(tabled), "inputs": {"sweeps": [name]}},
        ),
    ):
        write_table(where, pa.Table.from_pandas(frame, preserve_index=False), described)
    study = {"name": name, "sweeps": {"grid": {"measures": {"two_choice": {}}}}}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    (folder / "artefacts.csv").write_text(f"stage,key\nsweep,{name}\n")
    return path


def test_studies_that_ask_the_same_questions_are_compared_in_pairs(tmp_path: Path) -> None:
    for name in ("first", "second"):
        asked_run(tmp_path, name)
    asked_run(tmp_path, "others", prompt="Another prompt (")
    widths = {}
    for name in ("second", "others"):
        page = compare(tmp_path, REPOSITORY, "first", name)
        pairs = pq.read_table(page.parent / "pairs.parquet").to_pandas()
        (curve,) = pq.read_table(page.parent / "curves.parquet").to_pylist()
        expected = "paired" if name == "second" else "independent"
        assert set(pairs["interval"]) == {expected} == {curve["interval"]}
        assert f"<td>{expected}" in page.read_text()
        widths[name] = (pairs["difference_high"] - pairs["difference_low"]).mean()
    assert widths["second"] < 0.7 * widths["others"]


def test_what_is_no_longer_cached_is_compared_as_independent(tmp_path: Path) -> None:
    asked_run(tmp_path, "first")
    asked_run(tmp_path, "second").unlink()
    page = compare(tmp_path, REPOSITORY, "first", "second")
    pairs = pq.read_table(page.parent / "pairs.parquet").to_pandas()
    assert set(pairs["interval"]) == {"independent"}


def test_sweeps_that_cannot_be_compared_are_named_with_the_reason(tmp_path: Path) -> None:
    run_of(tmp_path, "first", 50, {})
    run_of(tmp_path, "second", 50, {})
    path = tmp_path / "second" / "tables" / "single.parquet"
    table = pq.read_table(path).to_pandas().assign(split="validation")
    write_table(path, pa.Table.from_pandas(table, preserve_index=False), {})
    text = compare(tmp_path, REPOSITORY, "first", "second").read_text()
    assert "single: single and single cover different split values" in text


def test_a_study_that_was_not_run_is_refused(tmp_path: Path) -> None:
    run_of(tmp_path, "first", 50, {})
    with pytest.raises(
        StudyError, match="second is neither a study file nor the name of a study that was"
    ):
        compare(tmp_path, REPOSITORY, "first", "second")
    file = tmp_path / "first.yaml"
    file.write_text("name: first\n")
    with pytest.raises(StudyError, match="first\\.yaml has changed since its last run"):
        compare(tmp_path, REPOSITORY, str(file), "first")


def test_a_study_is_given_by_its_file_with_layers_as_fractions(tmp_path: Path) -> None:
    """`study.yaml` holds the layers' numbers (config/other-model.yaml)."""
    half = {"inject": {"layers": [0.5]}}
    sweep = {"sweeps": {"code": half, "code-permuted": half}}
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump({"extends": str(SMALL), **sweep}))
    run_of(tmp_path, "second", 50, {})
    ran = Plan(study_file.load(file), REPOSITORY).study
    assert ran != study_file.load(file)
    run_of(tmp_path, ran.name, 50, ran.model_dump(mode="json"))
    assert compare(tmp_path, REPOSITORY, str(file), "second").is_file()


def test_a_table_of_a_run_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    for name in ("first", "second"):
        run_of(tmp_path, name, 50, {})
    catalogue = tmp_path / "second" / "artefacts.csv"
    catalogue.write_text("stage,key\nsweep,another\n")
    with pytest.raises(
        StudyError, match="second/tables/single\\.parquet does not belong to the run that"
    ):
        compare(tmp_path, REPOSITORY, "first", "second")


def test_studies_without_sweeps_of_their_own_are_compared_by_settings(tmp_path: Path) -> None:
    """As config/papers/broad-skills-published.yaml, whose study.yaml has no section of sweeps."""
    run_of(tmp_path, "first", 50, {})
    run_of(tmp_path, "second", 50, {})
    (tmp_path / "second" / "study.yaml").write_text("name: second\n")
    for names in (("first", "second"), ("second", "first")):
        text = compare(tmp_path, REPOSITORY, *names).read_text()
        assert f"{names[0]} and {names[1]} have no sweeps with the same name" in text


def test_make_compare_asks_for_two_studies() -> None:
    command = ["make", "--no-print-directory", "--old-file", ".venv/installed", "compare", "A=one"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout == (
        "Say which two studies: make compare A=config/mine.yaml B=config/other.yaml.\n"
    )
