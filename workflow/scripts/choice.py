from script_job import job
from snakesteer.storage.files import read_table, write_json
from snakesteer.sweeps.choices import choose, given
from snakesteer.tables.two_choice import table

with job(snakemake, "choices"):
    settings = snakemake.params.settings
    if "multipliers" in settings:
        choice = given(settings["multipliers"])
    else:
        raw = [read_table(path).to_pandas() for path in snakemake.input.grid]
        grid = table({"sweep": "grid", **settings}, raw, [])
        choice = choose(grid, settings["max_faulty"], settings["collapse"])
    write_json(snakemake.output[0], choice)
