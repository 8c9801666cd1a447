from script_job import job
from snakesteer.core.progress import Progress
from snakesteer.core.records import read
from snakesteer.engine.steering import injection
from snakesteer.jobs.model import load_job_model
from snakesteer.jobs.specified import SamplesJob
from snakesteer.jobs.usage import write_usage
from snakesteer.measures import continuation
from snakesteer.prompts.tokens import Reading
from snakesteer.storage.files import read_json, write_table
from snakesteer.storage.provenance import provenance, read_vectors
from snakesteer.sweeps.injections import part

with job(snakemake, "samples"):
    asked = read(SamplesJob, snakemake.params.settings)
    manifest = read_json(snakemake.input.model[0])
    vectors = read_vectors(
        [asked.vector], snakemake.input.vectors, manifest, transfer=asked.transfer
    )
    model = load_job_model(snakemake, manifest, asked)
    steered = part(asked.layer, vectors[asked.vector][asked.layer], asked.operator)
    progress = Progress()
    table = continuation.run(
        model,
        {asked.vector: injection(model, [steered])},
        asked.coefficients,
        asked.prompts,
        tokens=asked.tokens,
        reading=Reading(asked.bos),
        progress=progress,
    )
    write_table(snakemake.output[0], table, provenance(snakemake, manifest, model.device.type))
    write_usage(snakemake.log[0], model.device, progress)
