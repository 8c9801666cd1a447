"""The measures of a sweep's job, with the samples that they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from snakesteer.core import plugins
from snakesteer.core.errors import naming
from snakesteer.core.notes import note
from snakesteer.core.records import read
from snakesteer.engine.positions import places_of
from snakesteer.measures.read import Read
from snakesteer.prompts import formats
from snakesteer.prompts.marks import How
from snakesteer.prompts.tokens import Reading
from snakesteer.prompts.which_tokens import ALL, steered
from snakesteer.sweeps.job import SweepJob
from snakesteer.sweeps.runner import Asked

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def job_measures(
    snakemake: Any, job: SweepJob, tokenizer: PreTrainedTokenizerBase, codes: Mapping[str, str]
) -> Iterator[Asked]:
    """The measures; `codes` are the digests of their plugins' code, by kind and name.

    Raises StudyError for a format that the tokenizer does not serve, and for texts without the
    positions that are steered.
    """
    positions = tuple(map(steered, job.positions))
    for measured in job.measures:
        plugin = plugins.load("measures", measured.measure)
        settings = read(plugin.Settings, measured.asked)
        files = {}
        for role, places in measured.files.items():
            given = list(snakemake.input[role])
            files[role] = [given[place] for place in places]
        form = measured.format or formats.Format()
        how = How(form, Reading(job.bos, measured.special_tokens), positions)
        reads = Read(measured.sources, measured.split, measured.tokens, measured.max_tokens, how)
        with naming(f"measures.{measured.name}"):
            formats.check(tokenizer, form)
            samples = plugin.samples(tokenizer, files, reads, settings)
        for sentence in formats.remarks(tokenizer, form):
            note(sentence)
        yield Asked(
            measured.name,
            plugin,
            samples,
            getattr(settings, "stopping", None),
            measured.read_on,
            measured.precision,
            codes[f"measures/{measured.measure}"],
            {
                scorer: job.own.get(scorer.scorer) or codes[f"scorers/{scorer.scorer}"]
                for scorer in getattr(settings, "scores", ())
            },
        )


def first_texts(
    tokenizer: PreTrainedTokenizerBase, job: SweepJob, measures: Iterable[Asked]
) -> dict[str, Any]:
    """For the provenance: the first text of each source as the model reads it, by measure.

    With its token ids, and the tokens of it that are steered where these are not all. Nothing where
    all texts are read as they stand and steered at every token.
    """
    positions = list(map(steered, job.positions))
    found: dict[str, dict[str, Any]] = {}
    for measured, asked in zip(job.measures, measures, strict=True):
        if measured.format is None and positions == [ALL]:
            continue
        for source, samples in asked.samples.items():
            ids = list(samples.sequences[0])
            shown: dict[str, Any] = {"text": str(tokenizer.decode(ids)), "ids": ids}
            marks = {name: [places[0]] for name, places in samples.marks.items()}
            if ALL not in positions:
                places: set[int] = set()
                for each in positions:
                    places.update(places_of(ids, marks, each) or ())
                shown["steered"] = [str(tokenizer.decode(ids[place])) for place in sorted(places)]
            found.setdefault(measured.name, {})[source] = shown
    return {"first_texts": found} if found else {}
