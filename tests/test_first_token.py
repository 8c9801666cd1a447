"""Log-odds of first tokens, against a naive loop; their tokens, passes and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tiny
import torch
from conftest import REPOSITORY
from transformers import AutoTokenizer

import oracle
from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.engine import head, models
from snakesteer.engine.operators import add
from snakesteer.engine.steering import Part
from snakesteer.measures import divergence, first_token, two_choice
from snakesteer.measures.first_token import Settings
from snakesteer.measures.read import Read
from snakesteer.plan.plan import Plan
from snakesteer.prompts.formats import CHAT, Format
from snakesteer.prompts.marks import How
from snakesteer.storage.files import write_table
from snakesteer.storage.points import Points
from snakesteer.study import study_file
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.job import Injected, Placed, SweepJob
from snakesteer.sweeps.runner import Asked
from snakesteer.tables import first_token as first_token_tables
from snakesteer.tables.job import TableJob

torch.set_num_threads(1)

COEFFICIENTS = (0.0, 0.5, -2.0)
ARCHITECTURES = ["llama", "gpt2", "gemma2", "mixtral", "jamba", "bloom"]
MINIATURE = REPOSITORY / "resources" / "models" / "miniature-chat"
WANTED = [33, 40, 262]


@pytest.fixture(scope="module")
def model() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


def vector(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=32)


def questions(tmp_path, count: int = 8) -> dict[str, list[str]]:
    rows = [
        row | {"split": ("test", "train")[i % 2]} for i, row in enumerate(tiny.questions(count))
    ]
    path = tmp_path / "questions.parquet"
    write_table(path, pa.Table.from_pylist(rows), {})
    return {"questions": [str(path)]}


def documents(tmp_path, completions: bool = False) -> dict[str, list[str]]:
    names, texts = zip(*tiny.documents(), strict=True)
    columns = {"document": names, "text": texts}
    if completions:
        columns["completion"] = ["Yes, he says."] * len(names)
    path = tmp_path / "documents.parquet"
    write_table(path, pa.table(columns), {})
    return {"documents": [str(path)]}


def measured(
    model: models.LanguageModel,
    asked: Mapping[str, tuple[Any, Any]],
    parts: Sequence[Part] = (),
    coefficients: Sequence[float] = COEFFICIENTS,
    **settings: Any,
) -> pd.DataFrame:
    acting = tuple(parts) or (part(1, vector(), "add"),)
    (table,) = runner.run(
        model,
        [Asked(name, plugin, {"own": samples}) for name, (plugin, samples) in asked.items()],
        [Steering("noise", acting, tuple(coefficients), {name: ("own",) for name in asked})],
        **{"batch_tokens": 64} | settings,
    )
    return table.to_pandas()


def by_hand(
    model: models.LanguageModel,
    ids: list[int],
    parts: Sequence[oracle.Part],
    coefficient: float,
    wanted: Sequence[int] = tuple(WANTED),
    epsilon: float = 0.0,
) -> float:
    """As the code of Arditi et al. has it."""
    logits, _ = oracle.forward(model.network, model.blocks, ids, parts, coefficient)
    probabilities = torch.softmax(logits[-1].to(torch.float64), dim=-1)
    p = probabilities[list(wanted)].sum()
    return float(torch.log(p + epsilon) - torch.log(1 - p + epsilon))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("path", ["shared", "plain"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-8])
def test_it_is_what_a_naive_loop_finds(architecture, path, epsilon, tmp_path) -> None:
    model = models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")
    settings = Settings(tuple(WANTED), epsilon)
    how = Read(("own",), split="test")
    found = first_token.samples(model.tokenizer, questions(tmp_path), how, settings)["own"]
    asked = tiny.questions(8)[::2]
    assert found.names == [each["question"] for each in asked]
    table = measured(model, {"odds": (first_token, found)}, path=path)
    steered = [oracle.Part(1, torch.tensor(vector(), dtype=torch.float32))]
    for coefficient in COEFFICIENTS:
        here = table[table["coefficient"] == coefficient]
        for row, each in zip(here.to_dict("records"), asked, strict=True):
            ids = model.tokenizer.encode(each["prompt"])
            expected = by_hand(model, ids, steered, coefficient, WANTED, epsilon)
            assert row["sample"] == each["question"] and row["source"] == "own"
            assert row["log_odds"] == pytest.approx(expected, rel=1e-4, abs=1e-4)
            assert row["probability"] == pytest.approx(1 / (1 + math.exp(-expected)), rel=1e-3)


@pytest.mark.parametrize("completions", [False, True])
def test_of_instructions_the_prompt_alone_is_read(model, completions, tmp_path) -> None:
    form = Format("Human: {prompt} AI:")
    reads = Read(("own",), max_tokens=60, how=How(form))
    files = documents(tmp_path, completions)
    found = first_token.samples(model.tokenizer, files, reads, Settings(tuple(WANTED)))["own"]
    table = measured(model, {"odds": (first_token, found)})
    steered = [oracle.Part(1, torch.tensor(vector(), dtype=torch.float32))]
    for coefficient in COEFFICIENTS:
        here = table[table["coefficient"] == coefficient]
        for row, (name, text) in zip(here.to_dict("records"), tiny.documents(), strict=True):
            ids = model.tokenizer.encode(f"Human: {text} AI:")
            assert row["sample"] == name
            expected = by_hand(model, ids, steered, coefficient)
            assert row["log_odds"] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_in_the_chat_format_the_answer_is_asked_for(tmp_path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(MINIATURE)
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}|{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    reads = Read(("own",), split="test", how=How(Format(CHAT)))
    found = first_token.samples(tokenizer, questions(tmp_path), reads, Settings((3,)))["own"]
    for ids, each in zip(found.sequences, tiny.questions(8)[::2], strict=True):
        messages = [{"role": "user", "content": each["prompt"]}]
        theirs = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        assert ids == theirs["input_ids"]


def test_a_nearly_certain_set_has_finite_odds(model, tmp_path) -> None:
    """Where 1 - p is 0 in float64, the rest's own probabilities still are what they are."""
    wrapped = models.wrap(tiny.network(), tiny.tokenizer(), "none")
    with torch.no_grad():
        wrapped.network.lm_head.weight.mul_(40)
    reads = Read(("own",), split="test")
    vocabulary = wrapped.vocabulary
    most = tuple(range(vocabulary - 1))
    found = first_token.samples(wrapped.tokenizer, questions(tmp_path), reads, Settings(most))
    rest = first_token.samples(
        wrapped.tokenizer, questions(tmp_path), reads, Settings((vocabulary - 1,))
    )
    asked = {"most": (first_token, found["own"]), "rest": (first_token, rest["own"])}
    table = measured(wrapped, asked)
    most, rest = (table[table["measure"] == name]["log_odds"].to_numpy() for name in asked)
    assert np.isfinite(most).all() and most.max() > 50
    assert most == pytest.approx(-rest, rel=1e-12)


