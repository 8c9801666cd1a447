from script_job import job, repository
from snakesteer.core.records import read
from snakesteer.hub.model_folder import model_folder
from snakesteer.jobs.specified import SkipTokensJob
from snakesteer.prompts import skip_tokens
from snakesteer.prompts.tokens import Reading, load_tokenizer
from snakesteer.storage.files import read_json, read_table, write_json

with job(snakemake, "corpora"):
    asked = read(SkipTokensJob, snakemake.params.settings)
    manifest = read_json(snakemake.input.model[0])
    if asked.method == "authors":
        skipped = skip_tokens.AUTHORS
    else:
        folder = model_folder(manifest, repository(snakemake), snakemake.input.model[0])
        texts = read_table(snakemake.input.documents[0])["text"].to_pylist()
        skipped = skip_tokens.most_frequent(
            load_tokenizer(folder),
            texts,
            max_tokens=asked.max_tokens,
            count=asked.skip,
            reading=Reading(asked.bos, asked.special_tokens),
        )
    write_json(snakemake.output[0], skipped)
