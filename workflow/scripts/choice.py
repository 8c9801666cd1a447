from script_job import job
from snakesteer.core import plugins
from snakesteer.core.records import read
from snakesteer.storage.files import read_table, write_json
from snakesteer.sweeps.choices import Limit, choose, given
from snakesteer.tables.draws import without_draws
from snakesteer.tables.job import ChoiceJob

with job(snakemake, "choices"):
    asked = read(ChoiceJob, snakemake.params.settings)
    if asked.picked is None:
        choice = given(asked.multipliers)
    else:
        picked = asked.picked
        raw = [read_table(path).to_pandas() for path in snakemake.input.grid]
        grid, costs = (
            without_draws(plugins.load("tables", table.measure).table(table, raw, []))
            if table
            else None
            for table in (picked.grid, picked.costs)
        )
        limit = None
        if costs is not None and picked.times is not None:
            limit = Limit(costs, picked.times)
        choice = choose(grid, picked.max_faulty, picked.collapse, picked.by, limit)
    write_json(snakemake.output[0], choice)
