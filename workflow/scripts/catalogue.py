from snakesteer.artefacts import read_json
from snakesteer.catalogue import write_catalogue
from snakesteer.job import job

with job(snakemake):
    write_catalogue(snakemake.output[0], read_json(snakemake.params.listed)["catalogue"])
