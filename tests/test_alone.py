"""Rules are linted, planned and drawn in an environment that holds Snakemake alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

from checkout import copy_of_repository
from environments import environment_of, write_conda

# How the Snakemake Workflow Catalog draws a workflow, for which it waits 15 seconds.
DRAWN = "--forceall -s workflow/Snakefile -d .test -c 1 --rulegraph".split()
PAPERS = sorted((REPOSITORY / "config" / "papers").glob("*.yaml"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with Snakemake and what it needs."""
    needed = write_conda.needed(["snakemake"])
    assert not needed & {"numpy", "pandas", "pyarrow", "safetensors", "torch"}
    return environment_of(tmp_path_factory.mktemp("alone") / "environment", needed)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    copy_of_repository(folder)
    (folder / ".test").mkdir()
    return folder


def snakemake(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_snakemake_alone_lints(alone: Path, copy: Path) -> None:
    linted = snakemake(alone, copy, "--lint")
    assert linted.returncode == 0, linted.stderr
    assert "your workflow is in a good condition" in linted.stderr


def test_snakemake_alone_draws_the_rules(alone: Path, copy: Path) -> None:
    drawn = snakemake(alone, copy, *DRAWN)
    assert drawn.returncode == 0, drawn.stderr
    for rule in ("all", "sweep", "figure", "documents"):
        assert f'label = "{rule}"' in drawn.stdout


@pytest.mark.long
def test_snakemake_alone_plans_beside_what_was_run(alone: Path, copy: Path) -> None:
    """What that made is not read: neither its cache, nor its tables and figures."""
    dosed = "{kind: curves, sweeps: [code], dose: share}"
    study = copy / "config" / "dosed.yaml"
    study.write_text(f"extends: miniature.yaml\nname: dosed\nfigures: {{dosed: {dosed}}}\n")
    made = copy / "results" / "dosed"
    for name in ("figures", "tables"):
        (made / name).mkdir(parents=True)
    (made / "study.yaml").write_text("name: dosed\n")
    catalogue = "stage,name,key,path,settings,size\nvector,code,0,code.parquet,{},0\n"
    (made / "artefacts.csv").write_text(catalogue)
    (made / "figures" / "dosed.csv").write_text("dose\n1\n")
    planned = snakemake(alone, copy, "-n", "--configfile", str(study))
    shutil.rmtree(copy / "results")
    assert planned.returncode == 0, planned.stderr
    assert "Error" not in planned.stderr and "first page" in planned.stdout


@pytest.mark.long
@pytest.mark.parametrize("study", PAPERS, ids=lambda path: path.stem)
def test_snakemake_alone_plans_every_paper(alone: Path, copy: Path, study: Path) -> None:
    planned = snakemake(alone, copy, "-n", "--configfile", f"config/papers/{study.name}")
    assert planned.returncode == 0, planned.stderr


@pytest.mark.long
def test_a_run_says_what_it_needs_beside_snakemake(alone: Path, copy: Path) -> None:
    ran = snakemake(alone, copy, "--cores", "1")
    assert ran.returncode != 0
    assert ran.stderr.splitlines()[-1] == (
        "Error: numpy, pandas, pyarrow, safetensors must be installed next to Snakemake to run "
        "a study; run `pip install numpy pandas pyarrow safetensors`."
    )
    assert "Traceback" not in ran.stderr
    assert not (copy / "results" / "cache").exists()
    assert "sweep" in snakemake(alone, copy, "-n").stdout  # no lock is left


STANDING_IN = """
import importlib.util, sys
sys.path.insert(0, "workflow/scripts")
from snakesteer.core import missing
from snakesteer.core.errors import StudyError
with missing.standing_in():
    import pandas as pd
    import pyarrow.parquet as pq
assert not {"pandas", "pyarrow"} & set(sys.modules)
assert importlib.util.find_spec("pandas") is None
for use in (lambda: pd.DataFrame([1]), lambda: pq.read_table("a")):
    try:
        use()
    except StudyError as error:
        print(error)
"""


@pytest.mark.long
def test_a_missing_package_is_missing_for_all_others(alone: Path) -> None:
    command = [alone, "-c", STANDING_IN]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{name} must be installed next to Snakemake to run a study; run `pip install {name}`."
        for name in ("pandas", "pyarrow")
    ]
