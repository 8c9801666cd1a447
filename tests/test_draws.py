"""Controls that are drawn several times: a curve for each draw, a band in tables and figures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import matplotlib.path
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from conftest import REPOSITORY
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from test_behaviour_tables import raw_behaviour
from test_skill_tables import raw_skill

from checkout import SMALL
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.core.records import plain, read
from snakesteer.figures.inputs import Inputs, read_inputs
from snakesteer.plan.captions import caption
from snakesteer.plan.plan import Plan
from snakesteer.plan.sweeps import specified
from snakesteer.storage.files import write_table
from snakesteer.study import study_file
from snakesteer.sweeps.injections import steerings
from snakesteer.sweeps.job import Injected, Placed, SweepJob
from snakesteer.tables.next_token import SKILL_COLUMNS, Curve, skill_table
from snakesteer.tables.scorecard import scorecard
from snakesteer.tables.two_choice import BEHAVIOUR_COLUMNS, Part, behaviour_table

CODES = {"add": "code"}
DRAWS = 3
WHOLE = dict.fromkeys(("precision", "precision_by", "pilot"))  # the same documents everywhere


def planned(change: dict[str, Any]) -> Plan:
    small = study_file.resolve(yaml.safe_load(SMALL.read_text()), SMALL.parent)
    return Plan(study_file.parse(study_file.merge(copy.deepcopy(small), change)), REPOSITORY)


def control(**entry: Any) -> dict[str, Any]:
    return {"vectors": {"code-permuted": {"draws": DRAWS, **entry}}}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planned(control())


def test_each_draw_is_a_curve_of_its_own(plan: Plan) -> None:
    (job,) = specified(plan.graph, "code-permuted")
    assert [(one.draw, one.label) for one in job.injections] == [
        (draw, f"code-permuted, draw {draw} at 3") for draw in range(DRAWS)
    ]
    (artefact,) = plan.sweeps["code-permuted"]
    ((vectors, _),) = artefact.inputs["vectors"]
    assert vectors is plan.study_vectors["code-permuted-draws"]
    assert read(SweepJob, artefact.settings) == job
    held = np.arange(DRAWS * 4 * 2, dtype=np.float32).reshape(DRAWS, 4, 2)
    for draw, steering in enumerate(steerings(job, {"code-permuted": held}, None, CODES, {})):
        (part,) = steering.parts
        assert (part.vector.numpy() == held[draw, 3]).all()


def test_vectors_that_are_injected_at_once_share_a_draw() -> None:
    other = {"method": "control", "how": "random", "of": "wealth-seeking", "draws": 2}
    inject = {"together": {"myopia": 1, "wealth-random": [2, 3], "wealth-seeking": None}}
    plan = planned(
        {
            "vectors": {"wealth-random": other},
            "sweeps": {"simultaneous": {"inject": inject}, "alignment-tax": {"inject": inject}},
        }
    )
    (job,) = specified(plan.graph, "simultaneous")
    assert [one.draw for one in job.injections] == [0, 1]
    held = {
        "myopia": np.full((4, 2), 7.0),
        "wealth-random": np.stack([np.full((4, 2), 8.0), np.full((4, 2), 9.0)]),
    }
    found = [
        [part.vector[0] for part in each.parts] for each in steerings(job, held, None, CODES, {})
    ]
    assert found == [[7, 8, 8], [7, 9, 9]]


def test_what_is_not_drawn_is_written_as_before(plan: Plan) -> None:
    before, after = planned({}), plan
    for name in ("code", "grid", "simultaneous"):
        for one, other in zip(before.sweeps[name], after.sweeps[name], strict=True):
            assert one.key == other.key
            assert "draws" not in one.settings
        assert before.tables[name].settings == after.tables[name].settings
    assert before.vectors["code-permuted"].key == after.vectors["code-permuted"].key
    assert "draw" not in plain(Injected((Placed("code", (1,)),), (0.0,)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {
                **control(),
                "sweeps": {"code-permuted": {"resamples": 4, "measures": {"next_token": WHOLE}}},
            },
            "sweeps.code-permuted.resamples draws its vectors again, and so do the draws of "
            "vectors.code-permuted; remove resamples, or inject that in a separate sweep.",
        ),
        (
            {
                "vectors": {
                    "a": {"method": "control", "how": "random", "of": "myopia", "draws": 2},
                    "b": {"method": "control", "how": "labels", "of": "wealth-seeking", "draws": 3},
                },
                "sweeps": {
                    "simultaneous": {
                        "inject": {
                            "together": {"a": 1, "b": 2, "myopia": None, "wealth-seeking": None}
                        }
                    }
                },
            },
            "sweeps.simultaneous.inject injects controls with different draws at once, as "
            "vectors.a has 2 and vectors.b has 3; give them the same number.",
        ),
        (
            {**control(), "figures": {"general-coding": {"intervals": "vectors"}}},
            "figures.general-coding.intervals is vectors, but sweeps.code has no resamples of its "
            "vectors; set `resamples` there, or remove intervals.",
        ),
    ],
)
def test_settings_that_exclude_draws_are_reported(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudyError) as told:
        planned(change)
    assert str(told.value) == sentence


def test_beside_resamples_of_others_a_control_may_have_draws() -> None:
    planned(
        {
            **control(),
            "sweeps": {"code": {"resamples": 2}},
            "figures": {"general-coding": {"intervals": "vectors"}},
        }
    )


def test_captions_say_what_is_shown_of_the_draws(plan: Plan) -> None:
    assert "Grey: the control. code-permuted: mean and range of 3 draws. Intervals" in caption(
        plan.study, "general-coding"
    )
    assert "draws" not in caption(plan.study, "simultaneous-steering")
    axes = {"x": {"table": "code-permuted"}, "y": {"table": "code-permuted", "column": "nll"}}
    sides = planned(control() | {"figures": {"sides": {"kind": "against", **axes}}})
    assert (
        "that no other point beats on both axes. The front ignores means of draws. "
        "code-permuted: mean and range of 3 draws. Intervals" in caption(sides.study, "sides")
    )
    grid = {"sweeps": {"grid": {"inject": {"vectors": ["myopia", "w"]}}}, "choices": None}
    random = {"w": {"method": "control", "how": "random", "of": "wealth-seeking", "draws": 2}}
    for unneeded in ("single", "combined"):
        grid["sweeps"][unneeded] = None  # type: ignore[index]
    figures = dict.fromkeys(("single-steering", "combined-steering"))
    assert "w: mean of 2 draws." in caption(
        planned({**grid, "vectors": random, "figures": figures}).study, "grid-search"
    )


def drawn_skill(coefficients: tuple[float, ...] = (0.0, 0.5, 2.0)) -> list[Curve]:
    """Three draws, of which the last ended one coefficient earlier, and a curve beside them."""
    curves = [Curve("text-code", "3", raw_skill(9))]
    for draw in range(DRAWS):
        raw = raw_skill(draw)
        if draw == DRAWS - 1:
            raw = raw[raw["coefficient"] < coefficients[-1]]
        curves.append(Curve("random", "3", raw, columns={"draw": draw}))
    return curves


def test_a_skill_table_has_draws_and_behind_them_their_mean_and_range() -> None:
    curves = drawn_skill()
    table = skill_table("code", "code", curves, resamples=20)
    assert list(table)[: len(SKILL_COLUMNS)] == SKILL_COLUMNS
    alone = skill_table("code", "code", curves[:1], resamples=20)
    own = table[table["vector"] == "text-code"]
    pd.testing.assert_frame_equal(own[SKILL_COLUMNS], alone)
    assert own[["draw", "draws", "top1_min", "top1_max"]].isna().all(axis=None)
    means = table[table["draws"].notna()].set_index(["coefficient", "corpus"])
    assert len(means) == 6 and means["draw"].isna().all()
    for (coefficient, corpus), mean in means.iterrows():
        shares, relative = [], []
        for curve in curves[1:]:
            raw = curve.raw[curve.raw["corpus"] == corpus]
            here = raw[raw["coefficient"] == coefficient]
            if len(here):
                shares.append(here["top10"].sum() / here["tokens"].sum())
                unsteered = raw[raw["coefficient"] == 0]
                base = unsteered["top10"].sum() / unsteered["tokens"].sum()
                relative.append(shares[-1] / base)
        assert mean["draws"] == len(shares) == (2 if coefficient == 2 else 3)
        for name, values in (("top10", shares), ("relative_top10", relative)):
            expected = [np.mean(values), min(values), max(values)]
            found = [mean[f"{name}{end}"] for end in ("", "_min", "_max")]
            assert found == pytest.approx(expected)
            assert np.isnan([mean[f"{name}_low"], mean[f"{name}_high"]]).all()
        assert mean["documents"] == 12


def test_a_behaviour_table_has_them_likewise() -> None:
    raws = [raw_behaviour([0.0, 1.0], seed=seed) for seed in range(DRAWS)]
    raws[2].loc[raws[2]["coefficient"] == 1, ["answer", "outcome"]] = ["A", "match"]
    parts = [
        Part("grid", "random", "3", "test", raw, columns={"draw": draw})
        for draw, raw in enumerate(raws)
    ]
    table = behaviour_table("grid", parts, 0.6)
    assert list(table)[: len(BEHAVIOUR_COLUMNS)] == BEHAVIOUR_COLUMNS
    assert len(table) == 2 * (DRAWS + 1)
    for row in table[table["draws"] == DRAWS].to_dict("records"):
        here = [raw[raw["coefficient"] == row["coefficient"]] for raw in raws]
        scores = [(raw["outcome"] == "match").mean() for raw in here]
        assert row["score"] == pytest.approx(np.mean(scores))
        assert (row["score_min"], row["score_max"]) == (min(scores), max(scores))
        assert row["faulty"] == np.mean([(raw["outcome"] == "faulty").sum() for raw in here])
        majority = np.mean([raw["answer"].value_counts().iloc[0] / 40 for raw in here])
        assert row["majority"] == pytest.approx(majority)
        assert row["collapsed"] == (majority > 0.6)
        assert row["questions"] == 40 and row["direction"] in ("default", "add")
        assert np.isnan(row["score_low"])
    single = behaviour_table("grid", [Part("grid", "random", "3", "test", raws[0])], 0.6)
    pd.testing.assert_frame_equal(
        table[table["draw"] == 0][list(single)],
        single,
        check_dtype=False,  # the mean of a count is none
    )


@pytest.fixture
def table() -> pd.DataFrame:
    return skill_table("code", "code", drawn_skill(), resamples=20)


def shown(table: pd.DataFrame, folder: Path) -> Inputs:
    path = folder / "code.parquet"
    write_table(path, pa.Table.from_pandas(table, preserve_index=False), {})
    return read_inputs([str(path)], {})


def test_figures_and_scorecards_take_the_mean_and_the_range(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    rows = shown(table, tmp_path).skill_rows()
    assert len(rows) == 12
    mean = rows[rows["draws"] == 3]
    assert (mean["relative_top1_low"] == mean["relative_top1_min"]).all()
    assert (mean["relative_top1_high"] == mean["relative_top1_max"]).all()
    other = rows[rows["draws"].isna()]
    np.testing.assert_array_equal(other["top1_low"], table["top1_low"].head(6))
    compared = scorecard([table], [table])
    assert compared.curves["curve"].tolist() == ["layer 3, text-code", "layer 3, random"]
    assert (compared.pairs["difference"] == 0).all()


def bands(figure: Figure) -> list[matplotlib.path.Path]:
    patches = figure.axes[0].patches
    return [patch.get_path() for patch in patches if isinstance(patch, PathPatch)]


def test_a_curve_of_draws_is_a_mean_in_a_band(table: pd.DataFrame, tmp_path: Path) -> None:
    """The band holds every draw, also between points; what has no draws has no band."""
    draw = plugins.load("figures", "tradeoff").draw
    figure, numbers = draw(shown(table, tmp_path), {})
    (band,) = bands(figure)
    single = table[table["draw"].notna()]
    wide = single.pivot_table(
        index=["coefficient", "draw"], columns="corpus", values="relative_top1"
    )
    points = 100 * wide[["code", "text"]].to_numpy()
    inside = [band.contains_points(points, radius=radius) for radius in (1e-6, -1e-6)]
    assert np.any(inside, axis=0).all()
    for _, curve in wide.groupby("draw"):
        ends = 100 * curve[["code", "text"]].to_numpy()
        assert band.contains_points((ends[1:] + ends[:-1]) / 2).all()
    assert not band.contains_points(points + [30, -30]).any()
    mean = numbers[numbers["vector"] == "random"]
    by_hand = wide.groupby("coefficient").mean()
    np.testing.assert_allclose(mean["relative_top1_target"], by_hand["code"])
    np.testing.assert_allclose(mean["relative_top1_other"], by_hand["text"])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "Layer 3\n(Random)\nmean and range\nof 3 draws" in texts
    alone, _ = draw(Inputs(skill=table[table["vector"] == "text-code"]), {})
    assert not bands(alone)
