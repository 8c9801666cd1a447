"""Vectors of another model: asked for, of one depth, chosen on the steered model, and told."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import REPOSITORY

from snakesteer.core.errors import StudyError
from snakesteer.plan.captions import caption
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file

HUB = {"source": "owner/name", "revision": "a" * 40}
BORROWED = {"model": "miniature", "transfer": True}


def plan(change: dict[str, Any]) -> Plan:
    data = study_file.read(REPOSITORY / "config" / "miniature.yaml")
    return Plan(study_file.parse(study_file.merge(data, change)), REPOSITORY)


def test_without_being_asked_for_it_is_refused() -> None:
    for section, name, vector in (
        ("sweeps", "alignment-tax", "myopia"),
        ("samples", "chat", "wealth-seeking"),
    ):
        with pytest.raises(StudyError) as error:
            plan({section: {name: {"model": "miniature"}}})
        assert str(error.value) == (
            f"{section}.{name}.model is miniature, but vectors.{vector} is made with "
            "miniature-chat; steer the model that the vector is from, or set "
            f"{section}.{name}.transfer to true."
        )


@pytest.mark.parametrize("section", ["sweeps", "samples"])
def test_a_model_of_another_depth_is_refused_before_anything_runs(section: str) -> None:
    name = {"sweeps": "alignment-tax", "samples": "chat"}[section]
    with pytest.raises(StudyError) as error:
        plan(
            {
                "models": {"deeper": {**HUB, "layers": 12}},
                section: {name: {"model": "deeper", "transfer": True}},
            }
        )
    assert str(error.value) == (
        f"{section}.{name}.model is deeper, which has 12 layers, but its vectors come from "
        "models.miniature-chat, which has 8; transfer needs models of the same depth and width."
    )


@pytest.mark.parametrize("name", ["single", "combined"])
def test_multipliers_are_chosen_on_the_model_that_is_steered(name: str) -> None:
    with pytest.raises(StudyError) as error:
        plan({"sweeps": {name: BORROWED}})
    assert str(error.value) == (
        f"sweeps.{name}.model is miniature, but choices.multipliers picks from sweeps.grid, which "
        "steers miniature-chat; search on miniature as well."
    )
    every = {sweep: BORROWED for sweep in ("grid", "single", "combined")}
    (made, *_) = plan({"sweeps": every}).sweeps[name]
    assert made.settings["transfer"] is True


def test_a_caption_says_whose_alignment_tax_it_is() -> None:
    figure = "simultaneous-steering"
    other = plan({"sweeps": {"alignment-tax": BORROWED}})
    said = "miniature-chat answers the questions; the alignment tax is that of miniature."
    assert said in caption(other.study, figure)
    assert "answers the questions" not in caption(plan({}).study, figure)


def test_the_papers_alignment_tax_can_be_that_of_the_base_model() -> None:
    """As the comment in config/papers/broad-skills.yaml says: its model is not known."""
    data = study_file.read(REPOSITORY / "config" / "papers" / "broad-skills.yaml")
    change = {"sweeps": {"alignment-tax": {"model": "llama-2-7b", "transfer": True}}}
    made = Plan(study_file.parse(study_file.merge(data, change)), REPOSITORY)
    (job,) = made.sweeps["alignment-tax"]
    assert job.settings["transfer"] is True
    assert [model.name for model, _ in job.inputs["model"]] == ["llama-2-7b"]
