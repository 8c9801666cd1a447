"""The measure `continuation` in sweeps: its points, scores, tables, page and mistakes."""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.stats
import tiny
import torch
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.engine import generation, models, steering
from snakesteer.measures import continuation, divergence, next_token
from snakesteer.measures.read import Read
from snakesteer.measures.scorers import distinct, length, perplexity, phrases, repetition
from snakesteer.measures.scoring import Scorer, scored
from snakesteer.measures.written import Written
from snakesteer.plan.bill import bill
from snakesteer.plan.plan import Plan
from snakesteer.prompts.formats import Format
from snakesteer.prompts.marks import How
from snakesteer.reports.samples import texts_page
from snakesteer.storage.files import write_table
from snakesteer.storage.points import Points
from snakesteer.study import study_file
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.job import Injected, Placed
from snakesteer.sweeps.runner import Asked
from snakesteer.tables import continuation as continuation_tables
from snakesteer.tables.job import Statistics

torch.set_num_threads(1)

COEFFICIENTS = (0.0, 0.5, -2.0)
LENGTH = Scorer("length", "length")
PHRASES = Scorer("said", "phrases", {"patterns": ["mill", r"\bno\b"], "case": False})


@pytest.fixture(scope="module")
def model() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


def prompts(model: models.LanguageModel, count: int = 40, **settings: Any) -> continuation.Prompts:
    texts = [text for _, text in tiny.documents(count)]
    asked = continuation.Settings(prompts=tuple(texts), **{"tokens": 6} | settings)
    found = continuation.samples(model.tokenizer, {}, Read(("prompts",)), asked)
    return found["prompts"]


