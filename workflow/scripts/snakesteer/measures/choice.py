"""Choices between two or more texts that may follow a prompt, by the likelihood of each.

A choice's log-likelihood is the sum over its tokens of log p(token | all before it), natural
logarithm, in float64. Which tokens are its own is said by `prompts.marks.continued`, and is what
lm-evaluation-harness (EleutherAI, 0.4) takes. Its score is that sum (there `acc`), or the sum over
its number of tokens, of characters (`acc_norm`) or of bytes in UTF-8 (`acc_bytes`); characters and
bytes are those of the choice alone, without the separator before it, tokens are all that are
scored. The choice with the greatest score is chosen, the first of equal ones.

Every choice is a text with its prompt, without its last token, which nothing follows; choices that
differ in that one alone, as letters do, share one. The texts of a question run as one sequence that
holds their common part once (`engine.branches`), if `arranged` finds that the model gives the same
results for it. Otherwise each text is its own sequence.

Columns, a row for each injection, coefficient and question:
    behaviour
    question (text): The question's id.
    matching, chosen (whole number): The places of the matching choice and of the one with the best
        score, from 0.
    outcome (text): `match` or `other`.
    score_matching (number): The matching choice's score: its log-likelihood in nats, divided as the
        measure asks.
    score_other (number): The best score of the other choices.
    probability (number): The matching choice's softmax share among all scores.
    propensity (number): `score_matching` minus `score_other`.
    log_likelihoods (list of numbers): The log-likelihoods of all choices, in nats, undivided.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch

from snakesteer.core.errors import StudyError, naming
from snakesteer.core.labels import coefficient_label, layer_label
from snakesteer.core.progress import Progress
from snakesteer.engine import branches
from snakesteer.engine.batches import SCORED, Batch, Forks, Tokens, refuse_unknown
from snakesteer.engine.head import Read as Reads
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.positions import END
from snakesteer.engine.steering import Injection, refuse_overflow
from snakesteer.measures import together
from snakesteer.measures.choice_settings import By
from snakesteer.measures.choice_settings import Settings as Settings
from snakesteer.measures.read import Read, marks_at
from snakesteer.measures.together import Found
from snakesteer.prompts import marks
from snakesteer.prompts.marks import How, Marked
from snakesteer.prompts.which_tokens import COMPLETION
from snakesteer.storage.files import read_table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECTION, SOURCE, SAMPLE = "behaviours", "behaviour", "question"
# `matching` and `chosen` are places among the choices (0-based), of whose scores `score_other` is
# the best one that is not the matching one's, and `probability` the matching one's softmax;
# `propensity` is `score_matching` less `score_other`. `outcome` is `match` or `other`;
# `log_likelihoods` are those of all choices, in nats, whatever they are divided by.
SCHEMA = pa.schema(
    [
        ("coefficient", pa.float64()),
        (SOURCE, pa.string()),
        (SAMPLE, pa.string()),
        ("matching", pa.int64()),
        ("chosen", pa.int64()),
        ("outcome", pa.string()),
        ("score_matching", pa.float64()),
        ("score_other", pa.float64()),
        ("probability", pa.float64()),
        ("propensity", pa.float64()),
        ("log_likelihoods", pa.list_(pa.float64())),
    ]
)

USUAL = Settings()
WORTH_IT = 1.1  # as many times the tokens of a question must its texts have by themselves
Ending = tuple[int, int, str]
"""The place of a choice, its last token, and its text."""


@dataclass(frozen=True)
class Items:
    """The choices of a behaviour's questions as tokens, those of a question one after the other.

    By sequence: the question's name, the index of its matching choice, where the scored part
    starts, and which choices end after each of its texts. There is one choice unless the sequence
    has `forks` (`engine.branches`). `by` says what scores are. `marks`: see `engine.positions`.
    """

    names: list[str]
    sequences: list[list[int]]
    matching: list[int]
    starts: list[int]
    endings: list[tuple[tuple[Ending, ...], ...]]
    by: By = "sum"
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    forks: Sequence[Forks] = ()

    def taken(self, places: Sequence[int]) -> Self:
        """Those at these places alone."""
        return replace(
            self,
            names=[self.names[place] for place in places],
            sequences=[self.sequences[place] for place in places],
            matching=[self.matching[place] for place in places],
            starts=[self.starts[place] for place in places],
            endings=[self.endings[place] for place in places],
            marks=marks_at(self.marks, places),
            forks=[self.forks[place] for place in places] if self.forks else (),
        )

    def texts(self, place: int) -> list[list[int]]:
        """The texts of a sequence."""
        return branches.texts(self.sequences[place], self.forks[place] if self.forks else ())


def samples(
    tokenizer: PreTrainedTokenizerBase,
    files: Mapping[str, Sequence[str]],
    read: Read,
    settings: Settings,
) -> dict[str, Items]:
    """The behaviours of a job, by name: their `questions` lie in `files`."""
    found = {}
    for behaviour, path in zip(read.sources, files["questions"], strict=True):
        rows = read_table(path).to_pylist()
        asked = [row for row in rows if row["split"] == read.split]
        found[behaviour] = read_items(tokenizer, behaviour, asked, read.how, settings)
    return found


def counted(sequence: Sequence[int]) -> int:
    """Tokens of a prompt and its choices, but for their last ones."""
    return len(sequence)


def read_items(
    tokenizer: PreTrainedTokenizerBase,
    behaviour: str,
    questions: Sequence[Mapping[str, Any]],
    how: How = marks.USUAL,
    settings: Settings = USUAL,
) -> Items:
    """Tokenise the questions of a behaviour with each of their choices.

    A question has `question` (id), `prompt`, and `matching` and `not_matching`, or of items
    `choices` and the `place` of the matching one. Raises StudyError for a behaviour without
    questions, and as `marks.continued` does.
    """
    if not questions:
        raise StudyError(
            f"behaviours.{behaviour} has no questions in this split; use another split."
        )
    items = Items([], [], [], [], [], settings.by)
    marked: list[Marked] = []
    for asked in questions:
        choices = asked.get("choices") or [asked["matching"], asked["not_matching"]]
        name = f"question {asked['question']}"
        given = [settings.separator + choice for choice in choices]
        with naming(f"behaviours.{behaviour}"):
            read = marks.continued(tokenizer, name, asked["prompt"], given, how)
        for text, endings in _sequences(read, choices):
            items.names.append(asked["question"])
            items.sequences.append(text.ids)
            items.matching.append(asked.get("place", 0))
            items.starts.append(read.start)
            items.endings.append((endings,))
            marked.append(text)
    placed = marks.columns(marked)
    return replace(items, marks=placed | {END: placed[COMPLETION], SCORED: items.starts})


def _sequences(
    read: marks.Continued, choices: Sequence[str]
) -> Iterator[tuple[Marked, tuple[Ending, ...]]]:
    """What is read of the choices, once each, and those whose last token follows it."""
    found: list[tuple[Marked, list[Ending]]] = []
    for place, (text, choice) in enumerate(zip(read.texts, choices, strict=True)):
        *ids, last = text.ids
        placed = {mark: min(at, len(ids)) for mark, at in text.marks.items()}
        begun = Marked(ids, placed)
        for other, endings in found:
            if other == begun:
                endings.append((place, last, choice))
                break
        else:
            found.append((begun, [(place, last, choice)]))
    for begun, endings in found:
        yield begun, tuple(endings)


def arranged(model: LanguageModel, source: str, items: Items) -> Items:
    """The items as this model reads them: a question's texts in one sequence where that may be.

    The conditions: the separate texts have at least `WORTH_IT` times its tokens. All have the same
    places marked, so the same tokens are steered. It is no longer than `branches.longest`. The
    model gives the same results for it when tried. The log says what the model does not allow.
    """
    limit = branches.longest(model)
    trees: dict[int, branches.Tree] = {}
    grouped: list[list[int]] = []
    too_long = 0
    for _, of_one in itertools.groupby(range(len(items.names)), key=items.names.__getitem__):
        places = list(of_one)
        tree = _joined(items, places)
        if tree and (limit is None or len(tree.ids) <= limit):
            trees[places[0]] = tree
            grouped.append(places)
        else:
            too_long += tree is not None
            grouped += [[place] for place in places]
    where, architecture = f"behaviours.{source}", type(model.network).__name__
    if too_long:
        _note(
            f"{where}: {too_long} questions with all their choices exceed the {limit} tokens "
            f"that {architecture} can look back; their prompts run once per choice."
        )
    reason = branches.why_apart(model, list(trees.values())) if trees else None
    if reason:
        _note(
            f"{where}: {architecture} cannot read several choices after one prompt ({reason}); "
            "every prompt runs once per choice."
        )
    if reason or not trees:
        return items
    found = items.taken([places[0] for places in grouped])
    for row, (first, *others) in enumerate(grouped):
        if first in trees:
            found.sequences[row] = trees[first].ids
            found.endings[row] += tuple(items.endings[other][0] for other in others)
    forks = [trees[first].forks if first in trees else () for first, *_ in grouped]
    return replace(found, forks=forks)


def _joined(items: Items, places: Sequence[int]) -> branches.Tree | None:
    """The sequences of a question in one, None where that saves little or they are marked
    differently."""
    sequences = [items.sequences[place] for place in places]
    tree = branches.joined(sequences)
    for marked in items.marks.values():
        if len({marked[place] for place in places}) > 1:
            return None
    return tree if sum(map(len, sequences)) >= WORTH_IT * len(tree.ids) else None


def _note(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Reader:
    """What is read of the logits on a behaviour's choices."""

    model: LanguageModel
    source: str
    items: Items

    tokens: ClassVar[Tokens] = "continuing"

    @cached_property
    def counted(self) -> list[int]:
        """Tokens, by sequence."""
        return [counted(ids) for ids in self.items.sequences]

    @cached_property
    def targets(self) -> list[list[list[list[int]]]]:
        """By sequence and text, for each place that is read, the tokens that follow there: one, and
        behind the text the last one of each choice; as many everywhere, the first one repeated."""
        items = self.items
        width = max(len(of_text) for endings in items.endings for of_text in endings)
        found = []
        for place, (start, endings) in enumerate(zip(items.starts, items.endings, strict=True)):
            texts = []
            for ids, of_text in zip(items.texts(place), endings, strict=True):
                last = [token for _, token, _ in of_text]
                refuse_unknown(self.model, max(last))
                rows = [[token] * width for token in ids[start:]]
                texts.append([*rows, last + last[:1] * (width - len(last))])
            found.append(texts)
        return found

    def read(self, batch: Batch, injection: Injection, coefficient: float | None) -> Reads:
        """The log-probability of each token that follows."""
        rows = []
        for sample in batch.samples:
            for text in self.targets[sample]:
                rows += text
        targets = torch.tensor(rows, device=self.model.device)

        def log_probabilities(logits: torch.Tensor, rows: slice) -> tuple[torch.Tensor]:
            wide = logits.double()
            own = wide.gather(1, targets[rows].to(logits.device))
            return (own - wide.logsumexp(dim=1, keepdim=True),)

        return log_probabilities

    def table(
        self,
        injection: Injection,
        coefficient: float | None,
        order: Sequence[int],
        found: Found,
        progress: Progress,
    ) -> pa.Table:
        """The rows of one point, coefficient × injection on these questions."""
        (log_probabilities,) = found
        parts: dict[int, list[np.ndarray]] = {}
        first = 0
        for sample in order:
            parts[sample] = []
            for text in self.targets[sample]:
                parts[sample].append(log_probabilities[first : first + len(text)])
                first += len(text)
        rows = []
        places = range(len(self.items.names))
        for name, of_one in itertools.groupby(places, key=self.items.names.__getitem__):
            rows.append({SAMPLE: name, **self._chosen(list(of_one), parts)})
        shown = [f"question {row[SAMPLE]} of behaviours.{self.source}" for row in rows]
        sums = np.array([sum(row["log_likelihoods"]) for row in rows])
        refuse_overflow(sums, shown, layer_label(injection.layers), coefficient)
        matches = sum(row["outcome"] == "match" for row in rows)
        progress.note(
            f"{coefficient_label(coefficient)}: {matches} of {len(rows)} questions of "
            f"{self.source} match"
        )
        here = {"coefficient": coefficient, SOURCE: self.source}
        return pa.Table.from_pylist([here | row for row in rows], schema=SCHEMA)

    def _chosen(
        self, places: Sequence[int], parts: Mapping[int, Sequence[np.ndarray]]
    ) -> dict[str, Any]:
        """What is chosen of a question whose sequences stand at these places."""
        likelihoods: dict[int, float] = {}
        sizes: dict[int, int] = {}
        for place in places:
            for part, endings in zip(parts[place], self.items.endings[place], strict=True):
                before = part[:-1, 0].sum()
                for column, (choice, _, text) in enumerate(endings):
                    likelihoods[choice] = float(before + part[-1, column])
                    sizes[choice] = _size(text, len(part), self.items.by)
        matching = self.items.matching[places[0]]
        scores = np.array([likelihoods[choice] / sizes[choice] for choice in sorted(likelihoods)])
        others = np.delete(scores, matching)
        weights = np.exp(scores - scores.max())
        chosen = int(scores.argmax())
        return {
            "matching": matching,
            "chosen": chosen,
            "outcome": "match" if chosen == matching else "other",
            "score_matching": float(scores[matching]),
            "score_other": float(others.max()),
            "probability": float(weights[matching] / weights.sum()),
            "propensity": float(scores[matching] - others.max()),
            "log_likelihoods": [likelihoods[choice] for choice in sorted(likelihoods)],
        }


def _size(text: str, tokens: int, by: By) -> int:
    """What a choice's log-likelihood is divided by."""
    return {"sum": 1, "token": tokens, "character": len(text), "byte": len(text.encode())}[by]


def rows(
    model: LanguageModel,
    injection: Injection,
    coefficient: float | None,
    source: str,
    items: Items,
    batches: list[Batch],
    progress: Progress,
) -> pa.Table:
    """The rows of one point, coefficient × injection on these questions in these batches."""
    reader = Reader(model, source, items)
    return together.rows(model, injection, coefficient, reader, batches, progress)
