"""Commands beside the workflow: `snakesteer name|reference|prune|compare|bill|ship`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.core.interruption import tell_interruptions
from snakesteer.papers.shipping import ship
from snakesteer.plan.bill import TFLOPS, bill, printed
from snakesteer.plan.comparison import compare
from snakesteer.plan.plan import Plan
from snakesteer.storage.prune import delete, unfinished, unreferenced
from snakesteer.study import study_file
from snakesteer.study.reference import json_schema, markdown


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 1 after a user's mistake, told in one sentence."""
    tell_interruptions()
    parser = argparse.ArgumentParser(prog="snakesteer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    name = commands.add_parser("name", help="print the name of a study")
    name.add_argument("study", type=Path)
    reference = commands.add_parser("reference", help="write the reference of the study file")
    reference.add_argument("repository", type=Path)
    prune = commands.add_parser("prune", help="list cached files that no study refers to")
    prune.add_argument("results", type=Path)
    prune.add_argument("--delete", action="store_true", help="delete them")
    compared = commands.add_parser("compare", help="compare two studies that were run")
    compared.add_argument("repository", type=Path)
    compared.add_argument("first", help="a study's file or name")
    compared.add_argument("second", help="another's")
    cost = commands.add_parser("bill", help="say about what a study will cost, running nothing")
    cost.add_argument("repository", type=Path)
    cost.add_argument("study", type=Path)
    cost.add_argument("--tflops", type=float, default=TFLOPS, help="speed of one GPU")
    shipped = commands.add_parser("ship", help="make a run's tables those that are shipped")
    shipped.add_argument("tables", type=Path)
    shipped.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    try:
        if given.command == "name":
            print(study_file.load(given.study).name)
        elif given.command == "reference":
            (given.repository / "docs" / "study.md").write_text(markdown(), encoding="utf-8")
            schema = given.repository / "config" / "study.schema.json"
            schema.write_text(json_schema(), encoding="utf-8")
        elif given.command == "bill":
            plan = Plan(study_file.load(given.study), given.repository)
            print(printed(bill(plan, given.tflops), plan.study.name, given.tflops))
        elif given.command == "compare":
            page = compare(Path("results"), given.repository, given.first, given.second)
            print(f"Done: open {page}.")
        elif given.command == "ship":
            for sentence in ship(given.tables, given.folder):
                print(sentence)
        else:
            _prune(given.results, given.delete)
    except StudyError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _prune(results: Path, deleting: bool) -> None:
    files = unreferenced(results)
    for file in files:
        print(f"{file.stat().st_size / 1e6:9.1f} MB  {file}")
    total = sum(file.stat().st_size for file in files) / 1e6
    if deleting:
        delete(files)
    done = "deleted" if deleting else "to delete (make prune DELETE=yes)"
    print(f"{len(files)} cached files that no study refers to, {total:.1f} MB, {done}.")
    for study in unfinished(results):
        print(
            f"{study} was not run to its end: all finished points of sweeps are kept; run it, or "
            f"delete {results / study / 'planned.json'} if that will not be, or if nothing is left "
            "to be done."
        )


if __name__ == "__main__":
    sys.exit(main())
