from snakesteer import behaviour_sweep
from snakesteer.artefacts import read_json, read_table, write_table
from snakesteer.batches import tokens_per_batch
from snakesteer.injections import in_format, revisiting, steerings
from snakesteer.job import job
from snakesteer.job_model import job_points, load_job_model, load_job_tokenizer
from snakesteer.progress import Progress
from snakesteer.provenance import provenance, read_vectors
from snakesteer.resampled_sweeps import with_each_resample
from snakesteer.stopping import GridStopping
from snakesteer.usage import write_usage

with job(snakemake, "sweeps"):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    resamples, stopping = settings.get("resamples"), settings.get("stopping")
    vectors = in_format(
        settings, read_vectors(settings["layers"], snakemake.input.vectors, manifest, resamples)
    )
    choice = read_json(snakemake.input.choice[0]) if "choice" in snakemake.input.keys() else None
    tokenizer = load_job_tokenizer(snakemake, manifest)
    prompts = {}
    for behaviour, path in zip(settings["behaviours"], snakemake.input.questions, strict=True):
        rows = read_table(path).to_pylist()
        asked = [row for row in rows if row["split"] == settings["split"]]
        prompts[behaviour] = behaviour_sweep.read_prompts(tokenizer, behaviour, asked)
    model = load_job_model(snakemake, manifest)
    sequences = [ids for behaviour in prompts.values() for ids in behaviour.sequences]
    batch_tokens = tokens_per_batch(model, sequences, settings["batch_tokens"])
    points = job_points(snakemake, model, batch_tokens)
    progress = Progress()

    def evaluate(steered, stopping):
        return behaviour_sweep.run(
            model,
            list(steered),
            prompts,
            batch_tokens=batch_tokens,
            stopping=GridStopping(**stopping) if stopping else None,
            path=settings["path"],
            kept_bytes=settings["kept_gb"] * 1e9,
            points=points,
            progress=progress,
        )

    if resamples:  # what the sweep itself evaluated, and no more
        base = read_table(snakemake.input.base[0])
        visited = list(
            zip(base["injection"].to_pylist(), base["coefficient"].to_pylist(), strict=True)
        )

        def revisit(own):
            return evaluate(revisiting(steerings(settings, own, choice), visited), None)

        table = with_each_resample(vectors, resamples, revisit)
    else:
        table = evaluate(steerings(settings, vectors, choice), stopping)
    write_table(
        snakemake.output[0],
        table,
        provenance(snakemake, manifest, model.device.type) | {"points": points.folder.name},
    )
    write_usage(snakemake.log[0], model.device, progress)
