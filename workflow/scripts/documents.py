from snakesteer import corpora
from snakesteer.artefacts import write_table
from snakesteer.job import job, repository
from snakesteer.provenance import provenance

with job(snakemake, "corpora"):
    tables = corpora.documents(
        snakemake.wildcards.name,
        snakemake.params.settings,
        snakemake.threads,
        repository(snakemake),
    )
    for split, table in tables.items():
        write_table(snakemake.output[split], table, provenance(snakemake))
