from typing import Any

import pyarrow as pa

from script_job import job
from snakesteer.engine.models import LanguageModel
from snakesteer.jobs.model import load_job_tokenizer
from snakesteer.jobs.sweep import job_vectors, run_sweep
from snakesteer.measures import two_choice
from snakesteer.prompts.tokens import Reading
from snakesteer.storage.files import read_json, read_table
from snakesteer.sweeps.injections import steerings
from snakesteer.sweeps.resampled import steerings_again
from snakesteer.sweeps.stopping import GridStopping

with job(snakemake, "sweeps"):
    settings = snakemake.params.settings
    stopping = settings.get("stopping")
    manifest = read_json(snakemake.input.model[0])
    choice = read_json(snakemake.input.choice[0]) if "choice" in snakemake.input.keys() else None
    steered = [
        steering
        for vectors in job_vectors(snakemake, manifest)
        for steering in steerings(settings, vectors, choice)
    ]
    if "base" in snakemake.input.keys():
        steered = list(steerings_again(steered, read_table(snakemake.input.base[0])))
        stopping = None
    tokenizer = load_job_tokenizer(snakemake, manifest)
    prompts = {}
    for behaviour, path in zip(settings["behaviours"], snakemake.input.questions, strict=True):
        rows = read_table(path).to_pylist()
        asked = [row for row in rows if row["split"] == settings["split"]]
        prompts[behaviour] = two_choice.read_prompts(
            tokenizer, behaviour, asked, Reading.of(settings)
        )

    def evaluate(model: LanguageModel, **shared: Any) -> list[pa.Table]:
        return two_choice.run(
            model,
            steered,
            prompts,
            stopping=GridStopping(**stopping) if stopping else None,
            **shared,
        )

    sequences = [ids for behaviour in prompts.values() for ids in behaviour.sequences]
    run_sweep(snakemake, manifest, sequences, evaluate)
