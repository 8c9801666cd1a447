"""What stands last in the terminal: why jobs failed, or what a run that came to its end found."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow.compute as pc

from snakesteer.core import missing
from snakesteer.core.errors import StudyError
from snakesteer.core.interruption import INTERRUPTED
from snakesteer.core.notes import noted
from snakesteer.plan.artefacts import LOGS
from snakesteer.plan.plan import Plan
from snakesteer.reports.published import closing_lines, read_series
from snakesteer.storage.files import read_table
from snakesteer.study.corpora import SelectedCorpus
from snakesteer.study.measures import NextToken
from snakesteer.study.tables import Table
from snakesteer.sweeps.unqualified import unqualified_in


def say_last(sentences: Iterable[str]) -> None:
    """Print sentences when this process ends: after all that Snakemake prints, if anything."""
    for sentence in reversed(list(sentences)):
        atexit.register(print, sentence, file=sys.stderr, flush=True)


def reasons(logs: Iterable[str]) -> list[str]:
    """Why jobs failed, by the last lines of their logs; none fails of a run that is interrupted."""
    found = dict.fromkeys(_last_line(Path(log)) for log in logs)
    return [INTERRUPTED] if INTERRUPTED in found or not found else list(found)


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return f"Error: {log} was not written: its job was killed, or failed before it started."
    last = next((line for line in reversed(lines) if line.strip()), "nothing")
    return last if last == INTERRUPTED or last.startswith("Error: ") else f"Error: {log}: {last}"


def notes(plan: Plan) -> list[str]:
    """What the results of a study say that its settings did not ask for.

    Of a run that made some files only, those that are there count; none where they cannot be read.
    """
    if missing.packages():
        return []
    choices = {f"choices.{made.name}": made.paths[0] for made in plan.artefacts("choice")}
    return [*short_corpora(plan), *left_out(plan), *unqualified_in(choices), *logged(plan)]


def logged(plan: Plan) -> list[str]:
    """What jobs noted in their logs, each once: records left out, system prompts that nobody gave,
    titles that no font shows."""
    found: list[str] = []
    sections = {
        "documents": "corpora",
        "selected_documents": "corpora",
        "questions": "behaviours",
        "activations": "activations",
    }
    for stage, section in sections.items():
        for made in plan.artefacts(stage):
            log = f"{LOGS}/{stage}/{made.name}.{made.key}.log"
            found += [f"{section}.{made.name}: {sentence}" for sentence in noted(log)]
    for rule, products in (
        ("control", plan.controls),
        ("figure", plan.figures),
        ("scorecard", plan.scorecards),
    ):
        for name in products:
            found += noted(f"{LOGS}/{rule}/{plan.study.name}/{name}.log")
    return list(dict.fromkeys(found))


def left_out(plan: Plan) -> list[str]:
    """What of the published results was left out, or not compared with the commit."""
    tables = [plan.path("tables", f"{name}.parquet") for name in plan.published]
    there = read_series(tables)
    return closing_lines(there, plan.path("published.html"))


def short_corpora(plan: Plan) -> list[str]:
    """A sentence for each corpus that holds fewer tokens than a sweep asks for.

    A sweep with a precision takes as many as it needs; one that counts completions alone does not
    say how many it reads; a selection holds what was kept.
    """
    held: dict[tuple[str, int, int], list[str]] = {}
    for name, table in plan.study.tabled.items():
        if not isinstance(table, Table) or not isinstance(table.measured, NextToken):
            continue
        sweep, measure = name.split(".")[0], table.measured
        made = [path for artefact in plan.sweeps[sweep] for path in artefact.paths]
        there = next(filter(os.path.exists, made), None)
        if not there or measure.precision is not None or measure.counted != "all":
            continue
        for corpus, tokens in _unsteered_tokens(there, table.of).items():
            if isinstance(plan.study.corpora[corpus], SelectedCorpus):
                continue
            if tokens < measure.tokens:
                held.setdefault((corpus, tokens, measure.tokens), []).append(f"sweeps.{name}")
    return [
        f"corpora.{corpus}.validation holds {tokens:,} of the {asked:,} tokens that "
        f"{' and '.join(sweeps)} asks for; raise it, or lower `tokens`."
        for (corpus, tokens, asked), sweeps in held.items()
    ]


def _unsteered_tokens(path: str, measure: str) -> dict[str, int]:
    """Tokens of each corpus in a raw sweep, as its first injection was evaluated unsteered."""
    try:
        raw = read_table(path).select(["measure", "injection", "coefficient", "corpus", "tokens"])
    except StudyError:  # the job that reads a damaged file names it
        return {}
    raw = raw.filter(pc.field("measure") == measure)
    if raw.num_rows:  # every injection is evaluated unsteered first
        first = raw["coefficient"][0].as_py()
        here = pc.field("coefficient").is_null() if first is None else pc.field("coefficient") == 0
        raw = raw.filter((pc.field("injection") == raw["injection"][0]) & here)
    summed = raw.group_by("corpus").aggregate([("tokens", "sum")])
    return {row["corpus"]: row["tokens_sum"] for row in summed.to_pylist()}
