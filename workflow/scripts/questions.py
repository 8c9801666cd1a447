from script_job import job, repository
from snakesteer.behaviours.drawing import table
from snakesteer.storage.files import write_table
from snakesteer.storage.provenance import provenance

with job(snakemake, "behaviours"):
    made = table(snakemake.params.settings, repository(snakemake))
    write_table(snakemake.output[0], made, provenance(snakemake))
