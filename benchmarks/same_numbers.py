"""Whether two results folders hold the same numbers: tables and the CSVs of figures, by value.

    benchmarks/same_numbers.py BEFORE AFTER

BEFORE and AFTER are folders of one study each (`results/<study>`). Prints each file that is in one
of them only or holds another value, and ends with 1 if there is any. Columns may be added, none may
be missing; rows and columns are compared in their order, floats to the bit.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

READ = {".parquet": pd.read_parquet, ".csv": pd.read_csv}
NOT_NUMBERS = {"artefacts.csv", "usage.csv"}  # keys, file sizes and run times


def files_of(folder: Path) -> dict[str, Path]:
    """Tables and CSVs below a folder, by their path inside it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in READ and path.name not in NOT_NUMBERS:
            found[str(path.relative_to(folder))] = path
    return found


def difference(before: Path, after: Path) -> str | None:
    """What differs between two files, None if nothing does."""
    first, second = (READ[path.suffix](path) for path in (before, after))
    missing = [name for name in first if name not in second]
    if missing:
        return f"lacks the columns {', '.join(missing)}"
    if len(first) != len(second):
        return f"has {len(second)} rows in place of {len(first)}"
    for name in first:
        same = (first[name] == second[name]) | (first[name].isna() & second[name].isna())
        if not same.all():
            row = int((~same).to_numpy().argmax())
            return (
                f"differs in {int((~same).sum())} of {len(same)} rows of {name}, first in row "
                f"{row}: {first[name].iloc[row]!r} became {second[name].iloc[row]!r}"
            )
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    given = parser.parse_args()
    before, after = files_of(given.before), files_of(given.after)
    lines = [f"{name}: only in {given.before}" for name in before.keys() - after.keys()]
    lines += [f"{name}: only in {given.after}" for name in after.keys() - before.keys()]
    for name in sorted(before.keys() & after.keys()):
        if found := difference(before[name], after[name]):
            lines.append(f"{name}: {found}")
    print("\n".join(sorted(lines)) or f"{len(before)} files hold the same values.")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main())
