import yaml

from snakesteer.artefacts import read_json, write_text
from snakesteer.job import job

with job(snakemake):
    study = read_json(snakemake.params.listed)["study"]
    text = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
    write_text(snakemake.output[0], text)
