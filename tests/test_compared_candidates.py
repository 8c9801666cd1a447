"""Scorecards of candidate directions, and of published losses."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from scipy.stats import spearmanr

from snakesteer.core.errors import StudyError
from snakesteer.figures.overlay import draw_overlay
from snakesteer.reports.scorecard import page
from snakesteer.storage.files import read_table
from snakesteer.tables.compared_candidates import same_candidate
from snakesteer.tables.next_token import PERPLEXITY
from snakesteer.tables.scorecard import CURVE_COLUMNS, PAIR_COLUMNS, scorecard

SHIPPED = REPOSITORY / "resources" / "published" / "refusal-direction"


def published(name: str) -> pd.DataFrame:
    return read_table(SHIPPED / f"published-{name}.parquet").to_pandas()


def ours(name: str, seed: int = 0) -> pd.DataFrame:
    """A study's own table: the published values with noise and intervals, the unsteered model among
    them, rows in another order."""
    table = published(name)
    value = "kl" if "kl" in table else "log_odds"
    noise = np.random.default_rng(seed).normal(size=len(table))
    table[value] += noise
    table[f"{value}_low"], table[f"{value}_high"] = table[value] - 0.5, table[value] + 0.5
    unsteered = table.assign(coefficient=0.0, unsteered=True)
    own = pd.concat([unsteered, table.sample(frac=1, random_state=1)], ignore_index=True)
    return own.assign(sweep="own", vector="other-name", samples=32)


@pytest.mark.parametrize("name", ["gemma-ablation", "llama-2-divergence", "yi-addition"])
def test_published_candidates_against_themselves_give_zeros(name: str) -> None:
    compared = scorecard([published(name)], [published(name)])
    assert list(compared.pairs) == PAIR_COLUMNS and list(compared.curves) == CURVE_COLUMNS
    assert (compared.pairs["difference"].dropna() == 0).all()
    np.testing.assert_allclose(compared.curves["rank_agreement"], 1)
    assert compared.curves["verdict"].str.startswith("unknown: ").all()
    assert compared.curves["verdict"].str.contains("no difference has an interval").all()


@pytest.mark.parametrize("name", ["gemma-ablation", "llama-2-divergence", "yi-addition"])
def test_candidates_are_compared_one_by_one(name: str) -> None:
    own, theirs = ours(name), published(name)
    compared = scorecard([own], [theirs])
    assert len(compared.pairs) == len(theirs)
    value = "kl" if "kl" in theirs else "log_odds"
    read_at = "source_layer" if "source_layer" in theirs else "layer"
    for row in theirs.to_dict("records"):
        curve = f"position −{-row['source_position']}"
        here = compared.pairs[compared.pairs["curve"] == curve]
        (pair,) = here[here["point"] == f"layer {row[read_at]}"].to_dict("records")
        mine = own[~own["unsteered"]].set_index(["source_position", read_at])[value]
        expected = mine[(row["source_position"], row[read_at])] - row[value]
        np.testing.assert_equal(pair["difference"], expected)
        assert np.isnan(pair["difference_low"]) and pair["within"] is None
    known = compared.pairs.dropna(subset="difference")
    whole = compared.curves.iloc[0]
    assert whole["curve"] == "all candidates" and whole["pairs"] == len(known)
    assert compared.curves["verdict"].str.startswith("unknown: ").all()
    assert compared.curves["within"].isna().all()
    expected = spearmanr(known["value"], known["value_against"]).statistic
    assert whole["rank_agreement"] == pytest.approx(expected)
    assert whole["difference"] == pytest.approx(known["difference"].mean())
    most = known.loc[known["difference"].abs().idxmax()]
    assert (
        f"{most['difference']:+.3f} at most ({most['curve']}, {most['point']})"
        in (whole["verdict"])
    )
    lost = len(compared.pairs) - len(known)
    assert lost == (2 if name == "llama-2-divergence" else 0)
    assert ("2 without a number are not compared" in whole["verdict"]) == bool(lost)
    assert len(compared.curves) == 1 + theirs["source_position"].nunique()


def test_candidates_with_intervals_on_both_sides_get_a_verdict() -> None:
    close, far = ours("gemma-ablation"), ours("gemma-ablation")
    far["log_odds"] += 3
    far["log_odds_low"] += 3
    far["log_odds_high"] += 3
    agreeing = scorecard([close], [close]).curves.iloc[0]
    assert agreeing["verdict"].startswith("agrees: ") and agreeing["within"]
    differing = scorecard([far], [close]).curves.iloc[0]
    assert differing["verdict"].startswith("differs: ") and not differing["within"]
    assert differing["outside"] == 90 and "90 of 90 candidates differ" in differing["verdict"]


def several(**values: Any) -> pd.DataFrame:
    table = published("gemma-ablation")
    return pd.concat([table, table.assign(**values)], ignore_index=True)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (published("gemma-divergence"), "the column log_odds, which published-gemma-divergence"),
        (several(vector="other"), "more than one vector (gemma-refusal, other)"),
        (several(coefficient=2.0), "more than one coefficient (1.0, 2.0)"),
        (several(source="harmless"), "more than one source (harmful, harmless)"),
        (
            published("gemma-ablation").assign(source_position=-9),
            "have no candidate in common",
        ),
        (
            published("gemma-ablation").drop(columns=["source_position", "source_layer"]),
            "are not both of candidate directions",
        ),
    ],
)
def test_tables_that_show_something_else_are_refused(table: pd.DataFrame, sentence: str) -> None:
    with pytest.raises(StudyError, match=re.escape(sentence)):
        scorecard([published("gemma-ablation")], [table])


def test_the_scorecard_of_candidates_is_drawn_and_read(tmp_path: Any) -> None:
    compared = scorecard([ours("llama-2-divergence")], [published("llama-2-divergence")])
    draw_overlay(compared, [], {"names": ["own", "published"]}, tmp_path / "cells")
    assert len(pd.read_csv(tmp_path / "cells.csv")) == 192
    text = page(compared, "Cells")
    assert "all candidates" in text and text.count("<details>") == 6


def test_whether_the_same_candidate_is_chosen_is_reported() -> None:
    one = {"position": -2, "layer": 10}
    assert same_candidate(one, one) == (
        "The same candidate is chosen in both: position −2, layer 10."
    )
    assert same_candidate(one, {"position": None, "layer": 3}) == (
        "Different candidates are chosen: position −2, layer 10 in the first, layer 3 in the "
        "second."
    )


def own_losses(name: str) -> pd.DataFrame:
    """A study's own table: with accuracies, another corpus and another label of the layer."""
    table = published(name).assign(sweep="own", vector="mine", layer="0+1+2", documents=8)
    further = table[table["corpus"] == "pile"].assign(corpus="wikitext", role="other")
    table = pd.concat([table, further], ignore_index=True)
    for column in table.filter(regex="top1|top10"):
        table[column] = 0.5
    table["nll"] += np.where(table["coefficient"] == 0, 0.25, -0.5)
    table[PERPLEXITY[0]] = np.exp(table["nll"])
    return table


