"""Aggregate tables against plain Python over the same raw rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from snakesteer.errors import StudyError
from snakesteer.tables import (
    BEHAVIOUR_COLUMNS,
    SKILL_COLUMNS,
    Curve,
    Part,
    behaviour_table,
    score_counts,
    skill_table,
)


def raw_skill(seed: int = 0, coefficients=(0.0, 0.5, 2.0), documents: int = 12) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    lengths = generator.integers(40, 200, size=(2, documents))
    for coefficient in coefficients:
        for corpus, own in zip(("code", "text"), lengths, strict=True):
            for document, tokens in enumerate(own):
                kept = int(tokens * 0.7)
                share = 0.6 / (1 + coefficient)
                rows.append(
                    {
                        "coefficient": coefficient,
                        "corpus": corpus,
                        "document": f"{corpus}-{document}",
                        "tokens": tokens,
                        "top1": generator.binomial(tokens, share),
                        "top10": generator.binomial(tokens, share**0.5),
                        "nll": float(tokens) * (2 + coefficient),
                        "kept": kept,
                        "kept_top1": generator.binomial(kept, share),
                        "kept_top10": generator.binomial(kept, share**0.5),
                    }
                )
    return pd.DataFrame(rows)


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
                    }
                )
    return pd.DataFrame(rows)


def test_skill_table_counts_as_plain_python_does():
    raw = raw_skill()
    table = skill_table("code-sweep", "code", [Curve("text-code", "3", raw)])
    assert list(table.columns) == SKILL_COLUMNS
    assert len(table) == 6
    assert set(table[table["corpus"] == "code"]["role"]) == {"target"}
    assert set(table[table["corpus"] == "text"]["role"]) == {"other"}
    for row in table.to_dict("records"):
        own = [r for r in raw.to_dict("records") if r["corpus"] == row["corpus"]]
        at = [r for r in own if r["coefficient"] == row["coefficient"]]
        zero = [r for r in own if r["coefficient"] == 0]
        assert row["documents"] == 12
        assert row["tokens"] == sum(r["tokens"] for r in at)
        assert row["nll"] == pytest.approx(2 + row["coefficient"])
        for hits, tokens in (
            ("top1", "tokens"),
            ("top10", "tokens"),
            ("kept_top1", "kept"),
            ("kept_top10", "kept"),
        ):
            value = sum(r[hits] for r in at) / sum(r[tokens] for r in at)
            base = sum(r[hits] for r in zero) / sum(r[tokens] for r in zero)
            assert row[hits] == pytest.approx(value, rel=1e-12)
            assert row[f"relative_{hits}"] == pytest.approx(value / base, rel=1e-12)
            assert row[f"{hits}_low"] <= value <= row[f"{hits}_high"]
            assert row[f"relative_{hits}_low"] <= value / base <= row[f"relative_{hits}_high"]


def test_relative_accuracy_at_coefficient_0_is_exactly_1():
    table = skill_table("s", "code", [Curve("v", "1", raw_skill())])
    zero = table[table["coefficient"] == 0]
    for column in ("relative_top1", "relative_top1_low", "relative_top1_high"):
        assert (zero[column] == 1).all()


def test_skill_table_does_not_depend_on_the_order_of_rows():
    raw = raw_skill()
    shuffled = raw.sample(frac=1, random_state=1)
    tables = [skill_table("s", "code", [Curve("v", "1", rows)]) for rows in (raw, shuffled)]
    order = ["corpus", "coefficient"]
    pd.testing.assert_frame_equal(
        *(table.sort_values(order).reset_index(drop=True) for table in tables)
    )


def test_skill_table_takes_other_documents_at_other_coefficients():
    raw = raw_skill()
    renamed = raw.assign(document=raw["coefficient"].astype(str) + raw["document"])
    paired, unpaired = (
        skill_table("s", "code", [Curve("v", "1", rows)]).set_index(["corpus", "coefficient"])
        for rows in (raw, renamed)
    )
    assert (paired["relative_top1"] == unpaired["relative_top1"]).all()
    assert (unpaired["documents"] == 12).all()
    assert unpaired.loc[("code", 0.0), "relative_top1_low"] == 1


def test_a_collapsed_curve_keeps_finite_numbers_and_no_kept_tokens_give_nan():
    raw = raw_skill()
    raw.loc[raw["coefficient"] == 2.0, ["top1", "top10"]] = 0
    raw["kept"] = raw["kept_top1"] = raw["kept_top10"] = 0
    table = skill_table("s", "code", [Curve("v", "1", raw)])
    assert (table.loc[table["coefficient"] == 2.0, "relative_top1_high"] == 0).all()
    assert table["kept_top1"].isna().all() and table["relative_kept_top10_low"].isna().all()


def test_skill_table_refuses_a_curve_without_coefficient_0_and_a_document_counted_twice():
    raw = raw_skill()
    with pytest.raises(StudyError, match="no coefficient 0 on corpus 'code'"):
        skill_table("s", "code", [Curve("v", "1", raw[raw["coefficient"] > 0])])
    with pytest.raises(StudyError, match="twice"):
        skill_table("s", "code", [Curve("v", "1", pd.concat([raw, raw.head(1)]))])


def test_behaviour_table_counts_as_plain_python_does():
    raw = raw_behaviour([2.0, 0.0, -2.0], ("wealth-seeking", "agreeableness"))
    table = behaviour_table("single", [Part("single", "wealth", "4", "test", raw)])
    assert list(table.columns) == BEHAVIOUR_COLUMNS
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
        half = 1.959964 * np.std(differences, ddof=1) / np.sqrt(40)
        assert row["propensity_high"] - row["propensity"] == pytest.approx(half, rel=1e-6)
        assert row["choice_mass"] == pytest.approx(np.mean([r["choice_mass"] for r in own]))


def test_direction_of_combined_vectors_is_given_except_at_coefficient_0():
    part = Part("combined", "all", "4", "test", raw_behaviour([0.0, 1.0]), "subtract", "mean", True)
    table = behaviour_table("combined", [part])
    assert list(table["direction"]) == ["default", "subtract"]
    assert list(table["combine"]) == ["mean"] * 2 and table["weighted"].all()


@pytest.mark.parametrize(("most", "collapsed"), [(190, False), (191, True)])
def test_mode_collapse_is_more_than_95_percent_of_one_answer(most, collapsed):
    raw = raw_behaviour([1.0], questions=200).assign(answer=["A"] * most + ["B"] * (200 - most))
    table = behaviour_table("grid", [Part("grid", "v", "0", "validation", raw)])
    assert table["majority"].item() == most / 200
    assert table["collapsed"].item() is collapsed


def test_score_counts_accepts_counts_without_logits():
    columns = [c for c in BEHAVIOUR_COLUMNS if not c.startswith("score") and c != "collapsed"]
    counts = pd.DataFrame([dict.fromkeys(columns, np.nan)]).assign(
        questions=300, matches=259, faulty=0, majority=0.6
    )
    table = score_counts(counts)
    assert list(table.columns) == BEHAVIOUR_COLUMNS
    assert table["score"].item() == 259 / 300
    assert table["score_low"].item() < 259 / 300 < table["score_high"].item()
