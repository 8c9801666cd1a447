"""Paired intervals of differences, and the scorecards that have them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from effect_rows import COEFFICIENTS, injected, job, questions, rows

from snakesteer.tables import next_token, two_choice
from snakesteer.tables.items import Items, column_of, items_of
from snakesteer.tables.job import Statistics, TableJob
from snakesteer.tables.paired import (
    difference_of_shares,
    mean_of_differences,
    resampled_ratios,
    same_items,
)
from snakesteer.tables.scorecard import Scorecard, scorecard

ITEMS = 60
DOCUMENTS, TOKENS, AT = 40, 200, (0.0, 1.0, 2.0, 3.0)


def outcomes(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    one = np.repeat([1.0, 1.0, 0.0, 0.0], [both, first, second, neither])
    other = np.repeat([1.0, 0.0, 1.0, 0.0], [both, first, second, neither])
    return one, other


def test_paired_shares_have_the_interval_of_newcombe() -> None:
    """Statistics in Medicine 17 (1998), p. 2635-2650, table II, method 10: 36, 12, 2 and 0."""
    ends = difference_of_shares(*outcomes(36, 12, 2, 0))
    assert ends == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_paired_shares_that_are_the_same_or_all_or_nothing_have_an_interval() -> None:
    low, high = difference_of_shares(*outcomes(20, 0, 0, 10))
    assert low < 0 < high
    low, high = difference_of_shares(*outcomes(0, 10, 0, 0))
    assert 0.5 < low < 1 and high == pytest.approx(1)


def test_paired_means_have_students_interval() -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 25))
    expected = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert mean_of_differences(one - other) == pytest.approx((expected.low, expected.high))


def test_items_are_the_same_whatever_their_order() -> None:
    one = pd.DataFrame({"value": [1.0, 2.0]}, ["a", "b"])
    assert same_items(one, one[::-1]) and not same_items(one, one[:1])
    assert not same_items(one, None) and not same_items()
    assert not same_items(one.set_axis(["a", "a"]), one)


def compared(column: str | None, other_questions: pd.DataFrame | None = None) -> Scorecard:
    """Two sweeps whose propensities are correlated question by question."""
    generator = np.random.default_rng(7)
    easy = generator.normal(size=(ITEMS, 1), scale=2)
    sides, items = [], []
    for sweep, shift in (("one", 0.3), ("other", 0.0)):
        own = injected("myopia")
        noise = generator.normal(size=(ITEMS, len(COEFFICIENTS)), scale=0.4)
        raw = rows(own, easy + shift + np.array(COEFFICIENTS) + noise)
        asked = questions(ITEMS)
        if sweep == "other" and other_questions is not None:
            asked = other_questions
        tabled = job(sweep, [[own]])
        sides.append(two_choice.table(tabled, [raw], ()))
        items.append(items_of(tabled, [raw], {"myopia": asked}))
    return scorecard([sides[0]], [sides[1]], column=column, items=[(items[0], items[1])])


@pytest.mark.parametrize("column", [None, "propensity", "probability"])
def test_the_same_questions_are_compared_in_pairs(column: str | None) -> None:
    paired = compared(column)
    others = compared(column, questions(ITEMS).assign(prompt="Another prompt"))
    assert (paired.pairs["interval"] == "paired").all()
    assert (others.pairs["interval"] == "independent").all()
    assert paired.curves["interval"].tolist() == ["paired"]
    assert others.curves["interval"].tolist() == ["independent"]
    assert paired.pairs["difference"].tolist() == others.pairs["difference"].tolist()
    widths = [
        (card.pairs["difference_high"] - card.pairs["difference_low"]) for card in (paired, others)
    ]
    assert (widths[0] < 0.8 * widths[1]).all()


def test_the_interval_of_a_curve_is_over_its_questions() -> None:
    """The mean over coefficients of each question's difference, with Student's interval."""
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(7)
    easy = generator.normal(size=(ITEMS, 1), scale=2)
    values = []
    for shift in (0.3, 0.0):
        noise = generator.normal(size=(ITEMS, len(COEFFICIENTS)), scale=0.4)
        values.append(easy + shift + np.array(COEFFICIENTS) + noise)
    expected = stats.ttest_1samp((values[0] - values[1]).mean(axis=1), 0).confidence_interval(0.95)
    (curve,) = compared("propensity").curves.to_dict("records")
    ends = curve["difference_low"], curve["difference_high"]
    assert ends == pytest.approx((expected.low, expected.high))


def test_one_other_question_is_enough_for_an_independent_interval() -> None:
    other = questions(ITEMS)
    other.loc[5, "matching"], other.loc[5, "not_matching"] = "A", "B"
    assert (compared(None, other).pairs["interval"] == "independent").all()


def test_without_items_nothing_is_paired_and_ends_are_as_before() -> None:
    card = compared(None)
    own = injected("myopia")
    table = two_choice.table(job("one", [[own]]), [rows(own, np.ones((9, 5)))], ())
    alone = scorecard([table], [table])
    assert set(alone.pairs["interval"]) == set(alone.curves["interval"]) == {"independent"}
    assert list(alone.pairs) == list(card.pairs)


def documents(sweep: str, skill: float, seed: int) -> tuple[pd.DataFrame, Items]:
    """The table of next tokens of one sweep on two corpora, and its items; documents are as hard
    in every sweep."""
    injection = injected("code", coefficients=AT)
    raw = []
    for corpus in ("code", "text"):
        hard = np.random.default_rng(len(corpus)).beta(4, 4, size=DOCUMENTS)
        generator = np.random.default_rng(seed)
        for coefficient in AT:
            lost = np.exp(-skill * coefficient * (1 if corpus == "code" else 0.4))
            hits = generator.binomial(TOKENS, hard * lost, size=(4, DOCUMENTS)).astype(float)
            counts = dict(zip(("top1", "top10", "kept_top1", "kept_top10"), hits, strict=True))
            counts |= {"tokens": TOKENS, "kept": TOKENS, "nll": TOKENS * (2 - hits[0] / TOKENS)}
            names = [f"{number:03d}" for number in range(DOCUMENTS)]
            here = {"measure": "next_token", "injection": injection.label, "corpus": corpus}
            here |= {"coefficient": coefficient, "document": names}
            raw.append(pd.DataFrame(here | counts))
    whole = pd.concat(raw, ignore_index=True)
    asked = TableJob(
        sweep=sweep,
        measure="next_token",
        of="next_token",
        kind="grid",
        jobs=((injection,),),
        target="code",
        statistics=Statistics(1000, 13),
    )
    read = pd.DataFrame({"document": names, "text": [f"Text {name}" for name in names]})
    return next_token.table(asked, [whole], ()), items_of(
        asked, [whole], {"code": read, "text": read}
    )


def test_the_same_documents_are_compared_in_pairs() -> None:
    (ours, of_ours), (theirs, of_theirs) = documents("one", 0.1, 0), documents("other", 0.15, 1)
    for column in (None, "top1"):
        paired = scorecard([ours], [theirs], column, items=[(of_ours, of_theirs)])
        apart = scorecard([ours], [theirs], column)
        assert set(paired.pairs["interval"]) == set(paired.curves["interval"]) == {"paired"}
        assert paired.pairs["difference"].tolist() == apart.pairs["difference"].tolist()
        assert paired.curves["difference"].tolist() == apart.curves["difference"].tolist()
    # Accuracies share how hard the documents are, which relative ones have divided out.
    own, other = (
        card["difference_high"] - card["difference_low"] for card in (paired.pairs, apart.pairs)
    )
    assert (own < 0.7 * other).all()
    loss = scorecard([ours], [theirs], column="nll", items=[(of_ours, of_theirs)])
    assert set(loss.pairs["interval"]) == {"paired"}
    perplexity = scorecard([ours], [theirs], column="perplexity", items=[(of_ours, of_theirs)])
    assert set(perplexity.pairs["interval"]) == {"independent"}


def test_ratios_are_those_of_a_naive_bootstrap_of_the_same_documents() -> None:
    (ours, of_ours), (theirs, of_theirs) = documents("one", 0.1, 0), documents("other", 0.15, 1)
    sides = []
    for table, items in ((ours, of_ours), (theirs, of_theirs)):
        here = (table["corpus"] == "code") & (table["coefficient"] == 2)
        (side,) = column_of(table[here], items, "relative_top1")
        assert side is not None
        sides.append(side)
    second = sides[1].sample(frac=1, random_state=0)  # whatever the order
    found = resampled_ratios([sides[0], second], seed=5)
    generator = np.random.default_rng(5)
    draws = np.concatenate(
        [generator.integers(DOCUMENTS, size=(100, DOCUMENTS)) for _ in range(10)]
    )
    for place in (0, 1):
        naive = []
        for draw in draws:
            drawn = sides[place].iloc[draw].sum()
            steered, unsteered = drawn.iloc[0] / drawn.iloc[1], drawn.iloc[2] / drawn.iloc[3]
            naive.append(steered / unsteered)
        np.testing.assert_allclose(found[:, place], naive, rtol=1e-12)
