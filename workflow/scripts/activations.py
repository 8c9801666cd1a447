from snakesteer import activations
from snakesteer.artefacts import read_json, read_table, write_tensors
from snakesteer.job import job
from snakesteer.job_model import load_job_model
from snakesteer.provenance import provenance

with job(snakemake):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    model = load_job_model(snakemake, manifest)
    if "documents" in snakemake.input.keys():
        rows = read_table(snakemake.input.documents[0]).slice(0, settings["documents"]).to_pylist()
        tensors = {
            "activations": activations.of_documents(
                model,
                [(row["document"], row["text"]) for row in rows],
                max_tokens=settings["max_tokens"],
                batch_tokens=settings["batch_tokens"],
            )
        }
    else:
        rows = read_table(snakemake.input.questions[0]).to_pylist()
        tensors = activations.of_questions(
            model,
            [row for row in rows if row["split"] == "train"],
            batch_tokens=settings["batch_tokens"],
        )
    write_tensors(snakemake.output[0], tensors, provenance(snakemake, manifest, model.device.type))