def test_measures_of_the_same_texts_share_each_pass(model, monkeypatch, tmp_path) -> None:
    rows: list[int] = []
    right = head.logits_of

    def logits_of(model: models.LanguageModel, states: torch.Tensor) -> torch.Tensor:
        rows.append(len(states))
        return right(model, states)

    monkeypatch.setattr(head, "logits_of", logits_of)
    reads, files = Read(("own",), split="test"), questions(tmp_path)
    odds = first_token.samples(model.tokenizer, files, reads, Settings(tuple(WANTED)))["own"]
    answers = two_choice.samples(model.tokenizer, files, reads, two_choice.Settings())["own"]
    kl = divergence.samples(model.tokenizer, files, reads, divergence.Settings())["own"]
    asked = {"odds": (first_token, odds), "answers": (two_choice, answers), "kl": (divergence, kl)}
    together = measured(model, asked)
    assert sum(rows) == len(COEFFICIENTS) * len(odds.names)
    for name, alone in asked.items():
        own = measured(model, {name: alone})
        of_it = together[together["measure"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(of_it[list(own)], own, check_exact=True, check_dtype=False)


def test_both_paths_are_the_same_to_the_bit_and_points_go_on(model, tmp_path) -> None:
    reads = Read(("own",), split="test")
    found = first_token.samples(
        model.tokenizer, questions(tmp_path), reads, Settings(tuple(WANTED))
    )
    asked = {"odds": (first_token, found["own"])}
    shared, plain = (measured(model, asked, path=path) for path in ("shared", "plain"))
    pd.testing.assert_frame_equal(shared, plain, check_exact=True)
    points = Points(tmp_path / "points")
    measured(model, asked, coefficients=(0.0, 0.5), points=points)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "points").iterdir()}
    again = measured(model, asked, points=points)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "points").iterdir()}
    assert (len(before), len(after)) == (2, 3) and before.items() <= after.items()
    pd.testing.assert_frame_equal(again, shared, check_exact=True)
    other = first_token.samples(model.tokenizer, questions(tmp_path), reads, Settings((33,)))
    measured(model, {"odds": (first_token, other["own"])}, points=points)
    assert len([*(tmp_path / "points").iterdir()]) == 6


