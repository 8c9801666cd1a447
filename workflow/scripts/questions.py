from script_job import job, repository
from snakesteer.behaviours.drawing import table
from snakesteer.behaviours.question_files import files_of
from snakesteer.jobs.repository_files import located
from snakesteer.storage.files import write_table
from snakesteer.storage.provenance import provenance

with job(snakemake, "behaviours"):
    settings = snakemake.params.settings
    files, known = located(snakemake, files_of(settings))
    made = table({**settings, **files}, repository(snakemake))
    write_table(snakemake.output[0], made, provenance(snakemake) | known)
