from snakesteer import skill_sweep
from snakesteer.artefacts import read_json, read_table, write_table
from snakesteer.batches import tokens_per_batch
from snakesteer.engine import injection
from snakesteer.injections import skill_parts
from snakesteer.job import job
from snakesteer.job_model import job_points, load_job_model, load_job_tokenizer
from snakesteer.progress import Progress
from snakesteer.provenance import provenance, read_vectors
from snakesteer.stopping import SkillStopping
from snakesteer.usage import write_usage

with job(snakemake, "sweeps"):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    vectors = read_vectors(settings["layers"], snakemake.input.vectors, manifest)
    tokenizer = load_job_tokenizer(snakemake, manifest)
    files = zip(snakemake.input.documents, snakemake.input.skip_tokens, strict=True)
    corpora = {}
    for corpus, (documents, skipped) in zip(settings["corpora"], files, strict=True):
        rows = read_table(documents).to_pylist()
        corpora[corpus] = skill_sweep.read_corpus(
            tokenizer,
            corpus,
            [(row["document"], row["text"]) for row in rows],
            read_json(skipped),
            max_tokens=settings["max_tokens"],
            tokens=settings["tokens"],
        )
    model = load_job_model(snakemake, manifest)
    sequences = [ids for corpus in corpora.values() for ids in corpus.sequences]
    points = job_points(snakemake, model)
    precision, stopping = settings["precision"], settings["stopping"]
    progress = Progress()
    table = skill_sweep.run(
        model,
        injection(model, skill_parts(settings, vectors)),
        settings["coefficients"],
        corpora,
        batch_tokens=tokens_per_batch(model, sequences, settings["batch_tokens"]),
        precision=skill_sweep.Precision(**precision) if precision else None,
        stopping=SkillStopping(**stopping) if stopping else None,
        path=settings["path"],
        kept_bytes=settings["kept_gb"] * 1e9,
        points=points,
        progress=progress,
    )
    write_table(
        snakemake.output[0],
        table,
        provenance(snakemake, manifest, model.device.type) | {"points": points.folder.name},
    )
    write_usage(snakemake.log[0], model.device, progress)
