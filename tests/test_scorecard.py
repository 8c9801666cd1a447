"""The scorecard: zeros against itself, differences with intervals, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY

from checkout import copy_of_repository
from snakesteer.core.errors import StudyError
from snakesteer.figures.overlay import draw_overlay, overlay
from snakesteer.plan.plan import Plan
from snakesteer.reports.scorecard import page
from snakesteer.storage.files import read_provenance, read_table
from snakesteer.study import study_file
from snakesteer.tables.scorecard import (
    CURVE_COLUMNS,
    PAIR_COLUMNS,
    Scorecard,
    scorecard,
    sorted_curves,
)

SHIPPED = REPOSITORY / "resources" / "published" / "broad-skills"
PUBLISHED = REPOSITORY / "config" / "papers" / "broad-skills-published.yaml"
KINDS = ["code", "grid", "single", "combined", "simultaneous"]
SHADED = '<tr class="outside">'


def published(name: str) -> pd.DataFrame:
    return read_table(SHIPPED / f"published-{name}.parquet").to_pandas()


def test_a_model_that_gets_no_token_right_has_accuracies_all_the_same() -> None:
    """Relative ones are then no numbers, as those of published losses are."""
    code = published("code")
    relative = [name for name in code if name.startswith("relative_")]
    nothing = code.assign(top1=0.0, **dict.fromkeys(relative, np.nan))
    found = scorecard([nothing], [code])
    assert set(found.curves["kind"]) == {"skill"}
    assert len(found.curves) == code["layer"].nunique()


@pytest.mark.parametrize("name", KINDS)
def test_published_against_published_gives_zeros(name: str) -> None:
    compared = scorecard([published(name)], [published(name)])
    assert list(compared.pairs) == PAIR_COLUMNS and list(compared.curves) == CURVE_COLUMNS
    assert (compared.pairs["difference"] == 0).all() and (compared.curves["difference"] == 0).all()
    assert compared.pairs["within"].all() and compared.curves["within"].all()
    agreement = compared.curves["rank_agreement"].dropna()
    np.testing.assert_allclose(agreement, 1)
    assert (compared.curves["outside"] == 0).all()
    assert compared.curves["verdict"].str.startswith("agrees: ").all()


def test_differences_carry_newcombes_interval() -> None:
    """Newcombe (1998), table II, method 10: 56/70 - 48/80 = 0.2 (0.0524 to 0.3339)."""
    single = published("single").head(1)
    ours = single.assign(score=56 / 70, score_low=0.69189, score_high=0.87693)
    theirs = single.assign(score=48 / 80, score_low=0.49042, score_high=0.70043)
    pair = scorecard([ours], [theirs]).pairs.iloc[0]
    assert pair["difference"] == pytest.approx(0.2)
    assert pair["difference_low"] == pytest.approx(0.0524, abs=2e-4)
    assert pair["difference_high"] == pytest.approx(0.3339, abs=2e-4)
    assert not pair["within"]


def test_the_area_is_that_between_curve_and_diagonal() -> None:
    code = published("code")
    layer = code[code["layer"] == "10"].copy()
    values = layer["relative_top1"].where(layer["role"] == "target")
    flat = layer.assign(relative_top1=np.where(layer["role"] == "other", 1.0, values))
    (row,) = scorecard([flat], [flat]).curves.to_dict("records")
    target = flat.loc[flat["role"] == "target", "relative_top1"].to_numpy()
    expected = sum((2 - a - b) / 2 * (a - b) for a, b in zip(target, target[1:], strict=False))
    assert row["statistic"] == "area between curve and diagonal"
    assert row["value"] == pytest.approx(expected)


def test_the_areas_of_both_signs_add_up() -> None:
    code = published("code")
    layer = code[(code["layer"] == "10") & code["coefficient"].isin([0, 0.5, 1])]
    values = np.where(layer["role"] == "target", 0.5, 0.9)
    values[layer["coefficient"] == 0] = 1.0
    two_sided = layer.assign(
        relative_top1=values, coefficient=layer["coefficient"].replace({0.5: -1.0})
    )
    (row,) = scorecard([two_sided], [two_sided]).curves.to_dict("records")
    assert row["pairs"] == 6
    assert row["value"] == pytest.approx(2 * 0.5 * 0.4 / 2)


def test_of_three_corpora_the_mean_is_over_the_target() -> None:
    code = published("code")
    layer = code[code["layer"] == "10"]
    numbers = ["relative_top1", "relative_top1_low", "relative_top1_high"]
    third = layer[layer["role"] == "other"].assign(corpus="python", **dict.fromkeys(numbers, 0.0))
    ours = pd.concat([third, layer], ignore_index=True)
    theirs = ours.copy()
    theirs.loc[theirs["role"] == "other", numbers] = 0.5
    compared = scorecard([ours], [theirs])
    (row,) = compared.curves.to_dict("records")
    target = layer.loc[layer["role"] == "target", "relative_top1"]
    assert row["statistic"] == "mean target code" and row["pairs"] == 3 * len(target)
    assert row["value"] == pytest.approx(target.mean()) and row["difference"] == 0
    assert not row["within"]  # by the points of the other two
    figure, numbers = overlay(compared, {})
    (panel,) = figure.axes
    assert len(panel.lines[0].get_xdata()) == len(target) and len(numbers) == row["pairs"]


def shifted(table: pd.DataFrame, by: np.ndarray | float) -> pd.DataFrame:
    """Scores with their intervals, shifted."""
    return table.assign(
        **{f"score{end}": table[f"score{end}"] + by for end in ("", "_low", "_high")}
    )


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [
        (
            lambda place: 0.0,
            "agrees: the difference in mean matching score, +0.000 (-0.009 to +0.009), may be 0, "
            "and 0 of 81 points differ, at most one in 20",
        ),
        (
            lambda place: np.where(place % 2, 0.5, -0.5),
            "differs at points: the difference in mean matching score, +0.006 (-0.003 to +0.015), "
            "may be 0, but 81 of 81 points differ, more than one in 20",
        ),
        (
            lambda place: 0.03,
            "differs as a whole: the difference in mean matching score, -0.030 (-0.039 to -0.021), "
            "is not 0, though only 0 of 81 points differ",
        ),
        (
            lambda place: 0.5,
            "differs: the difference in mean matching score, -0.500 (-0.509 to -0.491), is not 0, "
            "and 81 of 81 points differ",
        ),
    ],
)
def test_a_verdict_says_what_differs(shift, verdict: str) -> None:
    scores = published("simultaneous").query("behaviour == 'sycophancy'").reset_index(drop=True)
    (curve,) = scorecard([scores], [shifted(scores, shift(scores.index))]).curves.to_dict("records")
    assert curve["verdict"] == verdict
    assert curve["within"] == verdict.startswith("agrees")


def test_several_vectors_at_a_layer_are_curves_of_their_own() -> None:
    table = published("code")
    both = pd.concat([table, table.assign(vector="mine")], ignore_index=True)
    one, two = scorecard([table], [table]).curves, scorecard([both], [both]).curves
    assert len(two) == 2 * len(one) and (two["difference"] == 0).all()
    assert sum(curve.endswith(", mine") for curve in two["curve"]) == len(one)


def test_what_has_no_interval_does_not_differ() -> None:
    single = published("single").head(1)
    unknown = single.assign(score=0.9, score_low=np.nan, score_high=np.nan)
    compared = scorecard([single], [unknown])
    assert compared.pairs["within"].isna().all() and compared.curves["within"].isna().all()
    assert compared.curves["verdict"].str.startswith("unknown: no point has an interval").all()
    text = page(compared, "Unknown")
    assert "<b>0 of 1 curves agree.</b>" in text and SHADED not in text
    table = published("simultaneous")
    other = scorecard([table], [shifted(table, 0.5)])
    differing = [(~rows["within"]).sum() for rows in (other.pairs, other.curves)]
    assert page(other, "Other").count(SHADED) == sum(differing) and min(differing)


def swept(shift: float, low: float | None = 0.1) -> pd.DataFrame:
    """A sweep of one vector at three layers, by a column that is no matching score."""
    rows = []
    for layer in (1, 2, 10):
        for coefficient in (-1.0, 0.0, 1.0):
            value = 0.5 + (0.02 * layer + shift * (layer == 2)) * coefficient
            rows.append(
                {
                    "sweep": "swept",
                    "kind": "grid",
                    "vector": "myopia",
                    "behaviour": "myopia",
                    "layer": str(layer),
                    "coefficient": coefficient,
                    "split": "test",
                    "unsteered": coefficient == 0,
                    "score": 0.5,
                    "probability": value,
                    "probability_low": np.nan if low is None else value - low,
                    "probability_high": np.nan if low is None else value + low,
                }
            )
    return pd.DataFrame(rows)


def test_another_column_is_compared_along_the_layer() -> None:
    compared = scorecard([swept(0.2)], [swept(0)], "probability", "layer")
    assert list(compared.curves["curve"]) == ["coefficient -1, myopia", "coefficient +1, myopia"]
    assert set(compared.curves["statistic"]) == {"mean probability"}
    up = compared.pairs[compared.pairs["curve"] == "coefficient +1, myopia"]
    assert list(up["point"]) == ["layer 1", "layer 2", "layer 10"]
    np.testing.assert_allclose(up["difference"], [0, 0.2, 0])
    np.testing.assert_allclose(up["difference_high"], np.sqrt(2) * 0.1 + up["difference"])
    assert list(up["within"]) == [True, False, True]
    assert compared.curves["verdict"].str.startswith("differs at points").all()
    figure, _ = overlay(compared, {})
    panel = figure.axes[0]
    assert panel.get_xlabel() == "Layer" and panel.get_ylabel() == "Probability"
    assert list(panel.lines[0].get_xdata()) == [1, 2, 10]


def test_without_intervals_the_verdict_says_what_is_known() -> None:
    compared = scorecard([swept(0.2, None)], [swept(0)], "probability", "layer")
    assert list(compared.curves["verdict"]) == [
        "unknown: no point has an interval of its difference; it is -0.067 on average and -0.200 "
        "at most (layer 2), rank agreement 0.50",
        "unknown: no point has an interval of its difference; it is +0.067 on average and +0.200 "
        "at most (layer 2), rank agreement 0.50",
    ]
    assert "nan" not in page(compared, "Unknown")
    by_coefficient = scorecard([swept(0.2, None)], [swept(0)], "probability")
    assert list(by_coefficient.curves["curve"]) == [
        "layer 1, myopia",
        "layer 2, myopia",
        "layer 10, myopia",
    ]
    assert "+0.200 at most (coefficient +1)" in by_coefficient.curves["verdict"][1] or (
        "-0.200 at most (coefficient -1)" in by_coefficient.curves["verdict"][1]
    )


def test_columns_and_curves_that_are_not_there_are_reported() -> None:
    with pytest.raises(StudyError, match="the column nll, which swept lacks; name one of coeff"):
        scorecard([swept(0)], [swept(0)], "nll")
    with pytest.raises(StudyError, match="are single sweeps, which have no curve over the layer"):
        scorecard([published("single")], [published("single")], along="layer")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            {"column": "kl"},
            "scorecards.s.column names kl, but sweeps.published-grid measures two_choice, which "
            "has "
            "score, probability, propensity, choice_mass; name one of these.",
        ),
        (
            {"sweeps": ["published-single"], "against": ["published-single"], "along": "layer"},
            "scorecards.s.along is layer, but sweeps.published-single measures two_choice of "
            "vectors "
            "alone with chosen multipliers, which has no curve along the layer; use vectors "
            "alone, or remove along.",
        ),
        (
            {"sweeps": ["published-code"], "against": ["published-code"], "along": "layer"},
            "scorecards.s.along is layer, but sweeps.published-code measures next_token of "
            "published "
            "skills, which has no curve along the layer; use vectors alone, or remove along.",
        ),
    ],
)
def test_a_scorecard_that_has_no_curves_is_reported_before_anything_runs(
    entry: dict[str, Any], sentence: str
) -> None:
    compared = {"sweeps": ["published-grid"], "against": ["published-grid"], **entry}
    given = study_file.read(PUBLISHED) | {"scorecards": {"s": compared}}
    with pytest.raises(StudyError) as told:
        study_file.parse(given)
    assert str(told.value).endswith(sentence)


def test_the_permuted_control_is_outside() -> None:
    (curve,) = scorecard([published("code")], [published("code-permuted")]).curves.to_dict(
        "records"
    )
    assert curve["curve"] == "layer 15" and not curve["within"] and curve["difference"] > 0.05
    assert curve["verdict"].startswith("differs: the difference in area between")


def test_a_default_on_other_questions_is_left_out() -> None:
    """Our grid search measures the default on the cells' own questions, the published one not."""
    theirs = published("grid")
    compared = scorecard([theirs.assign(split="validation")], [theirs])
    assert 0 not in set(compared.pairs["coefficient"])
    cells = theirs[(theirs["split"] == "validation")]
    assert len(compared.pairs) == len(cells) and len(compared.curves) == 5 * 8


