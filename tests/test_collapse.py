"""The share of one answer that is mode collapse, from the study to tables, choices and figures."""

from __future__ import annotations

from typing import Any

import matplotlib
import pandas as pd
import pytest
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.figures import heatmap
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import LOOK
from snakesteer.plan import sweeps as plans
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.sweeps.choices import choose
from snakesteer.tables.two_choice import Part, behaviour_table


def planned(stopping: Any) -> Plan:
    """The small study with another stopping of its grid search."""
    over = {"sweeps": {"grid": {"measures": {"two_choice": {"stopping": stopping}}}}}
    return Plan(study_file.parse(study_file.merge(study_file.read(SMALL), over)), REPOSITORY)


@pytest.mark.parametrize(
    ("stopping", "share"), [({"collapse": 0.9}, 0.9), ({}, 0.95), (False, 0.95)]
)
def test_a_grid_says_what_collapse_is_in_it_and_in_what_is_chosen_from_it(
    stopping: Any, share: float
) -> None:
    plan = planned(stopping)
    shares = {
        **{name: plan.tables[name].settings["collapse"] for name in ("grid", "single", "combined")},
        "choice": plans.choice(plan.graph, "multipliers").settings["picked"]["collapse"],
        **{
            name: plan.figures[name].settings["collapse"]
            for name in ("grid-search", "single-steering", "combined-steering")
        },
    }
    assert set(shares.values()) == {share}
    for simultaneous in (plan.tables["simultaneous"], plan.figures["simultaneous-steering"]):
        assert simultaneous.settings["collapse"] == 0.95


def raw(*majorities: tuple[float, float]) -> pd.DataFrame:
    """A raw sweep of 100 questions from (multiplier, share of the one answer, which matches)."""
    return pd.DataFrame(
        [
            {
                "coefficient": multiplier,
                "behaviour": "myopia",
                "answer": "A" if question < 100 * share else "B",
                "outcome": "match" if (question < 100 * share) == (multiplier > 0) else "other",
                "logit_matching": 1.0,
                "logit_not_matching": 0.0,
                "choice_mass": 1.0,
                "probability": 0.5,
            }
            for multiplier, share in majorities
            for question in range(100)
        ]
    )


@pytest.mark.parametrize(("share", "chosen"), [(0.95, 2.0), (0.9, 1.0)])
def test_what_counts_as_collapsed_is_marked_and_not_chosen(share: float, chosen: float) -> None:
    rows = raw((0.0, 0.5), (1.0, 0.7), (2.0, 0.92), (-1.0, 0.7))
    grid = behaviour_table("grid", [Part("grid", "myopia", "3", "validation", rows)], share)
    choice = choose(grid, 0.05, share)
    assert choice["multipliers"]["myopia"]["3"]["add"] == chosen
    assert f"share of {share}" in choice["rule"]
    with matplotlib.rc_context(LOOK):
        figure, numbers = heatmap.draw(Inputs(behaviour=grid), {"collapse": share})
    marked = numbers.set_index("coefficient")["marked"]
    assert marked[2.0] == ("" if chosen == 2.0 else "C")
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"C: mode collapse (over {100 * share:g} % one answer)" in legend
