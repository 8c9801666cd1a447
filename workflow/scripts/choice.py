from script_job import job
from snakesteer.core.records import read
from snakesteer.storage.files import read_table, write_json
from snakesteer.sweeps.choices import choose, given
from snakesteer.tables.draws import without_draws
from snakesteer.tables.job import ChoiceJob
from snakesteer.tables.two_choice import table

with job(snakemake, "choices"):
    asked = read(ChoiceJob, snakemake.params.settings)
    if asked.picked is None:
        choice = given(asked.multipliers)
    else:
        picked = asked.picked
        raw = [read_table(path).to_pandas() for path in snakemake.input.grid]
        grid = without_draws(table(picked.grid, raw, []))
        choice = choose(grid, picked.max_faulty, picked.collapse)
    write_json(snakemake.output[0], choice)
