"""Writes the two Conda environments beside this file from the pins of requirements.txt.

`make environments` runs it in the environment of these pins. models.yaml has all of them;
tables.yaml, for what runs no model, those of the first block of requirements.txt that are not among
`MODELS`, and what these need.
"""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
MODELS = {"accelerate", "gguf", "tokenizers", "torch", "transformers"}
# A new environment has another version, and keys of documents hold the version.
BROUGHT = ["setuptools"]
PYTHON = "3.11"
HEADS = {
    "tables.yaml": "Planning, choices, tables and figures: nothing that runs a model.",
    "models.yaml": "Models and what is read for them, and all else: every pin.",
}


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """Each pin of requirements.txt, by the normalised name."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {normalised(line.split("==")[0]): line for line in lines if "==" in line}


def direct() -> list[str]:
    """The normalised names in the first block of requirements.txt."""
    first = (HERE / "requirements.txt").read_text(encoding="utf-8").split("\n\n")[0]
    return [normalised(line.split("==")[0]) for line in first.splitlines() if "==" in line]


def needed(names: list[str]) -> set[str]:
    """These packages, and what they need on this machine, directly or not."""
    found: set[str] = set()
    waiting = [(name, "") for name in names]
    seen = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found.add(name)
        for line in requires(name) or []:
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                waiting += [(normalised(one.name), part) for part in ("", *one.extras)]
    return found


def environment(file: str) -> str:
    """What one of the two files holds."""
    lines = list(pins().values())
    if file == "tables.yaml":
        names = needed([name for name in direct() if name not in MODELS] + BROUGHT)
        lines = [line for name, line in pins().items() if name in names]
    return "\n".join(
        [
            f"# {HEADS[file]}",
            "# Written by `make environments` from requirements.txt.",
            "channels:",
            "  - conda-forge",
            "  - nodefaults",
            "dependencies:",
            f"  - python={PYTHON}",
            "  - pip",
            "  - pip:",
            *(f"      - {line}" for line in lines),
            "",
        ]
    )


if __name__ == "__main__":
    for file in HEADS:
        (HERE / file).write_text(environment(file), encoding="utf-8")
