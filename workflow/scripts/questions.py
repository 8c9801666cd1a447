from script_job import job, repository
from snakesteer import behaviours
from snakesteer.storage.files import write_table
from snakesteer.storage.provenance import provenance

with job(snakemake, "behaviours"):
    table = behaviours.questions(snakemake.params.settings, repository(snakemake))
    write_table(snakemake.output[0], table, provenance(snakemake))
