from script_job import job, repository
from snakesteer.core.records import read
from snakesteer.hub.model_folder import model_folder
from snakesteer.jobs.specified import SkipTokensJob
from snakesteer.prompts import marks, skip_tokens
from snakesteer.prompts.formats import Format
from snakesteer.prompts.tokens import Reading, load_tokenizer
from snakesteer.storage.files import read_json, read_table, write_json

with job(snakemake, "corpora"):
    asked = read(SkipTokensJob, snakemake.params.settings)
    manifest = read_json(snakemake.input.model[0])
    if asked.method == "authors":
        skipped = skip_tokens.AUTHORS
    else:
        folder = model_folder(manifest, repository(snakemake), snakemake.input.model[0])
        documents = read_table(snakemake.input.documents[0])
        tokenizer = load_tokenizer(folder)
        reading = Reading(asked.bos, asked.special_tokens)
        if asked.format or "completion" in documents.schema.names:
            how = marks.How(asked.format or Format(), reading)
            targets = []
            for row in documents.to_pylist():
                name, completion = row["document"], row.get("completion")
                text = marks.text(tokenizer, name, row["text"], completion, asked.max_tokens, how)
                targets.append(text.ids[marks.first_counted(text, asked.counted, name) :])
            skipped = skip_tokens.most_frequent_of(targets, asked.skip)
        else:
            skipped = skip_tokens.most_frequent(
                tokenizer,
                documents["text"].to_pylist(),
                max_tokens=asked.max_tokens,
                count=asked.skip,
                reading=reading,
            )
    write_json(snakemake.output[0], skipped)