def test_losses_are_compared_by_corpus_wherever_the_injection_is() -> None:
    name = "gemma-losses-subtraction"
    compared = scorecard([own_losses(name)], [published(name)])
    assert list(compared.curves["curve"]) == ["pile", "alpaca"]
    assert list(compared.pairs["coefficient"]) == [0, -1, 0, -1]
    np.testing.assert_allclose(compared.pairs["difference"], [0.25, -0.5, 0.25, -0.5])
    assert compared.curves["verdict"].str.startswith("unknown: no point has an interval").all()
    for verdict in compared.curves["verdict"]:
        assert "-0.500 at most (coefficient -1)" in verdict
    of_perplexity = scorecard([own_losses(name)], [published(name)], "perplexity")
    expected = (
        np.exp(published(name)["nll"] + [0.25, 0.25, -0.5, -0.5]) - published(name)["perplexity"]
    )
    np.testing.assert_allclose(sorted(of_perplexity.pairs["difference"]), sorted(expected))


def test_losses_of_several_injections_are_refused() -> None:
    name = "gemma-losses-subtraction"
    table = own_losses(name)
    table = pd.concat([table, table.assign(layer="3")], ignore_index=True)
    with pytest.raises(StudyError, match="own has several vectors or layers"):
        scorecard([table], [published(name)])
    with pytest.raises(StudyError, match="have no corpus in common"):
        scorecard([own_losses(name).assign(corpus="other")], [published(name)])