def measured(
    model: models.LanguageModel,
    texts: continuation.Prompts,
    coefficients: tuple[float | None, ...] = COEFFICIENTS,
    layer: int = 1,
    operator: str = "add",
    scores: tuple[Scorer, ...] = (),
    others: tuple[Asked, ...] = (),
    **settings: Any,
) -> pd.DataFrame:
    """A sweep of one vector, whose scorers' code is their name."""
    vector = np.random.default_rng(0).normal(size=32)
    asked = Asked(
        "texts",
        continuation,
        {"prompts": texts},
        code="c",
        scores={scorer: scorer.scorer for scorer in scores},
    )
    sources = {"texts": ("prompts",)} | {other.name: tuple(other.samples) for other in others}
    (table,) = runner.run(
        model,
        [asked, *others],
        [Steering("noise", (part(layer, vector, operator),), coefficients, sources)],
        **{"batch_tokens": 64} | settings,
    )
    return table.to_pandas()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts were written, call by call."""
    counts: list[int] = []

    def write(model, begun, *given, **named):
        counts.append(len(begun))
        return generation.write(model, begun, *given, **named)

    monkeypatch.setattr(continuation, "write", write)
    return counts


def test_its_texts_are_those_of_samples(model) -> None:
    texts = prompts(model, 5)
    found = measured(model, texts)
    vector = np.random.default_rng(0).normal(size=32)
    injection = steering.injection(model, [part(1, vector, "add")])
    expected = continuation.run(
        model, {"noise": injection}, COEFFICIENTS, texts.texts, tokens=6
    ).to_pandas()
    assert found["text"].tolist() == expected["continuation"].tolist()
    assert found["prompt"].tolist() == expected["prompt"].tolist()
    assert found["coefficient"].tolist() == expected["coefficient"].tolist()
    assert found["n"].eq(0).all() and found["sample"].tolist() == list("01234") * 3
    for row in found.itertuples():
        assert row.tokens == len(row.ids) and model.tokenizer.decode(row.ids) == row.text


def test_all_coefficients_of_a_chunk_are_written_together(model, written) -> None:
    table = measured(model, prompts(model, 40))
    assert len(table) == 120
    assert written == [32 * 3, 8 * 3]


def test_a_killed_job_goes_on_without_repeating_a_point(model, written, tmp_path) -> None:
    texts = prompts(model, 40)
    whole = measured(model, texts, points=Points(tmp_path / "whole"))
    written.clear()
    right = continuation.write

    def killed(*given, **named):
        if written:
            raise KeyboardInterrupt
        return right(*given, **named)

    with pytest.MonkeyPatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(continuation, "write", killed)
        measured(model, texts, points=Points(tmp_path / "cut"))
    assert written == [96] and len(list((tmp_path / "cut").iterdir())) == 3
    written.clear()
    again = measured(model, texts, points=Points(tmp_path / "cut"))
    assert written == [24]
    pd.testing.assert_frame_equal(again, whole)
    written.clear()
    more = measured(model, texts, (0.0, 0.5, -2.0, 1.0), points=Points(tmp_path / "cut"))
    assert written == [32, 8]
    pd.testing.assert_frame_equal(more.iloc[:120], whole)


def test_unsteered_texts_are_written_once_for_all_layers(model, written, tmp_path) -> None:
    texts = prompts(model, 8)
    points = Points(tmp_path)
    measured(model, texts, points=points)
    measured(model, texts, layer=2, points=points)
    assert written == [24, 16]


def test_clamping_has_an_unsteered_point_of_its_own(model) -> None:
    table = measured(model, prompts(model, 4), (None, 0.0, 2.0), operator="clamp")
    unsteered = table[table["coefficient"].isna()]["text"].tolist()
    added = measured(model, prompts(model, 4))
    assert unsteered == added[added["coefficient"] == 0]["text"].tolist()
    assert unsteered != table[table["coefficient"] == 0]["text"].tolist()


def test_another_score_writes_no_text_again(model, written, tmp_path) -> None:
    texts = prompts(model, 8)
    first = measured(model, texts, scores=(LENGTH,), points=Points(tmp_path))
    names = [f"score_length{part}" for part in ("", "_words", "_characters")]
    assert set(names) < set(first.columns)
    written.clear()
    both = measured(model, texts, scores=(LENGTH, PHRASES), points=Points(tmp_path))
    assert not written
    pd.testing.assert_frame_equal(both[first.columns], first)
    assert set(both["score_said"]) <= {0.0, 1.0}


def test_measures_of_the_same_sweep_keep_their_columns(model) -> None:
    corpus = next_token.read_corpus(model.tokenizer, "prose", tiny.documents(8), [], max_tokens=30)
    texts = divergence.Texts(corpus.names, corpus.sequences, divergence.DOCUMENTS, "all")
    others = (
        Asked("tokens", next_token, {"prose": corpus}),
        Asked("kl", divergence, {"prose": texts}),
    )
    alone = measured(model, prompts(model, 8), scores=(LENGTH,))
    table = measured(model, prompts(model, 8), scores=(LENGTH,), others=others)
    own = table[table["measure"] == "texts"]
    pd.testing.assert_frame_equal(own[alone.columns], alone, check_dtype=False)
    assert (table["measure"].value_counts()[["tokens", "kl"]] == 24).all()


def test_several_texts_of_a_prompt_differ(model) -> None:
    drawn = prompts(model, 6, temperature=1.0, n=4)
    table = measured(model, drawn)
    assert len(table) == 6 * 4 * 3 and table["n"].tolist()[:8] == [0, 1, 2, 3] * 2
    assert table.groupby(["coefficient", "sample"])["text"].nunique().mean() > 3.5
    few = measured(model, drawn.taken([4, 2]), (-2.0, 0.0), kept_bytes=1e4)
    at = table.set_index(["coefficient", "sample", "n"])["text"]
    for row in few.itertuples():
        assert row.text == at[row.coefficient, row.sample, row.n]


def test_infinity_is_reported_with_its_prompt_and_coefficient(model) -> None:
    with pytest.raises(StudyError) as raised:
        measured(model, prompts(model, 3), (0.0, 1e39))
    for named in ("prompt 0 of the list.prompts", "coefficient 1e+39"):
        assert named in str(raised.value)


# What is read.


def test_prompts_are_those_of_questions_and_instructions(model, tmp_path) -> None:
    questions = tmp_path / "questions.parquet"
    rows = [{**each, "split": "test"} for each in tiny.questions(4)]
    rows[1]["split"] = "validation"
    write_table(questions, pa.Table.from_pylist(rows), {})
    asked = continuation.Settings(items=2)
    how = How(Format("chat"))
    read = Read(("bold",), "test", how=how)
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = "{% for m in messages %}[{{ m.content }}]{% endfor %}:"
    found = continuation.samples(tokenizer, {"questions": [str(questions)]}, read, asked)
    assert found["bold"].names == ["q0", "q2"]
    said = [{"role": "user", "content": rows[2]["prompt"]}]
    ids = tokenizer.apply_chat_template(said, add_generation_prompt=True)["input_ids"]
    assert found["bold"].sequences[1] == list(ids)
    documents = tmp_path / "documents.parquet"
    table = pa.table({"document": ["a", "b"], "text": ["The river", "No"], "completion": "xy"})
    write_table(documents, table, {})
    read = Read(("prose",))
    found = continuation.samples(
        model.tokenizer, {"documents": [str(documents)]}, read, continuation.Settings()
    )
    assert found["prose"].texts == ["The river", "No"]
    with pytest.raises(StudyError, match=r"behaviours\.bold has no questions in this split"):
        read = Read(("bold",), "train")
        continuation.samples(model.tokenizer, {"questions": [str(questions)]}, read, asked)


# Scorers, by hand.


def texts_of(*texts: str, ids: list[list[int]] | None = None) -> Written:
    return Written(texts, [""] * len(texts), ids or [[1]] * len(texts), [[0]] * len(texts))


def test_phrases() -> None:
    given = texts_of("I cannot say", "A canNOT", "cannot.", "", "Nope")
    settings = {"patterns": ["cannot", "^nope$"], "case": False}
    assert phrases.score(given, settings, None) == [1, 1, 1, 0, 1]
    assert phrases.score(given, settings | {"case": True}, None) == [1, 0, 1, 0, 0]


def test_length_and_distinct_words() -> None:
    given = texts_of("the the cat", "", "One\ntwo ", ids=[[5, 6, 7, 8], [], [1, 2]])
    assert length.score(given, {}, None) == {
        "": [4, 0, 2],
        "words": [3, 0, 2],
        "characters": [11, 0, 8],
    }
    found = distinct.score(given, {}, None)
    assert found[""] == pytest.approx([2 / 3, math.nan, 1], nan_ok=True)
    assert found["pairs"] == pytest.approx([1, math.nan, 1], nan_ok=True)
    assert distinct.score(texts_of("a b a b a"), {}, None)["pairs"] == [2 / 4]


def test_repetition() -> None:
    text = "over and over " * 20
    given = texts_of(text, "", ids=[[1, 2, 1, 2, 1, 2], [1]])
    found = repetition.score(given, {"n": 2}, None)
    assert found[""] == pytest.approx([1 - 2 / 5, math.nan], nan_ok=True)
    ratio = len(text) / len(zlib.compress(text.encode(), 9))
    assert found["compression"] == pytest.approx([ratio, math.nan], nan_ok=True)
    assert ratio > 5


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_perplexity_is_that_of_the_unsteered_model(architecture) -> None:
    model = models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")
    table = measured(model, prompts(model, 5), (0.0, 2.0))
    given = continuation.written(prompts(model, 5), pa.Table.from_pandas(table[5:]))
    found = perplexity.score(given, {}, model)
    for row, nll, ppl in zip(table[5:].itertuples(), found["nll"], found[""], strict=True):
        begun = model.tokenizer(row.prompt)["input_ids"]
        ids = torch.tensor([[*begun, *row.ids]])
        labels = ids.clone()
        labels[0, : len(begun)] = -100
        with torch.inference_mode():
            loss = float(model.network(input_ids=ids, labels=labels).loss)
        assert nll == pytest.approx(loss, rel=1e-4) and ppl == pytest.approx(
            math.exp(loss), rel=1e-3
        )
    empty = Written(["", "x"], ["", ""], [[], [5]], [[3], [3]])
    assert math.isnan(perplexity.score(empty, {}, model)[""][0])


OWN = """
from helping import times

