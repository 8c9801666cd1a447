"""The measures of a sweep's job, with the samples that they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from snakesteer.core import plugins
from snakesteer.core.records import read
from snakesteer.measures.read import Read
from snakesteer.prompts.tokens import Reading
from snakesteer.sweeps.job import SweepJob
from snakesteer.sweeps.runner import Asked

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def job_measures(
    snakemake: Any, job: SweepJob, tokenizer: PreTrainedTokenizerBase, codes: Mapping[str, str]
) -> Iterator[Asked]:
    """The measures; `codes` are the digests of their plugins' code, by kind and name."""
    for measured in job.measures:
        plugin = plugins.load("measures", measured.measure)
        settings = read(plugin.Settings, measured.asked)
        files = {}
        for role, places in measured.files.items():
            given = list(snakemake.input[role])
            files[role] = [given[place] for place in places]
        reads = Read(
            measured.sources,
            measured.split,
            measured.tokens,
            measured.max_tokens,
            Reading(job.bos, measured.special_tokens),
        )
        yield Asked(
            measured.name,
            plugin,
            plugin.samples(tokenizer, files, reads, settings),
            getattr(settings, "stopping", None),
            measured.read_on,
            measured.precision,
            codes[f"measures/{measured.measure}"],
        )