def test_early_stopping_may_end_curves_at_other_places() -> None:
    whole, cut = published("code"), published("code")
    cut = cut[cut["coefficient"] < 2]
    compared = scorecard([whole], [cut])
    assert (compared.pairs["coefficient"] < 2).all() and compared.curves["within"].all()


def other_coefficients(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(coefficient=table["coefficient"] * 1.5)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (lambda: published("code"), lambda: published("single"), "a skill and a single sweep"),
        (lambda: published("single"), lambda: published("grid"), "a single and a grid sweep"),
        (
            lambda: published("code"),
            lambda: other_coefficients(published("code")),
            "different coefficients .0.25, 0.5.*0.375, 0.75",
        ),
        (
            lambda: published("simultaneous"),
            lambda: other_coefficients(published("simultaneous")),
            "different coefficients",
        ),
        (
            lambda: published("code"),
            lambda: published("code").replace({"corpus": {"code": "python"}}),
            "different corpus values .code, text; python, text",
        ),
        (
            lambda: published("single"),
            lambda: published("single").assign(split="validation"),
            "different split values",
        ),
        (
            lambda: published("single"),
            lambda: published("single").assign(layer="3"),
            "no layer and behaviour in common",
        ),
        (lambda: published("single"), lambda: published("single").head(0), "empty table"),
        (
            lambda: published("combined").query("not weighted"),
            lambda: published("combined").query("weighted"),
            "share no points .add mean, subtract mean, .*; add weighted mean, subtract weighted",
        ),
        (
            lambda: published("code"),
            lambda: published("code").replace({"role": {"target": "other", "other": "target"}}),
            "different target corpus values .code; text",
        ),
    ],
)
def test_tables_that_do_not_show_the_same_are_refused(ours, theirs, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        scorecard([ours()], [theirs()])


def test_page_and_overlay_show_every_curve(tmp_path: Path) -> None:
    compared = scorecard([published("single")], [published("single")])
    text = page(compared, "Single & steering")
    assert "10 of 10 curves agree" in text and "Single &amp; steering" in text
    assert all(curve in text for curve in compared.curves["curve"])
    for kind in ("single", "simultaneous", "code"):
        compared = scorecard([published(kind)], [published(kind)])
        draw_overlay(compared, [], {"names": ["one", "other"]}, tmp_path / kind)
        assert (tmp_path / f"{kind}.png").stat().st_size > 10_000
        assert len(pd.read_csv(tmp_path / f"{kind}.csv")) == len(compared.pairs)
    assert sorted_curves(compared.curves) == [f"layer {n}" for n in (0, 5, 10, 15, 20, 25, 30)]


def test_a_page_holds_the_picture_and_notes_and_scrolls_what_is_wide() -> None:
    compared = scorecard([published("single")], [published("single")])
    note = "single: No multiplier qualified for myopic at layer 10 (add); the smallest was chosen."
    text = page(compared, "Single", notes=[note], picture=b"PNG")
    assert f"<p>{note}</p>" in text
    assert 'src="data:image/png;base64,UE5H"' in text and "img { max-width: 100%" in text
    assert text.count("<table>") == text.count("<div><table>") == 11
    assert '<meta name="viewport" content="width=device-width">' in text
    nothing = page(Scorecard(compared.pairs.head(0), compared.curves.head(0)), "Nothing")
    assert "<b>No curves were compared.</b>" in nothing and "0 of 0" not in nothing


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("code", ("Relative code\naccuracy (%)", "Relative text\naccuracy (%)")),
        ("single", ("", "Matching score")),
        ("simultaneous", ("Injection coefficient", "Matching score")),
    ],
)
def test_an_overlay_names_its_axes_and_sets_equal_curves_apart(kind: str, labels) -> None:
    figure, _ = overlay(scorecard([published(kind)], [published(kind)]), {})
    figure.draw_without_rendering()
    for panel in figure.axes:
        assert (panel.get_xlabel(), panel.get_ylabel()) == labels
        first, second = (
            line.get_transform().transform(line.get_xydata())
            for line in panel.lines
            if line.get_marker() in ("o", "s") or kind == "simultaneous"
        )
        apart = np.abs(second - first)
        assert (apart[:, 0] > 1).all()


