"""What a study may say of effects, and the sentence for what it may not."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import matplotlib.collections
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY
from effect_rows import COEFFICIENTS, injected, job, questions, rows

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.figures.drawing import draw_figure
from snakesteer.figures.effects import draw
from snakesteer.figures.inputs import Inputs, NothingToDraw
from snakesteer.figures.style import themed
from snakesteer.plan.captions import caption
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.tables import two_choice
from snakesteer.tables.null import NullJob, Slopes, against_control
from snakesteer.tables.slopes import EffectsJob, effects

RANDOM = {"method": "control", "how": "random", "of": "myopia"}
GRID = {"model": "miniature-chat", "coefficients": {"magnitudes": [0.5, 1]}}
ASKED = {"measures": {"two_choice": {"split": "validation", "stopping": {}}}}


def planned(change: dict[str, Any]) -> Plan:
    small = study_file.resolve(yaml.safe_load(SMALL.read_text()), SMALL.parent)
    return Plan(study_file.parse(study_file.merge(copy.deepcopy(small), change)), REPOSITORY)


def control(draws: int | None, **sweep: Any) -> dict[str, Any]:
    """The small study with a control of myopia in a sweep of its own."""
    drawn = {"draws": draws} if draws else {}
    random = GRID | ASKED | {"inject": {"vector": "random", "layers": [3, 4]}} | sweep
    return {
        "vectors": {"random": RANDOM | drawn},
        "sweeps": {"random": random},
        "effects": {"grid": {"controls": ["random"]}},
    }


def test_slopes_are_made_of_the_sweep_and_of_its_controls() -> None:
    plan = planned(control(20))
    (grid, random) = plan.slopes["grid"].settings["tables"]
    assert (grid["sweep"], random["sweep"]) == ("grid", "random")
    sweeps = [
        path for name in ("grid", "random") for one in plan.sweeps[name] for path in one.paths
    ]
    assert list(plan.slopes["grid"].inputs["sweeps"]) == sweeps
    assert plan.controls["grid"].settings == {
        "sweep": "grid",
        "column": "score",
        "controls": {"myopia": ["random"]},
    }
    assert (
        "results/small/effects/grid.control.parquet"
        in (plan.figures["steerability"].inputs["effects"])
    )


def test_a_control_in_the_sweep_itself_counts() -> None:
    vectors = {"random": RANDOM | {"draws": 3}}
    inject = {"vectors": ["myopia", "random"], "layers": [3]}
    sweep = GRID | ASKED | {"inject": inject}
    plan = planned(
        {"vectors": vectors, "sweeps": {"own": sweep}, "effects": {"grid": {"sweep": "own"}}}
    )
    assert plan.controls["grid"].settings["controls"] == {"myopia": ["random"]}


def test_what_effects_are_of_re_keys_nothing() -> None:
    """All cached artefacts are those of the study without them."""
    with_them, without = (
        planned({}),
        planned({"effects": {"grid": None}, "figures": {"steerability": None}}),
    )
    assert [one.key for one in with_them.artefacts()] == [one.key for one in without.artefacts()]


def test_any_measure_has_effects_against_a_control() -> None:
    change = {
        "vectors": {"code-permuted": {"draws": 2}},
        "sweeps": {"code-permuted": {"measures": {"next_token": {"precision_by": "curve"}}}},
        "effects": {"code": {"sweep": "code", "controls": ["code-permuted"]}},
    }
    plan = planned(change)
    assert "code" not in plan.slopes
    assert plan.controls["code"].settings["column"] == "relative_top1"


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "once": (
        control(None),
        ["effects.grid.controls", "vectors.random", "has one draw", "two or more"],
    ),
    "one draw": (control(1), ["vectors.random has one draw"]),
    "others' coefficients": (
        control(2, coefficients=[0, 1]),
        ["sweeps.random", "whose coefficients differ from those of sweeps.grid"],
    ),
    "another operator": (
        control(2, inject={"vector": "random", "layers": [3, 4], "operator": "ablate"}),
        ["effects.grid.controls names sweeps.random", "another operator"],
    ),
    "other positions": (
        control(2, inject={"vector": "random", "layers": [3, 4], "positions": "last"}),
        ["effects.grid.controls names sweeps.random", "other sites or positions"],
    ),
    "the other split": (
        control(2, measures={"two_choice": {"split": "test"}}),
        ["sweeps.random", "split"],
    ),
    "no control": (
        {"effects": {"grid": {"controls": ["single"]}}},
        ["sweeps.single", "no control whose `of` is a vector of sweeps.grid"],
    ),
    "another measure": (
        {"effects": {"grid": {"controls": ["code-permuted"]}}},
        ["sweeps.code-permuted", "does not measure two_choice"],
    ),
    "no coefficient": (
        {"effects": {"grid": {"sweep": "combined"}}},
        ["effects.grid.sweep", "combines vectors"],
    ),
    "no items": (
        {"effects": {"grid": {"sweep": "code"}}, "figures": {"steerability": None}},
        ["sweeps.code", "next_token", "add `controls`"],
    ),
    "no such column": (
        {"effects": {"grid": {"column": "perplexity"}}},
        ["effects.grid.column", "perplexity", "score, probability"],
    ),
    "no such sweep": ({"effects": {"grid": {"sweep": "gird"}}}, ["`gird`", "did you mean `grid`"]),
    "a figure of nothing": (
        {"figures": {"steerability": {"effects": "grit"}}},
        ["figures.steerability.effects", "`grit`", "did you mean `grid`"],
    ),
    "together": (
        control(2) | {"effects": {"grid": {"sweep": "simultaneous", "controls": ["random"]}}},
        ["injected together"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_impossible_settings_are_reported_in_a_sentence(case: str) -> None:
    change, words = BAD[case]
    with pytest.raises(StudyError) as error:
        planned(change)
    said = str(error.value)
    assert all(word in said for word in words), said
    assert said.count(". ") == 0 and said[-1] in ".?"


def drawn() -> tuple[Inputs, dict[str, Any]]:
    """Two behaviours at two layers, of which one has a control, and what is drawn of them."""
    generator = np.random.default_rng(0)
    own, raw = [], []
    for layer in (3, 10):
        for draw_number in (None, 0, 1):
            each = injected("myopia" if draw_number is None else "random", layer, draw=draw_number)
            own.append(each)
            for behaviour in ("myopia", "wealth-seeking"):
                steep = generator.normal(0.5, size=(30, 1))
                raw.append(rows(each, steep * COEFFICIENTS, behaviour))
    tables = (job("grid", [own]),)
    whole = pd.concat(raw, ignore_index=True)
    behaviours = ("myopia", "wealth-seeking")
    made = effects(EffectsJob(tables, behaviours), [[whole]], [questions(30)] * 2)
    null = NullJob("grid", "score", {"myopia": ("random",)})
    table = two_choice.table(tables[0], [whole], ())
    compared, _ = against_control(null, [table], Slopes(made.items, made.slopes))
    shown = {
        name: rows[rows["draw"].isna()] if "draw" in rows else rows
        for name, rows in (("items", made.items), ("slopes", made.slopes), ("control", compared))
    }
    for name in ("items", "slopes"):  # as a figure's inputs have only what was injected itself
        shown[name] = shown[name].query("vector == 'myopia'").drop(columns="draw")
    return Inputs(effects=shown), {"sweep": "grid", "unit": "logits"}


def test_the_figure_has_a_dot_for_every_question_and_says_the_share_below_0() -> None:
    inputs, settings = drawn()
    with themed(settings):
        figure, numbers = draw(inputs, settings)
    assert [axes.get_title() for axes in figure.axes] == ["Myopia", "Wealth seeking"]
    assert len(numbers) == 4 and "anti_share" in numbers
    for axes, behaviour in zip(figure.axes, ("myopia", "wealth-seeking"), strict=True):
        dots = [
            one
            for one in axes.collections
            if isinstance(one, matplotlib.collections.PathCollection)
        ]
        assert len(dots) == 2 and all(len(one.get_offsets()) == 30 for one in dots)
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["Layer 3", "Layer 10"]
        own = numbers[numbers["behaviour"] == behaviour]
        shares = [f"{100 * share:.0f} % < 0" for share in own["anti_share"]]
        assert [text.get_text().split("\n")[0] for text in axes.texts] == shares
        bands = [one for one in axes.collections if one not in dots]
        assert len(bands) == 2


def test_layers_of_a_figure_are_those_asked_for(tmp_path: Path) -> None:
    inputs, settings = drawn()
    draw_figure("effects", inputs, settings | {"layers": [10]}, tmp_path / "one")
    assert set(pd.read_csv(tmp_path / "one.csv")["layer"]) == {10}
    assert (tmp_path / "one.png").stat().st_size > 0
    with pytest.raises(StudyError, match="leave nothing to draw"):
        draw_figure("effects", inputs, settings | {"layers": [4]}, tmp_path / "none")
    with pytest.raises(NothingToDraw):
        draw_figure("effects", Inputs(), settings, tmp_path / "none")


def test_the_study_of_the_page_can_be_run() -> None:
    page = (REPOSITORY / "docs" / "effects.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    miniature = study_file.read(REPOSITORY / "config" / "miniature.yaml")
    study = study_file.parse(study_file.merge(miniature, yaml.safe_load(block)))
    plan = Plan(study, REPOSITORY)
    assert {"search"} <= plan.slopes.keys() and plan.controls.keys() == {"search"}
    assert (
        "results/miniature/effects/search.control.parquet"
        in (plan.figures["wrong-way"].inputs["effects"])
    )


def test_the_caption_says_what_is_drawn() -> None:
    study = planned({}).study
    said = caption(study, "steerability")
    assert "wrong way" in said and "Wilson" in said and "equal weight" not in said
    balanced = planned({"effects": {"grid": {"balanced": True}}}).study
    assert "equal weight" in caption(balanced, "steerability")
