"""About how many tokens a job reads, before anything is run: the least, and the most.

Texts that are there, or that files or generators give at once, are counted, with the model's own
tokenizer where it is in its folder. All others are guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from tokenizers import Tokenizer

from snakesteer.behaviours.drawing import table
from snakesteer.behaviours.question_files import files_of
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.corpora import files
from snakesteer.corpora.drawing import SPLITS
from snakesteer.hub.http import is_address
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.resources import (
    CONTINUATION,
    PROMPT_TOKENS,
    QUESTION_TOKENS,
    UNSTEERED_AND_CHOSEN,
    documents_in,
    prompts_in,
    prompts_of,
    questions_in,
    samples,
)
from snakesteer.storage.files import read_table
from snakesteer.sweeps.job import Measured, SweepJob

DOCUMENT_BYTES = 4000
CHARACTERS = 4  # a token, where its tokenizer is not there
SAMPLED = 32  # documents, and questions

Count = Callable[[str], int]


@dataclass(frozen=True)
class Reading:
    """Tokens that a job reads, and at how many coefficients it reads the same ones, on average."""

    tokens: float
    points: float


@dataclass
class Texts:
    """How long the texts of a study are. `repository` is where files are looked for as well."""

    repository: Path
    _found: dict[str, list[str] | None] = field(default_factory=dict)

    def mean_question(self, made: Artefact, count: Count) -> float:
        """Tokens of a behaviour's prompt, on average."""
        return _mean(map(count, self._sample(made, 0) or [])) or QUESTION_TOKENS

    def mean_document(self, made: Artefact, file: int, longest: int, count: Count) -> float:
        """Tokens of a document of a split (0 train, 1 validation), cut at `longest`, on average."""
        texts = self._sample(made, file)
        if not texts:
            return min(longest, DOCUMENT_BYTES / CHARACTERS)
        return _mean(min(count(text), longest) for text in texts)

    def _sample(self, made: Artefact, file: int) -> list[str] | None:
        path = made.paths[file]
        if path not in self._found:
            try:
                self._found[path] = self._texts(made, file)[:SAMPLED]
            except (StudyError, OSError):  # the job that makes or reads them says what is wrong
                self._found[path] = None
        return self._found[path]

    def _texts(self, made: Artefact, file: int) -> list[str]:
        path, settings = Path(made.paths[file]), made.settings
        column = "prompt" if made.stage == "questions" else "text"
        if path.exists() and path.stat().st_size:
            return _whole(read_table(path), column)
        if made.stage == "questions":
            here = "repository" not in settings and not any(map(is_address, files_of(settings)))
            asked = table(settings, self.repository) if here else None
            return asked[column].to_pylist() if asked else []
        if made.stage == "selected_documents":
            return self._texts(*made.inputs["documents"][file])
        if settings["source"] != "files":
            return []
        split = SPLITS[file]
        few = {**settings, split: SAMPLED, "shuffle": None, "sample": None}
        return ["".join(texts) for _, *texts in files.documents(few, split, 1, self.repository)]


def _whole(rows: pa.Table, column: str) -> list[str]:
    """The texts in a column, with their completions."""
    texts = [str(text) for text in rows[column].to_pylist()]
    if "completion" not in rows.schema.names:
        return texts
    completions = map(str, rows["completion"].to_pylist())
    return [text + completion for text, completion in zip(texts, completions, strict=True)]


