from functools import partial
from pathlib import Path

from snakesteer import corpora
from snakesteer.artefacts import write_table
from snakesteer.job import job, repository
from snakesteer.points import Points
from snakesteer.provenance import provenance

with job(snakemake, "corpora"):
    settings = snakemake.params.settings
    cache = Path(snakemake.output.train).parent.parent
    identity = {"kind": "documents", "code": snakemake.params.code, "settings": settings}
    points = Points.of(identity, cache / "points")  # a split that is drawn outlasts a broken one
    tables = {
        split: points.table(
            {"split": split},
            partial(corpora.documents, settings, split, snakemake.threads, repository(snakemake)),
        )
        for split in corpora.SPLITS
    }
    for split, table in tables.items():
        write_table(snakemake.output[split], table, provenance(snakemake))
    points.remove()
