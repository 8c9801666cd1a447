"""Published items: the probabilities of A and B for every question, a JSON file a point.

The name of a file says its point, as in the results of "Steering Llama 2 via Contrastive Activation
Addition" (Rimsky et al., 2024): `results_layer=13_multiplier=-1.0_behavior=sycophancy_type=ab_
use_base_model=False_model_size=7b.json`, with further keys where something else was done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.papers.source import read_list
from snakesteer.tables.categories import ALL, CATEGORY, named
from snakesteer.tables.two_choice import BEHAVIOUR_COLUMNS, PROBABILITY, Part, behaviour_table

_NAME = re.compile(
    r"results_layer=(?P<layer>\d+)_multiplier=(?P<multiplier>-?\d+(\.\d+)?)"
    r"_behavior=(?P<behavior>.+?)_type=(?P<type>ab|open_ended|mmlu|truthful_qa)"
    r"(_system_prompt=(?P<system_prompt>pos|neg))?(_override_vector=(?P<override_vector>\d+))?"
    r"(_override_vector_model=(?P<override_vector_model>.+?))?"
    r"_use_base_model=(?P<use_base_model>True|False)_model_size=(?P<model_size>[^_]+)"
    r"(_override_model_weights_path=(?P<override_model_weights_path>.+))?\.json"
)
_ANSWERS = {
    "ab": ("answer_matching_behavior", "answer_not_matching_behavior"),
    "mmlu": ("correct", "incorrect"),
    "truthful_qa": ("correct", "incorrect"),
}
_OF_TESTS = [("question", *_ANSWERS["ab"]), ("prompt", *_ANSWERS["mmlu"])]
_LETTERS = ["a_prob", "b_prob"]
_ROUNDING = 1e-3  # by which probabilities in half precision may exceed 1
_POINT = ["vector", "layer", "coefficient"]
_OF_ANSWERS = ["matches", "faulty", "score", "score_low", "score_high", "majority"]
_OF_LOGITS = ["propensity", "propensity_low", "propensity_high"]


def point_of(path: str) -> dict[str, str | None]:
    """What the name of a result file says, by key; None for what it does not say.

    Raises StudyError for a name of another form.
    """
    name = path.rpartition("/")[2]
    found = _NAME.fullmatch(name)
    if not found:
        raise StudyError(
            f"{path} was expected to be named results_layer=…_multiplier=…_behavior=…_type=…"
            "_use_base_model=…_model_size=….json"
        )
    return found.groupdict()


def read(settings: Mapping[str, Any], part: str, path: str, content: bytes) -> pd.DataFrame:
    """The items of one result file, or the questions of a test set.

    Raises StudyError for a name or keys of another form, and for probabilities that are none.
    """
    listed = read_list(path, content)
    if path in settings["tests"].values():
        asked = [_asked_in_test(path, number, item) for number, item in enumerate(listed)]
        return pd.DataFrame({"asked": asked})
    point = point_of(path)
    if point["type"] not in _ANSWERS:
        raise StudyError(
            f"{path} holds completions, whose judge is gone; files of type "
            f"{', '.join(_ANSWERS)} were expected"
        )
    vectors = [name for name, key in settings["vectors"].items() if key == point["behavior"]]
    if not vectors:
        raise StudyError(
            f"{path} is of {point['behavior']}, which is not among {', '.join(settings['vectors'])}"
        )
    rows = [_item(f"{path}: item {i}", str(point["type"]), item) for i, item in enumerate(listed)]
    if not rows:
        raise StudyError(f"{path} holds no items")
    return pd.DataFrame(rows).assign(
        vector=vectors[0],
        layer=point["layer"],
        coefficient=float(str(point["multiplier"])),
        behaviour=settings["asked"] or vectors[0],
    )


def left_out(settings: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """By path why a result file does not count: its questions are not those of the test set, or
    another file has the same point.
    """
    tests: Mapping[str, str] = settings["tests"]
    sentences: dict[str, str] = {}
    path_of: dict[tuple[Any, ...], str] = {}
    for path, items in rows.items():
        if path in tests.values():
            continue
        point = tuple(items[_POINT].iloc[0])
        test = tests.get(point[0])
        if test and test not in rows:
            sentences[path] = f"{path} cannot be compared with the questions of {test}"
        elif test and sorted(items["asked"]) != sorted(rows[test]["asked"]):
            sentences[path] = f"{path} has other questions than {test}"
        elif point in path_of:
            sentences[path] = f"{path} is of the same point as {path_of[point]}"
        else:
            path_of[point] = path
    return sentences


def table(settings: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The points as a table of answers: that of two-choice sweeps, by category where the questions
    have some.

    The answer is the more probable letter. Scores are NaN at a point where another token may be
    more probable than that to any question, and propensities where a question has another letter.

    Columns, a row for each published point:
        * (as tables.two_choice.table)
    """
    points = [rows[path] for path in rows if path not in settings["tests"].values()]
    if not points:
        return pd.DataFrame(columns=[*BEHAVIOUR_COLUMNS, *PROBABILITY])
    items = pd.concat(points, ignore_index=True)
    if CATEGORY in items:
        items = pd.concat([items.assign(**{CATEGORY: ALL}), items], ignore_index=True)
    parts = []
    for (vector, layer), own in items.groupby(["vector", "layer"], sort=False):
        parts.append(Part("grid", str(vector), str(layer), "test", _answered(own)))
    table = behaviour_table(settings["sweep"], parts, settings["collapse"])
    point = table.set_index(_POINT).index
    for columns, known in ((_OF_ANSWERS, _answer_known(items)), (_OF_LOGITS, _both_known(items))):
        unknown = ~known.groupby([items[name] for name in _POINT]).all()
        table.loc[unknown.reindex(point).to_numpy(), columns] = np.nan
    cell = [*_POINT, *([CATEGORY] if CATEGORY in items else [])]
    summed = items.groupby(cell, sort=False)["probability"].agg(_mean)
    own_means = summed.reindex(table.set_index(cell).index).to_numpy()
    table["probability"] = np.where(np.isnan(own_means), table["probability"], own_means)
    return table


