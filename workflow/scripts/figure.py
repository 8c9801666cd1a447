from pathlib import Path

from snakesteer.figures import draw_figure
from snakesteer.figures.inputs import read_inputs
from snakesteer.jobs.job import job

with job(snakemake):
    settings = snakemake.params.settings
    paths = [*snakemake.input.get("means", []), *snakemake.input.get("vectors", [])]
    names = [*settings.get("activations", []), *settings.get("vectors", [])] if paths else []
    inputs = read_inputs(
        snakemake.input.get("tables", []),
        dict(zip(names, paths, strict=True)),
        settings.get("intervals", "items"),
    )
    stem = Path(snakemake.output.pdf).with_suffix("")
    draw_figure(settings["kind"], inputs, settings, stem)
