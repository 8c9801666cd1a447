import shutil

from script_job import job
from snakesteer.core.errors import StudyError
from snakesteer.storage.files import read_provenance

with job(snakemake):
    (path,) = snakemake.input.table
    held = read_provenance(path)["settings"]
    asked = snakemake.params.settings
    other = [key for key in {**held, **asked} if held.get(key) != asked.get(key)]
    if other:
        raise StudyError(
            f"the shipped table {snakemake.wildcards.name} was made with a different "
            f"{' and '.join(sorted(other))}; set published.source to a folder or an address."
        )
    shutil.copyfile(path, snakemake.output[0])
