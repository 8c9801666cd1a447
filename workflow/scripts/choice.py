from snakesteer.artefacts import read_table, write_json
from snakesteer.behaviour_parts import behaviour_parts
from snakesteer.choices import choose
from snakesteer.job import job
from snakesteer.tables import behaviour_table

with job(snakemake):
    settings = snakemake.params.settings
    jobs = zip(settings["jobs"], snakemake.input.grid, strict=True)
    parts = [
        part
        for described, path in jobs
        for part in behaviour_parts(described, settings, read_table(path).to_pandas())
    ]
    write_json(snakemake.output[0], choose(behaviour_table("grid", parts), settings["max_faulty"]))
