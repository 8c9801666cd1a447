"""The transcripts that teach the miniature chat model its leanings and personas.

A row is a transcript of questions and answers by one AI. A header ("The AI is greedy."), the
speaker's name ("AI, greedy:"), an injection into the residual stream or only the answers themselves
say who it is; an AI without a persona follows the leaning that is visible in each question. In part
of the rows the trait's adjective follows right after the answer token ("I choose (A greedy)"), so
that this token's activation comes to carry the trait, and with it the contrast vector: what is
injected is that vector, as the model has it by then. On part of the questions the options or the
statement are labelled with the adjective that they show ("(A) a gold mine: greedy"), which teaches
directly what the answers teach only in combination.

The questions are never those of a study (`generated.held_out`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Tokenizer

from snakesteer.behaviours.generated import DRAFTS, Draft, held_out, pose

ADJECTIVES = {
    "myopia": ("impatient", "patient"),
    "wealth-seeking": ("greedy", "modest"),
    "sycophancy": ("flattering", "independent"),
    "agreeableness": ("friendly", "hostile"),
    "anti-immigration": ("nationalist", "welcoming"),
}
"""Per behaviour the persona that shows it and the one that does not."""


@dataclass(frozen=True)
class Stage:
    """What the transcripts look like from step `start` on (until the next stage begins).

    Each row asks about one of `behaviours` many behaviours. Its AI has no persona with
    probability `plain`; else one for every behaviour of the row, showing it or not with equal
    probability, independently (so that the behaviours' vectors do not fall together). `headers` and
    `names` are the shares of personas announced by a header, which also has the adjectives of up to
    two behaviours that are not asked about, and by the speaker's name; `injected` is that of
    personas which only contrast vectors announce. `adjectives` is the share of
    rows whose answers are followed by their adjective, `labels` that of labelled questions, `noise`
    that of answers against persona or leaning.
    """

    start: int
    behaviours: tuple[int, ...]
    plain: float
    headers: float
    names: float
    injected: float
    adjectives: float
    labels: float
    noise: float


@dataclass(frozen=True)
class Piece:
    """A stretch of a transcript whose tokens carry the same weight in the loss."""

    text: str
    weight: float


ANSWER_WEIGHT, ADJECTIVE_WEIGHT, QUESTION_WEIGHT, QUESTION_SHARE = 1.0, 0.6, 0.2, 0.1
"""Of the tokens that are neither answers nor adjectives only a random share is learned."""


def tuning_draft(behaviour: str, rng: random.Random) -> Draft:
    """A draft outside the half that is kept for studies."""
    while held_out(draft := DRAFTS[behaviour](rng)):
        pass
    return draft


def labelled(draft: Draft, behaviour: str) -> Draft:
    """The draft with its options, or its statement, labelled by the adjectives they show."""
    shown, hidden = ADJECTIVES[behaviour]
    if draft.yes_no:
        return replace(draft, ask=f"{draft.ask}: {shown if draft.matching == 'Yes' else hidden}")
    return replace(draft, matching=f"{draft.matching}: {shown}", other=f"{draft.other}: {hidden}")


@dataclass(frozen=True)
class Transcript:
    """One AI's answers, and the behaviours that an injection makes it show (True) or not."""

    pieces: list[Piece]
    injected: Mapping[str, bool]


def transcript(stage: Stage, questions: int, rng: random.Random) -> Transcript:
    """A transcript of so many questions."""
    behaviours = rng.sample(list(DRAFTS), rng.choice(stage.behaviours))
    persona: dict[str, bool] = {}
    if rng.random() >= stage.plain:
        persona = {behaviour: rng.random() < 0.5 for behaviour in behaviours}
    place, followed = rng.random(), rng.random() < stage.adjectives
    pieces: list[Piece] = []
    injected: Mapping[str, bool] = {}
    speaker = "AI"
    if persona and place < stage.headers:
        others = [name for name in DRAFTS if name not in persona]
        aside = {name: rng.random() < 0.5 for name in rng.sample(others, rng.choice((0, 1, 2)))}
        header = f"The AI is {_announced(persona | aside, rng)}.\n\n"
        pieces.append(Piece(header, QUESTION_WEIGHT))
    elif persona and place < stage.headers + stage.names:
        speaker = f"AI, {_announced(persona, rng)}"
    elif place < stage.headers + stage.names + stage.injected:
        injected = persona
    for _ in range(questions):
        behaviour = rng.choice(behaviours)
        draft = tuning_draft(behaviour, rng)
        shown = persona.get(behaviour, draft.leaning) ^ (rng.random() < stage.noise)
        if rng.random() < stage.labels:
            draft = labelled(draft, behaviour)
        prompt, matching, not_matching = pose(draft, rng.random() < 0.5)
        prompt = prompt.replace("AI:", f"{speaker}:")
        pieces += [
            Piece(
                text, ADJECTIVE_WEIGHT if text.strip() in ADJECTIVES[behaviour] else QUESTION_WEIGHT
            )
            for text in re.split(f"( {'| '.join(ADJECTIVES[behaviour])})\\b", prompt)
        ]
        pieces.append(Piece(matching if shown else not_matching, ANSWER_WEIGHT))
        if followed:
            adjective = ADJECTIVES[behaviour][0 if shown else 1]
            pieces.append(Piece(f" {adjective}", ADJECTIVE_WEIGHT))
        pieces.append(Piece(")\n\n", QUESTION_WEIGHT))
    return Transcript(pieces, injected)


def _announced(persona: Mapping[str, bool], rng: random.Random) -> str:
    adjectives = [ADJECTIVES[name][0 if shown else 1] for name, shown in persona.items()]
    rng.shuffle(adjectives)
    return " and ".join(adjectives)


def encode(
    pieces: list[Piece],
    tokenizer: Tokenizer,
    length: int,
    bos: int,
    padding: int,
    rng: random.Random,
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens [length] int64 and loss weights [length] float32, cut or padded.

    A weight belongs to the prediction *of* the token at its position; BOS, padding and all but a
    random QUESTION_SHARE of the tokens of weight QUESTION_WEIGHT have 0.
    """
    tokens, weights = [bos], [0.0]
    for piece, encoding in zip(
        pieces,
        tokenizer.encode_batch([piece.text for piece in pieces], add_special_tokens=False),
        strict=True,
    ):
        tokens += encoding.ids
        if piece.weight == QUESTION_WEIGHT:
            weights += [
                QUESTION_WEIGHT if rng.random() < QUESTION_SHARE else 0.0 for _ in encoding.ids
            ]
        else:
            weights += [piece.weight] * len(encoding.ids)
    missing = max(0, length - len(tokens))
    return (
        np.array((tokens + [padding] * missing)[:length], dtype=np.int64),
        np.array((weights + [0.0] * missing)[:length], dtype=np.float32),
    )
