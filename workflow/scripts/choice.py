from snakesteer.artefacts import read_table, write_json
from snakesteer.behaviour_parts import behaviour_parts
from snakesteer.behaviour_tables import behaviour_table
from snakesteer.choices import choose
from snakesteer.job import job

with job(snakemake, "choices"):
    settings = snakemake.params.settings
    jobs = zip(settings["jobs"], snakemake.input.grid, strict=True)
    parts = [
        part
        for described, path in jobs
        for part in behaviour_parts(described, settings, read_table(path).to_pandas())
    ]
    collapse = settings["collapse"]
    grid = behaviour_table("grid", parts, collapse)
    write_json(snakemake.output[0], choose(grid, settings["max_faulty"], collapse))