COLUMNS = ("", "vowels")


def score(written, settings, model):
    vowels = [sum(letter in "aeiou" for letter in text) for text in written.texts]
    return {"": [times(len(text), settings["by"]) for text in written.texts], "vowels": vowels}
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A scorer that imports a module beside it, forgotten afterwards."""
    loaded, searched = set(sys.modules), list(sys.path)
    path = tmp_path / "my_score.py"
    path.write_text(OWN)
    (tmp_path / "helping.py").write_text("def times(a, b):\n    return a * b\n")
    yield path
    sys.path[:] = searched
    for name in set(sys.modules) - loaded:
        del sys.modules[name]


def test_a_score_of_ones_own(own) -> None:
    scorer = Scorer("mine", str(own), {"by": 2})
    assert scorer.columns == {"": "mine", "vowels": "mine_vowels"}
    found = scored(scorer, texts_of("ab", "eau"), None)
    assert found.to_pydict() == {"": [4.0, 6.0], "vowels": [1.0, 3.0]}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return [1 / 0]", "line 2, failed (ZeroDivisionError: division by zero); correct it."),
        ("return [1.0]", "returns 1 values of the score for 2 texts; return one for each."),
        (
            "return ['a', 'b']",
            "returns values that are not numbers for the score; return numbers.",
        ),
        (
            "return {'other': [1, 2]}",
            "returns no values for the score; return one for each text.",
        ),
    ],
)
def test_a_score_of_ones_own_that_fails(tmp_path, body, sentence) -> None:
    path = tmp_path / "wrong_score.py"
    path.write_text(f"def score(written, settings, model):\n    {body}\n")
    with pytest.raises(StudyError) as raised:
        scored(Scorer("mine", str(path)), texts_of("a", "b"), None)
    assert str(raised.value).endswith(sentence) and str(path) in str(raised.value)


# Tables and page.


def job(*scores: str) -> continuation_tables.Job:
    injected = (Injected((Placed("noise", (1,)),), (0.0, 1.0)),)
    statistics = Statistics(4000, 13)
    return continuation_tables.Job(
        "own", "continuation", "texts", "grid", (injected,), statistics=statistics, scores=scores
    )


def raw(count: int = 60, n: int = 2) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows = []
    for coefficient in (0.0, 1.0):
        for item in range(count):
            for number in range(n):
                rows.append(
                    {
                        "injection": "noise at 1",
                        "measure": "texts",
                        "coefficient": coefficient,
                        "source": "prompts",
                        "sample": f"s{item:02d}",
                        "n": number,
                        "prompt": f"prompt {item}",
                        "text": f"<b>{coefficient:g} {item} {number}",
                        "tokens": 7 + item % 2,
                        "finished": item < 15,
                        "score_own": generator.normal(3 + coefficient),
                    }
                )
    table = pd.DataFrame(rows)
    table.loc[3, "score_own"] = np.nan
    return table


def test_means_are_of_all_texts_with_intervals_over_prompts() -> None:
    given = raw()
    table = continuation_tables.table(job("own"), [given], [])
    assert table["coefficient"].tolist() == [0, 1] and table["unsteered"].tolist() == [True, False]
    assert table["samples"].eq(60).all() and table["n"].eq(2).all()
    assert table["finished"].eq(0.25).all() and table["tokens"].eq(7.5).all()
    assert table["own_missing"].tolist() == [1, 0]
    for row, (_, rows) in zip(table.itertuples(), given.groupby("coefficient"), strict=True):
        assert row.own == pytest.approx(rows["score_own"].mean())
        assert list(row.texts) == rows["text"].tolist()
        means = rows.groupby("sample")["score_own"].mean()
        half = scipy.stats.t.ppf(0.975, 59) * means.std() / math.sqrt(60)
        assert row.own_high - row.own_low == pytest.approx(2 * half, rel=0.1)
        assert row.own_low < row.own < row.own_high


def test_draws_and_resamples_of_vectors() -> None:
    given = raw()
    parts, frames = [], []
    for draw in (0, 1):
        injected = Injected((Placed("noise", (1,)),), (0.0, 1.0), draw=draw)
        parts.append(injected)
        frames.append(given.assign(injection=injected.label, score_own=given["score_own"] + draw))
    several = continuation_tables.Job(**{**vars(job("own")), "jobs": (tuple(parts),)})
    table = continuation_tables.table(several, [pd.concat(frames)], [])
    mean = table[table["draw"].isna()]
    assert mean["own"].to_numpy() == pytest.approx(table["own"][:2].to_numpy() + 0.5)
    assert mean["own_max"].to_numpy() == pytest.approx(table["own"][2:4].to_numpy())
    again = []
    for resample in range(5):
        again.append(given.assign(resample=resample, score_own=given["score_own"] + resample))
    table = continuation_tables.table(job("own"), [given], [pd.concat(again)])
    half = scipy.stats.t.ppf(0.975, 4) * np.std(range(5), ddof=1)
    assert (table["own_vector_high"] - table["own"]).to_numpy() == pytest.approx([half, half])


def test_the_page_has_coefficients_side_by_side() -> None:
    html = texts_page(job("own"), [raw()], None, ["Steered & read."])
    assert "Texts of own" in html and "Steered &amp; read." in html
    head = html.split("<thead>")[1].split("</thead>")[0]
    assert [cell.split("<")[0].strip() for cell in head.split(">") if "coefficient" in cell] == [
        "coefficient 0, unsteered",
        "coefficient 1",
    ]
    assert "&lt;b&gt;1 19 1" in html and "1 20 0" not in html
    assert "The first 20 prompts of\n60" in html
    mean = raw().groupby("coefficient")["score_own"].mean()
    assert html.count("none") == 1 and f"<b>{mean[1.0]:.3g}</b>" in html


# Studies.


def study(measure: dict[str, Any], folder: Path = SMALL.parent, **sweep: Any) -> Any:
    written_measure = {"measure": "continuation", **measure}
    data = {
        "extends": str(SMALL),
        "sweeps": {
            "texts": {
                "model": "miniature-chat",
                "inject": {"vector": "myopia", "layers": [3]},
                "coefficients": [0, 1],
                "measures": {"written": written_measure},
                **sweep,
            }
        },
    }
    return study_file.parse(study_file.resolve(data, folder))


@pytest.mark.parametrize(
    ("measure", "sentence"),
    [
        ({"prompts": []}, "prompts"),
        ({"prompts": ["a"], "behaviours": ["myopia"]}, "names behaviours and prompts"),
        (
            {"prompts": ["a"], "split": "validation"},
            "split is for behaviours, but prompts are given",
        ),
        ({"prompts": ["a"], "items": 2}, "items is given, but the prompts are listed"),
        ({"corpora": ["prose"]}, "names `prose`, which is not in corpora"),
        ({"n": 3}, "n is 3, but at temperature 0 nothing is sampled"),
        ({"top_p": 0.5}, "top_p is 0.5, but at temperature 0 nothing is sampled"),
        ({"temperature": -1}, "temperature"),
        ({"scores": {"a": {}}}, "scorer"),
        ({"scores": {"a": {"scorer": "phrases"}}}, "patterns"),
        (
            {"scores": {"a": {"scorer": "phrases", "patterns": ["(no"]}}},
            "not a regular expression",
        ),
        ({"scores": {"texts": {"scorer": "length"}}}, "the column texts, which is the table's"),
        ({"scores": {"tokens": {"scorer": "length"}}}, "the column tokens, which is the table's"),
        ({"scores": {"a": {"scorer": "absent.py"}}}, "absent.py"),
    ],
    ids=str,
)
def test_mistakes_are_one_sentence(measure, sentence) -> None:
    with pytest.raises(StudyError) as raised:
        study(measure)
    said = str(raised.value)
    assert sentence in said and said.count("\n") == 0
    assert "written" in said or "corpora" in said


def test_a_score_without_its_function_is_reported(tmp_path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\n")
    with pytest.raises(StudyError, match="has no function `score`; add it"):
        study({"scores": {"a": {"scorer": "mine.py"}}}, tmp_path)


@pytest.mark.parametrize("positions", ["all", "completion", "prompt", "last", "after_instruction"])
def test_a_text_that_is_written_has_a_completion(positions) -> None:
    study(
        {"prompts": ["Once upon"]},
        inject={"vector": "myopia", "layers": [3], "positions": positions},
    )


def test_the_code_of_a_score_of_ones_own_is_in_the_key(own) -> None:
    def key() -> str:
        asked = {"scores": {"mine": {"scorer": own.name, "options": {"by": 2}}, "length": {}}}
        plan = Plan(study(asked, own.parent), REPOSITORY)
        (made,) = plan.sweeps["texts"]
        assert plan.tables["texts"].settings["scores"] == [
            *("mine", "mine_vowels", "length", "length_words", "length_characters")
        ]
        assert "scorers/length" in plan.graph.codes(made)
        return made.key

    before = key()
    (own.parent / "helping.py").write_text("def times(a, b):\n    return b * a\n")
    assert key() != before


@pytest.mark.parametrize(
    ("measure", "number"),
    [
        ({"prompts": ["The mill", "The river runs"]}, 2),
        ({"items": 3}, 3),
        ({"corpora": ["text", "code"], "items": 2}, 4),
        ({"temperature": 1, "n": 5, "items": 3}, 15),
    ],
    ids=str,
)
def test_what_it_will_read_is_in_the_bill(measure, number) -> None:
    """Texts of 10 tokens more, at two coefficients."""
    found = []
    for tokens in (10, 20):
        planned = Plan(study(measure | {"tokens": tokens}), REPOSITORY)
        (item,) = [item for item in bill(planned) if item.rule == "sweep"]
        found.append(item)
    assert found[1].tokens - found[0].tokens == 2 * 10 * number
    assert found[1].least_tokens == found[0].least_tokens < found[0].tokens
