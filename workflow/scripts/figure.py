from pathlib import Path

import pandas as pd

from snakesteer.artefacts import read_provenance, read_table, read_tensors
from snakesteer.figures import Inputs, draw_figure
from snakesteer.job import job
from snakesteer.vector_intervals import with_intervals

with job(snakemake):
    settings = snakemake.params.settings
    paths = snakemake.input.get("tables", [])
    intervals = settings.get("intervals", "items")
    tables = [
        with_intervals(table, intervals)
        for path in paths
        if len(table := read_table(path).to_pandas())
    ]
    skill = [table for table in tables if "role" in table]
    behaviour = [table for table in tables if "faulty" in table]
    histograms = [table for table in tables if "bin" in table]
    names = settings.get("activations") or settings.get("vectors") or []
    arrays = [*snakemake.input.get("means", []), *snakemake.input.get("vectors", [])]
    inputs = Inputs(
        skill=pd.concat(skill, ignore_index=True) if skill else None,
        behaviour=pd.concat(behaviour, ignore_index=True) if behaviour else None,
        histograms=pd.concat(histograms, ignore_index=True) if histograms else None,
        arrays={
            name: next(iter(read_tensors(path).values()))
            for name, path in zip(names if arrays else [], arrays, strict=True)
        },
        absent=[
            sentence
            for path in paths
            for sentence in read_provenance(path).get("missing", {}).values()
        ],
    )
    stem = Path(snakemake.output.pdf).with_suffix("")
    draw_figure(settings["kind"], inputs, settings, stem)
