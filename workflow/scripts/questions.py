from snakesteer import behaviours
from snakesteer.artefacts import write_table
from snakesteer.job import job
from snakesteer.provenance import provenance

with job(snakemake, "behaviours"):
    table = behaviours.questions(snakemake.params.settings, snakemake.params.repository)
    write_table(snakemake.output[0], table, provenance(snakemake))
