"""Two finished studies side by side: differing settings and metrics, figures overlaid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from snakesteer.core.errors import StudyError
from snakesteer.figures.overlay import draw_overlay
from snakesteer.plan.plan import Plan
from snakesteer.reports.differences import Difference, differences
from snakesteer.reports.scorecard import page
from snakesteer.storage.catalogue import read_catalogue
from snakesteer.storage.files import read_provenance, read_table, write_table, write_text
from snakesteer.study import study_file
from snakesteer.tables.items import read_items
from snakesteer.tables.scorecard import CURVE_COLUMNS, PAIR_COLUMNS, Scorecard, scorecard


def compare(results: Path, repository: Path, first: str, second: str) -> Path:
    """Compare the sweeps that two studies both have, by name, and return the page written.

    A study is given by its file or, once it was run, by its name. Under
    `results/comparisons/FIRST-against-SECOND/` lie the page, the differing settings, the curves and
    the pairs of points as Parquet, and the overlaid curves as a figure. A sweep whose tables cannot
    be compared (other kinds, corpora, coefficients) is named on the page with the reason.
    Raises StudyError for a study that was not run, or not with the settings its file has now, or
    not to its end.
    """
    names = [_name(results, repository, given) for given in (first, second)]
    studies = [_ran(results, name) for name in names]
    settings = [
        one
        for one in differences(*studies)
        if one.entry != "name" and not one.entry.startswith(("effects.", "figures.", "scorecards."))
    ]
    cards, refused, notes = [], [], []
    ours, theirs = map(_tabled, studies)
    shared = [sweep for sweep in ours if sweep in theirs]
    for sweep in shared:
        tables = [_table(results, name, sweep) for name in names]
        for name in names:
            origin = read_provenance(_path(results, name, sweep))
            if sentence := origin.get("unqualified"):
                notes.append(f"{name}, {sweep}: {sentence}")
        try:
            one, other = (read_items(_path(results, name, sweep)) for name in names)
            cards.append(scorecard([tables[0]], [tables[1]], items=[(one, other)]))
        except StudyError as error:
            refused.append(f"{sweep}: {error}")
    if not shared:
        refused.append(f"{names[0]} and {names[1]} have no sweeps with the same name.")
    compared = Scorecard(
        _joined([card.pairs for card in cards], PAIR_COLUMNS),
        _joined([card.curves for card in cards], CURVE_COLUMNS),
    )
    folder = results / "comparisons" / f"{names[0]}-against-{names[1]}"
    _write(folder, names, compared, settings, refused, notes)
    return folder / "index.html"


def _name(results: Path, repository: Path, given: str) -> str:
    """The study's name; of a file, after a check that the results are of its settings."""
    if not Path(given).is_file():
        return given
    study = Plan(study_file.load(Path(given)), repository).study
    ran = _ran(results, study.name)
    changed = differences(ran, study.model_dump(mode="json"))
    if changed:
        raise StudyError(
            f"{given} has changed since its last run ({changed[0]}); run `snakemake --cores all "
            f"--configfile {given}` first."
        )
    return study.name


def _ran(results: Path, name: str) -> dict[str, Any]:
    path = results / name / "study.yaml"
    if not path.is_file():
        raise StudyError(
            f"{name} is neither a study file nor the name of a study that was run ({path} does "
            "not exist); run it first, or name another."
        )
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _tabled(study: Mapping[str, Any]) -> list[str]:
    """The tables of a study's sweeps, each under one of its measures."""
    found = []
    for name, sweep in study.get("sweeps", {}).items():
        of = list(sweep.get("measures", {}))
        found += [name] if len(of) < 2 else [f"{name}.{measure}" for measure in of]
    return found


def _path(results: Path, name: str, sweep: str) -> Path:
    """Where the table of a study's sweep lies."""
    return results / name / "tables" / f"{sweep}.parquet"


def _table(results: Path, name: str, sweep: str) -> pd.DataFrame:
    """The table of a sweep, refused unless it is of the run that `study.yaml` is about."""
    path = _path(results, name, sweep)
    catalogue = results / name / "artefacts.csv"
    for needed in (path, catalogue):
        if not needed.is_file():
            raise StudyError(f"{needed} does not exist; finish the run of the study {name} first.")
    used = [key for keys in read_provenance(path).get("inputs", {}).values() for key in keys]
    if not {row.get("key") for row in read_catalogue(catalogue)}.issuperset(used):
        raise StudyError(
            f"{path} does not belong to the run that {catalogue} lists; finish the run of the "
            f"study {name} first."
        )
    return read_table(path).to_pandas()


def _joined(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _write(
    folder: Path,
    names: list[str],
    compared: Scorecard,
    settings: list[Difference],
    refused: list[str],
    notes: list[str],
) -> None:
    described = {"kind": "comparison", "studies": names}
    listed = pd.DataFrame([vars(one) for one in settings], columns=["entry", "before", "after"])
    for name, frame in (
        ("pairs", compared.pairs),
        ("curves", compared.curves),
        ("settings", listed),
    ):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        write_table(folder / f"{name}.parquet", table, described)
    picture = b""
    if len(compared.pairs):
        draw_overlay(compared, [], {"names": names}, folder / "overlay")
        picture = (folder / "overlay.png").read_bytes()
    title = f"{names[0]} against {names[1]}"
    write_text(folder / "index.html", page(compared, title, settings, refused, notes, picture))
