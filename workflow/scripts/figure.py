from pathlib import Path

from script_job import job
from snakesteer.figures.drawing import draw_figure
from snakesteer.figures.inputs import read_inputs

with job(snakemake):
    settings = snakemake.params.settings
    paths = [*snakemake.input.get("means", []), *snakemake.input.get("vectors", [])]
    inputs = read_inputs(
        snakemake.input.get("tables", []),
        dict(zip(settings["arrays"], paths, strict=True)),
        settings.get("intervals", "items"),
        snakemake.input.get("described", []),
        snakemake.input.get("choice", []),
        snakemake.input.get("effects", []),
        snakemake.input.get("ranking", []),
    )
    stem = Path(snakemake.output.pdf).with_suffix("")
    draw_figure(settings["kind"], inputs, settings, stem)
