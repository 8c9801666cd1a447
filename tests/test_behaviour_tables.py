"""Behaviour tables against plain Python over the same raw rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from snakesteer.measures.two_choice_settings import Stopping as GridStopping
from snakesteer.tables.two_choice import BEHAVIOUR_COLUMNS, Part, behaviour_table, score_counts


def raw_behaviour(coefficients, behaviours=("myopia",), questions: int = 40, seed: int = 0):
    generator = np.random.default_rng(seed)
    rows = []
    for coefficient in coefficients:
        for behaviour in behaviours:
            for question in range(questions):
                outcome = generator.choice(["match", "other", "faulty"], p=[0.5, 0.4, 0.1])
                answer = "the" if outcome == "faulty" else generator.choice(["A", "B"])
                rows.append(
                    {
                        "coefficient": coefficient,
                        "behaviour": behaviour,
                        "question": f"{behaviour}-{question}",
                        "answer": answer,
                        "outcome": outcome,
                        "logit_matching": generator.normal(1),
                        "logit_not_matching": generator.normal(),
                        "choice_mass": generator.uniform(),
                        "probability": generator.uniform(),
                    }
                )
    return pd.DataFrame(rows)


def test_behaviour_table_counts_as_plain_python_does():
    raw = raw_behaviour([2.0, 0.0, -2.0], ("wealth-seeking", "agreeableness"))
    table = behaviour_table("single", [Part("single", "wealth", "4", "test", raw)], 0.95)
    of_probability = ["probability", "probability_low", "probability_high"]
    assert list(table.columns) == [*BEHAVIOUR_COLUMNS, *of_probability]
    assert list(table["coefficient"]) == [-2, -2, 0, 0, 2, 2]
    assert list(table["behaviour"]) == ["wealth-seeking", "agreeableness"] * 3
    assert list(table["direction"][::2]) == ["subtract", "default", "add"]
    for row in table.to_dict("records"):
        own = [
            r
            for r in raw.to_dict("records")
            if (r["coefficient"], r["behaviour"]) == (row["coefficient"], row["behaviour"])
        ]
        outcomes = Counter(r["outcome"] for r in own)
        assert row["questions"] == len(own) == 40
        assert row["matches"] == outcomes["match"]
        assert row["faulty"] == outcomes["faulty"]
        assert row["score"] == outcomes["match"] / 40
        answers = Counter(r["answer"] for r in own)
        assert row["majority"] == answers.most_common(1)[0][1] / 40
        assert not row["collapsed"]
        differences = [r["logit_matching"] - r["logit_not_matching"] for r in own]
        assert row["propensity"] == pytest.approx(np.mean(differences))
        half = 2.022691 * np.std(differences, ddof=1) / np.sqrt(40)
        assert row["propensity_high"] - row["propensity"] == pytest.approx(half, rel=1e-6)
        assert row["choice_mass"] == pytest.approx(np.mean([r["choice_mass"] for r in own]))
        of_items = [r["probability"] for r in own]
        assert row["probability"] == pytest.approx(np.mean(of_items))
        half = 2.022691 * np.std(of_items, ddof=1) / np.sqrt(40)
        assert row["probability"] - row["probability_low"] == pytest.approx(half, rel=1e-6)
        assert row["probability_high"] - row["probability"] == pytest.approx(half, rel=1e-6)


def test_direction_of_combined_vectors_is_given_except_at_coefficient_0():
    part = Part("combined", "all", "4", "test", raw_behaviour([0.0, 1.0]), "subtract", "mean", True)
    table = behaviour_table("combined", [part], 0.95)
    assert list(table["direction"]) == ["default", "subtract"]
    assert list(table["combine"]) == ["mean"] * 2 and table["weighted"].all()


@pytest.mark.parametrize(
    ("collapse", "most", "collapsed"),
    [(0.95, 190, False), (0.95, 191, True), (0.57, 114, False), (0.57, 115, True)],
)
def test_mode_collapse_is_more_than_the_share_of_one_answer(collapse, most, collapsed):
    answers = ["A"] * most + ["B"] * (200 - most)
    raw = raw_behaviour([1.0], questions=200).assign(answer=answers)
    table = behaviour_table("grid", [Part("grid", "v", "0", "validation", raw)], collapse)
    assert table["majority"].item() == most / 200
    assert table["collapsed"].item() is collapsed
    advance = GridStopping(collapse=collapse, faulty=200).advance(answers, 0, ["A", "B"])
    assert advance == (0 if collapsed else 1)


def test_score_counts_accepts_counts_without_logits():
    columns = [c for c in BEHAVIOUR_COLUMNS if not c.startswith("score") and c != "collapsed"]
    counts = pd.DataFrame([dict.fromkeys(columns, np.nan)]).assign(
        questions=300, matches=259, faulty=0, majority=0.6
    )
    table = score_counts(counts, 0.95)
    assert list(table.columns) == BEHAVIOUR_COLUMNS
    assert table["score"].item() == 259 / 300
    assert table["score_low"].item() < 259 / 300 < table["score_high"].item()
