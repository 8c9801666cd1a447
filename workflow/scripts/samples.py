from script_job import job
from snakesteer.core.notes import note
from snakesteer.core.progress import Progress
from snakesteer.core.records import read
from snakesteer.engine.probe import check_site
from snakesteer.engine.sites import OUTPUT
from snakesteer.engine.steering import injection
from snakesteer.jobs.model import load_job_model, load_job_tokenizer
from snakesteer.jobs.specified import SamplesJob
from snakesteer.jobs.usage import write_usage
from snakesteer.measures import continuation
from snakesteer.prompts import formats, marks
from snakesteer.prompts.tokens import Reading
from snakesteer.prompts.which_tokens import steered as steered_at
from snakesteer.storage.files import read_json, write_table
from snakesteer.storage.provenance import provenance, read_positions, read_vectors
from snakesteer.sweeps.chosen import taken
from snakesteer.sweeps.injections import parts_alone

with job(snakemake, "samples"):
    asked = read(SamplesJob, snakemake.params.settings)
    manifest = read_json(snakemake.input.model[0])
    placed, coefficients = None, [*asked.coefficients]
    if asked.candidates:
        choices = map(read_json, snakemake.input.candidates)
        (chosen,) = taken(asked.candidates, dict(zip(asked.choices, choices, strict=True)))
        (placed,) = chosen.parts
        coefficients = [value for value in chosen.coefficients or () if value is not None]
    placed = placed or asked.placed
    paths = dict(zip(asked.vectors, snakemake.input.vectors, strict=True))
    given = [placed.vector], [paths[placed.vector]]
    vectors = read_vectors(*given, manifest, transfer=asked.transfer)
    several = read_positions(*given).get(placed.vector, [])
    form, positions = asked.format or formats.Format(), steered_at(placed.positions)
    how = marks.How(form, Reading(asked.bos), (positions,))
    tokenizer = load_job_tokenizer(snakemake, manifest, None)
    formats.check(tokenizer, form)
    first, *_ = [marks.begun(tokenizer, prompt, how) for prompt in asked.prompts]
    for sentence in formats.remarks(tokenizer, form):
        note(sentence)
    model = load_job_model(snakemake, manifest, asked)
    for site in set(placed.sites) - {OUTPUT}:
        check_site(model, site, placed.layers)
    steered = parts_alone(placed, vectors[placed.vector], several)
    progress = Progress()
    table = continuation.run(
        model,
        {placed.vector: injection(model, steered)},
        coefficients,
        asked.prompts,
        tokens=asked.tokens,
        how=how,
        progress=progress,
    )
    told = provenance(snakemake, manifest, model.device.type)
    if asked.format:
        told |= {"first_text": str(tokenizer.decode(first.ids)), "first_ids": first.ids}
    write_table(snakemake.output[0], table, told)
    write_usage(snakemake.log[0], model.device, progress)