@pytest.mark.parametrize("positions", ["last", -2, "after_instruction", "prompt"])
def test_positions(model, positions, tmp_path) -> None:
    how = How(Format("Human: {prompt} AI:"), steered=(positions,))
    reads = Read(("own",), split="test", how=how)
    found = first_token.samples(
        model.tokenizer, questions(tmp_path), reads, Settings(tuple(WANTED))
    )
    acting = Part(1, torch.tensor(vector(), dtype=torch.float32), "output", add, None, positions)
    table = measured(model, {"odds": (first_token, found["own"])}, [acting])
    for row in table.to_dict("records"):
        (each,) = [one for one in tiny.questions(8) if one["question"] == row["sample"]]
        ids = model.tokenizer.encode(f"Human: {each['prompt']} AI:")
        asked = len(model.tokenizer.encode(f"Human: {each['prompt']}"))
        where = {
            "last": [len(ids) - 1],
            -2: [len(ids) - 2],
            "after_instruction": range(asked, len(ids)),
            "prompt": range(len(ids)),
        }[positions]
        steered = oracle.Part(1, torch.tensor(vector(), dtype=torch.float32), where=where)
        expected = by_hand(model, ids, [steered], row["coefficient"])
        assert row["log_odds"] == pytest.approx(expected, rel=1e-4, abs=1e-4)


# Tokens.


def test_the_ids_of_texts_are_the_tokenizers_own() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MINIATURE)
    for text in ("I", "A", "Yes"):
        (own,) = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert first_token.ids_of(tokenizer, [text, 5, own]) == [own, 5]
    assert first_token.ids_of(tokenizer, [tokenizer.eos_token]) == [tokenizer.eos_token_id]


@pytest.mark.parametrize(
    ("tokens", "named"),
    [
        (
            ["I cannot"],
            "tokens names 'I cannot', which the model's tokenizer reads as",
        )
    ],
)
def test_a_text_of_several_tokens_is_one_sentence(tokens, named) -> None:
    with pytest.raises(StudyError) as raised:
        first_token.ids_of(tiny.tokenizer(), tokens)
    assert named in str(raised.value) and "\n" not in str(raised.value)


def test_an_unknown_text_is_one_sentence() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.add_special_tokens({"unk_token": "<unk>"})
    unknown = tokenizer.unk_token_id
    assert first_token.ids_of(tokenizer, ["<unk>"]) == [unknown]


def test_ids_and_prompts_that_are_not_there_are_reported(model, tmp_path) -> None:
    reads = Read(("own",), split="test")
    found = first_token.samples(model.tokenizer, questions(tmp_path), reads, Settings((4000,)))
    with pytest.raises(StudyError, match="tokens names the id 4000, but the model's ids end at"):
        measured(model, {"odds": (first_token, found["own"])})
    none = Read(("own",), split="validation")
    with pytest.raises(StudyError, match=r"behaviours\.own has no questions in this split"):
        first_token.samples(model.tokenizer, questions(tmp_path), none, Settings((4,)))
    row = tiny.questions(1)[0] | {"split": "test", "prompt": ""}
    write_table(tmp_path / "empty.parquet", pa.Table.from_pylist([row]), {})
    files = {"questions": [str(tmp_path / "empty.parquet")]}
    with pytest.raises(StudyError, match=r"behaviours\.own: question q0 has no token"):
        first_token.samples(model.tokenizer, files, reads, Settings((4,)))


# Tables and studies.


def rows_of(injection: str, seed: int = 0, count: int = 20) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frames = []
    for coefficient in (0.0, 1.0):
        odds = generator.normal(coefficient, 2, count)
        frame = {
            "measure": "odds",
            "injection": injection,
            "coefficient": coefficient,
            "source": "harmful",
            "sample": [str(i) for i in range(count)],
            "log_odds": odds,
            "probability": 1 / (1 + np.exp(-odds)),
        }
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


