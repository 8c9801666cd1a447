"""Questions by category: each category, and the mean over categories, against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs, read_inputs
from snakesteer.figures.quantities import quantity
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import write_table
from snakesteer.study import study_file
from snakesteer.study.figures import Figure
from snakesteer.sweeps.job import Injected, Placed
from snakesteer.tables import choice, two_choice
from snakesteer.tables.categories import ALL, MEAN, by_category, means_alone, without_categories
from snakesteer.tables.job import TableJob
from snakesteer.tables.scorecard import scorecard

CATEGORIES = ["law", "law", "art", "law", "art", "sport", "sport"]
T_OF_2 = 4.302653  # Student's 97.5 % point with 2 degrees of freedom
INJECTED = Injected((Placed("bold", (3,)),), (0.0, 1.0))


def rows(seed: int, **further: Any) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    made = []
    for coefficient in (0.0, 1.0):
        for number in range(len(CATEGORIES)):
            matches = bool(generator.random() < 0.6)
            made.append(
                {
                    "measure": "asked",
                    "injection": INJECTED.label,
                    "coefficient": coefficient,
                    "behaviour": "bold",
                    "question": f"q{number}",
                    "answer": "A" if matches else "B",
                    "outcome": "match" if matches else "other",
                    "logit_matching": generator.normal(),
                    "logit_not_matching": generator.normal(),
                    "choice_mass": generator.random(),
                    "probability": generator.random(),
                    "propensity": generator.normal(),
                    **further,
                }
            )
    return pd.DataFrame(made)


QUESTIONS = pd.DataFrame(
    {"question": [f"q{number}" for number in range(len(CATEGORIES))], "category": CATEGORIES}
)


def job(measure: str) -> TableJob:
    return TableJob(
        sweep="s",
        measure=measure,
        of="asked",
        kind="grid",
        jobs=((INJECTED,),),
        split="test",
        collapse=0.95,
        by_category=("bold",),
    )


@pytest.mark.parametrize("plugin", [two_choice, choice])
def test_categories_and_their_mean_are_those_of_a_loop(plugin: Any) -> None:
    own = rows(1)
    again = pd.concat([rows(2, resample=0), rows(3, resample=1)], ignore_index=True)
    asked = job(plugin.__name__.rpartition(".")[2])
    known = {"bold": QUESTIONS}
    table = plugin.table(asked, [by_category(own, known)], [by_category(again, known)])
    assert list(table["category"]) == [ALL, "law", "art", "sport", MEAN] * 2
    plain = plugin.table(asked, [own], [again])
    pd.testing.assert_frame_equal(without_categories(table), plain)

    def of(category: str, given: pd.DataFrame) -> list[float]:
        return [
            row["probability"]
            for row in given.to_dict("records")
            if row["coefficient"] == 1 and CATEGORIES[int(row["question"][1:])] == category
        ]

    at_1 = table[table["coefficient"] == 1].set_index("category")
    means = []
    for category in ("law", "art", "sport"):
        values = of(category, own)
        means.append(sum(values) / len(values))
        assert at_1.loc[category, "probability"] == pytest.approx(means[-1])
        assert at_1.loc[category, "questions"] == len(values)
    mean = at_1.loc[MEAN]
    assert mean["probability"] == pytest.approx(sum(means) / 3)
    half = T_OF_2 * np.std(means, ddof=1) / np.sqrt(3)
    assert mean["probability_high"] - mean["probability"] == pytest.approx(half, rel=1e-5)
    assert mean["probability"] - mean["probability_low"] == pytest.approx(half, rel=1e-5)
    assert mean["questions"] == len(CATEGORIES)
    shares = at_1.loc[["law", "art", "sport"], "matches"] / [3, 2, 2]
    assert mean["score"] == pytest.approx(shares.mean())
    by_resample = [
        np.mean([np.mean(of(c, given)) for c in ("law", "art", "sport")])
        for _, given in again.groupby("resample")
    ]
    half = 12.706205 * np.std(by_resample, ddof=1)
    assert mean["probability_vector_high"] - mean["probability"] == pytest.approx(half, rel=1e-5)


def test_questions_without_a_category_are_reported() -> None:
    for questions in (QUESTIONS.drop(columns="category"), QUESTIONS.replace("art", None)):
        with pytest.raises(StudyError, match=r"^behaviours\.bold has questions without a category"):
            by_category(rows(1), {"bold": questions})
    with pytest.raises(
        StudyError, match=r"^behaviours\.bold has the category 'mean'; a text other"
    ):
        by_category(rows(1), {"bold": QUESTIONS.replace("art", "mean")})


@pytest.fixture
def table() -> pd.DataFrame:
    asked = job("two_choice")
    return two_choice.table(asked, [by_category(rows(1), {"bold": QUESTIONS})], [])


def test_a_figure_draws_all_questions_or_one_category(table: pd.DataFrame, tmp_path: Any) -> None:
    import pyarrow as pa

    path = tmp_path / "s.parquet"
    write_table(path, pa.Table.from_pandas(table, preserve_index=False), {})
    inputs = read_inputs([str(path)], {})
    assert inputs.behaviour is not None and len(inputs.behaviour) == 2
    shown = {"table": "s", "column": "probability"}
    for category, key in ((None, ALL), ("law", "law"), (MEAN, MEAN)):
        drawn = quantity(inputs, shown | {"category": category})
        own = table[table["category"] == key]
        assert list(drawn["value"]) == list(own["probability"])
    with pytest.raises(StudyError, match="the category physics of sweeps.s; name another: art"):
        quantity(inputs, shown | {"category": "physics"})
    alone = Inputs(tables=[table[table["category"] != ALL]])
    with pytest.raises(StudyError, match="sweeps.s by category alone; give it `category`: art"):
        quantity(alone, shown)


def test_scorecards_compare_all_questions_and_the_mean(table: pd.DataFrame) -> None:
    compared = scorecard([table], [table], "probability")
    assert list(compared.curves["curve"]) == [
        "layer 3, bold",
        "layer 3, bold, mean over categories",
    ]
    one = scorecard([table], [without_categories(table)], "probability")
    assert list(one.curves["curve"]) == ["layer 3, bold"]
    means = means_alone(table)
    with pytest.raises(StudyError, match="s has only categories of questions, which the other"):
        scorecard([means[means["category"] == MEAN]], [without_categories(table)])


def test_scorecards_compare_category_by_category(table: pd.DataFrame) -> None:
    law = table["category"] == "law"
    other = table.assign(probability=table["probability"] + 0.25 * law)
    compared = scorecard([other], [table], "probability", by_category=True)
    shown = ["", ", law", ", art", ", sport", ", mean over categories"]
    assert list(compared.curves["curve"]) == [f"layer 3, bold{name}" for name in shown]
    expected = np.where(compared.curves["curve"] == "layer 3, bold, law", 0.25, 0)
    np.testing.assert_allclose(compared.curves["difference"], expected, atol=1e-12)
    fewer = scorecard([table[law]], [table], "probability", by_category=True)
    assert list(fewer.curves["curve"]) == ["layer 3, bold, law"]
    sentence = "s and s have no category of questions in common \\(none; art, law, sport\\); remove"
    for without in (without_categories(table), means_alone(table)):
        with pytest.raises(StudyError, match=sentence):
            scorecard([without], [table], "probability", by_category=True)


def study(measure: dict[str, Any], figure: dict[str, Any]) -> Any:
    over = {
        "sweeps": {"grid": {"measures": {"two_choice": measure}}},
        "figures": {"curve": {"kind": "curves", "sweeps": ["grid"], **figure}},
    }
    return study_file.parse(study_file.merge(study_file.read(SMALL), over))


def test_categories_change_the_table_and_no_sweep() -> None:
    plain = Plan(study({}, {}), REPOSITORY)
    told = Plan(study({"by_category": True}, {"category": MEAN}), REPOSITORY)
    assert {made.key for made in plain.artefacts()} == {made.key for made in told.artefacts()}
    assert "questions" not in plain.tables["grid"].inputs
    assert told.tables["grid"].settings["by_category"] == ["myopia", "wealth-seeking"]
    paths = told.tables["grid"].inputs["questions"]
    assert [path.split("/")[-1].split(".")[0] for path in paths] == ["myopia", "wealth-seeking"]
    (shown,) = told.figures["curve"].settings["shown"]
    assert (shown["category"], shown["label"]) == (MEAN, "Matching score, mean over categories")
    assert isinstance(told.study.figures["curve"], Figure)


def test_a_category_that_no_measure_tells_is_refused() -> None:
    with pytest.raises(StudyError, match=r"figures\.curve draws the category mean of sweeps\.grid"):
        study({}, {"category": MEAN})


def test_a_scorecard_by_category_needs_a_measure_that_tells_them() -> None:
    card = {"sweeps": ["grid"], "against": ["other/grid"], "by_category": True}
    data = study_file.read(SMALL) | {"scorecards": {"card": card}}
    with pytest.raises(StudyError, match=r"scorecards\.card\.by_category is true, but the measure"):
        study_file.parse(data)
    told = {"sweeps": {"grid": {"measures": {"two_choice": {"by_category": True}}}}}
    assert study_file.parse(study_file.merge(data, told)).scorecards["card"].by_category
