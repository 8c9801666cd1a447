"""Prompts crossed with pairs of answers, of which each split has its own.

A vector that is made from the training split is so judged on prompts and on wordings that are not
among those it was made from.
"""

from __future__ import annotations

import itertools
import random
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from snakesteer.behaviours.question import Pair
from snakesteer.behaviours.question_files import content
from snakesteer.core.errors import StudyError

SHUFFLED = False  # the questions are in the order of their splits
SPLITS = ("train", "validation", "test")
FIELDS = ("prompts", "slots", "answers")

Pairs = list[tuple[str, str]]


def questions(settings: Mapping[str, Any], repository: str | Path) -> list[Pair]:
    """The questions of all splits, one split after the other, as many of each as the study says.

    Settings: `file` (YAML), `seed`, and the numbers `train`, `validation` and `test`. The file has
    for each split `prompts`, `slots` (by name what may stand in prompts as `{name}`) and `answers`,
    pairs of which the first shows the behaviour. A split's questions are drawn from every prompt
    with every pair; their id names split, prompt and pair, counted from 1. Raises StudyError for a
    file that is not so, with too few questions, or with a prompt or an answer in two splits.
    """
    file = settings["file"]
    read = _parsed(content(settings, repository), file)
    drawn: list[Pair] = []
    before: dict[str, str] = {}
    for split in SPLITS:
        if not settings[split]:
            continue
        prompts, pairs = _split(read.get(split), f"{split} of {file}")
        for text in (*prompts, *itertools.chain(*pairs)):
            if before.setdefault(text, split) != split:
                raise StudyError(
                    f"{file} has {text!r} in {before[text]} and in {split}; remove one, as "
                    "splits must not share prompts or answers."
                )
        drawn += _drawn(prompts, pairs, split, settings)
    return drawn


def _drawn(prompts: list[str], pairs: Pairs, split: str, settings: Mapping[str, Any]) -> list[Pair]:
    places = list(itertools.product(range(len(prompts)), range(len(pairs))))
    if len(places) < settings[split]:
        raise StudyError(
            f"{settings['file']} has {len(places)} questions for {split}, {len(prompts)} prompts "
            f"by {len(pairs)} pairs of answers, but the study asks for {settings[split]}; ask "
            "for fewer, or add some."
        )
    chosen = random.Random(f"{split} {settings['seed']}").sample(places, settings[split])
    made = []
    for prompt, pair in chosen:
        name = f"{split}-{prompt + 1:03d}-{pair + 1:02d}"
        made.append(Pair(name, prompts[prompt], *pairs[pair], None, None))
    return made


def _split(given: Any, place: str) -> tuple[list[str], Pairs]:
    """The prompts, with every filling of their slots, and the pairs of answers of a split."""
    if not isinstance(given, dict) or not {"prompts", "answers"} <= given.keys() <= {*FIELDS}:
        raise StudyError(
            f"{place} must have the lists prompts and answers, and can have slots; correct it."
        )
    slots = given.get("slots") or {}
    if not isinstance(slots, dict) or not all(map(_texts, slots.values())):
        raise StudyError(f"slots in {place} are not lists of texts by name; correct them.")
    if not _texts(given["prompts"]):
        raise StudyError(f"prompts in {place} is not a list of texts; correct it.")
    prompts: dict[str, None] = {}
    for prompt in given["prompts"]:
        prompts |= dict.fromkeys(_filled(prompt, slots, place))
    pairs: dict[tuple[str, str], None] = {}
    if not isinstance(given["answers"], list) or not given["answers"]:
        raise StudyError(f"answers in {place} is not a list of pairs of texts; correct it.")
    for pair in given["answers"]:
        if not _texts(pair) or len(pair) != 2 or pair[0] == pair[1]:
            raise StudyError(f"answers in {place} has {pair!r}; give two different texts.")
        pairs[pair[0], pair[1]] = None
    return list(prompts), list(pairs)


def _filled(prompt: str, slots: Mapping[str, list[str]], place: str) -> list[str]:
    """A prompt with every filling of its slots."""
    try:
        named = [name for _, name, _, _ in string.Formatter().parse(prompt) if name is not None]
        fillings = itertools.product(*(slots[name] for name in named))
        return [prompt.format(**dict(zip(named, words, strict=True))) for words in fillings]
    except (KeyError, ValueError, IndexError) as error:
        raise StudyError(
            f"the prompt {prompt!r} in {place} names an unknown slot ({error}); add it to slots, "
            "and write {{ and }} for braces."
        ) from None


def _texts(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(isinstance(each, str) for each in given)


def _parsed(found: bytes, file: str) -> dict[str, Any]:
    try:
        read = yaml.safe_load(found.decode("utf-8-sig"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise StudyError(f"{file} is not YAML in UTF-8 ({said}); correct it.") from None
    if not isinstance(read, dict) or not read.keys() <= set(SPLITS):
        raise StudyError(f"{file} has keys other than {', '.join(SPLITS)}; correct it.")
    return read
