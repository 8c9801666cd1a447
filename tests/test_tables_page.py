"""The page of tables: it is current, and every column of real tables stands on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import described
import matplotlib
import pytest
from conftest import REPOSITORY

from checkout import Checkout
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.measures.scoring import Scorer
from snakesteer.reports import tables_page
from snakesteer.reports.columns import column_of, has_description, single
from snakesteer.study import measures
from snakesteer.tables import next_token, two_choice

PAGE = (REPOSITORY / "docs" / "tables.md").read_text()


def test_the_page_is_up_to_date() -> None:
    assert tables_page.markdown() == PAGE


def test_every_link_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.M)
    anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links
    assert links <= anchors


def test_a_table_of_markdown_has_three_cells() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert len(rows) > 200
    assert {line.replace("\\|", "").count("|") for line in rows} == {4}


@pytest.mark.parametrize(
    ("kind", "made_by"),
    [("tables", ".table"), ("figures", ".draw"), ("measures", ""), ("scorers", "")],
)
def test_every_plugin_describes_what_it_makes(kind: str, made_by: str) -> None:
    folder = plugins.FOLDERS.get(kind, kind).replace("/", ".")
    names = [name.replace("-", "_") for name in plugins.names(kind)]
    assert len(names) > 4
    assert [name for name in names if not has_description(f"{folder}.{name}{made_by}")] == []


def test_every_part_of_a_score_is_described() -> None:
    for scorer in plugins.names("scorers"):
        names = [name.names[0] for name in single(f"measures.scorers.{scorer}", ["SCORE"])]
        assert names == [*Scorer("SCORE", scorer).columns.values()]


def test_lists_of_columns_in_the_code_are_described_in_their_order() -> None:
    for place, listed in (
        ("tables.two_choice.table", two_choice.BEHAVIOUR_COLUMNS),
        ("tables.next_token.table", next_token.SKILL_COLUMNS),
    ):
        names = [column.names[0] for column in single(place)]
        assert [name for name in names if name in listed] == listed


def test_every_column_that_a_figure_can_draw_is_described() -> None:
    seen = set()
    for entry in vars(measures).values():
        field = getattr(entry, "model_fields", {}).get("measure")
        for measure in get_args(field.annotation) if field else ():
            described_here = single(f"tables.{measure}.table")
            assert [name for name in entry.COLUMNS if not column_of(name, described_here)] == []
            seen.add(measure)
    assert seen == {name.replace("-", "_") for name in plugins.names("tables")}


def test_the_tables_that_the_repository_holds_are_described() -> None:
    published = described.check(REPOSITORY / "resources" / "published")
    assert {"papers.candidates.table", "papers.scores.table", "papers.skill.table"} <= published
    assert "tables.histograms.histogram" in published
    shown = described.check(REPOSITORY / "docs" / "results")
    measures = ("choice", "continuation", "divergence", "first_token", "next_token", "two_choice")
    assert {f"tables.{measure}.table" for measure in measures} <= shown


def test_all_tables_of_a_study_are_described(finished: Checkout) -> None:
    found = described.check(finished.folder / "results")
    study = {
        "tables.next_token.table",
        "tables.two_choice.table",
        "tables.slopes.Effects.items",
        "tables.slopes.Effects.slopes",
        "tables.scorecard.Scorecard.pairs",
        "tables.scorecard.Scorecard.curves",
        "measures.continuation.run",
        "measures.next_token",
        "measures.two_choice",
        "sweeps.choices.choose",
        "sweeps.runner.run",
        "corpora.drawing.documents",
        "behaviours.drawing.table",
        "storage.catalogue.write_catalogue",
        "reports.usage.usage",
    }
    figures = ("combined", "distributions", "effects", "heatmap", "simultaneous", "single")
    assert study | {f"figures.{kind}.draw" for kind in (*figures, "tradeoff")} <= found


def test_the_lines_on_the_page_plot_a_table(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len([line for line in lines.splitlines() if line]) == 5
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "miniature").symlink_to(finished.path())
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    names: dict[str, object] = {}
    exec(lines, names)  # as it stands on the page
    assert len(names["rows"]) == 3  # type: ignore[arg-type]
    (line,) = names["axes"].get_lines()  # type: ignore[attr-defined]
    assert line.get_xdata().tolist() == [0, 1, 4]
    assert line.get_ydata()[0] == 1
    assert (tmp_path / "code.png").stat().st_size > 1000


def test_a_column_that_is_not_described_is_found() -> None:
    columns = single("tables.first_token.table")
    ended = column_of("log_odds_vector_low", columns)
    assert ended
    assert ended.when == "only with `resamples` of the vectors"
    for name in ("logodds", "odds_vector_low", "log_odds_vector", "nll"):
        assert column_of(name, columns) is None


def test_a_place_that_describes_nothing_is_refused() -> None:
    with pytest.raises(StudyError, match=r"^tables\.first_token\._rows describes no columns; add"):
        single("tables.first_token._rows")
    assert not has_description("tables.first_token._rows")
