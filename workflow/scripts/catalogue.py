from snakesteer.catalogue import write_catalogue
from snakesteer.job import job
from snakesteer.listed import unpacked

with job(snakemake):
    write_catalogue(snakemake.output[0], unpacked(snakemake.params))