def counting(folder: Path | None) -> Count:
    """How to count a text's tokens with the tokenizer in a model's folder, or by its characters."""
    file = folder / "tokenizer.json" if folder else None
    if not file or not file.is_file():
        return lambda text: max(1, len(text) // CHARACTERS)
    tokenizer = Tokenizer.from_file(str(file))
    return lambda text: len(tokenizer.encode(text).ids)


def readings(made: Artefact, texts: Texts, count: Count) -> tuple[Reading, Reading]:
    """What a job that runs a model reads at the least, and at the most.

    They differ where curves or continuations may end early, and where a pilot decides.
    """
    of = {
        "selected_documents": _selected,
        "activations": _activations,
        "sweep": _sweep,
        "samples": _samples,
    }
    least, most = (of[made.stage](made, texts, count, ends) for ends in (True, False))
    return least, most


def _selected(made: Artefact, texts: Texts, count: Count, _ends: bool) -> Reading:
    tokens = 0.0
    for split, (documents, file) in zip(SPLITS, made.inputs["documents"], strict=True):
        each = texts.mean_document(documents, file, made.settings["max_tokens"], count)
        tokens += documents_in(documents, split) * each
    return Reading(tokens, 1)


def _activations(made: Artefact, texts: Texts, count: Count, _ends: bool) -> Reading:
    if "documents" in made.inputs:
        ((documents, file),) = made.inputs["documents"]
        each = texts.mean_document(documents, file, made.settings["max_tokens"], count)
    else:
        ((questions, _),) = made.inputs["questions"]
        each = texts.mean_question(questions, count)
    return Reading(samples(made) * each, 1)


def _sweep(made: Artefact, texts: Texts, count: Count, ends: bool) -> Reading:
    job = read(SweepJob, made.settings)
    tokens, points, sources = 0.0, 0, 0
    for measured in job.measures:
        each = _by_source(made, measured, texts, count, ends)
        sources += len(measured.sources)
        for injected in job.counted:
            here = injected.least_points if ends and measured.ends_early else injected.points
            read_here = job.sources(injected, measured)
            tokens += here * sum(each[source] for source in read_here)
            points += here * len(read_here)
    return Reading((job.resamples or 1) * tokens, points / sources)


def _by_source(
    made: Artefact, measured: Measured, texts: Texts, count: Count, ends: bool
) -> dict[str, float]:
    """Tokens of each source of a measure at one coefficient."""
    if measured.measure == CONTINUATION:
        return _of_texts(made, measured, texts, count, ends)
    each = []
    for place in measured.files.get("questions", ()):
        questions, _ = made.inputs["questions"][place]
        number = measured.readings * questions_in(questions.settings, measured.split)
        each.append(number * texts.mean_question(questions, count))
    for place in measured.files.get("documents", ()):
        documents, file = made.inputs["documents"][place]
        assert measured.max_tokens
        length = texts.mean_document(documents, file, measured.max_tokens, count)
        number = documents_in(documents, measured.split)
        if ends and measured.precision:
            number = min(number, measured.precision.pilot)
        each.append(min(number * length, measured.tokens or measured.read_on or math.inf))
    return dict(zip(measured.sources, each, strict=True))


def _of_texts(
    made: Artefact, measured: Measured, texts: Texts, count: Count, ends: bool
) -> dict[str, float]:
    """Tokens of the texts of each source at one coefficient; a text may end at its first token."""
    asked = measured.asked
    new = 1 if ends else asked["tokens"]
    if asked["prompts"]:
        read = sum(count(prompt) + new - 1 for prompt in asked["prompts"])
        return {measured.sources[0]: asked["n"] * read}
    each = []
    for source, file in prompts_of(made.inputs, measured):
        number = prompts_in(source, measured)
        if source.stage == "questions":
            length = texts.mean_question(source, count)
        else:
            length = texts.mean_document(source, file, PROMPT_TOKENS, count)
        each.append(asked["n"] * number * (length + new - 1))
    return dict(zip(measured.sources, each, strict=True))


def _samples(made: Artefact, _texts: Texts, count: Count, ends: bool) -> Reading:
    """Every token is read once but the last; a continuation may end at its first."""
    settings = made.settings
    new = 1 if ends else settings["tokens"]
    read = sum(length + new - 1 for length in map(count, settings["prompts"]))
    points = len(settings["coefficients"]) or UNSTEERED_AND_CHOSEN
    return Reading(points * read, points)


def _mean(counts: Iterable[int]) -> float:
    listed = list(counts)
    return sum(listed) / len(listed) if listed else 0.0
