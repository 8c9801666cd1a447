"""Doses: shares and KL by hand, curves at equal KL, and what a study may say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.figures.inputs import Inputs, read_inputs
from snakesteer.plan.captions import caption
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.tables.dose import at_kl, over_draws, shares, told, with_kl
from snakesteer.vectors.activation_norms import activation_norms, summed, with_norms
from snakesteer.vectors.samples import Samples
from snakesteer.vectors.scaled import mean_length

RESULTS = REPOSITORY / "docs" / "results" / "smollm2"
MINIATURE = REPOSITORY / "config" / "miniature.yaml"


# Equal KL --------------------------------------------------------------------------------------


def curve() -> pd.DataFrame:
    """A curve whose KL falls again at the last coefficient; rows in no order."""
    return pd.DataFrame(
        {
            "coefficient": [0.0, 4.0, -1.0, 1.0, -2.0, 2.0],
            "kl": [0.0, 2.0, 0.4, 1.0, 0.8, 3.0],
            "value": [0.5, 0.1, 0.3, 0.6, 0.2, 0.9],
            "low": [0.4, 0.0, 0.2, 0.5, 0.1, 0.7],
        }
    )


def test_values_lie_on_the_line_between_the_first_two_neighbours_of_a_kl() -> None:
    found = at_kl(curve(), [0.2, 0.6, 1.0, 2.0], ["value", "low"])
    expected = [
        # KL, coefficient, value, low, before the first coefficient
        (-0.2, -0.5, 0.4, 0.3, True),  # half way from 0 to 0.4
        (-0.6, -1.5, 0.25, 0.15, False),  # half way from 0.4 to 0.8
        (-1.0, np.nan, np.nan, np.nan, False),  # the side ends at 0.8
        (-2.0, np.nan, np.nan, np.nan, False),
        (0.2, 0.2, 0.52, 0.42, True),  # a fifth of the way from 0 to 1
        (0.6, 0.6, 0.56, 0.46, True),
        (1.0, 1.0, 0.6, 0.5, False),  # at the coefficient itself
        (2.0, 1.5, 0.75, 0.6, False),  # from 1 to 3, and not where it has fallen to 2 again
    ]
    pd.testing.assert_frame_equal(
        found,
        pd.DataFrame(expected, columns=["at", "coefficient", "value", "low", "first_step"]),
        rtol=1e-12,
    )


def test_a_point_without_kl_is_skipped_and_a_side_without_points_is_none() -> None:
    added = curve()[lambda rows: rows["coefficient"] >= 0]
    unknown = added.assign(kl=added["kl"].where(added["coefficient"] != 1))
    found = at_kl(unknown, [1.5], ["value"])
    assert found.to_dict("records") == [
        {"at": 1.5, "coefficient": 1.0, "value": 0.7, "first_step": True}
    ]
    assert at_kl(unknown[unknown["coefficient"] == 0], [1.5], ["value"]).empty


def test_draws_are_their_mean_and_range_where_they_come_to_the_kl() -> None:
    rows = pd.DataFrame(
        {
            "at": [0.1, 0.5, 0.1, 0.5, 0.1, 0.5],
            "coefficient": [1.0, 2.0, 3.0, np.nan, 2.0, np.nan],
            "value": [0.3, 0.6, 0.5, np.nan, 0.1, np.nan],
            "low": 0.0,
            "high": 1.0,
            "first_step": [False, False, True, False, False, False],
        }
    )
    found = over_draws(rows).set_index("at")
    assert found.loc[0.1, ["coefficient", "value", "low", "high"]].tolist() == pytest.approx(
        [2.0, 0.3, 0.1, 0.5]
    )
    assert found.loc[0.5, ["coefficient", "value", "low", "high"]].tolist() == [2.0, *[0.6] * 3]
    assert found["draws"].tolist() == [3, 1] and found["first_step"].tolist() == [True, False]


def test_real_curves_are_interpolated_as_numpy_does() -> None:
    """On a side on which KL grows all along."""
    tables = [f"simultaneous.{of}" for of in ("answers", "divergence")]
    inputs = read_inputs([str(RESULTS / f"{name}.parquet") for name in tables], {})
    shown = {"table": tables[0], "column": "propensity", "source": "formality", "label": "P"}
    dose = {"axis": "kl", "label": "KL", "source": None, "share": [], "kl": {tables[0]: tables[1:]}}
    at = [0.05, 0.3, 1.0, 50.0]
    _, numbers = plugins.load("figures", "equal-dose").draw(
        inputs, {"shown": [shown], "dose": dose, "at": at}
    )
    answers, moved = (pd.read_parquet(RESULTS / f"{name}.parquet") for name in tables)
    answers = answers[answers["behaviour"] == "formality"].set_index("coefficient")
    kl = moved.set_index("coefficient")["kl"]
    for sign, steps in ((1, [0, 0.5, 1]), (-1, [0, -0.5, -1])):
        side = kl[steps].to_numpy()
        assert (np.diff(side) > 0).all()
        found = numbers[numbers["at"] * sign > 0]
        for column, name in (("value", ""), ("low", "_low"), ("high", "_high")):
            values = answers.loc[steps, f"propensity{name}"].to_numpy()
            expected = np.interp(at, side, values, right=np.nan)
            np.testing.assert_allclose(found[column], expected, rtol=1e-12)
        assert found["first_step"].tolist() == (np.array(at) < side[1]).tolist()
    assert numbers.loc[numbers["unsteered"], "value"].item() == answers.loc[0, "propensity"]
    empty, early = told(numbers)
    assert empty == (
        f"{2 + 2 * (kl.max() < 1)} of 8 places are empty, as the curve does not reach that KL."
    )
    assert "before the first coefficient" in early


# KL --------------------------------------------------------------------------------------------


def divergences(**given: Any) -> pd.DataFrame:
    rows = {"vector": "a", "layer": "2", "read_at": "", "coefficient": [-1.0, 0.0, 1.0]}
    rows |= {"kl": [0.4, 0.0, 0.3], "kl_low": [0.2, 0.0, 0.1], "kl_high": [0.9, 0.0, 0.6]}
    return pd.DataFrame(rows | given)


def test_kl_is_that_of_the_same_point_and_none_where_that_is_lacking() -> None:
    points = pd.DataFrame(
        {
            "vector": ["a", "a", "a", "b", "a", "a"],
            "layer": ["2", "2", "2", "2", "3", "2"],
            "read_at": ["", "", "", "", "", "of layer 4"],
            "coefficient": [1.0, 2.0, 0.0, 1.0, 1.0, 1.0],
            "unsteered": [False, False, True, False, False, False],
        },
        index=[9, 8, 7, 6, 5, 4],
    )
    found = with_kl(points, divergences())
    assert found.index.tolist() == [9, 8, 7, 6, 5, 4]
    assert found["kl"].tolist() == pytest.approx([0.3, np.nan, 0, *[np.nan] * 3], nan_ok=True)
    assert found.loc[9, ["kl_low", "kl_high"]].tolist() == [0.1, 0.6]
    with pytest.raises(StudyError, match="of a at layer 2, coefficient -1, is there more than onc"):
        with_kl(points, pd.concat([divergences(), divergences()]))


def test_draws_have_their_own_kl() -> None:
    each = [divergences(draw=draw, kl=[0.1 * draw, 0, draw]) for draw in (1, 2)]
    points = pd.concat(each, ignore_index=True).drop(columns=["kl", "kl_low", "kl_high"])
    points = points.assign(unsteered=points["coefficient"] == 0)
    found = with_kl(points, pd.concat(each))
    assert found["kl"].tolist() == [0.1, 0, 1, 0.2, 0, 2]


# Shares ----------------------------------------------------------------------------------------


def test_a_share_is_of_the_activations_at_the_injected_layer() -> None:
    described = pd.DataFrame(
        [
            # vector, position, layer, norm, activation_norm
            ("a", np.nan, 2, 3.0, 10.0),
            ("a", np.nan, 3, 4.0, 20.0),
            ("at", -1, 2, 5.0, 25.0),
            ("at", -3, 2, 1.0, 50.0),
            ("at", -1, 3, 8.0, 40.0),
            ("theirs", np.nan, 2, 6.0, np.nan),
        ],
        columns=["vector", "position", "layer", "norm", "activation_norm"],
    )
    points = pd.DataFrame(
        [
            ("a", "2", 0.5, np.nan, np.nan, 0.5 * 3 / 10),
            ("a", "3", -2.0, np.nan, np.nan, 2 * 4 / 20),
            ("a", "2+3", 1.0, np.nan, np.nan, (3 / 10 + 4 / 20) / 2),
            ("a", "2", 1.0, 3, np.nan, 4 / 10),  # taken at layer 3, injected at layer 2
            ("at", "2", 1.0, np.nan, -3, 1 / 50),
            ("at", "3", 1.0, 2, -1, 5 / 40),
            ("theirs", "2", 1.0, np.nan, np.nan, np.nan),
            ("all", "2+3", 1.0, np.nan, np.nan, np.nan),
        ],
        columns=["vector", "layer", "coefficient", "source_layer", "source_position", "expected"],
    )
    np.testing.assert_allclose(shares(points, described), points["expected"], rtol=1e-12)


def test_activations_have_the_mean_length_that_vectors_are_scaled_by() -> None:
    generator = np.random.default_rng(2)
    pairs = {name: generator.normal(size=(7, 4, 6)) for name in ("matching", "not_matching")}
    several = {"activations": generator.normal(size=(5, 2, 4, 6))}
    both = [Samples(pairs), Samples(several)]
    found = activation_norms([summed(each) for each in both])
    assert found is not None and found.shape == (2, 4)
    for place in range(2):
        alike = np.concatenate([*pairs.values(), several["activations"][:, place]])
        expected = np.sqrt((alike**2).sum(axis=2)).mean(axis=0)
        np.testing.assert_allclose(found[place], expected, rtol=1e-12)
        scaled = mean_length({"samples": [each.at(place) for each in both]}, None)
        np.testing.assert_allclose(found[place], scaled, rtol=1e-12)
    rows = [{"position": -1, "layer": 3}, {"position": -3, "layer": 0}]
    told = [row["activation_norm"] for row in with_norms(iter(rows), found, [-3, -1])]
    assert told == [found[1, 3], found[0, 0]]
    assert activation_norms([]) is None
    assert [*with_norms(iter(rows[:1]), None, None)] == [{**rows[0], "activation_norm": None}]


# Figures ---------------------------------------------------------------------------------------


def drawn(kl: pd.DataFrame) -> tuple[Any, pd.DataFrame]:
    """Curves over the KL of one vector and a control, whose KL may be lacking."""
    coefficients = np.array([-1.0, 0.0, 1.0])
    tables = []
    for sweep, vector in (("own", "a"), ("control", "b")):
        moved = {"sweep": sweep, "vector": vector, "layer": "2", "coefficient": coefficients}
        moved |= {"source": "text", "perplexity": 3 + coefficients**2, "unsteered": [0, 1, 0]}
        tables.append(pd.DataFrame(moved).astype({"unsteered": bool}))
    shown = [
        {"table": name, "column": "perplexity", "source": None, "label": "Perplexity"}
        for name in ("own", "control")
    ]
    dose = {"axis": "kl", "label": "KL", "source": None, "share": []}
    dose |= {"kl": {name: ["moved"] for name in ("own", "control")}}
    settings = {"shown": shown, "controls": ["control"], "dose": dose}
    inputs = Inputs(tables=[*tables, kl.assign(sweep="moved", source="text", unsteered=False)])
    return plugins.load("figures", "curves").draw(inputs, settings)


def test_points_without_a_dose_are_left_out_and_counted() -> None:
    figure, numbers = drawn(divergences())
    own, control = numbers[numbers["vector"] == "a"], numbers[numbers["vector"] == "b"]
    assert own["dose"].tolist() == [-0.4, 0, 0.3] and own["kl"].tolist() == [0.4, 0, 0.3]
    assert control["dose"].isna().tolist() == [True, False, True]
    lines = [[*line.get_xdata()] for line in figure.axes[0].lines]
    assert [-0.4, 0, 0.3] in lines and [0] in lines
    assert told(numbers) == ["2 of 6 points are not drawn, as their KL is not known."]
    assert figure.get_supxlabel() == "KL, signed as the coefficient"
    with pytest.raises(StudyError, match="which none of its points has in sweeps.moved; measure"):
        drawn(divergences(vector="other"))


# Studies ---------------------------------------------------------------------------------------

SWEEPS: dict[str, Any] = {
    "dose": {
        "model": "miniature-chat",
        "inject": {"vectors": ["sycophancy", "myopia"], "layers": [3]},
        "coefficients": [-0.5, 0, 0.5],
        "measures": {
            "score": {"measure": "two_choice", "behaviours": ["sycophancy", "myopia"]},
            "asked": {"measure": "divergence", "behaviours": ["sycophancy", "myopia"]},
        },
    },
    "scored": {
        "model": "miniature-chat",
        "inject": {"vectors": ["sycophancy"], "layers": [3]},
        "coefficients": [0, 0.5],
        "measures": {"two_choice": {}},
    },
    "ablated": {
        "model": "miniature-chat",
        "inject": {"vector": "sycophancy", "layers": [3], "operator": "ablate"},
        "coefficients": [0, 1],
        "measures": {"score": {"measure": "two_choice"}, "moved": {"measure": "divergence"}},
    },
    "clamped": {
        "model": "miniature-chat",
        "inject": {"vector": "sycophancy", "layers": [3], "operator": "clamp"},
        "coefficients": [0, 1],
        "measures": {"score": {"measure": "two_choice"}, "moved": {"measure": "divergence"}},
    },
}
KL = {"kl": "dose.asked", "source": "myopia"}


def with_figure(**figure: Any) -> Any:
    """The miniature with these sweeps and one figure."""
    whole = study_file.read(MINIATURE)
    over = {"sweeps": SWEEPS, "figures": {"moved": figure}}
    return study_file.parse(study_file.merge(whole, over))


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ({"dose": "norm"}, ["`figures.moved.dose`", "norm; give coefficient, share, or {kl: TABL"]),
        ({"dose": {"kl": "dose.score"}}, ["moved.dose names sweeps.dose.score", "divergence"]),
        ({"dose": {"kl": "dos.asked"}}, ["figures.moved.dose names `dos.asked`", "dose.asked"]),
        (
            {"dose": {"kl": "dose.asked"}},
            ["sweeps.dose.asked, which is measured on sycophancy, myopia; set `source`"],
        ),
        ({"dose": KL | {"source": "text"}}, ["the source text", "sycophancy, myopia"]),
        ({"sweeps": ["ablated.score"], "dose": "share"}, ["does not add them so"]),
        (
            {"sweeps": ["clamped.score"], "dose": "share"},
            ["sweeps.clamped.score also steers at coefficient 0"],
        ),
        (
            {"sweeps": ["clamped.score"], "dose": {"kl": "clamped.moved"}},
            ["sweeps.clamped.score also steers at coefficient 0; draw it over the coefficient"],
        ),
        (
            {"sweeps": ["ablated.score"], "dose": KL},
            [
                (
                    "does not inject the same as sweeps.ablated.score; measure `divergence` in "
                    "sweeps.ablated"
                )
            ],
        ),
        (
            {"kind": "equal-dose", "dose": "share", "at": [0.1]},
            ["figures.moved.dose", "compared at equal KL; give {kl: TABLE}"],
        ),
        ({"kind": "equal-dose", "dose": KL, "at": [0]}, ["figures.moved.at"]),
        ({"kind": "equal-dose", "dose": KL, "at": [0.1, 0.1]}, ["lists 0.1 twice"]),
        ({"kind": "equal-dose", "dose": KL}, ["figures.moved.at", "missing"]),
    ],
)
def test_a_dose_that_points_do_not_have_is_refused(
    figure: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(StudyError) as raised:
        with_figure(**{"kind": "curves", "sweeps": ["dose.score"]} | figure)
    for word in words:
        assert word in str(raised.value)


def test_published_results_have_no_dose_but_the_coefficient() -> None:
    published = study_file.read(REPOSITORY / "config" / "papers" / "caa-published.yaml")
    figure = {"kind": "curves", "sweeps": ["published-multipliers"], "dose": "share"}
    with pytest.raises(StudyError, match="published results, whose only dose is the coefficient"):
        study_file.parse(study_file.merge(published, {"figures": {"moved": figure}}))


def test_a_vector_from_a_file_has_no_share() -> None:
    theirs = {
        "model": "miniature-chat",
        "inject": {"vector": "theirs", "layers": [3]},
        "coefficients": [0, 1],
        "measures": {"two_choice": {"behaviours": ["sycophancy"]}},
    }
    over = {
        "vectors": {"theirs": {"method": "file", "file": "a.gguf", "model": "miniature-chat"}},
        "sweeps": {"theirs": theirs},
        "figures": {"moved": {"kind": "curves", "sweeps": ["theirs"], "dose": "share"}},
    }
    with pytest.raises(
        StudyError, match="vectors.theirs of sweeps.theirs is chosen or comes from a file"
    ):
        study_file.parse(study_file.merge(study_file.read(MINIATURE), over))


def test_a_figure_reads_the_kl_of_its_own_sweep_or_of_one_that_injects_alike() -> None:
    kl = {"kl": ["dose.asked", "ablated.moved"], "source": "sycophancy"}
    sweeps = ["dose.score", "ablated.score", "scored"]
    product = Plan(with_figure(kind="curves", sweeps=sweeps, dose=kl), REPOSITORY).figures["moved"]
    dose = product.settings["dose"]
    assert dose["kl"] == {
        "dose.score": ["dose.asked"],
        "ablated.score": ["ablated.moved"],
        "scored": ["dose.asked"],
    }
    assert dose["axis"] == "kl" and dose["source"] == "sycophancy"
    assert dose["share"] == ["dose.score", "scored"]  # what is ablated has none
    tables = [f"results/miniature/tables/{name}.parquet" for name in (*sweeps, *kl["kl"])]
    assert product.inputs["tables"] == tuple(tables)
    assert product.inputs["described"][0] == "results/miniature/vectors.csv"


def test_over_the_coefficient_nothing_changes() -> None:
    figure = {"kind": "curves", "sweeps": ["dose.score"]}
    plain, named = (
        Plan(with_figure(**figure, **dose), REPOSITORY).figures["moved"]
        for dose in ({}, {"dose": "coefficient"})
    )
    assert plain == named
    assert "dose" not in plain.settings and plain.inputs.keys() == {"tables"}


def test_the_lengths_are_of_what_a_vector_is_made_of_whatever_scales_it() -> None:
    over = {
        "vectors": {
            "long": {"method": "contrast", "of": "myopia", "scale": {"norm_of": "sycophancy"}},
            "mixed": {"method": "combine", "of": ["long", "wealth-seeking"]},
            "random": {"method": "control", "how": "random", "of": "mixed"},
            "theirs": {"method": "file", "file": "theirs.gguf", "model": "miniature-chat"},
        }
    }
    study = study_file.parse(study_file.merge(study_file.read(MINIATURE), over))
    assert study.activations_of("long") == ["myopia"]
    assert study.activations_of("random") == ["myopia", "wealth-seeking"]
    assert study.activations_of("theirs") == []


def test_captions_count_what_a_drawn_figure_leaves_out(tmp_path: Path) -> None:
    _, numbers = drawn(divergences())
    table = tmp_path / "tables" / "dose.score.parquet"
    study = with_figure(kind="curves", sweeps=["dose.score"], dose=KL)
    assert "not known" not in caption(study, "moved", [str(table)])
    (tmp_path / "figures").mkdir()
    numbers.to_csv(tmp_path / "figures" / "moved.csv", index=False)
    said = caption(study, "moved", [str(table)])
    assert "2 of 6 points are not drawn, as their KL is not known." in said
    plain = with_figure(kind="curves", sweeps=["dose.score"])
    assert "not known" not in caption(plain, "moved", [str(table)])


def test_captions_say_what_doses_are() -> None:
    curves = {"kind": "curves", "sweeps": ["dose.score"]}
    said = caption(with_figure(**curves, dose="share"), "moved")
    assert "Share: the coefficient times the vector's length" in said
    said = caption(with_figure(**curves, dose=KL), "moved")
    assert "KL: from sweeps.dose.asked on myopia, with the sign of the coefficient" in said
    assert "not drawn" in said and "draws" not in said
    equal = {"kind": "equal-dose", "sweeps": ["dose.score"], "at": [0.1]}
    said = caption(with_figure(**equal, dose=KL), "moved")
    assert "ignore the uncertainty of the KL" in said and "Rows are empty where" in said
    assert "Intervals (95 %) are over the texts that each measure is on." in said
    assert "KL: from" not in caption(with_figure(**curves), "moved")
