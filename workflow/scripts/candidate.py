import pandas as pd

from script_job import job, repository
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.hub.manifest import locate_file, sha256
from snakesteer.storage.files import read_table, write_json
from snakesteer.sweeps.candidates import choose
from snakesteer.tables.candidates import CandidateJob, Scored


def scored(table: Scored) -> pd.DataFrame:
    """The table that scores stand in."""
    paths = [snakemake.input.tables[place] for place in table.places]
    if table.file:
        path = locate_file(table.file, repository(snakemake))
        if sha256(path) != table.identity:
            raise StudyError(f"{path} has changed since the run began; run again.")
        paths = [str(path)]
    read_tables = [read_table(path).to_pandas() for path in paths]
    if table.own:
        made: pd.DataFrame = plugins.load("tables", table.own.measure).table(
            table.own, read_tables, []
        )
        return made
    (published,) = read_tables
    return published


with job(snakemake, "choices"):
    asked = read(CandidateJob, snakemake.params.settings)
    tables = {table.name: scored(table) for table in asked.tables}
    choice = choose(
        tables, asked.best, asked.lowest, asked.limits, asked.layers_below, asked.layers
    )
    write_json(snakemake.output[0], choice)
