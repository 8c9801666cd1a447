from script_job import job
from snakesteer.core.progress import Progress
from snakesteer.engine.steering import injection
from snakesteer.jobs.model import load_job_model
from snakesteer.jobs.usage import write_usage
from snakesteer.measures import continuation
from snakesteer.prompts.tokens import Reading
from snakesteer.storage.files import read_json, write_table
from snakesteer.storage.provenance import provenance, read_vectors

with job(snakemake, "samples"):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    vectors = read_vectors(
        [settings["vector"]],
        snakemake.input.vectors,
        manifest,
        transfer=settings.get("transfer", False),
    )
    model = load_job_model(snakemake, manifest)
    layer = settings["layer"]
    progress = Progress()
    table = continuation.run(
        model,
        {name: injection(model, ((layer, vector[layer]),)) for name, vector in vectors.items()},
        settings["coefficients"],
        settings["prompts"],
        tokens=settings["tokens"],
        reading=Reading.of(settings),
        progress=progress,
    )
    write_table(snakemake.output[0], table, provenance(snakemake, manifest, model.device.type))
    write_usage(snakemake.log[0], model.device, progress)
