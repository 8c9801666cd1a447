from script_job import job, repository
from snakesteer.hub.model_folder import model_folder
from snakesteer.prompts import skip_tokens
from snakesteer.prompts.tokens import Reading, load_tokenizer
from snakesteer.storage.files import read_json, read_table, write_json

with job(snakemake, "corpora"):
    settings = snakemake.params.settings
    manifest = read_json(snakemake.input.model[0])
    if settings["method"] == "authors":
        skipped = skip_tokens.AUTHORS
    else:
        folder = model_folder(manifest, repository(snakemake), snakemake.input.model[0])
        tokenizer = load_tokenizer(folder)
        texts = read_table(snakemake.input.documents[0])["text"].to_pylist()
        skipped = skip_tokens.most_frequent(
            tokenizer,
            texts,
            max_tokens=settings["max_tokens"],
            count=settings["skip"],
            reading=Reading.of(settings),
        )
    write_json(snakemake.output[0], skipped)
