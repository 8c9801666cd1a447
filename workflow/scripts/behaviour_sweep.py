import pyarrow as pa

from snakesteer import behaviour_sweep
from snakesteer.artefacts import read_json, read_table, write_table
from snakesteer.engine import injection
from snakesteer.injections import steerings
from snakesteer.job import job
from snakesteer.job_model import load_job_model
from snakesteer.provenance import provenance, read_vectors
from snakesteer.stopping import GridStopping

with job(snakemake):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    vectors = read_vectors(settings["layers"], snakemake.input.vectors, manifest)
    choice = read_json(snakemake.input.choice[0]) if "choice" in snakemake.input.keys() else None
    model = load_job_model(snakemake, manifest)
    behaviours = {
        behaviour: [
            row for row in read_table(path).to_pylist() if row["split"] == settings["split"]
        ]
        for behaviour, path in zip(settings["behaviours"], snakemake.input.questions, strict=True)
    }
    prompts = behaviour_sweep.prepare_prompts(
        model,
        behaviours,
        min(layer for layers in settings["layers"].values() for layer in layers),
        batch_tokens=settings["batch_tokens"],
        path=settings["path"],
    )
    stopping = GridStopping(**settings["stopping"]) if settings.get("stopping") else None
    tables = []
    for steering in steerings(settings, vectors, choice):
        steered = injection(model, steering.parts)
        asked = {behaviour: prompts[behaviour] for behaviour in steering.behaviours}
        for coefficients in steering.runs:
            table = behaviour_sweep.run(model, steered, coefficients, asked, stopping=stopping)
            label = pa.array([steering.label] * table.num_rows, pa.string())
            tables.append(table.append_column("injection", label))
    write_table(
        snakemake.output[0],
        pa.concat_tables(tables),
        provenance(snakemake, manifest, model.device.type),
    )