def test_the_table_of_log_odds() -> None:
    injected = Injected((Placed("noise", (1,), source_position=-2),), (0.0, 1.0))
    job = TableJob("own", "first_token", "odds", "grid", ((injected,),))
    raw = rows_of(injected.label)
    again = pd.concat(
        [rows_of(injected.label, seed).assign(resample=seed) for seed in range(5)],
        ignore_index=True,
    )
    table = first_token_tables.table(job, [raw], [again])
    ends = [f"{of}_vector_{end}" for of in ("log_odds", "probability") for end in ("low", "high")]
    assert list(table) == [*first_token_tables.COLUMNS, *ends, "source_position"]
    zero, one = table.to_dict("records")
    assert (zero["unsteered"], one["unsteered"]) == (True, False)
    values = raw[raw["coefficient"] == 1]["log_odds"]
    half = 2.0930240544 * values.std() / math.sqrt(20)
    assert one["log_odds"] == pytest.approx(values.mean())
    assert one["log_odds_low"] == pytest.approx(values.mean() - half)
    assert one["samples"] == 20 and one["source_position"] == -2
    by_resample = again[again["coefficient"] == 1].groupby("resample")["log_odds"].mean()
    half = 2.7764451052 * by_resample.std()
    assert one["log_odds_vector_low"] == pytest.approx(values.mean() - half)


def planned(asked: Mapping[str, Any], **inject: Any) -> Plan:
    changed = {
        "behaviours": {
            "style": {
                "source": "pairs",
                "file": "a.json",
                "matching": "kind",
                "not_matching": "rude",
            }
        },
        "sweeps": {
            "odds": {
                "model": "miniature-chat",
                "inject": {"vector": "myopia", "layers": [3], **inject},
                "coefficients": [0, 1],
                "measures": asked,
            }
        },
    }
    return Plan(study_file.parse(study_file.merge(study_file.read(SMALL), changed)), REPOSITORY)


def test_the_plan_of_log_odds() -> None:
    asked = {
        "refusal": {"measure": "first_token", "tokens": ["I", 262], "corpora": ["text"]},
        "own": {"measure": "first_token", "tokens": ["I"], "epsilon": 1e-8},
    }
    plan = planned(asked)
    (artefact,) = plan.sweeps["odds"]
    job = read(SweepJob, artefact.settings)
    refusal, own = job.measures
    assert refusal.asked == {"tokens": ["I", 262], "epsilon": 0.0}
    assert (refusal.sources, refusal.tokens, refusal.own) == (("text",), None, False)
    assert (own.sources, own.own, own.asked["epsilon"]) == (("myopia",), True, 1e-8)
    assert read(Settings, refusal.asked) == Settings(("I", 262))
    assert {"odds.refusal", "odds.own"} <= set(plan.tables)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({}, "tokens"),
        ({"tokens": []}, "tokens"),
        ({"tokens": ["I", "I"]}, "lists I twice"),
        ({"tokens": [-3]}, "tokens"),
        ({"tokens": [True]}, "tokens"),
        ({"tokens": [""]}, "tokens"),
        ({"tokens": ["I"], "epsilon": -1}, "epsilon"),
        ({"tokens": ["I"], "corpora": ["text"], "split": "validation"}, "split is for behaviours"),
        ({"tokens": ["I"], "max_tokens": 20}, "max_tokens is for corpora"),
        ({"tokens": ["I"], "behaviours": ["style"]}, "which has no prompts; give it `prompt`"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(asked, named) -> None:
    with pytest.raises(StudyError) as raised:
        planned({"first_token": asked})
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("asked", [{"corpora": ["text"]}, {"behaviours": ["myopia"]}])
def test_prompts_alone_have_no_completion_to_steer(asked) -> None:
    with pytest.raises(StudyError) as raised:
        planned({"first_token": {"tokens": ["I"], **asked}}, positions="completion")
    (section,) = asked
    assert f"reads {section}.{asked[section][0]}, " in str(raised.value)
    formatted = {"tokens": ["I"], "format": "chat", **asked}
    for positions in ("after_instruction", "prompt"):
        assert planned({"first_token": formatted}, positions=positions).sweeps["odds"]
