from pathlib import Path

from script_job import job
from snakesteer.figures import draw_figure
from snakesteer.figures.inputs import read_inputs

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
