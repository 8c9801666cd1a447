from pathlib import Path

import pandas as pd

from snakesteer.artefacts import read_table, read_tensors
from snakesteer.figures import Inputs, draw_figure
from snakesteer.job import job

with job(snakemake):
    settings = snakemake.params.settings
    tables = [read_table(path).to_pandas() for path in snakemake.input.get("tables", [])]
    skill = [table for table in tables if "role" in table]
    behaviour = [table for table in tables if "behaviour" in table]
    names = settings.get("activations") or settings.get("vectors") or []
    paths = [*snakemake.input.get("means", []), *snakemake.input.get("vectors", [])]
    inputs = Inputs(
        skill=pd.concat(skill, ignore_index=True) if skill else None,
        behaviour=pd.concat(behaviour, ignore_index=True) if behaviour else None,
        arrays={
            name: next(iter(read_tensors(path).values()))
            for name, path in zip(names, paths, strict=True)
        },
    )
    stem = Path(snakemake.output.pdf).with_suffix("")
    draw_figure(settings["kind"], inputs, settings, stem)
