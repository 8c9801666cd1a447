from script_job import job
from snakesteer.core.progress import Progress
from snakesteer.engine import extraction
from snakesteer.engine.batches import tokens_per_batch
from snakesteer.jobs.model import job_points, load_job_model, load_job_tokenizer
from snakesteer.jobs.usage import write_usage
from snakesteer.prompts.tokens import Reading
from snakesteer.storage.files import read_json, read_table
from snakesteer.storage.provenance import provenance

with job(snakemake, "activations"):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    tokenizer = load_job_tokenizer(snakemake, manifest, settings.get("max_tokens"))
    reading = Reading.of(settings)
    samples: extraction.Documents | extraction.Questions
    if "documents" in snakemake.input.keys():
        rows = read_table(snakemake.input.documents[0]).slice(0, settings["documents"]).to_pylist()
        documents = [(row["document"], row["text"]) for row in rows]
        samples = extraction.read_documents(tokenizer, documents, settings["max_tokens"], reading)
    else:
        rows = read_table(snakemake.input.questions[0]).to_pylist()
        samples = extraction.read_questions(
            tokenizer, [row for row in rows if row["split"] == "train"], reading
        )
    model = load_job_model(snakemake, manifest)
    batch_tokens = tokens_per_batch(model, samples.sequences, settings["batch_tokens"])
    progress = Progress()
    extraction.extract(
        snakemake.output[0],
        model,
        samples,
        provenance(snakemake, manifest, model.device.type),
        batch_tokens=batch_tokens,
        points=job_points(snakemake, model, batch_tokens, snakemake.params.code),
        progress=progress,
    )
    write_usage(snakemake.log[0], model.device, progress)
