"""The study of docs/your-own-study.md, as it stands there, in a folder of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from checkout import copy_of_repository
from snakesteer.storage.files import read_table

PAGE = (REPOSITORY / "docs" / "your-own-study.md").read_text(encoding="utf-8")
CLONE = "PATH/TO/snakesteer"


def commands(configfile: str) -> list[list[str]]:
    """The commands of the page that run a study here."""
    lines = re.findall(rf"^    (snakemake -s {CLONE}\S+ -c .*)$", PAGE, re.M)
    return [line.split()[1:] for line in lines if configfile in line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the page, and the model that it copies."""
    folder = tmp_path_factory.mktemp("own")
    files = re.findall(r"`([\w.-]+)`:\n\n```\w+\n(.*?)```", PAGE, re.S)
    assert len(files) == 5
    for name, text in files:
        (folder / name).write_text(text)
    model, copied = re.findall(rf"^    cp -r {CLONE}/(\S+) (\S+)$", PAGE, re.M)[0]
    shutil.copytree(REPOSITORY / model, folder / copied)
    return folder


def run(command: list[str], clone: Path, folder: Path) -> str:
    given = [argument.replace(CLONE, str(clone)) for argument in command]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *given], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_is_planned_as_the_page_says(folder: Path) -> None:
    (plan, _), (choice,) = commands("my-study.yaml"), commands("my-choice.yaml")
    assert "-n" in plan and "-n" in choice
    assert re.search(r"^sweep +3$", run(plan, REPOSITORY, folder), re.M)
    assert re.search(r"^candidate +1$", run(choice, REPOSITORY, folder), re.M)


@pytest.mark.long
def test_it_runs_and_shows_what_the_page_says(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clone = copy_of_repository(tmp_path_factory.mktemp("checkout")).folder
    _, whole = commands("my-study.yaml")
    assert "500,000 tokens" in run(whole, clone, folder)
    made = folder / "results" / "my-study"
    listed = re.findall(r"^\| `([\w./]+)` \|", PAGE, re.M)
    assert len(listed) == 6
    for name in ["index.html", *listed]:
        assert (made / name).exists()
    for figure in ("trade-off", "politeness", "questions"):
        assert (made / "figures" / f"{figure}.png").is_file()
    skill = read_table(made / "tables" / "skill.parquet").to_pandas()
    most = skill[(skill.coefficient == 2) & (skill.layer == "2")].set_index("corpus").relative_top1
    assert most["code"] < 0.5 < most["prose"]
    effects = read_table(made / "effects" / "answers.control.parquet").to_pandas()
    slope = effects.set_index("quantity").loc["slope"]
    assert slope["band_low"] < slope["effect"] < slope["band_high"]
    assert slope["draws"] == 19 and round(slope["p"], 2) == 0.15
    (choice,) = commands("my-choice.yaml")
    run([argument for argument in choice if argument != "-n"], clone, folder)
    chosen = read_table(folder / "results" / "my-choice" / "tables" / "chosen.parquet")
    assert chosen.num_rows == 2
