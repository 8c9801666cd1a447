"""Text that is written under steering, to be scored (`measures.scorers`) or read by a person.

What is written is the completion of its prompt: `all`, `completion`, `after_instruction` and from a
marker on, every generated token is steered when it is read, `prompt`, `last` and the k-th from the
end, which are counted in the prompt, none. So the first token that is written is steered by the
prompt's tokens alone, and with `completion` by none.

Columns, a row for each injection, coefficient and text:
    source
    sample (text): The id of the prompt.
    n (whole number): The number of the text among those of its prompt, from 0.
    prompt (text): The prompt as the study has it.
    text (text): What the model wrote, up to the end token or the text that stops it.
    tokens (whole number): Its tokens.
    finished (true or false): Whether it ended by itself, before the limit of tokens.
    ids (list of whole numbers): Its token ids.
    score_SCORE (number, only with such a score): The score, or a part `score_SCORE_PART` of it.
        Empty where the scorer gave no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from snakesteer.core.errors import StudyError, naming
from snakesteer.core.labels import layer_label
from snakesteer.core.progress import Progress
from snakesteer.core.records import unless_said
from snakesteer.engine.generation import Begun, Rules, draws_of, reads, write
from snakesteer.engine.generation import Written as WrittenText
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection, refuse_overflow
from snakesteer.measures.read import Read, marks_at
from snakesteer.measures.scoring import Scorer
from snakesteer.measures.written import Written
from snakesteer.prompts import marks
from snakesteer.prompts.marks import How, Marked
from snakesteer.storage.files import read_table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SOURCE, SAMPLE = "source", "sample"
# `n` counts the texts of one prompt, from 0. `text` ends before the end token or what stopped it;
# `ids` are its tokens, so many `tokens`; it is `finished` unless it was cut at the most tokens.
SCHEMA = pa.schema(
    [
        ("coefficient", pa.float64()),
        (SOURCE, pa.string()),
        (SAMPLE, pa.string()),
        ("n", pa.int64()),
        ("prompt", pa.string()),
        ("text", pa.string()),
        ("tokens", pa.int64()),
        ("finished", pa.bool_()),
        ("ids", pa.list_(pa.int32())),
    ]
)
SAMPLES_SCHEMA = pa.schema(
    [
        ("prompt", pa.string()),
        ("vector", pa.string()),
        ("layer", pa.string()),
        ("coefficient", pa.float64()),
        ("continuation", pa.string()),
    ]
)

SEVERAL = True  # coefficients are rows of one batch
MOST_SAMPLES = 32  # of a chunk: what a job that is cut short may have to write again

# The prompts that a study lists are those of this source.
LISTED = "prompts"
OF = {
    "documents": ("document", "corpora"),
    "questions": ("question", "behaviours"),
    LISTED: ("prompt", "the list"),
}


@dataclass(frozen=True)
class Settings:
    """How texts are written (`engine.generation`), `n` of each prompt, and by what they are scored.

    Of each source the first `items` prompts are read, all if None, or those in `prompts`.
    """

    tokens: int = 40
    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1
    seed: int = 0
    stop: tuple[str, ...] = ()
    items: int | None = None
    prompts: tuple[str, ...] | None = None
    scores: tuple[Scorer, ...] = unless_said(())


@dataclass(frozen=True)
class Prompts:
    """Prompts as tokens, and how they are gone on from; `texts` are as the study has them."""

    names: list[str]
    sequences: list[list[int]]
    texts: list[str]
    of: tuple[str, str]
    tokens: int = 40
    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1
    seed: int = 0
    stop: tuple[str, ...] = ()
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def rules(self) -> Rules:
        """How texts are written."""
        return Rules(self.tokens, self.temperature, self.top_p, self.stop)

    @property
    def reads(self) -> int:
        """Tokens that are read to write all texts, at most."""
        return self.n * sum(reads(ids, self.rules) for ids in self.sequences)

    def taken(self, places: Sequence[int]) -> Self:
        """The prompts at these places alone."""
        return replace(
            self,
            names=[self.names[place] for place in places],
            sequences=[self.sequences[place] for place in places],
            texts=[self.texts[place] for place in places],
            marks=marks_at(self.marks, places),
        )


def samples(
    tokenizer: PreTrainedTokenizerBase,
    files: Mapping[str, Sequence[str]],
    read: Read,
    settings: Settings,
) -> dict[str, Prompts]:
    """The prompts of a job, by source: of `documents` or `questions` in `files`, or those listed.

    Raises StudyError for a source without prompts, and as `marks.begun` does.
    """
    if settings.prompts:
        role = LISTED
        given = {LISTED: [(str(place), text) for place, text in enumerate(settings.prompts)]}
    else:
        role = "documents" if "documents" in files else "questions"
        given = {}
        for source, path in zip(read.sources, files[role], strict=True):
            given[source] = _texts(role, path, read.split)
    found = {}
    for source, prompts in given.items():
        sample, section = OF[role]
        if not prompts:
            raise StudyError(
                f"{section}.{source} has no {sample}s in this split; use another split."
            )
        chosen = prompts[: settings.items]
        begun = []
        for name, text in chosen:
            with naming(f"{sample} {name} of {section}.{source}"):
                begun.append(marks.begun(tokenizer, text, read.how))
        found[source] = Prompts(
            [name for name, _ in chosen],
            [each.ids for each in begun],
            [text for _, text in chosen],
            OF[role],
            settings.tokens,
            settings.temperature,
            settings.top_p,
            settings.n,
            settings.seed,
            settings.stop,
            marks.columns(begun),
        )
    return found


def _texts(role: str, path: str, split: str) -> list[tuple[str, str]]:
    """Names and prompts of a file of documents, or of a split of questions."""
    rows = read_table(path).to_pylist()
    if role == "documents":
        return [(row["document"], row["text"]) for row in rows]
    return [(row["question"], row["prompt"]) for row in rows if row["split"] == split]


def counted(sequence: Sequence[int]) -> int:
    """Tokens of a prompt."""
    return len(sequence)


def rows(
    model: LanguageModel,
    injection: Injection,
    coefficients: Sequence[float | None],
    source: str,
    prompts: Prompts,
    kept_bytes: float,
    progress: Progress,
) -> Iterator[pa.Table]:
    """The rows of several points, written together: one table for each of the coefficients.

    Raises Overflow for NaN or infinity at that one.
    """
    begun = []
    for coefficient in coefficients:
        for place, ids in enumerate(prompts.sequences):
            marked = {name: places[place] for name, places in prompts.marks.items()}
            for number in range(prompts.n):
                draws = np.zeros(0)
                if prompts.temperature:
                    draws = draws_of(prompts.seed, ids, coefficient, number, prompts.tokens)
                begun.append(Begun(Marked(ids, marked), (injection, coefficient), draws))
    texts = write(model, begun, prompts.rules, kept_bytes=kept_bytes, progress=progress)
    each = len(prompts.names) * prompts.n
    sample, section = prompts.of
    names = [
        f"{sample} {name} of {section}.{source}" for name in prompts.names for _ in range(prompts.n)
    ]
    for place, coefficient in enumerate(coefficients):
        here = texts[place * each : (place + 1) * each]
        refuse_broken(here, names, injection, coefficient)
        yield _table(source, prompts, coefficient, here)


def refuse_broken(
    texts: Sequence[WrittenText],
    names: Sequence[str],
    injection: Injection,
    coefficient: float | None,
) -> None:
    """Raise Overflow for a text on whose way the model put out NaN or infinity."""
    broken = np.array([np.nan if text.broken else 0.0 for text in texts])
    refuse_overflow(broken, names, layer_label(injection.layers), coefficient)


def _table(
    source: str, prompts: Prompts, coefficient: float | None, texts: Sequence[WrittenText]
) -> pa.Table:
    count = len(texts)
    places = np.repeat(np.arange(len(prompts.names)), prompts.n).tolist()
    return pa.table(
        {
            "coefficient": [coefficient] * count,
            SOURCE: [source] * count,
            SAMPLE: [prompts.names[place] for place in places],
            "n": list(range(prompts.n)) * len(prompts.names),
            "prompt": [prompts.texts[place] for place in places],
            "text": [text.text for text in texts],
            "tokens": [len(text.ids) for text in texts],
            "finished": [text.finished for text in texts],
            "ids": [text.ids for text in texts],
        },
        schema=SCHEMA,
    )


def written(prompts: Prompts, point: pa.Table) -> Written:
    """The texts of a point, for scorers."""
    ids = [ids for ids in prompts.sequences for _ in range(prompts.n)]
    texts, asked, given = (point[name].to_pylist() for name in ("text", "prompt", "ids"))
    return Written(texts, asked, given, ids)


def run(
    model: LanguageModel,
    injections: Mapping[str, Injection],
    coefficients: Sequence[float],
    prompts: Sequence[str],
    *,
    tokens: int = 40,
    how: How = marks.USUAL,
    progress: Progress | None = None,
) -> pa.Table:
    """Continue each prompt, in its format, by `tokens` greedy tokens, old and new ones steered.

    `injections` are named by their vector. A continuation ends early at an end token of the model,
    which it does not show, as it does other special tokens, or where the context is full. Returns a
    row per injection, coefficient and prompt, in this order: `prompt`, `vector`, `layer` ("3", or
    "2+4" for several), `coefficient`, `continuation`. Raises StudyError as `marks.begun` does, and
    for NaN or infinity.

    Columns, a row for each prompt and coefficient:
        prompt (text): The prompt as the study has it.
        vector
        layer
        coefficient
        continuation (text): What the model writes after the prompt, by greedy decoding.
    """
    read = [marks.begun(model.tokenizer, prompt, how) for prompt in prompts]
    rules = Rules(tokens)
    progress = progress or Progress()
    points = [
        (vector, injection, float(coefficient))
        for vector, injection in injections.items()
        for coefficient in coefficients
    ]
    progress.start(len(points) * sum(reads(text.ids, rules) for text in read))
    begun = []
    for _, injection, coefficient in points:
        begun += [Begun(text, (injection, coefficient)) for text in read]
    found = write(model, begun, rules, progress=progress)
    progress.finish()
    names = [f"the prompt {prompt!r}" for prompt in prompts]
    rows = []
    for place, (vector, injection, coefficient) in enumerate(points):
        here = found[place * len(prompts) : (place + 1) * len(prompts)]
        refuse_broken(here, names, injection, coefficient)
        for prompt, text in zip(prompts, here, strict=True):
            rows.append((prompt, vector, layer_label(injection.layers), coefficient, text.text))
    columns = list(zip(*rows, strict=True)) or [()] * len(SAMPLES_SCHEMA)
    return pa.table([list(column) for column in columns], schema=SAMPLES_SCHEMA)
