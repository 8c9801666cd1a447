import sys
from pathlib import Path

import pyarrow as pa

from script_job import job
from snakesteer.figures.overlay import draw_overlay
from snakesteer.reports.scorecard import absent_page, page
from snakesteer.storage.files import read_json, read_provenance, read_table, write_table, write_text
from snakesteer.storage.provenance import provenance
from snakesteer.tables.compared_candidates import same_candidate
from snakesteer.tables.items import read_items
from snakesteer.tables.scorecard import scorecard

with job(snakemake, "scorecards"):
    settings = snakemake.params.settings
    paths = list(zip(snakemake.input.sweeps, snakemake.input.against, strict=True))
    missing = dict.fromkeys(
        sentence
        for pair in paths
        for path in pair
        for sentence in read_provenance(path).get("missing", {}).values()
    )
    for sentence in missing:
        print(f"Skipped: {sentence}.", file=sys.stderr)
    pairs = [[read_table(path).to_pandas() for path in pair] for pair in paths]
    present = [place for place, pair in enumerate(pairs) if all(len(table) for table in pair)]
    compared = None
    if present or not missing:
        ours, theirs = zip(*(pairs[place] for place in present), strict=True)
        how = {
            name: settings[name] for name in ("column", "along", "by_category") if name in settings
        }
        first, second = zip(*(map(Path, paths[place]) for place in present), strict=True)
        items = list(zip(map(read_items, first), map(read_items, second), strict=True))
        compared = scorecard(ours, theirs, items=items, **how)
    described = provenance(snakemake) | {"missing": list(missing)}
    chosen = [read_json(path)["chosen"] for path in snakemake.input.get("choices", [])]
    if chosen:
        described["chosen"] = same_candidate(*chosen)
    for name in ("pairs", "curves"):
        table = (
            pa.Table.from_pandas(getattr(compared, name), preserve_index=False)
            if compared
            else pa.table({})
        )
        write_table(snakemake.output[name], table, described)
    shown = {
        "title": settings["title"],
        "names": [", ".join(settings[k]) for k in ("sweeps", "against")],
    }
    draw_overlay(compared, list(missing), shown, Path(snakemake.output.pdf).with_suffix(""))
    notes = [described["chosen"]] if chosen else []
    notes += [f"Skipped: {sentence}." for sentence in missing]
    notes += [
        f"{read_table(path)['sweep'][0]}: {sentence}"
        for path in dict.fromkeys(path for pair in paths for path in pair)
        if (sentence := read_provenance(path).get("unqualified"))
    ]
    picture = Path(snakemake.output.png).read_bytes()
    text = (
        page(compared, settings["title"], notes=notes, picture=picture)
        if compared
        else absent_page(list(missing), settings["title"])
    )
    write_text(snakemake.output.page, text)
