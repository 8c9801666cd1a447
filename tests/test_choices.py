"""The multiplier rule on small grids worked out by hand."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from snakesteer.core.errors import StudyError
from snakesteer.sweeps.choices import Limit, choose, given
from snakesteer.sweeps.unqualified import unqualified, unqualified_in


def grid(*cells: tuple, layer: str = "3", behaviour: str = "myopia") -> pd.DataFrame:
    """Rows from (multiplier, matches, faulty, collapsed) over 200 validation questions."""
    return pd.DataFrame(
        [
            {
                "behaviour": behaviour,
                "layer": layer,
                "split": "validation",
                "coefficient": multiplier,
                "questions": 200,
                "matches": matches,
                "score": matches / 200,
                "faulty": faulty,
                "collapsed": collapsed,
                "unsteered": multiplier == 0,
            }
            for multiplier, matches, faulty, collapsed in cells
        ]
    )


PLAIN = grid(
    (0.0, 100, 0, False),
    (1.0, 120, 0, False),
    (2.0, 150, 10, False),
    (3.0, 150, 0, False),
    (5.0, 190, 11, False),
    (10.0, 200, 0, True),
    (-1.0, 90, 0, False),
    (-2.0, 40, 0, False),
    (-3.0, 40, 0, False),
    (-5.0, 0, 0, True),
)


def test_best_qualifying_score_wins_and_ties_go_to_the_smaller_magnitude():
    choice = choose(PLAIN, 0.05, 0.95)
    cell = choice["multipliers"]["myopia"]["3"]
    assert (cell["add"], cell["add_score"], cell["add_faulty"]) == (2.0, 0.75, 10)
    assert (cell["subtract"], cell["subtract_score"], cell["subtract_faulty"]) == (-2.0, 0.2, 0)
    assert cell["default_score"] == 0.5
    assert cell["span"] == pytest.approx(0.55)
    assert cell["add_qualifies"] and cell["subtract_qualifies"]
    assert "at most 0.05" in choice["rule"] and "share of 0.95" in choice["rule"]


def test_a_stricter_share_of_faulty_answers_excludes_more():
    cell = choose(PLAIN, 0.0, 0.95)["multipliers"]["myopia"]["3"]
    assert cell["add"] == 3.0
    cell = choose(PLAIN, 0.055, 0.95)["multipliers"]["myopia"]["3"]
    assert cell["add"] == 5.0


def test_the_order_of_rows_does_not_matter():
    assert choose(PLAIN[::-1], 0.05, 0.95) == choose(PLAIN, 0.05, 0.95)


def test_without_a_qualifying_cell_the_smallest_magnitude_is_taken_and_said():
    rows = grid(
        (2.0, 190, 50, False), (1.0, 10, 100, False), (-2.0, 0, 0, True), (-3.0, 0, 0, True)
    )
    cell = choose(rows, 0.05, 0.95)["multipliers"]["myopia"]["3"]
    assert (cell["add"], cell["add_qualifies"]) == (1.0, False)
    assert (cell["subtract"], cell["subtract_qualifies"]) == (-2.0, False)
    assert cell["default_score"] is None


def test_the_widest_qualifying_layer_is_picked_and_layers_are_ordered_by_depth():
    wide = grid((1.0, 180, 0, False), (-1.0, 20, 0, False), layer="10")
    narrow = grid((1.0, 140, 0, False), (-1.0, 60, 0, False), layer="2")
    broken = grid((1.0, 200, 100, False), (-1.0, 0, 0, False), layer="4")
    tied = grid((1.0, 180, 0, False), (-1.0, 20, 0, False), layer="12")
    choice = choose(pd.concat([tied, wide, narrow, broken]), 0.05, 0.95)
    assert list(choice["multipliers"]["myopia"]) == ["2", "4", "10", "12"]
    assert choice["layers"] == {"myopia": "10"}


def test_a_layer_where_one_sign_qualifies_goes_before_one_where_none_does():
    one = grid((1.0, 110, 0, False), (-1.0, 100, 0, True), layer="2")
    none = grid((1.0, 200, 0, True), (-1.0, 0, 0, True), layer="4")
    choice = choose(pd.concat([none, one]), 0.05, 0.95)
    assert choice["layers"] == {"myopia": "2"}
    assert "layers with more qualifying multipliers first" in choice["rule"]


def test_a_choice_without_a_qualifying_multiplier_is_reported_in_a_sentence(tmp_path):
    one = grid((1.0, 110, 0, False), (-1.0, 100, 0, True), layer="2")
    none = grid((1.0, 200, 0, True), (-1.0, 0, 0, True), layer="4")
    choice = choose(pd.concat([none, one, grid((1.0, 1, 0, False), (-1.0, 1, 0, False))]), 0, 0.95)
    assert unqualified(choice) == (
        "No multiplier qualified for myopia at layer 2 (subtract), myopia at layer 4 (add and "
        "subtract); the smallest was chosen."
    )
    assert unqualified(choice, {"2"}) == (
        "No multiplier qualified for myopia at layer 2 (subtract); the smallest was chosen."
    )
    assert unqualified(choice, {"3"}) is None
    assert unqualified(given({"myopia": {"3": {"add": 1.0, "subtract": -1.0}}})) is None
    paths = [tmp_path / name for name in ("a.json", "damaged.json", "absent.json")]
    paths[0].write_text(json.dumps(choice))
    paths[1].write_text("{")
    files = {f"choices.{path.stem}": str(path) for path in paths}
    assert unqualified_in(files) == [f"choices.a: {unqualified(choice)}"]


def test_of_many_cells_without_a_qualifying_multiplier_six_are_named():
    rows = [grid((1.0, 9, 0, True), (-1.0, 9, 0, True), layer=str(n)) for n in range(8)]
    told = unqualified(choose(pd.concat(rows), 0.05, 0.95))
    assert told.endswith(
        " myopia at layer 5 (add and subtract) and 2 more; the smallest was chosen."
    )


def test_behaviours_are_chosen_separately_and_the_choice_is_json():
    other = grid((1.0, 10, 0, False), (-4.0, 5, 0, False), behaviour="sycophancy")
    choice = choose(pd.concat([PLAIN, other]), 0.05, 0.95)
    assert choice["multipliers"]["sycophancy"]["3"]["subtract"] == -4.0
    assert json.loads(json.dumps(choice)) == choice


def test_only_validation_questions_may_choose():
    with pytest.raises(StudyError, match="validation split only.*test"):
        choose(PLAIN.assign(split="test"), 0.05, 0.95)


def test_a_layer_with_one_sign_only_is_refused():
    with pytest.raises(StudyError, match="no multiplier to subtract at layer 3"):
        choose(PLAIN[PLAIN["coefficient"] >= 0], 0.05, 0.95)


def of_likelihoods(*cells: tuple[float, float]) -> pd.DataFrame:
    """Rows from (multiplier, propensity) of choices by likelihood, which are never faulty."""
    rows = grid(*((multiplier, 100, 0, False) for multiplier, _ in cells))
    rows = rows.drop(columns=["faulty", "collapsed"]).assign(vector="myopia")
    return rows.assign(propensity=[propensity for _, propensity in cells])


def perplexities(**cells: float) -> pd.DataFrame:
    rows = [
        {"vector": "myopia", "layer": "3", "coefficient": float(at), "perplexity": value}
        for at, value in cells.items()
    ]
    return pd.DataFrame(rows).assign(corpus="text").eval("unsteered = coefficient == 0")


def test_a_propensity_may_be_chosen_by_within_a_limit_of_perplexity() -> None:
    rows = of_likelihoods((0, 0.5), (1, 1.0), (2, 3.0), (-1, 0.1), (-2, -2.0))
    costs = perplexities(**{"0": 10.0, "1": 11.0, "2": 15.1, "-1": 10.0, "-2": 15.0})
    choice = choose(rows, 0.05, 0.95, "propensity", Limit(costs, 1.5))
    cell = choice["multipliers"]["myopia"]["3"]
    assert (cell["add"], cell["add_propensity"], cell["add_qualifies"]) == (1.0, 1.0, True)
    assert (cell["subtract"], cell["subtract_propensity"]) == (-2.0, -2.0)
    assert (cell["default_propensity"], cell["span"]) == (0.5, 3.0)
    assert "a perplexity of at most 1.5 times the unsteered one" in choice["rule"]
    assert "highest (add) or lowest (subtract) propensity" in choice["rule"]
    assert "faulty" not in choice["rule"]
    free = choose(rows, 0.05, 0.95, "propensity")["multipliers"]["myopia"]["3"]
    assert (free["add"], free["subtract"]) == (2.0, -2.0)
    none = choose(rows, 0.05, 0.95, "propensity", Limit(costs, 1.01))["multipliers"]["myopia"]["3"]
    assert (none["add"], none["add_qualifies"]) == (1.0, False)
    assert (none["subtract"], none["subtract_qualifies"]) == (-1.0, True)


def test_a_limit_is_of_one_corpus() -> None:
    costs = pd.concat([perplexities(**{"0": 1.0}), perplexities(**{"0": 1.0}).assign(corpus="c")])
    with pytest.raises(StudyError, match="one corpus, but its table has text, c"):
        choose(of_likelihoods((0, 0), (1, 1), (-1, 0)), 0.05, 0.95, "score", Limit(costs, 1.5))
