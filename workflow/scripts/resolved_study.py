import yaml

from snakesteer.artefacts import write_text
from snakesteer.job import job

with job(snakemake):
    text = yaml.safe_dump(snakemake.params.study, sort_keys=False, allow_unicode=True)
    write_text(snakemake.output[0], text)
