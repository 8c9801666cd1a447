from snakesteer import skill_sweep
from snakesteer.artefacts import read_json, read_table, write_table
from snakesteer.batches import tokens_per_batch
from snakesteer.engine import injection
from snakesteer.injections import in_format, skill_parts
from snakesteer.job import job
from snakesteer.job_model import job_points, load_job_model, load_job_tokenizer
from snakesteer.progress import Progress
from snakesteer.provenance import provenance, read_vectors
from snakesteer.resampled_sweeps import with_each_resample
from snakesteer.stopping import SkillStopping
from snakesteer.usage import write_usage

with job(snakemake, "sweeps"):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    resamples = settings.get("resamples")
    vectors = in_format(
        settings, read_vectors(settings["layers"], snakemake.input.vectors, manifest, resamples)
    )
    coefficients, tokens = settings["coefficients"], settings["tokens"]
    precision, stopping = settings["precision"], settings["stopping"]
    if resamples:  # what the sweep itself evaluated, and no more
        base = read_table(snakemake.input.base[0])
        evaluated = set(zip(base["corpus"].to_pylist(), base["document"].to_pylist(), strict=True))
        coefficients, tokens = base["coefficient"].unique().to_pylist(), None
        precision = stopping = None
    tokenizer = load_job_tokenizer(snakemake, manifest)
    files = zip(snakemake.input.documents, snakemake.input.skip_tokens, strict=True)
    corpora = {}
    for corpus, (documents, skipped) in zip(settings["corpora"], files, strict=True):
        rows = read_table(documents).to_pylist()
        if resamples:
            rows = [row for row in rows if (corpus, row["document"]) in evaluated]
        corpora[corpus] = skill_sweep.read_corpus(
            tokenizer,
            corpus,
            [(row["document"], row["text"]) for row in rows],
            read_json(skipped),
            max_tokens=settings["max_tokens"],
            tokens=tokens,
        )
    model = load_job_model(snakemake, manifest)
    sequences = [ids for corpus in corpora.values() for ids in corpus.sequences]
    batch_tokens = tokens_per_batch(model, sequences, settings["batch_tokens"])
    points = job_points(snakemake, model, batch_tokens)
    progress = Progress()

    def evaluate(vectors):
        return skill_sweep.run(
            model,
            injection(model, skill_parts(settings, vectors)),
            coefficients,
            corpora,
            batch_tokens=batch_tokens,
            precision=skill_sweep.Precision(**precision) if precision else None,
            stopping=SkillStopping(**stopping) if stopping else None,
            path=settings["path"],
            kept_bytes=settings["kept_gb"] * 1e9,
            points=points,
            progress=progress,
        )

    table = with_each_resample(vectors, resamples, evaluate) if resamples else evaluate(vectors)
    write_table(
        snakemake.output[0],
        table,
        provenance(snakemake, manifest, model.device.type) | {"points": points.folder.name},
    )
    write_usage(snakemake.log[0], model.device, progress)
