from snakesteer import skill_sweep
from snakesteer.artefacts import read_json, read_table, write_table
from snakesteer.engine import injection
from snakesteer.injections import skill_parts
from snakesteer.job import job
from snakesteer.job_model import load_job_model
from snakesteer.provenance import provenance, read_vectors
from snakesteer.stopping import SkillStopping

with job(snakemake):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    vectors = read_vectors(settings["layers"], snakemake.input.vectors, manifest)
    model = load_job_model(snakemake, manifest)
    corpora = {
        corpus: list(
            zip(*read_table(path).select(["document", "text"]).to_pydict().values(), strict=True)
        )
        for corpus, path in zip(settings["corpora"], snakemake.input.documents, strict=True)
    }
    table = skill_sweep.run(
        model,
        injection(model, skill_parts(settings, vectors)),
        settings["coefficients"],
        corpora,
        {
            corpus: read_json(path)
            for corpus, path in zip(settings["corpora"], snakemake.input.skip_tokens, strict=True)
        },
        max_tokens=settings["max_tokens"],
        batch_tokens=settings["batch_tokens"],
        tokens=settings["tokens"],
        stopping=SkillStopping(**settings["stopping"]) if settings["stopping"] else None,
        path=settings["path"],
    )
    write_table(snakemake.output[0], table, provenance(snakemake, manifest, model.device.type))
