from typing import Any

import pyarrow as pa

from script_job import job
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import injection
from snakesteer.jobs.model import load_job_tokenizer
from snakesteer.jobs.sweep import job_vectors, run_sweep
from snakesteer.measures import next_token
from snakesteer.prompts.tokens import Reading
from snakesteer.storage.files import read_json, read_table
from snakesteer.sweeps.injections import skill_parts
from snakesteer.sweeps.resampled import Documents, skill_again
from snakesteer.sweeps.stopping import SkillStopping

with job(snakemake, "sweeps"):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    vectors = job_vectors(snakemake, manifest)
    documents: Documents = {
        corpus: [(row["document"], row["text"]) for row in read_table(path).to_pylist()]
        for corpus, path in zip(settings["corpora"], snakemake.input.documents, strict=True)
    }
    if "base" in snakemake.input.keys():
        settings, documents = skill_again(settings, documents, read_table(snakemake.input.base[0]))
    tokenizer = load_job_tokenizer(snakemake, manifest)
    corpora = {
        corpus: next_token.read_corpus(
            tokenizer,
            corpus,
            documents[corpus],
            read_json(skipped),
            max_tokens=settings["max_tokens"],
            tokens=settings["tokens"] if settings["paired"] else None,
            reading=Reading.of(settings),
        )
        for corpus, skipped in zip(settings["corpora"], snakemake.input.skip_tokens, strict=True)
    }
    precision, stopping = settings["precision"], settings["stopping"]

    def evaluate(model: LanguageModel, **shared: Any) -> list[pa.Table]:
        return next_token.run(
            model,
            [injection(model, skill_parts(settings, own)) for own in vectors],
            settings["coefficients"],
            corpora,
            read_on=None if settings["paired"] else settings["tokens"],
            precision=next_token.Precision(**precision) if precision else None,
            stopping=SkillStopping(**stopping) if stopping else None,
            **shared,
        )

    sequences = [ids for corpus in corpora.values() for ids in corpus.sequences]
    run_sweep(snakemake, manifest, sequences, evaluate)