@pytest.mark.long
def test_a_scorecard_of_the_workflow(tmp_path: Path) -> None:
    """Published results against another study's table, and what is absent, in one run."""
    checkout = copy_of_repository(tmp_path)
    config = checkout.folder / "config" / "scored.yaml"
    absent = ["published-alignment-tax"]
    compared = {
        "extends": "papers/broad-skills-published.yaml",
        "name": "scored",
        "figures": None,
        "scorecards": {
            "single": {
                "sweeps": ["published-single", *absent],
                "against": ["other/published-single", *absent],
            },
            "tax": {"sweeps": absent, "against": absent},
        },
    }
    config.write_text(yaml.safe_dump(compared))
    refused = checkout.attempt("--cores", "2", config=config)
    assert "run the study other first" in refused.stdout
    other = tmp_path / "results" / "other" / "tables" / "published-single.parquet"
    other.parent.mkdir(parents=True)
    other.write_bytes((SHIPPED / other.name).read_bytes())
    targets = [f"results/scored/scorecards/{name}.html" for name in ("single", "tax")]
    checkout.snakemake("--cores", "2", "--", *targets, config=config)
    single, tax = (tmp_path / target for target in targets)
    assert "10 of 10 curves agree" in single.read_text()
    sentence = next(iter(read_provenance(SHIPPED / f"{absent[0]}.parquet")["missing"].values()))
    assert f"<p>Skipped: {sentence}.</p>" in single.read_text()
    assert "published results are absent" in tax.read_text()
    assert read_table(single.with_suffix(".parquet")).num_rows == 10


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"sweeps": ["published-code"], "against": []}, ["scorecards.a.against"]),
        (
            {"sweeps": ["published-code"], "against": ["published-grid", "published-single"]},
            ["scorecards.a", "1", "2"],
        ),
        ({"sweeps": ["published-coed"], "against": ["published-grid"]}, ["`published-code`"]),
    ],
)
def test_mistakes_in_a_scorecard_are_one_sentence(entry, words: list[str]) -> None:
    data = study_file.read(REPOSITORY / "config" / "papers" / "broad-skills-published.yaml")
    with pytest.raises(StudyError) as raised:
        Plan(study_file.parse({**data, "scorecards": {"a": entry}}), REPOSITORY)
    assert all(word in str(raised.value) for word in words)


def test_a_scorecard_named_as_the_pairs_of_another_is_refused() -> None:
    data = study_file.read(REPOSITORY / "config" / "papers" / "broad-skills-published.yaml")
    entry = {"sweeps": ["published-code"], "against": ["published-code"]}
    with pytest.raises(StudyError, match=r"scorecards\.a-pairs and scorecards\.a both .*; rename"):
        study_file.parse({**data, "scorecards": {"a-pairs": entry, "a": entry}})
    assert study_file.parse({**data, "scorecards": {"a-pairs": entry}})
