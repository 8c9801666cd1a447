import pandas as pd
import pyarrow as pa

from script_job import job, repository
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.hub.manifest import locate_file, sha256
from snakesteer.storage.files import (
    read_json,
    read_provenance,
    read_table,
    read_tensors,
    write_json,
    write_table,
)
from snakesteer.storage.provenance import provenance
from snakesteer.sweeps.candidates import chosen, gathered
from snakesteer.sweeps.matched import at_equal_kl
from snakesteer.tables.candidates import CandidateJob, Scored
from snakesteer.tables.job import TableJob
from snakesteer.tables.resampled_candidates import resampled, told
from snakesteer.vectors.norms import norms_by_place


def raw_tables(table: Scored) -> list[pd.DataFrame]:
    """What the table is made of; if it is published, itself alone."""
    paths = [snakemake.input.tables[place] for place in table.places]
    if table.file:
        path = locate_file(table.file, repository(snakemake))
        if sha256(path) != table.identity:
            raise StudyError(f"{path} has changed since the run started; run again.")
        paths = [str(path)]
    return [read_table(path).to_pandas() for path in paths]


with job(snakemake, "choices"):
    asked = read(CandidateJob, snakemake.params.settings)
    before = map(read_json, snakemake.input.get("choices", []))
    choices = dict(zip(asked.choices, before, strict=True))
    tables, own = {}, {}
    for table in asked.tables:
        raw = raw_tables(table)
        if table.own is None:
            (tables[table.name],) = raw
        else:
            plugin = plugins.load("tables", table.own["measure"])
            of = read(getattr(plugin, "Job", TableJob), table.own).of_chosen(choices)
            tables[table.name] = plugin.table(of, raw, [])
            own[table.name] = (of, raw)
    norms, values = {}, None
    for name, path in zip(asked.vectors, snakemake.input.get("vectors", []), strict=True):
        positions = read_provenance(path).get("positions")
        norms[name] = norms_by_place(read_tensors(path)["vector"], positions)
    if asked.dose and asked.at_kl:
        listed, choice = at_equal_kl(tables, asked.best, asked.lowest, asked.dose, asked.at_kl)
    else:
        candidates = gathered(tables, asked.rule, norms or None)
        choice = chosen(asked.rule, candidates)
        if asked.resampled:
            values = resampled(asked.rule, candidates, own, asked.resampled)
        listed, said = told(asked.rule, candidates, choice, values, asked.resampled)
        choice |= said
    write_json(snakemake.output[0], choice)
    write_table(
        snakemake.output[1],
        pa.Table.from_pandas(listed, preserve_index=False),
        provenance(snakemake) | {"rule": choice["rule"]},
    )
