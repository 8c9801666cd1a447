import shutil

from script_job import job
from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_provenance

with job(snakemake):
    (path,) = snakemake.input.table
    held = read_provenance(path)["settings"]
    if held != snakemake.params.settings:
        other = [key for key in held if held[key] != snakemake.params.settings.get(key)]
        raise StudyError(
            f"the shipped table {snakemake.wildcards.name} was made with another "
            f"{' and '.join(other)}; set published.source to a folder or an address."
        )
    shutil.copyfile(path, snakemake.output[0])
