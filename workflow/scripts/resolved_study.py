import yaml

from snakesteer.artefacts import write_text
from snakesteer.job import job
from snakesteer.listed import unpacked

with job(snakemake):
    study = {}
    for (*sections, name), entry in unpacked(snakemake.params):
        place = study
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = entry
    text = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
    write_text(snakemake.output[0], text)
