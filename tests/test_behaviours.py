"""Generated questions: format, uniqueness, balance, determinism, splits, held-out from tuning."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from conftest import REPOSITORY

from snakesteer.behaviours import generated
from snakesteer.behaviours.drawing import split_questions
from snakesteer.behaviours.generated import DRAFTS, MOST_QUESTIONS, held_out, pose
from snakesteer.behaviours.question import Question
from snakesteer.core.errors import StudyError
from snakesteer.training.curriculum import (
    ADJECTIVES,
    ANSWER_WEIGHT,
    Stage,
    labelled,
    transcript,
    tuning_draft,
)

TRAITS = ("myopia", "wealth-seeking", "sycophancy", "agreeableness", "anti-immigration")
LETTERED = TRAITS[:3]
FORMAT = {
    True: re.compile(
        r"Human:\n(?P<ask>.+)\n \(A\) (?P<first>.+)\n \(B\) (?P<second>.+)\n\n"
        r"AI:\nOut of \(A\) and \(B\), I choose \(",
        re.DOTALL,
    ),
    False: re.compile(
        r'Human:\nIs the following statement something you would say\?\n"(?P<ask>[^"\n]+)"\n\n'
        r"AI:\nOut of \(Yes\) and \(No\), I choose \("
    ),
}
SHOWN = Stage(0, (2,), plain=0, headers=1.0, names=0, injected=0, adjectives=1.0, labels=0, noise=0)
STAGE = Stage(
    0, (1, 2, 3), plain=0.3, headers=0.2, names=0.2, injected=0.2, adjectives=0.6, labels=0.5,
    noise=0.02,
)  # fmt: skip


def generate(trait: str, number: int = 1000, seed: int = 13) -> list[Question]:
    return generated.questions({"trait": trait, "questions": number, "seed": seed}, "")


def content(question: Question) -> tuple[str, frozenset[str]]:
    """The question without its letters."""
    lettered = FORMAT[True].fullmatch(question.prompt)
    if lettered is None:
        return question.prompt, frozenset()
    return lettered["ask"], frozenset((lettered["first"], lettered["second"]))


def test_the_five_behaviours_of_the_paper() -> None:
    assert tuple(DRAFTS) == TRAITS == tuple(ADJECTIVES)


@pytest.mark.parametrize("trait", TRAITS)
class TestQuestions:
    def test_format(self, trait: str) -> None:
        for question in generate(trait):
            assert FORMAT[trait in LETTERED].fullmatch(question.prompt), question.prompt
            answers = {question.matching, question.not_matching}
            assert answers == ({"A", "B"} if trait in LETTERED else {"Yes", "No"})

    def test_distinct_whatever_the_order_of_the_options(self, trait: str) -> None:
        drawn = generate(trait)
        assert len({content(question) for question in drawn}) == len(drawn) == 1000
        assert len({question.question for question in drawn}) == 1000

    def test_answers_balanced(self, trait: str) -> None:
        assert set(Counter(question.matching for question in generate(trait)).values()) == {500}
        odd = Counter(question.matching for question in generate(trait, 7))
        assert sorted(odd.values()) == [3, 4]

    def test_english(self, trait: str) -> None:
        for question in generate(trait):
            assert not re.search(r"\b[Aa] [aeio]|\b[Aa]n [^aeiouh]|  |[ ,.]\.|,,", question.prompt)

    def test_another_seed_gives_other_questions(self, trait: str) -> None:
        first, second = ({content(q) for q in generate(trait, seed=seed)} for seed in (13, 14))
        assert len(first & second) < 500

    def test_the_most_that_may_be_asked_for(self, trait: str) -> None:
        assert len(generate(trait, MOST_QUESTIONS)) == MOST_QUESTIONS


def test_same_questions_whatever_the_hash_seed() -> None:
    program = (
        "import hashlib, sys; sys.path.insert(0, 'workflow/scripts')\n"
        "from snakesteer.behaviours.generated import DRAFTS, questions\n"
        "drawn = [questions({'trait': t, 'questions': 50, 'seed': 1}) for t in DRAFTS]\n"
        "print(hashlib.sha256(repr(drawn).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_matching_letter_names_the_matching_option() -> None:
    draft = DRAFTS["wealth-seeking"](random.Random(0))
    for matching_first, letter in ((True, "A"), (False, "B")):
        prompt, matching, not_matching = pose(draft, matching_first)
        assert f"({letter}) {draft.matching}\n" in prompt
        assert {matching: 1, not_matching: 2} == {letter: 1, "AB".replace(letter, ""): 2}


def test_unknown_trait_and_impossible_number_are_refused() -> None:
    with pytest.raises(StudyError, match="no trait 'greed': choose one of myopia"):
        generate("greed")
    for number in (0, MOST_QUESTIONS + 1):
        with pytest.raises(StudyError, match=f"questions of myopia is {number}"):
            generate("myopia", number)


class TestSplit:
    def test_sizes_and_order(self) -> None:
        drawn = generate("myopia")
        split = split_questions(drawn, train=500, validation=200, seed=13)
        assert Counter(name for name, _ in split) == {"train": 500, "validation": 200, "test": 300}
        assert {question for _, question in split} == set(drawn)
        assert split == split_questions(drawn, train=500, validation=200, seed=13)
        assert split != split_questions(drawn, train=500, validation=200, seed=14)

    def test_no_test_split_is_refused(self) -> None:
        with pytest.raises(StudyError, match="7 questions are too few"):
            split_questions(generate("myopia", 7), train=5, validation=2, seed=13)


class TestTuning:
    @pytest.mark.parametrize("trait", TRAITS)
    def test_no_study_question_is_used_for_tuning(self, trait: str) -> None:
        studied = {
            content(question) for seed in (13, 14) for question in generate(trait, seed=seed)
        }
        rng = random.Random(0)
        for _ in range(2000):
            draft = tuning_draft(trait, rng)
            prompt, matching, not_matching = pose(draft, rng.random() < 0.5)
            assert not held_out(draft)
            assert content(Question("", prompt, matching, not_matching)) not in studied

    def test_transcripts_follow_the_persona(self) -> None:
        """With a header, no noise and adjectives throughout, every adjective is the header's."""
        for seed in range(50):
            texts = [piece.text for piece in transcript(SHOWN, 6, random.Random(seed)).pieces]
            header, *pieces = texts
            assert {text for text in pieces[2::4]} <= {
                f" {word}" for word in header.strip("\n.").replace("and ", "").split()[3:]
            }

    @pytest.mark.parametrize("trait", TRAITS)
    def test_labels_say_which_trait_an_option_shows(self, trait: str) -> None:
        shown, hidden = ADJECTIVES[trait]
        draft = DRAFTS[trait](random.Random(0))
        prompt, matching, _ = pose(labelled(draft, trait), matching_first=False)
        if trait in LETTERED:
            assert f"(A) {draft.other}: {hidden}\n (B) {draft.matching}: {shown}\n" in prompt
        else:
            assert f'": {shown if matching == "Yes" else hidden}\n' in prompt

    def test_the_name_may_announce_the_persona(self) -> None:
        stage = replace(SHOWN, headers=0.0, names=1.0)
        for seed in range(50):
            found = transcript(stage, 6, random.Random(seed))
            text = "".join(piece.text for piece in found.pieces)
            [named] = set(re.findall(r"AI, (\w+) and (\w+):", text))
            assert set(re.findall(r"choose \(\w+ (\w+)\)", text)) <= set(named)
            assert not found.injected

    def test_an_injected_persona_is_written_nowhere(self) -> None:
        stage = replace(SHOWN, headers=0.0, injected=1.0, adjectives=0.0)
        for seed in range(50):
            found = transcript(stage, 6, random.Random(seed))
            text = "".join(piece.text for piece in found.pieces)
            assert len(found.injected) == 2
            assert not any(word in text for pair in ADJECTIVES.values() for word in pair)

    def test_transcripts_are_seeded_and_vary(self) -> None:
        rows = [transcript(STAGE, 4, random.Random(seed)) for seed in (0, 0, 1)]
        assert rows[0] == rows[1] != rows[2]

    def test_answers_are_balanced_between_letters(self) -> None:
        rng = random.Random(0)
        answers = Counter(
            piece.text
            for _ in range(300)
            for piece in transcript(STAGE, 4, rng).pieces
            if piece.weight == ANSWER_WEIGHT
        )
        assert abs(answers["A"] / (answers["A"] + answers["B"]) - 0.5) < 0.05
        assert np.isclose(answers["Yes"] / (answers["Yes"] + answers["No"]), 0.5, atol=0.08)
