from script_job import job, repository
from snakesteer.hub.commits import tree
from snakesteer.storage.files import write_json

with job(snakemake, "repositories"):
    settings = {**snakemake.params.settings, **snakemake.params.origin}
    write_json(snakemake.output[0], tree(settings, repository(snakemake)))
