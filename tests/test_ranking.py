"""Rankings of arms, against SciPy's tests and by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from snakesteer.core.errors import StudyError
from snakesteer.core.student_t import t_p_value
from snakesteer.sweeps.job import Injected, Placed
from snakesteer.tables.job import TableJob
from snakesteer.tables.ranking import Ranked, RankingJob, ranking

BEHAVIOURS = ["calm", "loud", "shy", "bold"]
ARMS = {arm: tuple(f"{of}-{arm}" for of in BEHAVIOURS) for arm in ("one", "two", "three")}
PULLS = {"one": 1.0, "two": 0.99, "three": 0.1}
QUESTIONS = 30


def raw(seed: int = 0) -> pd.DataFrame:
    """Rows of `choice`: every vector moves its questions by its pull, more or less."""
    generator = np.random.default_rng(seed)
    rows = []
    for behaviour in BEHAVIOURS:
        before = generator.normal(size=QUESTIONS)
        liking = generator.normal(1, 0.1)
        for arm, pull in PULLS.items():
            after = before + pull * liking + generator.normal(scale=0.1, size=QUESTIONS)
            for coefficient, values in ((0.0, before), (2.5, after)):
                for question, value in enumerate(values):
                    row = {"behaviour": behaviour, "question": f"q{question}", "measure": "answers"}
                    row |= {"coefficient": coefficient, "propensity": value}
                    rows.append(row | {"injection": f"{behaviour}-{arm} at 3"})
    return pd.DataFrame(rows)


def asked() -> RankingJob:
    injections = tuple(
        Injected((Placed(vector, (3,)),), (0.0, 2.5)) for own in ARMS.values() for vector in own
    )
    return RankingJob((TableJob("tested", "choice", "answers", "grid", (injections,)),), ARMS)


def ranked(rows: pd.DataFrame) -> Ranked:
    return ranking(asked(), [[rows]])


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """The change of each arm on each behaviour, [behaviours, arms], by hand."""
    vector = rows["injection"].str.removesuffix(" at 3")
    of = rows.assign(arm=vector.str.rsplit("-", n=1).str[1])
    mean = of.pivot_table(index="behaviour", columns=["arm", "coefficient"], values="propensity")
    return pd.DataFrame({arm: mean[arm][2.5] - mean[arm][0.0] for arm in ARMS})


def test_arms_are_ranked_by_the_mean_over_behaviours() -> None:
    rows = raw()
    found, expected = ranked(rows).arms, means(rows)
    assert list(found["arm"]) == list(expected.mean().sort_values(ascending=False).index)
    assert list(found["rank"]) == [1, 2, 3]
    for row in found.itertuples():
        own = expected[row.arm]
        interval = stats.t.interval(0.95, len(own) - 1, own.mean(), stats.sem(own))
        assert row.change == pytest.approx(own.mean())
        assert (row.change_low, row.change_high) == pytest.approx(interval)
        assert row.change_low < row.questions_low < row.change < row.questions_high
        assert (row.behaviours, row.questions) == (4, 4 * QUESTIONS)


def test_pairs_are_compared_behaviour_by_behaviour() -> None:
    """By SciPy's paired t-test, and Holm's procedure step by step."""
    rows = raw()
    found, expected = ranked(rows).pairs, means(rows)
    p = {}
    for pair in found.itertuples():
        test = stats.ttest_rel(expected[pair.arm], expected[pair.against])
        assert pair.p == pytest.approx(test.pvalue, rel=1e-6)
        interval = test.confidence_interval(0.95)
        assert (pair.difference_low, pair.difference_high) == pytest.approx(tuple(interval))
        p[pair.arm, pair.against] = test.pvalue
    assert len(p) == len(list(combinations(ARMS, 2)))
    rejected: set[tuple[str, str]] = set()
    for place, pair in enumerate(sorted(p, key=lambda each: p[each])):
        if p[pair] > 0.05 / (len(p) - place):
            break
        rejected.add(pair)
    ties = found.set_index(["arm", "against"])["tie"]
    assert {pair for pair in p if not ties[pair]} == rejected
    assert 0 < len(rejected) < len(p)  # "one" and "two" are near


def test_each_vector_has_a_row() -> None:
    found = ranked(raw()).vectors
    assert len(found) == len(ARMS) * len(BEHAVIOURS)
    assert set(found["coefficient"]) == {2.5} and set(found["layer"]) == {"3"}
    assert set(found["questions"]) == {QUESTIONS}


def test_arms_without_a_difference_are_ties() -> None:
    rows = raw()
    same = rows[rows["injection"].str.contains("-one")]
    copied = [
        same.assign(injection=same["injection"].str.replace("-one", f"-{arm}")) for arm in ARMS
    ]
    pairs = ranked(pd.concat(copied)).pairs
    assert pairs["tie"].all() and (pairs["p"] == 1).all() and (pairs["difference"] == 0).all()


def test_what_cannot_be_ranked_is_one_sentence() -> None:
    rows = raw()
    more = rows[rows["coefficient"] == 2.5].assign(coefficient=5.0)
    with pytest.raises(StudyError, match="calm-one at 3 has 2; give it one"):
        ranked(pd.concat([rows, more]))
    fewer = rows[(rows["injection"] != "shy-two at 3") | (rows["question"] != "q0")]
    with pytest.raises(StudyError, match="on other questions"):
        ranked(fewer)


@pytest.mark.parametrize("freedom", [1, 2, 3, 6, 11, 40])
def test_p_values_are_those_of_student(freedom: int) -> None:
    for t in (-4.0, -1.0, 0.0, 0.3, 2.2, 8.0):
        expected = 2 * stats.t.sf(abs(t), freedom)
        assert t_p_value(t, freedom) == pytest.approx(expected, rel=1e-6, abs=1e-12)