def _answered(items: pd.DataFrame) -> pd.DataFrame:
    """The items as the rows of a two-choice sweep."""
    letters = pd.Series(np.where(items["a_prob"] >= items["b_prob"], "A", "B"), items.index)
    outcomes = [letters == items["matching"], letters == items["not_matching"]]
    logits = {}
    for name in ("matching", "not_matching"):
        with np.errstate(divide="ignore"):
            logits[f"logit_{name}"] = np.log(_probability(items, name))
    return items.assign(
        answer=letters,
        outcome=np.select(outcomes, ["match", "other"], "faulty"),
        choice_mass=items["a_prob"] + items["b_prob"],
        **logits,
    )


def _probability(items: pd.DataFrame, answer: str) -> np.ndarray:
    """The probability of an answer of each item; NaN for another letter than A and B."""
    is_letter = [items[answer] == letter for letter in ("A", "B")]
    return np.select(is_letter, [items["a_prob"], items["b_prob"]], np.nan)


def _answer_known(items: pd.DataFrame) -> pd.Series:
    """Whether no other token can be more probable than the more probable letter."""
    return items[_LETTERS].max(axis=1) > 1 - items[_LETTERS].sum(axis=1)


def _both_known(items: pd.DataFrame) -> pd.Series:
    """Whether both answers have a probability above 0."""
    both = [_probability(items, name) for name in ("matching", "not_matching")]
    return pd.Series((both[0] > 0) & (both[1] > 0), items.index)


def _mean(values: Iterable[float]) -> float:
    """The mean, summed from the first to the last without a correction, so to the last digit that
    of the authors' `sum(values) / len(values)`."""
    total, count = 0.0, 0
    for value in values:
        total, count = total + value, count + 1
    return total / count


def _asked_in_test(path: str, number: int, item: Any) -> tuple[str, str, str]:
    """The question of a test set with its answers."""
    for question, *answers in _OF_TESTS:
        if isinstance(item, Mapping) and {question, *answers} <= item.keys():
            return _asked(f"{path}: item {number}", item, question, answers)
    raise StudyError(f"{path}: item {number} was expected to have a question and two answers")


def _asked(
    place: str, item: Mapping[str, Any], question: str, answers: Sequence[str]
) -> tuple[str, str, str]:
    texts = [item[key] for key in (question, *answers)]
    if not all(isinstance(text, str) for text in texts):
        raise StudyError(f"{place} has a question or an answer that is not text")
    first, matching, not_matching = (text.strip() for text in texts)
    return first, matching, not_matching


def _item(place: str, kind: str, item: Any) -> dict[str, Any]:
    """An item of a result file, checked."""
    answers = _ANSWERS[kind]
    expected = ["question", *answers, *_LETTERS, *([CATEGORY] if kind != "ab" else [])]
    if not isinstance(item, Mapping) or set(item) != set(expected):
        held = ", ".join(item) if isinstance(item, Mapping) else type(item).__name__
        raise StudyError(f"{place} has {held} where {', '.join(expected)} were expected")
    asked = _asked(place, item, "question", answers)
    numbers = [item[name] for name in _LETTERS]
    for name, number in zip(_LETTERS, numbers, strict=True):
        if type(number) not in (int, float) or not 0 <= number <= 1:
            raise StudyError(f"{place} has {name} {number!r}; a probability was expected")
    if not 0 < sum(numbers) <= 1 + _ROUNDING:
        raise StudyError(f"{place} gives A and B the probability {sum(numbers)!r} together")
    matching = asked[1].strip("() ")
    found = {"asked": asked, "matching": matching, "not_matching": asked[2].strip("() ")}
    own = dict(zip(("A", "B"), numbers, strict=True)).get(matching, 0.0)
    found |= dict(zip(_LETTERS, numbers, strict=True)) | {"probability": own / sum(numbers)}
    return found | ({CATEGORY: named(place, item[CATEGORY])} if kind != "ab" else {})
