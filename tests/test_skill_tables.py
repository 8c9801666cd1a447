"""Skill tables against plain Python over the same raw rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from snakesteer.core.errors import StudyError
from snakesteer.tables.next_token import SKILL_COLUMNS, Curve, skill_table


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


def test_fewer_documents_are_held_against_the_same_ones_at_coefficient_0():
    raw = raw_skill(documents=40)
    few = [f"code-{document}" for document in range(25)]
    some = raw[(raw["coefficient"] != 0.5) | raw["document"].isin(few)]
    whole, nested, alone = (
        skill_table("s", "code", [Curve("v", "1", rows[rows["corpus"] == "code"])])
        .set_index("coefficient")
        .filter(regex="^(documents|tokens|(relative_)?top1)")
        for rows in (raw, some, raw[raw["document"].isin(few)])
    )
    assert list(nested["documents"]) == [40, 25, 40]
    for column in ("tokens", "top1", "relative_top1"):
        assert nested.loc[0.5, column] == alone.loc[0.5, column]
    width = nested["relative_top1_high"] - nested["relative_top1_low"]
    expected = alone["relative_top1_high"] - alone["relative_top1_low"]
    assert width[0.5] == pytest.approx(expected[0.5], rel=0.15)
    pd.testing.assert_frame_equal(nested.loc[[0.0, 2.0]], whole.loc[[0.0, 2.0]])


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


def test_nothing_is_relative_to_a_model_that_predicts_nothing():
    raw = raw_skill()
    raw.loc[raw["coefficient"] == 0, "top1"] = 0
    table = skill_table("code-sweep", "code", [Curve("text-code", "3", raw)])
    assert table["relative_top1"].isna().all() and table["relative_top10"].notna().all()
