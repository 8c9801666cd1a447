"""What planning, tables, figures and the report of the paper's study cost, at its full size.

    .venv/bin/python benchmarks/paper.py

No model runs: everything that a GPU would have made is generated, in the cache's formats and at the
paper's size (16 curves and two more × 25 coefficients × 2 corpora × 450 documents, and 81 × 450
for the alignment tax; 10 grid searches × 8 layers × 13 multipliers × 200 questions; 81 coefficients
× 5 behaviours × 300 questions), and so are means, vectors and choices. Prints of each step the
seconds on two cores, those that the processor worked for it, and the largest memory that all
processes held together at any time (proportional set size, looked at twice a second).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measure import write
from miniature import REPOSITORY, measure

from snakesteer.core.records import read
from snakesteer.measures.next_token import SCHEMA as COUNTS
from snakesteer.measures.two_choice import SCHEMA as ANSWERS
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import write_json, write_table, write_tensors
from snakesteer.study import study_file
from snakesteer.sweeps.job import Injected, Measured, SweepJob
from snakesteer.sweeps.runner import INJECTION, MEASURE

CONFIG = REPOSITORY / "config" / "papers" / "broad-skills.yaml"
COEFFICIENTS = 25
DOCUMENTS = 450
QUESTIONS = {"validation": 200, "test": 300}
HIDDEN = 4096
MULTIPLIER = 0.5
STEPS = {
    "planning": ["-n", "--quiet", "all"],
    "tables and figures": ["--quiet", "all"],
    "nothing to do": ["--quiet", "all"],
    "report": ["--quiet", "all", "--report", "report.html"],
}


def counts(
    job: SweepJob, injected: Injected, measured: Measured, draw: np.random.Generator
) -> pa.Table:
    """Next-token accuracy: it falls along the first of the coefficients."""
    parts = []
    assert injected.coefficients
    visited = injected.coefficients[: COEFFICIENTS if measured.ends_early else None]
    for corpus in job.sources(injected, measured):
        tokens = np.clip(draw.lognormal(6.2, 1.1, DOCUMENTS), 30, 4095).astype(np.int64)
        kept = draw.binomial(tokens, 0.6)
        names = [f"{corpus}-{place}" for place in range(DOCUMENTS)]
        for coefficient in visited:
            share = 0.6 / (1 + abs(coefficient) / 2)
            columns = {
                "coefficient": [float(coefficient)] * DOCUMENTS,
                "corpus": [corpus] * DOCUMENTS,
                "document": names,
                "tokens": tokens,
                "top1": draw.binomial(tokens, share),
                "top10": draw.binomial(tokens, min(1, 1.4 * share)),
                "nll": tokens * 2.0,
                "kept": kept,
                "kept_top1": draw.binomial(kept, share),
                "kept_top10": draw.binomial(kept, min(1, 1.4 * share)),
            }
            parts.append(pa.table({name: columns[name] for name in COUNTS.names}, schema=COUNTS))
    return pa.concat_tables(parts)


def answers(
    job: SweepJob, injected: Injected, measured: Measured, draw: np.random.Generator
) -> pa.Table:
    """Answers to questions: at every coefficient that may be visited."""
    count = QUESTIONS[measured.split]
    parts = []
    for coefficient in injected.coefficients or (0.0, -MULTIPLIER, MULTIPLIER):
        for behaviour in job.sources(injected, measured):
            matches = draw.random(count) < 0.3
            columns = {
                "coefficient": [coefficient] * count,
                "behaviour": [behaviour] * count,
                "question": [f"{behaviour}-{place}" for place in range(count)],
                "answer": np.where(draw.random(count) < 0.5, "A", "B"),
                "outcome": np.where(matches, "match", "other"),
                "logit_matching": draw.normal(size=count),
                "logit_not_matching": draw.normal(size=count),
                "choice_mass": draw.random(count),
                "probability": draw.random(count),
            }
            parts.append(pa.table(columns, schema=ANSWERS))
    return pa.concat_tables(parts)


MEASURES = {"next_token": counts, "two_choice": answers}


def raw(job: SweepJob, draw: np.random.Generator) -> pa.Table:
    """The rows of a sweep's job, injection by injection, measure by measure."""
    parts = []
    for injected in job.injections:
        for measured in job.measures:
            rows = MEASURES[measured.measure](job, injected, measured, draw)
            for column, label in ((INJECTION, injected.label), (MEASURE, measured.name)):
                labels = pa.array([label] * rows.num_rows, column.type)
                rows = rows.append_column(column, labels)
            parts.append(rows)
    return pa.concat_tables(parts, promote_options="default")


def choice(made: Artefact) -> dict[str, Any]:
    """A choice in its file's form."""
    cell = {"add": MULTIPLIER, "subtract": -MULTIPLIER}
    chosen: dict[str, Any] = {}
    for grid, _ in made.inputs.get("grid", ()):
        job = read(SweepJob, grid.settings)
        for injected in job.injections:
            for behaviour in job.sources(injected, *job.measures):
                chosen.setdefault(behaviour, {})[injected.layer] = cell
    return {"rule": "Generated.", "multipliers": made.settings["multipliers"] or chosen}


def generate(made: Artefact, n_layers: int, draw: np.random.Generator) -> None:
    """Write one artefact; activations, documents and questions stand for themselves."""
    described = {"kind": made.stage, "key": made.key, "settings": made.settings}
    described |= {"code": made.code, "inputs": {}, "packages": {}}
    for path in made.paths:
        match made.stage:
            case "sweep":
                job = read(SweepJob, made.settings)
                write_table(path, raw(job, draw), described)
            case "choice":
                write_json(path, choice(made))
            case "mean" | "vector" as role:
                array = draw.standard_t(3, (n_layers, HIDDEN)).astype(np.float32)
                write_tensors(path, {role: array}, described)
            case _ if path.endswith(".json"):
                write_json(path, {})
            case _ if path.endswith(".parquet"):
                write_table(path, pa.table({}), described)
            case _:
                write_tensors(path, {"activations": np.zeros((1, 1, 1), np.float32)}, described)


def rows() -> Iterator[dict[str, Any]]:
    """Generate the sweeps in the working directory, then measure the steps one after the other."""
    plan = Plan(study_file.load(CONFIG), REPOSITORY)
    n_layers = max(entry.layers or 0 for entry in plan.study.models.values())
    draw = np.random.default_rng(13)
    for made in plan.artefacts():
        generate(made, n_layers, draw)
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    for step, arguments in STEPS.items():
        command = [*snakemake, "--cores", "2", "--configfile", str(CONFIG), *arguments]
        before = os.times()
        seconds, gigabytes = measure(command, Path.cwd())
        after = os.times()
        worked = after.children_user + after.children_system
        worked -= before.children_user + before.children_system
        print(f"{step:20} {seconds:7.1f} s   {worked:7.1f} CPU s   {gigabytes:5.2f} GB", flush=True)
        yield {"step": step, "seconds": seconds, "cpu_seconds": worked, "gigabytes": gigabytes}


def main() -> None:
    """Measure in a folder of its own, or in one that is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder if left out")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(folder or temporary)
        measured = list(rows())
        total = sum(row["seconds"] for row in measured if row["step"] != "nothing to do")
        print(f"{'together':20} {total:7.1f} s")
    write("paper", measured, {"documents": DOCUMENTS, "coefficients": COEFFICIENTS})


if __name__ == "__main__":
    main()
