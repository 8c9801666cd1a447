from pathlib import Path

from script_job import job, repository
from snakesteer.core import plugins
from snakesteer.corpora.drawing import splits
from snakesteer.jobs.repository_files import located
from snakesteer.storage.files import write_table
from snakesteer.storage.points import Points
from snakesteer.storage.provenance import provenance

with job(snakemake, "corpora"):
    settings = snakemake.params.settings
    source = plugins.load("corpora", settings["source"])
    paths = source.paths(settings) if hasattr(source, "paths") else []
    files, known = located(snakemake, paths)
    name = snakemake.wildcards.name
    identity = {"kind": "documents", "corpus": name, "code": snakemake.params.code}
    points = Points.of(identity, Path(snakemake.output.train).parent.parent / "points")
    tables = splits({**settings, **files}, points, snakemake.threads, repository(snakemake))
    for split, table in tables.items():
        write_table(snakemake.output[split], table, provenance(snakemake) | known)
    points.remove()
