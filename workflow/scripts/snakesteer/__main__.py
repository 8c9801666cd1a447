"""Commands beside the workflow: `snakesteer COMMAND`, see `snakesteer --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.core.interruption import tell_interruptions
from snakesteer.core.plugins import PACKAGE


def main(arguments: list[str] | None = None) -> int:
    """Run one command, which imports what it needs.

    The exit status is 1 after a user's mistake, told in one sentence.
    """
    tell_interruptions()
    parser = argparse.ArgumentParser(prog="snakesteer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    name = commands.add_parser("name", help="print the name of a study")
    name.add_argument("study", type=Path)
    doctor = commands.add_parser("doctor", help="report what would stop a run here")
    doctor.add_argument("study", type=Path, nargs="?", help="also check the sources of this study")
    doctor.add_argument(
        "--repository", type=Path, default=PACKAGE.parents[2], help="the clone of the workflow"
    )
    reference = commands.add_parser(
        "reference", help="write the pages of study files and of tables"
    )
    reference.add_argument("repository", type=Path)
    prune = commands.add_parser("prune", help="list cached files that no study refers to")
    prune.add_argument("results", type=Path)
    prune.add_argument("--delete", action="store_true", help="delete them")
    compared = commands.add_parser("compare", help="compare two studies that were run")
    compared.add_argument("repository", type=Path)
    compared.add_argument("first", help="a study's file or name")
    compared.add_argument("second", help="another's")
    cost = commands.add_parser("bill", help="estimate the cost of a study without running it")
    cost.add_argument("repository", type=Path)
    cost.add_argument("study", type=Path)
    cost.add_argument("--tflops", type=float, help="speed of one GPU")
    shipped = commands.add_parser("ship", help="ship the tables of a run")
    shipped.add_argument("tables", type=Path)
    shipped.add_argument("folder", type=Path)
    _add_exchange(commands)
    given = parser.parse_args(arguments)
    try:
        _COMMANDS[given.command](given)
    except StudyError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _add_exchange(commands: Any) -> None:
    """The commands for files of other tools, see docs/exchange.md."""
    exported = commands.add_parser("export", help="export a vector as a file for another tool")
    exported.add_argument("file", type=Path, help="a vector's .safetensors file")
    exported.add_argument("--to", required=True, metavar="FORMAT", help="gguf, lm-eval, …")
    exported.add_argument("--out", type=Path, help="the file to write; default: in this folder")
    exported.add_argument("--layers", type=int, nargs="+", help="default: all layers of the vector")
    exported.add_argument("--position", type=int, help="for a vector with several positions")
    exported.add_argument(
        "--draw", type=int, help="for a control with several draws, counted from 0"
    )
    exported.add_argument(
        "--operator",
        choices=["add", "ablate", "clamp"],
        default="add",
        help="recorded in the file",
    )
    exported.add_argument("--coefficient", type=float, default=1.0)
    exported.add_argument(
        "--positions", default="all", help="tokens to change, recorded in the file"
    )
    exported.add_argument("--model", help="the folder of its model, or the model's id on the hub")
    exported.add_argument("--revision", help="for a model of the hub")
    imported = commands.add_parser("import", help="import a vector from a file of another tool")
    imported.add_argument("file", type=Path, help=".gguf, .pt, .safetensors, or a folder of CAA's")
    imported.add_argument(
        "--model", required=True, help="the folder of its model, or the model's id on the hub"
    )
    imported.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    imported.add_argument("--revision", help="for a model of the hub")
    imported.add_argument("--tensor", help="like `tensor` of a vector with `method: file`")
    imported.add_argument("--layer", type=int, help="like its `layer`")
    imported.add_argument("--offset", type=int, default=0, help="like its `offset`")
    for command in (exported, imported):
        command.add_argument(
            "--site", choices=["output", "input", "attention", "mlp"], help="where it is injected"
        )


def _name(given: argparse.Namespace) -> None:
    from snakesteer.study import study_file

    print(study_file.load(given.study).name)


def _doctor(given: argparse.Namespace) -> None:
    from snakesteer.plan.doctor import examine

    problems = 0
    for finding in examine(given.repository, given.study):
        print(finding, flush=True)
        problems += finding.problem
    if problems:
        more = "problems found" if problems > 1 else "problem found"
        raise StudyError(f"{problems} {more}; each line marked `problem` says what to do.")
    print("No problem was found.")


def _reference(given: argparse.Namespace) -> None:
    from snakesteer.reports import tables_page
    from snakesteer.study.reference import json_schema, markdown

    docs = given.repository / "docs"
    (docs / "study.md").write_text(markdown(), encoding="utf-8")
    (docs / "tables.md").write_text(tables_page.markdown(), encoding="utf-8")
    schema = given.repository / "config" / "study.schema.json"
    schema.write_text(json_schema(), encoding="utf-8")


def _bill(given: argparse.Namespace) -> None:
    from snakesteer.plan.bill import TFLOPS, bill, printed
    from snakesteer.plan.plan import Plan
    from snakesteer.study import study_file

    plan = Plan(study_file.load(given.study), given.repository)
    tflops = TFLOPS if given.tflops is None else given.tflops
    print(printed(bill(plan, tflops), plan.study.name, tflops))


def _compare(given: argparse.Namespace) -> None:
    from snakesteer.plan.comparison import compare

    page = compare(Path("results"), given.repository, given.first, given.second)
    print(f"Done: open {page}.")


def _ship(given: argparse.Namespace) -> None:
    from snakesteer.papers.shipping import ship

    for sentence in ship(given.tables, given.folder):
        print(sentence)


def _export(given: argparse.Namespace) -> None:
    from snakesteer.exports.commands import export_file

    for sentence in export_file(given):
        print(sentence)


def _import(given: argparse.Namespace) -> None:
    from snakesteer.exports.commands import import_file

    for sentence in import_file(given):
        print(sentence)


def _prune(given: argparse.Namespace) -> None:
    from snakesteer.storage.prune import delete, unfinished, unreferenced

    results = given.results
    files = unreferenced(results)
    for file in files:
        print(f"{file.stat().st_size / 1e6:9.1f} MB  {file}")
    total = sum(file.stat().st_size for file in files) / 1e6
    if given.delete:
        delete(files)
    done = "deleted" if given.delete else "to delete (make prune DELETE=yes)"
    print(f"{len(files)} cached files that no study refers to, {total:.1f} MB, {done}.")
    for study in unfinished(results):
        print(
            f"{study} did not finish, so all finished points of sweeps are kept; finish the run, "
            f"or delete {results / study / 'planned.json'} if you abandon it or nothing is left "
            "to run."
        )


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "name": _name,
    "doctor": _doctor,
    "reference": _reference,
    "prune": _prune,
    "compare": _compare,
    "bill": _bill,
    "ship": _ship,
    "export": _export,
    "import": _import,
}


if __name__ == "__main__":
    sys.exit(main())
