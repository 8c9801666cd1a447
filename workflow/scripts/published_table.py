import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa

from snakesteer.artefacts import read_json, write_table
from snakesteer.errors import StudyError
from snakesteer.job import job
from snakesteer.provenance import provenance
from snakesteer.published.behaviours import behaviour_counts, behaviour_table
from snakesteer.published.skill import skill_curve
from snakesteer.published.source import read_results
from snakesteer.skill_tables import SKILL_COLUMNS, skill_table

with job(snakemake):
    settings = snakemake.params.settings
    files = read_json(snakemake.input.source[0])
    skill = settings["kind"] == "skill"
    parts = dict.fromkeys(settings["files"]) if skill else settings["files"]
    tables, missing = [], {}
    for part, path in parts.items():
        path = path or part
        try:
            results = read_results(files, Path(snakemake.params.folder), path)
            if skill:
                curve = skill_curve(path, results, settings["vector"], settings["corpora"])
                table = skill_table(
                    settings["sweep"], settings["target"], [curve], **settings["statistics"]
                )
            else:
                table = behaviour_counts(
                    settings["kind"], part, path, results, settings["behaviours"]
                )
        except StudyError as error:
            missing[path] = str(error)
            print(f"Left out of {settings['sweep']}: {error}.", file=sys.stderr)
        else:
            tables.append(table)
    if skill:
        empty = pd.DataFrame(columns=SKILL_COLUMNS)
        table = pd.concat(tables, ignore_index=True) if tables else empty
    else:
        table = behaviour_table(settings["sweep"], tables, settings["collapse"])
    blobs = {path: files[path]["blob"] for path in files if "blob" in files[path]}
    used = [path or part for part, path in parts.items()]
    write_table(
        snakemake.output[0],
        pa.Table.from_pandas(table, preserve_index=False),
        provenance(snakemake)
        | {"missing": missing, "blobs": {path: blobs[path] for path in used if path in blobs}},
    )
