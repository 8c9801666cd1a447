"""When a curve ends, replayed on curves with known ends."""

from __future__ import annotations

import pytest

from snakesteer.measures.next_token_settings import Stopping as SkillStopping
from snakesteer.measures.two_choice_settings import Stopping as GridStopping


def visited(relative: list[float], stopping: SkillStopping) -> list[int]:
    places, place = [], 0
    while place < len(relative):
        places.append(place)
        advance = stopping.advance(relative[place])
        if not advance:
            break
        place += advance
    return places


def test_skill_curve_leaps_and_ends():
    curve = [1.0, 0.6, 0.14, 0.0, 0.0, 0.0, 0.0, 0.10, 0.3, 0.3, 0.3, 0.3, 0.049, 0.0]
    assert visited(curve, SkillStopping()) == [0, 1, 2, 7, 12]


@pytest.mark.parametrize("relative, places", [(0.05, 5), (0.15, 1), (0.0499, 0), (0.1499, 5)])
def test_skill_limits_are_exclusive(relative, places):
    assert SkillStopping().advance(relative) == places


def test_skill_settings():
    stopping = SkillStopping(stop=0.2, leap_below=0.5, leap=2)
    assert [stopping.advance(value) for value in (0.1, 0.3, 0.6)] == [0, 2, 1]


@pytest.mark.parametrize(
    "answers, faulty, advance",
    [
        (["A"] * 190 + ["B"] * 10, 10, 1),
        (["A"] * 191 + ["B"] * 9, 0, 0),
        (["A"] * 100 + ["B"] * 89 + ["x"] * 11, 11, 0),
        (["B"] * 4, 0, 0),
    ],
)
def test_grid_column_ends_after_collapse_or_faults(answers, faulty, advance):
    assert GridStopping().advance(answers, faulty, ["A", "B"]) == advance


@pytest.mark.parametrize(("most", "advance"), [(195, 1), (196, 1), (197, 0)])
def test_a_grid_column_goes_on_where_the_unsteered_model_answers_one_letter(most, advance):
    unsteered, answers = (["A"] * count + ["B"] * (200 - count) for count in (196, most))
    assert GridStopping().advance(answers, 0, unsteered) == advance
    assert GridStopping().advance(answers, 11, unsteered) == 0
