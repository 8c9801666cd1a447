from pathlib import Path

from script_job import job, repository
from snakesteer.hub.commits import file
from snakesteer.storage.files import read_json, write_bytes, write_json

with job(snakemake, "repositories"):
    settings = {**snakemake.params.settings, **snakemake.params.origin}
    trees = snakemake.input.get("tree", [])
    ids = read_json(trees[0]) if trees else {}
    content, known = file(settings, ids, repository(snakemake))
    write_bytes(Path(snakemake.output.file), content)
    write_json(snakemake.output.known, known)
