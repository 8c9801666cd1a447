"""The unsteered model where coefficient 0 steers as well: a point of its own, without a number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from conftest import REPOSITORY
from transformers import AutoModelForCausalLM, AutoTokenizer

from snakesteer.engine import models
from snakesteer.engine.operators import ablate, clamp
from snakesteer.engine.steering import Injection, Part
from snakesteer.measures import next_token, two_choice
from snakesteer.measures.next_token_settings import Stopping as SkillStopping
from snakesteer.sweeps import choices, runner
from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.job import Precision
from snakesteer.sweeps.resampled import again, joined
from snakesteer.sweeps.runner import Asked
from snakesteer.tables.next_token import Curve, skill_table
from snakesteer.tables.two_choice import Part as Answered
from snakesteer.tables.two_choice import behaviour_table

torch.set_num_threads(1)
WIDTH = 192
GIVEN = (None, 0.0, 60.0, -200.0)


@pytest.fixture(scope="module")
def model() -> models.LanguageModel:
    """A small model that predicts some tokens."""
    folder = REPOSITORY / "resources" / "models" / "miniature"
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return models.wrap(network, AutoTokenizer.from_pretrained(folder), "none")


def noise(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=WIDTH).astype(np.float32))


def clamped(seed: int = 0) -> Steering:
    sources = {"tokens": ("prose", "code"), "answers": ("bold",)}
    return Steering("noise", (Part(1, noise(seed), operator=clamp),), GIVEN, sources)


def asked(model: models.LanguageModel, **said: object) -> list[Asked]:
    texts = tiny.documents()
    corpora = {
        name: next_token.read_corpus(model.tokenizer, name, some, [], max_tokens=30)
        for name, some in (("prose", texts[:6]), ("code", texts[6:]))
    }
    prompts = {"bold": two_choice.read_prompts(model.tokenizer, "bold", tiny.questions())}
    tokens = replace(Asked("tokens", next_token, corpora), **said)  # type: ignore[arg-type]
    return [tokens, Asked("answers", two_choice, prompts)]


def of(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    return table[table["measure"] == measure]


@pytest.mark.parametrize(
    ("parts", "unsteered"),
    [
        ((Part(0, noise()),), 0.0),
        ((Part(0, noise(), operator=ablate),), 0.0),
        ((Part(0, noise(), operator=clamp),), None),
        ((Part(0, noise()), Part(1, noise(), operator=ablate, constant=1.0)), None),
        ((Part(0, noise()), Part(1, noise(), operator=ablate, constant=0.0)), 0.0),
        ((Part(0, noise()), Part(1, noise(), operator=clamp, constant=0.0)), None),
    ],
)
def test_0_is_the_unsteered_model_where_nothing_is_changed_by_it(
    parts: tuple[Part, ...], unsteered: float | None
) -> None:
    assert Injection(parts).unsteered == unsteered
    assert not Injection(parts).steers(None)


def test_it_is_the_untouched_model_to_the_bit(model: models.LanguageModel) -> None:
    (table,) = runner.run(model, asked(model), [clamped()], batch_tokens=64)
    added = replace(clamped(), parts=(Part(1, noise()),), coefficients=(0.0,))
    (expected,) = runner.run(model, asked(model), [added], batch_tokens=64)
    rows, untouched = table.to_pandas(), expected.to_pandas()
    for measure in ("tokens", "answers"):
        own, others = of(rows, measure), of(untouched, measure)
        assert own["coefficient"].unique().tolist()[1:] == [*GIVEN[1:]]
        first = own[own["coefficient"].isna()].reset_index(drop=True)
        at_0 = own[own["coefficient"] == 0].reset_index(drop=True)
        given = others.reset_index(drop=True)
        assert first.drop(columns="coefficient").equals(given.drop(columns="coefficient"))
        assert not at_0.drop(columns="coefficient").equals(given.drop(columns="coefficient"))


def test_tables_hold_everything_against_it(model: models.LanguageModel) -> None:
    (table,) = runner.run(model, asked(model), [clamped()], batch_tokens=64)
    rows = table.to_pandas()
    curve = Curve("noise", "1", of(rows, "tokens"))
    skill = skill_table("clamped", "prose", [curve], resamples=50)
    assert skill.groupby("corpus")["unsteered"].sum().tolist() == [1, 1]
    before = skill[skill["unsteered"]].set_index("corpus")
    assert before["coefficient"].isna().all() and (before["relative_top1"] == 1).all()
    for row in skill.to_dict("records"):
        raw = of(rows, "tokens")
        same = (
            raw["coefficient"].isna()
            if row["unsteered"]
            else raw["coefficient"].eq(row["coefficient"])
        )
        here = raw[same & (raw["corpus"] == row["corpus"])]
        accuracy = here["top1"].sum() / here["tokens"].sum()
        assert row["top1"] == accuracy
        assert row["relative_top1"] == accuracy / before["top1"][row["corpus"]]
    part = Answered("grid", "noise", "1", "validation", of(rows, "answers"))
    scores = behaviour_table("clamped", [part], collapse=0.9)
    assert scores["direction"].tolist() == ["subtract", "add", "add", "default"]
    assert scores["unsteered"].tolist() == [False, False, False, True]
    for row in scores.to_dict("records"):
        raw = of(rows, "answers")
        same = (
            raw["coefficient"].isna()
            if row["unsteered"]
            else raw["coefficient"].eq(row["coefficient"])
        )
        answers = raw[same]
        assert row["matches"] == (answers["outcome"] == "match").sum()
        assert row["questions"] == len(tiny.questions()) == len(answers)
        assert row["majority"] == answers["answer"].value_counts().max() / len(answers)
    chosen = choices.choose(scores, max_faulty_share=1.0, collapse_share=1.0)
    cell = chosen["multipliers"]["bold"]["1"]
    assert cell["default_score"] == scores.set_index("unsteered")["score"][True]
    assert cell["subtract"] == -200 and cell["add"] in (0, 60)


def test_curves_that_end_early_begin_with_it(model: models.LanguageModel) -> None:
    """Each side of 0 ends by itself, and 0 is on the upper one."""
    measures = asked(model, stopping=SkillStopping(stop=1.0, leap_below=0.0))[:1]
    steering = replace(clamped(), sources={"tokens": ("prose",)})
    steering = replace(steering, coefficients=(None, -1000.0, 0.0, 1000.0, 2000.0, -2000.0))
    (table,) = runner.run(model, measures, [steering], batch_tokens=64)
    visited = table["coefficient"].unique().to_pylist()
    assert visited[0] is None and 2000.0 not in visited and -2000.0 not in visited
    assert -1000.0 in visited


@pytest.mark.parametrize("by", ["curve", "coefficient"])
def test_a_precision_is_of_what_is_held_against_it(model: models.LanguageModel, by: str) -> None:
    measures = asked(model, precision=Precision(0.001, 4, by))[:1]  # type: ignore[arg-type]
    steering = replace(clamped(), sources={"tokens": ("prose",)})
    (table,) = runner.run(model, measures, [steering], batch_tokens=64)
    rows = table.to_pandas()
    counted = rows.groupby("coefficient", dropna=False).size()
    assert len(counted) == len(GIVEN)
    assert counted[60.0] == counted[counted.index.isna()].item() == 6
    assert counted[0.0] == counted[-200.0] == (6 if by == "curve" else 4)


def test_resamples_are_compared_with_it_as_well(model: models.LanguageModel) -> None:
    measures = asked(model)
    (base,) = runner.run(model, measures, [clamped()], batch_tokens=64)
    draws = [clamped(seed) for seed in (1, 2)]
    on, repeated = again(measures, draws, base)
    tables = runner.run(model, on, repeated, batch_tokens=64)
    resampled = joined(tables, 2).to_pandas()
    rows = base.to_pandas()
    curve = Curve("noise", "1", of(rows, "tokens"), of(resampled, "tokens"))
    skill = skill_table("clamped", "prose", [curve], resamples=50)
    before = skill[skill["unsteered"]]
    assert (before["relative_top1_vector_low"] == 1).all()
    part = Answered(
        "grid", "noise", "1", "validation", of(rows, "answers"), resampled=of(resampled, "answers")
    )
    scores = behaviour_table("clamped", [part], collapse=0.9).set_index("unsteered")
    assert scores["score_vector_low"][True] == scores["score"][True]
    assert (scores["score_vector_low"][False] <= scores["score_vector_high"][False]).all()
