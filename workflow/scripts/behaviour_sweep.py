from snakesteer import behaviour_sweep
from snakesteer.artefacts import read_json, read_table
from snakesteer.injections import steerings
from snakesteer.job import job
from snakesteer.job_model import load_job_tokenizer
from snakesteer.resampled_sweeps import steerings_again
from snakesteer.stopping import GridStopping
from snakesteer.sweep_job import job_vectors, run_sweep
from snakesteer.tokenisation import Reading

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
        prompts[behaviour] = behaviour_sweep.read_prompts(
            tokenizer, behaviour, asked, Reading.of(settings)
        )

    def evaluate(model, **shared):
        return behaviour_sweep.run(
            model,
            steered,
            prompts,
            stopping=GridStopping(**stopping) if stopping else None,
            **shared,
        )

    sequences = [ids for behaviour in prompts.values() for ids in behaviour.sequences]
    run_sweep(snakemake, manifest, sequences, evaluate)
