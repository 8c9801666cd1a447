"""Choices by the likelihood of whole texts, against a naive loop; their tokens and tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from conftest import REPOSITORY

import oracle
from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.engine import head, models
from snakesteer.engine.operators import add
from snakesteer.engine.steering import Part
from snakesteer.measures import choice, two_choice
from snakesteer.measures.choice_settings import Settings
from snakesteer.plan.plan import Plan
from snakesteer.plan.resources import tokens
from snakesteer.prompts.formats import CHAT, Format
from snakesteer.prompts.marks import How
from snakesteer.prompts.which_tokens import From, Steered
from snakesteer.storage.points import Points
from snakesteer.study import study_file
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.job import Combined, Injected, Placed, SweepJob
from snakesteer.sweeps.runner import Asked
from snakesteer.tables import choice as choice_tables
from snakesteer.tables.intervals import wilson_interval
from snakesteer.tables.job import TableJob

torch.set_num_threads(1)

COEFFICIENTS = (0.0, 0.5, -2.0)
ARCHITECTURES = ["llama", "gpt2", "gemma2", "mixtral", "jamba", "bloom"]


@pytest.fixture(scope="module")
def model() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


def vector(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=32)


def items(count: int = 9) -> list[dict[str, Any]]:
    """Prompts of different lengths, of which some end in spaces, with 2 to 4 choices."""
    words = tiny.PROSE.split()
    made = []
    for i in range(count):
        prompt = " ".join(words[i : i + 4 + i % 5]) + ("", " ", "\n\n")[i % 3]
        choices = [" ".join(words[k : k + 1 + (i + k) % 4]) for k in range(i, i + 2 + i % 3)]
        choices[0] = "né " * (i % 2) + choices[0]
        place = i % len(choices)
        made.append(
            {"question": f"q{i}", "prompt": prompt, "choices": choices, "place": place}
            | {"matching": choices[place], "not_matching": choices[place - 1]}
        )
    return made


def letters(count: int = 6) -> list[dict[str, Any]]:
    """Questions that end before the letter of one of four choices."""
    words = tiny.PROSE.split()
    return [
        {
            "question": f"q{i}",
            "prompt": " ".join(words[i : i + 5]) + "?\nAnswer:",
            "choices": ["A", "B", "Y", "N"],
            "place": i % 4,
        }
        for i in range(count)
    ]


def measured(
    model: models.LanguageModel,
    asked: Mapping[str, choice.Items | two_choice.Prompts],
    parts: Sequence[Part] = (),
    coefficients: Sequence[float] = COEFFICIENTS,
    **settings: Any,
) -> pd.DataFrame:
    """A sweep of one vector, by measures with their samples."""
    acting = tuple(parts) or (part(1, vector(), "add"),)
    plugins = {choice.Items: choice, two_choice.Prompts: two_choice}
    (table,) = runner.run(
        model,
        [Asked(name, plugins[type(each)], {"task": each}) for name, each in asked.items()],
        [Steering("noise", acting, tuple(coefficients), {name: ("task",) for name in asked})],
        **{"batch_tokens": 64} | settings,
    )
    return table.to_pandas()


def by_hand(
    model: models.LanguageModel,
    item: Mapping[str, Any],
    parts: Sequence[oracle.Part],
    coefficient: float,
    separator: str = "",
    context: str | None = None,
) -> tuple[list[float], list[int]]:
    """The log-likelihood of each choice, one at a time and token by token, and their tokens.

    Context and continuation are split as in lm-evaluation-harness.
    """
    before = item["prompt"] if context is None else context
    found, counts = [], []
    for text in item["choices"]:
        whole = model.tokenizer.encode(before + separator + text)
        known = len(model.tokenizer.encode(before.rstrip()))
        logits, _ = oracle.forward(model.network, model.blocks, whole, parts, coefficient)
        likelihood = 0.0
        for place in range(known, len(whole)):
            likelihood += float(logits[place - 1].double().log_softmax(0)[whole[place]])
        found.append(likelihood)
        counts.append(len(whole) - known)
    return found, counts


def lengths(by: str, item: Mapping[str, Any], counts: Sequence[int]) -> list[int]:
    texts = item["choices"]
    return {
        "sum": [1] * len(texts),
        "token": list(counts),
        "character": [len(text) for text in texts],
        "byte": [len(text.encode("utf-8")) for text in texts],
    }[by]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("path", ["shared", "plain"])
def test_it_is_what_a_naive_loop_finds(architecture, path) -> None:
    model = models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")
    read = {
        by: choice.read_items(model.tokenizer, "task", items(), settings=Settings(by, " "))
        for by in ("sum", "token", "character", "byte")
    }
    table = measured(model, read, path=path)
    steered = [oracle.Part(1, torch.tensor(vector(), dtype=torch.float32))]
    chosen = set()
    for coefficient in COEFFICIENTS:
        for item in items():
            likelihoods, counts = by_hand(model, item, steered, coefficient, " ")
            for by in read:
                here = (table["measure"] == by) & (table["coefficient"] == coefficient)
                [row] = table[here & (table["question"] == item["question"])].to_dict("records")
                assert row["log_likelihoods"] == pytest.approx(likelihoods, abs=1e-4)
                scores = np.array(likelihoods) / lengths(by, item, counts)
                other = np.delete(scores, item["place"]).max()
                assert row["chosen"] == scores.argmax() and row["matching"] == item["place"]
                assert (row["outcome"] == "match") == (scores.argmax() == item["place"])
                assert row["score_matching"] == pytest.approx(scores[item["place"]], abs=1e-4)
                assert row["score_other"] == pytest.approx(other, abs=1e-4)
                expected = math.exp(scores[item["place"]]) / sum(map(math.exp, scores))
                assert row["probability"] == pytest.approx(expected, rel=1e-3)
                assert row["propensity"] == row["score_matching"] - row["score_other"]
            chosen.add(tuple(table[table["question"] == item["question"]]["chosen"]))
    assert len({each for one in chosen for each in one}) > 2


def test_one_pass_for_all_choices_of_a_prompt_is_one_for_each(model) -> None:
    """To 1e-5 in float32, and one pass over what choices have in common but for one token."""
    read = choice.read_items(model.tokenizer, "task", letters(), settings=Settings(separator=" "))
    assert len(read.sequences) == len(letters())
    assert choice.arranged(model, "task", read) is read
    assert all(len(choices) == 4 for (choices,) in read.endings)
    together = measured(model, {"letters": read})
    for number in range(4):
        alone = [item | {"choices": item["choices"][number:] + ["A"], "place": 0}
                 for item in letters()]  # fmt: skip
        own = choice.read_items(model.tokenizer, "task", alone, settings=Settings(separator=" "))
        found = measured(model, {"letters": own}, batch_tokens=1)
        for both, one in zip(together["log_likelihoods"], found["log_likelihoods"], strict=True):
            assert both[number] == pytest.approx(one[0], abs=1e-5)


def test_the_shared_path_is_the_plain_one_to_the_bit(model) -> None:
    read = choice.read_items(model.tokenizer, "task", items())
    shared, plain = (measured(model, {"own": read}, path=path) for path in ("shared", "plain"))
    pd.testing.assert_frame_equal(shared, plain, check_exact=True)
    untouched = measured(model, {"own": read}, [part(1, np.zeros(32), "add")])
    zero = untouched[untouched["coefficient"] == 0].reset_index(drop=True)
    for coefficient in COEFFICIENTS:
        here = untouched[untouched["coefficient"] == coefficient].reset_index(drop=True)
        columns = ["propensity", "probability", "chosen"]
        pd.testing.assert_frame_equal(here[columns], zero[columns], check_exact=True)


def test_letters_are_what_two_choice_finds(model) -> None:
    """The log-likelihoods of two single tokens lie as far apart as their logits."""
    given = tiny.questions()
    read = choice.read_items(model.tokenizer, "task", given)
    prompts = two_choice.read_prompts(model.tokenizer, "task", given)
    assert read.sequences == prompts.sequences
    table = measured(model, {"choice": read, "two_choice": prompts})
    ours, theirs = (
        table[table["measure"] == name].reset_index(drop=True) for name in ("choice", "two_choice")
    )
    apart = theirs["logit_matching"] - theirs["logit_not_matching"]
    assert ours["propensity"].to_numpy() == pytest.approx(apart.to_numpy(), abs=1e-5)
    known = theirs["outcome"] != "faulty"
    assert (ours["outcome"][known] == theirs["outcome"][known]).all()


def test_the_same_choices_by_two_scores_share_each_pass(model, monkeypatch) -> None:
    rows: list[int] = []
    right = head.logits_of

    def logits_of(model: models.LanguageModel, states: torch.Tensor) -> torch.Tensor:
        rows.append(len(states))
        return right(model, states)

    monkeypatch.setattr(head, "logits_of", logits_of)
    asked = {
        by: choice.read_items(model.tokenizer, "task", items(), settings=Settings(by))
        for by in ("sum", "byte")
    }
    alone = measured(model, {"sum": asked["sum"]})
    once = sum(rows)
    read = asked["sum"]
    assert any(choice.arranged(model, "task", read).forks)
    places = [len(ids) - start + 1 for ids, start in zip(read.sequences, read.starts, strict=True)]
    assert once == len(COEFFICIENTS) * sum(places)
    rows.clear()
    both = measured(model, asked)
    assert sum(rows) == once
    of_sums = both[both["measure"] == "sum"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_sums, alone, check_exact=True)


# Tokens.


def test_spaces_at_the_end_of_a_prompt_are_the_continuations(model) -> None:
    tokenizer = model.tokenizer
    item = {"question": "q", "matching": "the mill", "not_matching": "No"}
    for prompt in ("The river", "The river ", "The river \n"):
        read = choice.read_items(tokenizer, "task", [item | {"prompt": prompt}])
        for ids, start, endings in zip(read.sequences, read.starts, read.endings, strict=True):
            (((_, last, text),),) = endings
            assert ids[:start] == tokenizer.encode("The river")
            assert tokenizer.decode([*ids[start:], last]) == prompt.removeprefix("The river") + text


def test_a_token_across_the_boundary_is_every_choices_own(model) -> None:
    """A tokenizer that joins a bracket and the letter behind it, of one of the choices alone."""
    tokenizer = tiny.tokenizer()
    tokenizer.add_tokens(["(A"])
    item = {"question": "q", "prompt": "I choose (", "matching": "A)", "not_matching": "No)"}
    read = choice.read_items(tokenizer, "task", [item])
    shown = []
    for ids, start, endings in zip(read.sequences, read.starts, read.endings, strict=True):
        assert ids[:start] == tokenizer.encode("I choose")
        shown.append(tokenizer.decode([*ids[start:], endings[0][0][1]]).strip())
    assert shown == ["(A)", "(No)"]


TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% if not loop.last %}|{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}|<assistant>{% endif %}"
)


def test_in_the_chat_format_choices_are_the_answer(model) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = TEMPLATE
    wrapped = dataclasses.replace(model, tokenizer=tokenizer)
    how = How(Format(CHAT, system="Be brief."))
    read = choice.read_items(tokenizer, "task", items(), how)
    table = measured(wrapped, {"own": read})
    steered = [oracle.Part(1, torch.tensor(vector(), dtype=torch.float32))]
    for coefficient in COEFFICIENTS:
        for item in items():
            messages = [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": item["prompt"]},
            ]
            context = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
            expected, _ = by_hand(wrapped, item, steered, coefficient, "", context)
            # Around a chat template the tokenizer puts nothing; it begins none of ours either way.
            assert tokenizer.encode("x", add_special_tokens=False) == tokenizer.encode("x")
            here = (table["coefficient"] == coefficient) & (table["question"] == item["question"])
            assert table[here]["log_likelihoods"].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("positions", "where"),
    [
        ("last", lambda end, ids: [end - 1]),
        (-3, lambda end, ids: [end - 3]),
        ("prompt", lambda end, ids: range(end)),
        ("completion", lambda end, ids: range(end, len(ids))),
        ("after_instruction", lambda end, ids: range(end, len(ids))),
        (From("the"), lambda end, ids: range(_place_of(ids, " the"), len(ids))),
    ],
)
def test_positions_are_counted_in_the_prompt(model, positions: Steered, where) -> None:
    """As where a text is generated: what follows the prompt is what has been written."""
    given = []
    for item in items():
        given.append(item | {"prompt": "Yes, the river says " + item["prompt"].strip()})
    how = How(steered=(positions,))
    read = choice.read_items(model.tokenizer, "task", given, how, Settings(separator=" "))
    acting = Part(1, torch.tensor(vector(), dtype=torch.float32), "output", add, None, positions)
    for path in ("shared", "plain"):
        table = measured(model, {"own": read}, [acting], path=path)
        for coefficient in COEFFICIENTS:
            for item in given:
                expected = []
                for text in item["choices"]:
                    ids = model.tokenizer.encode(f"{item['prompt']} {text}")
                    end = len(model.tokenizer.encode(item["prompt"]))
                    steered = oracle.Part(
                        1,
                        torch.tensor(vector(), dtype=torch.float32),
                        where=where(end, ids),
                    )
                    alone = item | {"choices": [text]}
                    expected += by_hand(model, alone, [steered], coefficient, " ")[0]
                here = table["coefficient"] == coefficient
                found = table[here & (table["question"] == item["question"])]
                assert found["log_likelihoods"].item() == pytest.approx(expected, abs=1e-4)


def _place_of(ids: Sequence[int], text: str) -> int:
    """Where the token of a text stands first."""
    tokenizer = tiny.tokenizer()
    return next(
        at for at, token in enumerate(ids) if text.startswith(tokenizer.decode([token]).rstrip())
        and tokenizer.decode([token]).strip()
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "positions", "named"),
    [
        ({"prompt": ""}, (), "question q has no token before its choices"),
        ({"prompt": " \n"}, (), "question q has no token before its choices"),
        ({"prompt": "Yes"}, (-9,), "positions names -9, but question q has"),
        ({"prompt": "Yes"}, (From("mill"),), "has no 'mill' in the form that the model reads"),
        ({"prompt": "Out of"}, ("completion",), "question q has no tokens of a completion"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(model, change, positions, named) -> None:
    item = {"question": "q", "matching": " (", "not_matching": ","} | change
    with pytest.raises(StudyError) as raised:
        choice.read_items(model.tokenizer, "own", [item], How(steered=positions))
    assert str(raised.value).startswith("behaviours.own: ") and named in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_questions_is_one_sentence(model) -> None:
    with pytest.raises(StudyError, match=r"behaviours\.own has no questions in this split"):
        choice.read_items(model.tokenizer, "own", [])


@pytest.mark.parametrize("coefficient", [0.0, 1e30])
def test_nan_and_infinity_are_reported(coefficient) -> None:
    spoilt = models.wrap(tiny.network(), tiny.tokenizer(), "none")
    if coefficient == 0:
        with torch.no_grad():
            spoilt.network.lm_head.weight[7] = torch.nan
    read = choice.read_items(spoilt.tokenizer, "task", items())
    with pytest.raises(StudyError) as raised:
        measured(spoilt, {"own": read}, [part(1, np.full(32, 1e30), "add")], (0.0, coefficient))
    for named in ("question q0 of behaviours.task", "layer 1", f"coefficient {coefficient:g}"):
        assert named in str(raised.value)


# Points.


def test_choices_of_a_question_share_a_chunk_and_points_go_on(model, tmp_path) -> None:
    read = choice.read_items(model.tokenizer, "task", items())
    whole = measured(model, {"own": read}, batch_tokens=1)
    settings = {"batch_tokens": 1, "kept_bytes": 1}
    points = Points(tmp_path / "points")
    first = measured(model, {"own": read}, coefficients=(0.0,), points=points, **settings)
    made = {path.name for path in (tmp_path / "points").iterdir()}
    assert len(made) == len(items())
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "points").iterdir()}
    again = measured(model, {"own": read}, points=points, **settings)
    pd.testing.assert_frame_equal(again, whole, check_exact=True)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "points").iterdir()}
    assert len(kept) == len(COEFFICIENTS) * len(items()) and times.items() <= kept.items()
    assert len(first) == len(items())
    other = choice.read_items(model.tokenizer, "task", items(), settings=Settings("byte"))
    measured(model, {"own": other}, points=points, **settings)
    assert len([*(tmp_path / "points").iterdir()]) == 2 * len(kept)


def test_a_killed_point_leaves_the_others(model, tmp_path, monkeypatch) -> None:
    read = choice.read_items(model.tokenizer, "task", items())
    settings = {"batch_tokens": 1, "kept_bytes": 1}
    whole = measured(model, {"own": read}, **settings)
    right, calls = choice.rows, []

    def rows(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return right(*given)

    monkeypatch.setattr(choice, "rows", rows)
    with pytest.raises(KeyboardInterrupt):
        measured(model, {"own": read}, points=Points(tmp_path), **settings)
    calls.clear()
    calls += [None] * 20
    again = measured(model, {"own": read}, points=Points(tmp_path), **settings)
    assert len(calls) == 20 + len(COEFFICIENTS) * len(items()) - 11
    pd.testing.assert_frame_equal(again, whole, check_exact=True)


# Tables.


def job(*injected: Injected) -> TableJob:
    return TableJob("own", "choice", "tasks", "grid", (injected,), split="test")


def rows_of(injection: str, seed: int = 0, count: int = 40) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frames = []
    for coefficient in (0.0, 1.0, -1.0):
        propensity = generator.normal(coefficient, 2, count)
        frame = {
            "measure": "tasks",
            "injection": injection,
            "coefficient": coefficient,
            "behaviour": ["mmlu"] * (count // 2) + ["arc"] * (count // 2),
            "question": [f"{i}" for i in range(count)],
            "outcome": np.where(propensity > 0, "match", "other"),
            "propensity": propensity,
            "probability": 1 / (1 + np.exp(-propensity)),
        }
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


def test_the_table_of_choices() -> None:
    injected = Injected((Placed("noise", (1,)),), (0.0, 1.0, -1.0))
    raw = rows_of("noise at 1")
    table = choice_tables.table(job(injected), [raw], [])
    assert list(table) == choice_tables.COLUMNS
    assert len(table) == 6
    assert table["unsteered"].sum() == 2
    assert list(table["coefficient"]) == sorted(table["coefficient"])
    told = dict.fromkeys(zip(table["coefficient"], table["direction"], strict=True))
    assert list(told) == [(-1.0, "subtract"), (0.0, "default"), (1.0, "add")]
    for row in table.to_dict("records"):
        here = (raw["coefficient"] == row["coefficient"]) & (raw["behaviour"] == row["behaviour"])
        own = raw[here]
        matches = int((own["outcome"] == "match").sum())
        assert (row["questions"], row["matches"], row["score"]) == (20, matches, matches / 20)
        assert (row["score_low"], row["score_high"]) == wilson_interval(matches, 20)
        for name in ("propensity", "probability"):
            half = 2.0930240544 * own[name].std() / math.sqrt(20)
            assert row[name] == pytest.approx(own[name].mean())
            assert row[f"{name}_low"] == pytest.approx(own[name].mean() - half)
            assert row[f"{name}_high"] == pytest.approx(own[name].mean() + half)


def test_draws_sources_directions_and_resamples_in_the_table() -> None:
    each = [
        Injected((Placed("noise", (1,), source_layer=3),), (0.0, 1.0, -1.0), draw=draw)
        for draw in (0, 1)
    ]
    raw = pd.concat([rows_of(one.label, seed) for seed, one in enumerate(each)])
    table = choice_tables.table(job(*each), [raw], [])
    assert {"draw", "draws", "source_layer", "score_min", "propensity_max"} <= set(table)
    single, means = table[table["draw"].notna()], table[table["draw"].isna()]
    assert (len(single), len(means)) == (12, 6)
    first = means.iloc[0]
    same = (single["coefficient"] == first["coefficient"]) & (
        single["behaviour"] == first["behaviour"]
    )
    assert first["probability"] == pytest.approx(single[same]["probability"].mean())
    assert first["source_layer"] == 3

    combined = Injected(
        (Placed("a", (1,)), Placed("b", (1,))), None, Combined("mean", False, "subtract")
    )
    raw = rows_of(combined.label)
    table = choice_tables.table(job(combined), [raw], [])
    assert set(table["direction"]) == {"default", "subtract"} and set(table["combine"]) == {"mean"}

    injected = Injected((Placed("noise", (1,)),), (0.0, 1.0, -1.0))
    again = pd.concat(
        [rows_of("noise at 1", seed).assign(resample=seed) for seed in range(5)], ignore_index=True
    )
    table = choice_tables.table(job(injected), [rows_of("noise at 1")], [again])
    for row in table.to_dict("records"):
        here = (again["coefficient"] == row["coefficient"]) & (
            again["behaviour"] == row["behaviour"]
        )
        by_resample = again[here].groupby("resample")["propensity"].mean()
        half = 2.7764451052 * by_resample.std()
        assert row["propensity_vector_high"] == pytest.approx(row["propensity"] + half)
        assert row["score_vector_low"] < row["score"] < row["score_vector_high"]


# Studies.

TASK = {
    "source": "items",
    "file": "https://raw.githubusercontent.com/nrimsky/CAA/"
    "48fe8dccfdf35ac60856ec2842952e19fac98f4c/datasets/test/mmlu/mmlu.json",
    "prompt": "prompt",
    "matching": "correct",
}
PAIR = {"choices": ["correct", "incorrect"]}
MANY = {"choices": "choices", "matching": "answer"}


def planned(measures: Mapping[str, Any], task: Mapping[str, Any], **inject: Any) -> Plan:
    changed = {
        "behaviours": {"mmlu": TASK | task},
        "sweeps": {
            "tasks": {
                "model": "miniature-chat",
                "inject": {"vector": "myopia", "layers": [3], **inject},
                "coefficients": [0, 1],
                "measures": measures,
            }
        },
    }
    return Plan(study_file.parse(study_file.merge(study_file.read(SMALL), changed)), REPOSITORY)


def test_the_plan_of_choices() -> None:
    asked = {
        "tasks": {"measure": "choice", "behaviours": ["mmlu", "myopia"], "by": "byte"},
        "letters": {"measure": "two_choice", "behaviours": ["mmlu"], "answer_prefix": "("},
        "own": {"measure": "choice"},
    }
    plan = planned(asked, PAIR)
    (artefact,) = plan.sweeps["tasks"]
    job = read(SweepJob, artefact.settings)
    assert [measured.asked for measured in job.measures] == [
        {"by": "byte"},
        {"stopping": None, "answer_prefix": "("},
        {"by": "sum"},
    ]
    assert [measured.readings for measured in job.measures] == [2, 1, 2]
    assert job.measures[2].sources == ("myopia",)
    assert plan.tables["tasks.tasks"].settings["split"] == "test"
    many = planned({"choice": {"behaviours": ["mmlu"], "separator": " "}}, MANY)
    (artefact,) = many.sweeps["tasks"]
    assert tokens(artefact) == 2 * 4 * 1000 * 256
    assert artefact.settings["measures"][0]["asked"] == {"by": "sum", "separator": " "}


@pytest.mark.parametrize("positions", ["completion", "after_instruction", "prompt", "last"])
def test_choices_follow_their_prompts(positions) -> None:
    assert planned({"choice": {}}, PAIR, positions=positions).sweeps["tasks"]


@pytest.mark.parametrize(
    ("measures", "task", "named"),
    [
        ({"choice": {"behaviours": ["mmlu"], "by": "word"}}, PAIR, "sweeps.tasks"),
        (
            {"two_choice": {"behaviours": ["mmlu"]}},
            MANY,
            "more than two choices; use the measure `choice`",
        ),
        (
            {"divergence": {"behaviours": ["mmlu"], "answer_prefix": "("}},
            MANY,
            "more than two choices; use the measure `choice`",
        ),
        (
            {"choice": {"behaviours": ["mmlu"]}},
            {"source": "pairs", "prompt": None, "matching": "a", "not_matching": "b"},
            "whose answers do not follow a prompt",
        ),
        ({"choice": {"behaviours": ["mmlu"], "split": "validation"}}, PAIR, "behaviours.mmlu is 0"),
        ({"choice": {"behaviours": ["mmlu"]}}, {}, "either choices"),
        ({"choice": {"behaviours": ["mmlu"]}}, PAIR | {"answers": ["A", "B"]}, "either choices"),
        ({"choice": {"behaviours": ["mmlu"]}}, {"choices": ["a"]}, "behaviours.mmlu"),
        (
            {"choice": {"behaviours": ["mmlu"]}},
            {"answers": ["A", ""]},
            "answers has an empty entry",
        ),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(measures, task, named) -> None:
    with pytest.raises(StudyError) as raised:
        planned(measures, task)
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("task", "named"),
    [(MANY, "more than two choices"), (PAIR, "whose `train` is 0")],
)
def test_activations_are_of_two_sides(task, named) -> None:
    changed = {
        "behaviours": {"mmlu": TASK | task},
        "activations": {"mmlu": {"model": "miniature-chat", "behaviour": "mmlu"}},
    }
    with pytest.raises(StudyError, match=named) as raised:
        study_file.parse(study_file.merge(study_file.read(SMALL), changed))
    assert str(raised.value).startswith("activations.mmlu reads behaviours.mmlu")
