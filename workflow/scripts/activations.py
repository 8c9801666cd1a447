from script_job import job
from snakesteer.core.notes import note
from snakesteer.core.progress import Progress
from snakesteer.core.records import read
from snakesteer.engine import extraction, texts
from snakesteer.engine.batches import tokens_per_batch
from snakesteer.engine.probe import check_site
from snakesteer.jobs.model import job_points, load_job_model, load_job_tokenizer
from snakesteer.jobs.specified import ActivationsJob
from snakesteer.jobs.usage import write_usage
from snakesteer.prompts import formats
from snakesteer.prompts.tokens import Reading
from snakesteer.storage.files import read_json, read_table
from snakesteer.storage.provenance import provenance

with job(snakemake, "activations"):
    asked = read(ActivationsJob, snakemake.params.settings)
    manifest = read_json(snakemake.input.model[0])
    tokenizer = load_job_tokenizer(snakemake, manifest, asked.max_tokens)
    reading = Reading(asked.bos, asked.special_tokens)
    what = texts.What(asked.format or formats.Format(), asked.site, asked.positions)
    formats.check(tokenizer, what.form)
    samples: texts.Samples
    if asked.max_tokens:
        table = read_table(snakemake.input.documents[0]).slice(0, asked.documents)
        samples = texts.read_corpus(tokenizer, table.to_pylist(), asked.max_tokens, reading, what)
    else:
        rows = read_table(snakemake.input.questions[0]).to_pylist()
        rows = [row for row in rows if row["split"] == "train"]
        samples = texts.read_questions(tokenizer, rows, reading, what)
    for sentence in formats.remarks(tokenizer, what.form):
        note(sentence)
    model = load_job_model(snakemake, manifest, asked)
    check_site(model, what.site)
    batch_tokens = tokens_per_batch(model, samples.sequences, asked.batch_tokens)
    progress = Progress()
    extraction.extract(
        snakemake.output[0],
        model,
        samples,
        {**provenance(snakemake, manifest, model.device.type), **what.shown(tokenizer, samples)},
        batch_tokens=batch_tokens,
        points=job_points(snakemake, model, asked, batch_tokens, snakemake.params.code),
        progress=progress,
    )
    write_usage(snakemake.log[0], model.device, progress)
