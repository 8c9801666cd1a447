import json

import yaml

from snakesteer.artefacts import write_text
from snakesteer.job import job

with job(snakemake):
    study = {}
    for param in snakemake.params:
        if param.startswith("["):
            (*sections, name), entry = json.loads(param)
            place = study
            for section in sections:
                place = place.setdefault(section, {})
            place[name] = entry
    text = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
    write_text(snakemake.output[0], text)
