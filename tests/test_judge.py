"""A judge of texts, against a server on the loopback that answers as each test says."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from chat_server import Judge, completion, serving
from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.core.progress import Progress
from snakesteer.core.spent import SPENT
from snakesteer.hub import chat
from snakesteer.jobs.usage import write_usage
from snakesteer.measures.scorers import judge
from snakesteer.measures.scoring import Scorer, scored
from snakesteer.measures.written import Written
from snakesteer.plan.plan import Plan
from snakesteer.reports.usage import page, usage
from snakesteer.storage.files import read_json
from snakesteer.study import study_file

PROMPT = "Asked: {prompt}\nAnswered: {text}\nHow kind is it, from 1 to 10?"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, with short pauses, and nothing spent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chat, "PAUSES", (0.01, 0.02))
    SPENT.clear()
    yield
    SPENT.clear()


def settings(server: Judge | str, **others: Any) -> dict[str, Any]:
    """As the schema gives them."""
    address = server if isinstance(server, str) else server.address
    given = {"address": address, "model": "kind-judge", "prompt": PROMPT}
    return {
        **given,
        "rating": {"least": 1, "most": 10},
        "take": "parsed",
        "key": None,
        "price": None,
        "options": {},
        **others,
    }


def texts(*given: str) -> Written:
    return Written(given, [f"question {place}" for place in range(len(given))], [], [])


def answered_by_text(body: dict[str, Any]) -> str:
    return body["messages"][0]["content"].split("Answered: ")[1].split("\n")[0]


def kept() -> list[Path]:
    return sorted(Path("results/cache/judged").rglob("*.json"))


def test_a_number_alone_is_a_rating_and_all_else_is_missing() -> None:
    ratings = {
        "7": 7,
        " 10\n": 10,
        "1": 1,
        "8.5": 8.5,
        "+3": 3,
        "7/10": None,
        "7.": None,
        "Rating: 7": None,
        "I would say seven.": None,
        "11": None,
        "0": None,
        "-2": None,
        "1e0": None,
        "٧": None,
        "nan": None,
        "": None,
    }
    names = [f"text {place}" for place in range(len(ratings))]
    replies = dict(zip(names, ratings, strict=True))
    with serving(lambda body, _: replies[answered_by_text(body)]) as server:
        found = scored(Scorer("kind", "judge", settings(server)), texts(*names), None)
    assert found[""].to_pylist() == list(ratings.values())
    assert found[""].null_count == 11


def test_what_is_asked_is_the_prompt_with_text_and_prompt_put_in() -> None:
    with serving(lambda *_: "5") as server:
        judge.score(texts("It has {prompt} in it."), settings(server, options={"seed": 3}), None)
    (body,) = server.asked
    content = "Asked: question 0\nAnswered: It has {prompt} in it.\nHow kind is it, from 1 to 10?"
    assert body == {
        "model": "kind-judge",
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        "max_tokens": 16,
        "seed": 3,
    }
    assert server.keys == [None]


def test_options_may_take_a_field_out() -> None:
    options = {"max_tokens": None, "max_completion_tokens": 500}
    with serving(lambda *_: "5") as server:
        judge.score(texts("a"), settings(server, options=options), None)
    assert server.asked[0].keys() == {
        *("model", "messages", "temperature", "max_completion_tokens")
    }


def test_an_answer_cut_at_the_most_tokens_is_missing() -> None:
    cut = completion("1")
    cut["choices"][0]["finish_reason"] = "length"
    empty = completion("")
    empty["choices"][0]["message"]["content"] = None
    replies = {"cut": cut, "empty": empty, "whole": completion("10")}
    with serving(lambda body, _: replies[answered_by_text(body)]) as server:
        found = judge.score(texts("cut", "empty", "whole"), settings(server), None)
    assert math.isnan(found[0]) and math.isnan(found[1]) and found[2] == 10


def test_the_expectation_is_that_of_numbers_as_first_token() -> None:
    likely = [("7", 0.5), (" 7", 0.1), ("9", 0.2), ("11", 0.1), ("Sure", 0.05), ("07", 0.05)]
    unsure = [("I", 0.6), ("2", 0.4)]
    replies = {"kind": likely, "odd": unsure}

    def reply(body: dict[str, Any], _: int) -> dict[str, Any]:
        content = body["messages"][0]["content"]
        if content.startswith("Write the number 10"):
            return completion("10", [("10", -0.01), ("1", -5.0)])
        given = replies[answered_by_text(body)]
        return completion(given[0][0], [(token, math.log(share)) for token, share in given])

    with serving(reply) as server:
        asked = settings(server, take="expected")
        found = judge.score(texts("kind", "odd", "kind"), asked, None)
    assert found[0] == pytest.approx((0.6 * 7 + 0.2 * 9) / 0.8)
    assert math.isnan(found[1])
    for body in server.asked:
        assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 1)
    assert len(server.asked) == 1 + 3  # the third text is of another prompt


def test_no_expectation_of_a_model_that_writes_10_in_two_tokens() -> None:
    with serving(lambda *_: completion("1", [("1", -0.1), ("2", -3.0)])) as server:
        asked = settings(server, take="expected")
        with pytest.raises(StudyError, match="begins the number 10 with the token '1'"):
            judge.score(texts("a"), asked, None)
        asked["rating"] = {"least": 1, "most": 9}
        (found,) = judge.score(texts("a"), asked, None)
    one, two = math.exp(-0.1), math.exp(-3)
    assert found == pytest.approx((one + 2 * two) / (one + two))


def test_no_expectation_without_log_probabilities() -> None:
    rating = {"least": 1, "most": 9}
    with serving(lambda *_: "5") as server, pytest.raises(StudyError, match="no log-probabil"):
        judge.score(texts("a"), settings(server, take="expected", rating=rating), None)
    assert not kept()


def test_nothing_is_asked_twice() -> None:
    with serving(lambda *_: "5") as server:
        asked = settings(server)
        same = Written(["a", "a", "b"], ["q", "q", "q"], [], [])
        assert judge.score(same, asked, None) == [5, 5, 5]
        assert len(server.asked) == 2
        assert judge.score(same, asked, None) == [5, 5, 5]
        assert judge.score(same, {**asked, "price": {"input": 1, "output": 1}}, None) == [5, 5, 5]
        assert len(server.asked) == 2 == len(kept())
        for another in ({"model": "other"}, {"options": {"seed": 1}}, {"prompt": "{text}?"}):
            judge.score(same, {**asked, **another}, None)
        assert len(server.asked) == 8
        kept()[0].write_text("{")
        for path in kept():
            if not path.read_text().endswith("}"):
                path.write_text("[]")
        judge.score(same, asked, None)
        for another in ({"model": "other"}, {"options": {"seed": 1}}, {"prompt": "{text}?"}):
            judge.score(same, {**asked, **another}, None)
        assert len(server.asked) == 9


def test_a_busy_server_and_a_cut_connection_are_asked_again() -> None:
    def reply(body: dict[str, Any], before: int) -> Any:
        text = answered_by_text(body)
        if before == 0 and text != "well":
            later = formatdate(time.time() + 1, usegmt=True)
            return {
                "500": (500, {}, "oops"),
                "429": (429, {"Retry-After": "1"}, "slowly"),
                "date": (503, {"Retry-After": later}, ""),
                "cut": None,
            }[text]
        return "4"

    with serving(reply) as server:
        began = time.monotonic()
        found = judge.score(texts("500", "well", "cut"), settings(server), None)
        assert time.monotonic() - began < 0.9
        assert found == [4, 4, 4] and len(server.asked) == 5
        judge.score(texts("429"), settings(server), None)
        assert time.monotonic() - began > 1
        judge.score(texts("date"), settings(server), None)
        assert len(server.asked) == 9


@pytest.mark.parametrize(
    ("failing", "sentence"),
    [
        (
            (429, {}, '{"error": {"message": "too many of sk-Secret1"}}'),
            "still busy (HTTP 429: too",
        ),
        ((429, {"Retry-After": "86400"}, ""), "still busy (HTTP 429); run again later"),
        (None, "cannot be reached"),
        (
            (401, {}, '{"error": {"message": "wrong sk-S***"}}'),
            "rejects the key in the environment",
        ),
        ((400, {}, '{"error": {"message": "no such model"}}'), "(HTTP 400: no such model)"),
        ((307, {"Location": "http://127.0.0.1:9/"}, ""), "rejects the request (HTTP 307)"),
        ((200, {}, "<html>"), "does not answer like OpenAI's chat completions"),
        ({"choices": []}, "does not answer like OpenAI's chat completions"),
    ],
    ids=str,
)
def test_a_judge_that_fails_is_one_sentence_and_its_answers_are_kept(
    failing, sentence, monkeypatch, capfd
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-Secret1\n")
    names = [f"t{place}" for place in range(12)]
    down = threading.Event()
    down.set()

    def reply(body: dict[str, Any], _: int) -> Any:
        return failing if answered_by_text(body) == "t11" and down.is_set() else "6"

    with serving(reply) as server:
        asked = settings(server, key="JUDGE_KEY")
        judge.score(texts(*names[:-1]), asked, None)
        with pytest.raises(StudyError) as raised:
            judge.score(texts(*names), asked, None)
        said = str(raised.value)
        assert sentence in said and "\n" not in said and said.endswith(".")
        assert said.startswith(f"kind-judge at {server.address} ")
        assert len(kept()) == 11 and server.contents.count(server.contents[0]) == 1
        assert set(server.keys) == {"Bearer sk-Secret1"}
        before = len(server.asked)
        down.clear()
        assert judge.score(texts(*names), asked, None) == [6.0] * 12
        assert len(server.asked) == before + 1
    files = "".join(path.read_text() for path in kept())
    out = capfd.readouterr()
    assert "sk-S" not in said + files + out.out + out.err


ASKING = """
import sys
from snakesteer.measures.scorers import judge
from snakesteer.measures.written import Written
texts = [f"t{place}" for place in range(40)]
settings = {"address": sys.argv[1], "model": "slow", "prompt": "{text}", "take": "parsed"}
settings |= {"rating": {"least": 1, "most": 10}, "key": None, "price": None, "options": {}}
judge.score(Written(texts, texts, [], []), settings, None)
"""


def test_a_job_that_is_killed_goes_on_where_it_was() -> None:
    """Asked again are at most the requests that were under way."""

    def slowly(*_: Any) -> str:
        time.sleep(0.05)
        return "3"

    with serving(slowly) as server:
        command = [sys.executable, "-c", ASKING, server.address]
        environment = {"PYTHONPATH": str(REPOSITORY / "workflow" / "scripts")}
        job = subprocess.Popen(command, env=environment)
        while len(kept()) < 10:
            time.sleep(0.01)
        job.kill()
        job.wait()
        time.sleep(0.1)
        answered, asked = len(kept()), len(server.asked)
        assert 10 <= answered < 40 and asked <= answered + chat.AT_ONCE
        subprocess.run(command, env=environment, check=True)
        assert len(server.asked) == asked + 40 - answered
        assert len(kept()) == 40


def test_a_judge_that_is_not_there() -> None:
    with serving(lambda *_: "5") as server:
        pass
    with pytest.raises(StudyError, match=r"cannot be reached .* start it or correct its address"):
        judge.score(texts("a"), settings(server), None)
    with (
        serving(lambda *_: "5") as server,
        pytest.raises(StudyError, match=r"HTTP 404: no such path"),
    ):
        judge.score(texts("a"), settings(server.address.removesuffix("/v1")), None)


@pytest.mark.parametrize("value", ["", "two words", "lé"])
def test_an_invalid_key_is_reported_without_showing_it(value, monkeypatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", value)
    with serving(lambda *_: "5") as server, pytest.raises(StudyError) as raised:
        judge.score(texts("a"), settings(server, key="JUDGE_KEY"), None)
    assert "JUDGE_KEY" in str(raised.value) and not server.asked
    assert not value or value not in str(raised.value)


def test_a_key_that_is_wanted() -> None:
    with (
        serving(lambda *_: (401, {}, "")) as server,
        pytest.raises(
            StudyError, match="needs a key \\(HTTP 401\\); set `key` to the environment variable"
        ),
    ):
        judge.score(texts("a"), settings(server), None)


def test_tokens_and_cost_are_in_the_usage() -> None:
    import torch

    with serving(lambda *_: "5") as server:
        asked = settings(server, price={"input": 2.5, "output": 10})
        judge.score(texts("a", "b", "c"), asked, None)
        judge.score(texts("a", "b", "c"), asked, None)
    write_usage("job.log", torch.device("cpu"), Progress())
    found = read_json("job.usage.json")
    assert (found["judge_answers"], found["judge_input_tokens"]) == (3, 300)
    assert found["judge_output_tokens"] == 21
    assert found["judge_cost"] == pytest.approx((300 * 2.5 + 21 * 10) / 1e6)
    job = {"rule": "sweep", "name": "x", "key": "k", "benchmark": "none", "usage": "job.usage.json"}
    used = usage([job, {**job, "usage": "none"}])
    assert used["judge_input_tokens"].tolist()[0] == 300
    assert "Their input tokens" in page(used)
    assert "Their input tokens" not in page(usage([{**job, "usage": "none"}]))


# Studies.


def study(**others: Any) -> Any:
    entry = {
        "scorer": "judge",
        "address": "http://localhost:8000/v1",
        "model": "kind-judge",
        "prompt": PROMPT,
        "rating": {"least": 1, "most": 10},
        **others,
    }
    entry = {name: value for name, value in entry.items() if value != "left out"}
    measure = {"measure": "continuation", "prompts": ["Once"], "scores": {"kind": entry}}
    sweep = {
        "model": "miniature-chat",
        "inject": {"vector": "myopia", "layers": [3]},
        "coefficients": [0, 1],
        "measures": {"written": measure},
    }
    data = {"extends": str(SMALL), "sweeps": {"texts": sweep}}
    return study_file.parse(study_file.resolve(data, SMALL.parent))


def test_the_job_gets_what_the_scorer_reads() -> None:
    planned = Plan(study(key="JUDGE_KEY", price={"input": 1, "output": 2}), REPOSITORY)
    (made,) = planned.sweeps["texts"]
    (asked,) = made.settings["measures"][0]["asked"]["scores"]
    expected = settings("http://localhost:8000/v1", key="JUDGE_KEY")
    assert asked["settings"] == {**expected, "price": {"input": 1, "output": 2}}
    assert json.loads(json.dumps(asked)) == asked
    assert "scorers/judge" in planned.graph.codes(made)


def test_labels_are_of_the_table_alone(tmp_path) -> None:
    """Their content is among its settings, and nothing of them in those of the sweep."""
    (tmp_path / "labels.csv").write_text("text,label\na,1\n")

    def planned(**others: Any) -> tuple[str, Any]:
        made = Plan(study(**others), REPOSITORY)
        return made.sweeps["texts"][0].key, made.tables["texts"].settings

    labels = {"labels": str(tmp_path / "labels.csv"), "positive": 5}
    key, settings_without = planned()
    assert "labelled" not in settings_without
    assert planned(**labels, title="Kindness", better="lower")[0] == key
    before = planned(**labels)[1]["labelled"]
    assert (before[0]["score"], before[0]["positive"]) == ("kind", 5)
    (tmp_path / "labels.csv").write_text("text,label\na,0\n")
    assert planned(**labels)[1]["labelled"] != before


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"labels": "absent.csv", "positive": 5}, "there is no file absent.csv; check the path"),
        ({"positive": 5}, "positive is given without labels; give both or neither"),
        ({"address": "localhost:8000"}, "is not the address of a server; give one like http://"),
        ({"address": "http://"}, "is not the address of a server"),
        ({"address": "http://me:hush@there/v1"}, "address contains a user or password"),
        ({"prompt": "How kind is it?"}, "has no {text}; put it where the text belongs"),
        ({"key": "sk-hush"}, "key is not the name of an environment variable in capitals"),
        ({"rating": {"least": 5, "most": 1}}, "least is 5 and most is 1; most must be larger"),
        ({"rating": {"least": 1}}, "rating.most` is missing"),
        ({"rating": "left out"}, "rating` is missing"),
        ({"take": "guessed"}, "take"),
        ({"take": "expected", "rating": {"least": 0, "most": 1.5}}, "which needs whole numbers"),
        ({"take": "expected", "rating": {"least": -1, "most": 1}}, "which needs whole numbers"),
        ({"price": {"input": -1, "output": 1}}, "price.input"),
        ({"modle": "x"}, "unknown key `sweeps.texts.measures.written.scores.kind.modle`"),
    ],
    ids=str,
)
def test_mistakes_are_one_sentence(entry, sentence) -> None:
    with pytest.raises(StudyError) as raised:
        study(**entry)
    said = str(raised.value)
    assert sentence in said and "scores.kind" in said and "\n" not in said
    assert "hush" not in said
