"""A study with effects against controls, and sweeps over the same questions, run to its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from checkout import Checkout, copy_of_repository

pytestmark = pytest.mark.long

DRAWS = 40
QUESTIONS = 15
SWEPT: dict[str, Any] = {
    "model": "chat",
    "inject": {"vector": "myopia", "layers": [3, 5]},
    "coefficients": [-1, -0.5, 0, 0.5, 1],
    "measures": {"two_choice": {"split": "validation"}},
}
STUDY: dict[str, Any] = {
    "name": "effects",
    "models": {"chat": {"source": "resources/models/miniature-chat", "dtype": "float32"}},
    "corpora": {
        kind: {"source": "installed", "kind": kind, "train": 12, "validation": 8}
        for kind in ("text", "code")
    },
    "behaviours": {
        "myopia": {
            "source": "generated",
            "trait": "myopia",
            "questions": 50,
            "train": 20,
            "validation": QUESTIONS,
        }
    },
    "activations": {"myopia": {"model": "chat", "behaviour": "myopia"}},
    "vectors": {
        "myopia": {"method": "contrast", "of": "myopia"},
        "random": {"method": "control", "how": "random", "of": "myopia", "draws": DRAWS},
    },
    "sweeps": {
        "answers": SWEPT,
        "plain": SWEPT | {"path": "plain", "vector_dtype": "bfloat16"},
        "random": SWEPT | {"inject": {"vector": "random", "layers": [3, 5]}},
        "tokens": SWEPT
        | {
            "inject": {"vectors": ["myopia", "random"], "layers": [3]},
            "measures": {"next_token": {"corpora": ["code", "text"], "tokens": 300}},
        },
    },
    "effects": {
        "answers": {"sweep": "answers", "controls": ["random"], "column": "propensity"},
        "balanced": {"sweep": "answers", "controls": ["random"], "balanced": True},
        "tokens": {"sweep": "tokens"},
    },
    "figures": {
        "answers": {"kind": "effects", "effects": "answers"},
        "balanced": {"kind": "effects", "effects": "balanced", "layers": [5]},
    },
    "scorecards": {"same": {"sweeps": ["answers"], "against": ["plain"]}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the study."""
    checkout: Checkout = copy_of_repository(tmp_path_factory.mktemp("effects"))
    checkout.reduced(STUDY, {})
    return checkout.folder / "results" / "effects"


def test_effects_are_ranked_among_the_draws_of_the_control(run: Path) -> None:
    table = pq.read_table(run / "effects" / "answers.control.parquet").to_pandas()
    slopes = pq.read_table(run / "effects" / "answers.slopes.parquet").to_pandas()
    whole = slopes[slopes["by"] == "all"]
    of_slopes = table[table["quantity"] == "slope"]
    assert of_slopes["layer"].tolist() == ["3", "5"] and (of_slopes["draws"] == DRAWS).all()
    for row in of_slopes.to_dict("records"):
        here = whole[whole["layer"] == row["layer"]]
        draws = here.loc[here["draw"].notna(), "mean"].to_numpy()
        (own,) = here.loc[here["draw"].isna(), "mean"]
        assert row["rank"] == 1 + (draws > own).sum()
        together = np.append(draws, own)
        apart = np.abs(together - together.mean())
        assert row["p"] == pytest.approx((apart >= apart[-1]).sum() / (DRAWS + 1))
        assert row["band_mean"] == pytest.approx(draws.mean())
        assert row["difference"] == pytest.approx(own - draws.mean())
    # Two slopes: 2/41 is below 5 %; eight changes: 8/41 is not.
    assert of_slopes["p_holm"].notna().all() and of_slopes["p_bh"].notna().all()
    changes = table[table["quantity"] == "propensity"]
    assert len(changes) == 8 and changes["p"].notna().all() and changes["p_holm"].isna().all()


def test_changes_are_those_of_the_tables(run: Path) -> None:
    for name, column, source in (
        ("answers", "propensity", "behaviour"),
        ("tokens", "relative_top1", "corpus"),
    ):
        effects = pq.read_table(run / "effects" / f"{name}.control.parquet").to_pandas()
        own = pq.read_table(run / "tables" / f"{name}.parquet").to_pandas()
        drawn = (
            own
            if name == "tokens"
            else pq.read_table(run / "tables" / "random.parquet").to_pandas()
        )
        own = own[own["vector"] == "myopia"]
        changes = effects[effects["quantity"] == column]
        assert len(changes) == 8
        for row in changes.to_dict("records"):
            here = (own["layer"] == row["layer"]) & (own[source] == row["source"])
            at = own["coefficient"] == row["coefficient"]
            (value,), (unsteered,) = (
                own.loc[here & at, column],
                own.loc[here & own["unsteered"], column],
            )
            assert row["effect"] == pytest.approx(value - unsteered)
            there = (drawn["layer"] == row["layer"]) & (drawn[source] == row["source"])
            there &= (drawn["coefficient"] == row["coefficient"]) & drawn["draw"].notna()
            mean = drawn.loc[there & (drawn["vector"] == "random"), column].mean()
            assert row["band_mean"] == pytest.approx(mean - unsteered)


def test_figures_are_drawn_with_the_bands(run: Path) -> None:
    for name in ("answers", "balanced"):
        assert (run / "figures" / f"{name}.png").stat().st_size > 0
    assert not (run / "effects" / "tokens.items.parquet").exists()
    balanced = pq.read_table(run / "effects" / "balanced.slopes.parquet").to_pandas()
    assert balanced.loc[balanced["by"] == "all", "balanced"].all()


def test_a_scorecard_over_the_same_questions_is_paired(run: Path) -> None:
    for name in ("same", "same-pairs"):
        table = pq.read_table(run / "scorecards" / f"{name}.parquet").to_pandas()
        assert set(table["interval"]) == {"paired"}


def test_the_first_page_has_effects_and_the_layers_of_vectors(run: Path) -> None:
    shown = (run / "index.html").read_text()
    assert "against controls" in shown and "single questions" in shown
    assert "<td>3, 5" in shown
