from script_job import job
from snakesteer.core.errors import naming
from snakesteer.core.notes import note
from snakesteer.core.progress import Progress
from snakesteer.core.records import read
from snakesteer.corpora.drawing import SPLITS
from snakesteer.engine.batches import tokens_per_batch
from snakesteer.jobs.model import job_points, load_job_model, load_job_tokenizer
from snakesteer.jobs.selection import SelectionJob
from snakesteer.jobs.usage import write_usage
from snakesteer.measures import first_token, selection
from snakesteer.measures.read import Read
from snakesteer.prompts import formats
from snakesteer.prompts.marks import How
from snakesteer.prompts.tokens import Reading
from snakesteer.storage.files import read_json, read_table, write_table
from snakesteer.storage.provenance import provenance

with job(snakemake, "corpora"):
    asked = read(SelectionJob, snakemake.params.settings)
    manifest = read_json(snakemake.input.model[0])
    tokenizer = load_job_tokenizer(snakemake, manifest, asked.max_tokens)
    form = asked.format or formats.Format()
    formats.check(tokenizer, form)
    how = How(form, Reading(asked.bos, asked.special_tokens))
    reads = Read((asked.of,), max_tokens=asked.max_tokens, how=how)
    measure = read(first_token.Settings, asked.asked)
    files = dict(zip(SPLITS, snakemake.input.documents, strict=True))
    prompts = {
        split: first_token.samples(tokenizer, {"documents": [path]}, reads, measure)[asked.of]
        for split, path in files.items()
    }
    for sentence in formats.remarks(tokenizer, form):
        note(sentence)
    model = load_job_model(snakemake, manifest, asked)
    sequences = [ids for texts in prompts.values() for ids in texts.sequences]
    batch_tokens = tokens_per_batch(model, sequences, asked.batch_tokens)
    points = job_points(snakemake, model, asked, batch_tokens, snakemake.params.code)
    progress = Progress()
    tables, counts = {}, {}
    for split, path in files.items():
        scores = selection.log_odds(model, asked.of, prompts[split], batch_tokens, points, progress)
        with naming(f"{split} of corpora.{asked.of}"):
            tables[split] = selection.kept(read_table(path), scores, asked.bound)
        counts[split] = {"of": len(scores), "kept": tables[split].num_rows}
    progress.finish()
    said = " and ".join(
        f"{each['kept']} of {each['of']} in {split}" for split, each in counts.items()
    )
    note(f"Documents kept, with log-odds {asked.bound}: {said}.")
    made = provenance(snakemake, manifest, model.device.type)
    made |= {"counts": counts, "first_text": str(tokenizer.decode(sequences[0]))}
    made |= {"points": points.name}
    for split, table in tables.items():
        write_table(snakemake.output[split], table, made)
    write_usage(snakemake.log[0], model.device, progress)
