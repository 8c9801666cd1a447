from snakesteer import samples
from snakesteer.artefacts import read_json, write_table
from snakesteer.engine import injection
from snakesteer.job import job
from snakesteer.job_model import load_job_model
from snakesteer.progress import Progress
from snakesteer.provenance import provenance, read_vectors
from snakesteer.tokenisation import Reading
from snakesteer.usage import write_usage

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
    table = samples.run(
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
