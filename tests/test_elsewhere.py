"""The workflow used from another folder: as a module of another workflow, and with `-s`.

Study, model and documents lie in that folder, and so do the results.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
import yaml
from conftest import REPOSITORY

from checkout import printed_by

pytestmark = pytest.mark.long

PROFILE = REPOSITORY / "profiles" / "default"

CORPUS = {
    "source": "files",
    "splits": {
        "train": {"files": ["data/notes.jsonl"]},
        "validation": {"files": ["data/notes.jsonl"], "skip": 4},
    },
    "train": 4,
    "validation": 2,
}
STUDY = {
    "name": "elsewhere",
    "models": {"tiny": {"source": "models/tiny", "dtype": "float32", "batch_tokens": 256}},
    "corpora": {"notes": CORPUS},
    "activations": {"notes": {"model": "tiny", "corpus": "notes", "max_tokens": 32}},
    "vectors": {"notes": {"method": "difference", "add": ["notes"], "subtract": ["notes"]}},
    "sweeps": {
        "notes": {
            "model": "tiny",
            "inject": {"vector": "notes", "layers": [1]},
            "coefficients": [0, 1],
            "measures": {
                "next_token": {
                    "corpora": ["notes"],
                    "tokens": 5000,  # more than there are
                    "max_tokens": 32,
                }
            },
        }
    },
    "figures": {"means": {"kind": "distributions", "activations": ["notes"], "layers": [1]}},
}

TABLE = "results/elsewhere/tables/notes.parquet"

OUTER = f"""
configfile: "outer.yaml"

module steering:
    snakefile: {str(REPOSITORY / "Snakefile")!r}
    config: config["steering"]

use rule * from steering as steering_*

rule counted:
    input: "results/elsewhere/figures/means.csv"
    output: "counted.txt"
    script: "scripts/counted.py"

rule everything:
    default_target: True
    input: "counted.txt", rules.steering_all.input

onsuccess:
    steering.onsuccess()
"""


@dataclass(frozen=True)
class Folder:
    """A folder with a workflow that takes this one in, and with a study for it."""

    path: Path

    def snakemake(self, *arguments: str) -> str:
        """What Snakemake prints, with jobs that are forks of it."""
        return self._run(str(REPOSITORY / "tests" / "forked.py"), *arguments)

    def unforked(self, *arguments: str, search: Path) -> str:
        """What Snakemake prints, with `search` before all installed packages."""
        return self._run("-m", "snakemake", *arguments, PYTHONPATH=str(search))

    def dry_run(self, *arguments: str) -> str:
        return printed_by(self.path, ["-n", "--workflow-profile", str(PROFILE), *arguments])

    def _run(self, *command: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, *command, "--cores", "2", "--workflow-profile", str(PROFILE)],
            cwd=self.path,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("elsewhere")
    tiny.folder(path / "models" / "tiny")
    lines = [json.dumps({"text": text * 2}) for _, text in tiny.documents(8)]
    for part, text in {
        "data/notes.jsonl": "\n".join(lines),
        "Snakefile": OUTER,
        "outer.yaml": yaml.safe_dump({"own": 1, "steering": STUDY}, sort_keys=False),
        "study.yaml": yaml.safe_dump(STUDY, sort_keys=False),
        "scripts/counted.py": "from table import lines\n\nlines(snakemake)\n",
        # Named as a script of the module, which must not stand before it.
        "scripts/table.py": "def lines(snakemake):\n"
        "    count = len(open(snakemake.input[0]).readlines())\n"
        "    open(snakemake.output[0], 'w').write(str(count))\n",
    }.items():
        (path / part).parent.mkdir(exist_ok=True)
        (path / part).write_text(text)
    return Folder(path)


def test_jobs_run_the_code_beside_the_rules_whichever_is_installed(
    elsewhere: Folder, tmp_path: Path
) -> None:
    stale = tmp_path / "snakesteer" / "__init__.py"
    stale.parent.mkdir()
    stale.write_text("raise SystemExit('Error: another version.')\n")
    elsewhere.unforked("--until", "steering_documents", search=tmp_path)
    assert len(list((elsewhere.path / "results/cache/documents").iterdir())) == 2


def test_a_module_runs_in_the_folder_of_its_user(elsewhere: Folder) -> None:
    assert "corpora.notes.validation holds" in elsewhere.snakemake().splitlines()[-1]
    results = elsewhere.path / "results" / "elsewhere"
    made = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    assert {"artefacts.csv", "usage.csv", "study.yaml", "planned.json", "figures/means.pdf"} <= made
    assert {"tables/notes.parquet", "vectors/notes.safetensors"} <= made
    counted = int((elsewhere.path / "counted.txt").read_text())
    assert counted == len((results / "figures" / "means.csv").read_text().splitlines())
    assert "Nothing to be done" in elsewhere.dry_run()


def test_a_module_has_its_report(elsewhere: Folder) -> None:
    printed_by(elsewhere.path, ["--report", "report.html"])
    report = (elsewhere.path / "report.html").read_text()
    assert "An activation-steering study made with snakesteer" in report
    assert "Wall time, memory and tokens a second of each job" in report


def test_the_study_of_another_folder_is_run_with_s(elsewhere: Folder) -> None:
    """The very study that ran as a module: there is nothing left to do."""
    study = ["-s", str(REPOSITORY / "Snakefile"), "--configfile", "study.yaml"]
    assert "Nothing to be done" in printed_by(elsewhere.path, [*study, "-n"])
    forced = printed_by(elsewhere.path, [*study, "--cores", "1", "--force", "--", TABLE])
    assert "1 of 1 steps (100%) done" in forced


def test_without_a_study_the_miniature_is_planned_anywhere(tmp_path: Path) -> None:
    printed = printed_by(tmp_path, ["-s", str(REPOSITORY / "Snakefile"), "-n"])
    assert "sweep" in printed
    (tmp_path / "Snakefile").write_text(
        f"module steering:\n    snakefile: {str(REPOSITORY / 'Snakefile')!r}\n\n"
        "use rule * from steering\n"
    )
    assert "sweep" in printed_by(tmp_path, ["-n", "--", "all"])


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "config: {'name': 'mine', 'modls': {}}",
            "Error: the module's config: unknown key `modls`; did you mean `models`?",
        ),
        (
            "prefix: 'sub'",
            "Error: results of a study belong under results/; remove the module's prefix.",
        ),
    ],
)
def test_a_modules_mistake_is_one_sentence(tmp_path: Path, statement: str, sentence: str) -> None:
    (tmp_path / "Snakefile").write_text(
        f"module steering:\n    snakefile: {str(REPOSITORY / 'Snakefile')!r}\n"
        f"    {statement}\n\nuse rule * from steering\n"
    )
    printed = printed_by(tmp_path, ["-n"], status=1)
    assert printed.splitlines()[-1] == sentence
    assert "Traceback" not in printed
