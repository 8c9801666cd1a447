from script_job import job
from snakesteer.storage.files import read_table, write_json
from snakesteer.sweeps.choices import choose, given
from snakesteer.tables.two_choice import behaviour_table
from snakesteer.tables.two_choice_parts import behaviour_parts

with job(snakemake, "choices"):
    settings = snakemake.params.settings
    if "multipliers" in settings:
        choice = given(settings["multipliers"])
    else:
        parts = [
            part
            for described, path in zip(settings["jobs"], snakemake.input.grid, strict=True)
            for part in behaviour_parts(described, settings, read_table(path).to_pandas())
        ]
        collapse = settings["collapse"]
        grid = behaviour_table("grid", parts, collapse)
        choice = choose(grid, settings["max_faulty"], collapse)
    write_json(snakemake.output[0], choice)
