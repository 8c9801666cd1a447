from snakesteer import behaviours
from snakesteer.artefacts import write_table
from snakesteer.job import job, repository
from snakesteer.provenance import provenance

with job(snakemake, "behaviours"):
    table = behaviours.questions(snakemake.params.settings, repository(snakemake))
    write_table(snakemake.output[0], table, provenance(snakemake))
