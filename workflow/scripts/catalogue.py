from script_job import job
from snakesteer.storage.catalogue import write_catalogue
from snakesteer.storage.files import read_json

with job(snakemake):
    write_catalogue(snakemake.output[0], read_json(snakemake.params.listed)["catalogue"])
