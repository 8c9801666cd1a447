import yaml

from script_job import job
from snakesteer.storage.files import read_json, write_text

with job(snakemake):
    study = read_json(snakemake.params.listed)["study"]
    text = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
    write_text(snakemake.output[0], text)
