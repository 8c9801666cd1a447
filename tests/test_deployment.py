"""The workflow deployed: a project with a `config/` and this workflow as a module.

The module is named by path, by a git repository of this working tree, and by one at GitHub, of
which Snakemake's own cache of clones holds a copy: nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from conftest import REPOSITORY

from checkout import PARTS, copy_of_repository, printed_by

TAG = "v0"
SOURCES = "snakemake/snakemake/source-cache"
CONFIG = {
    "extends": "miniature.yaml",
    "name": "deployed",
    "corpora": {"text": {"train": 4, "validation": 2}},
}
MANIFESTS = "results/cache/models/miniature*.json"


def git(folder: Path, *arguments: str) -> None:
    named = ["-c", "user.name=Tests", "-c", "user.email=tests@localhost"]
    subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of this working tree, with a tag."""
    folder = tmp_path_factory.mktemp("hosted") / "snakesteer"
    folder.mkdir()
    copy_of_repository(folder)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All")
    git(folder, "tag", TAG)
    return folder


@pytest.fixture(scope="module")
def cache(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder of caches, in which Snakemake has a clone of OWNER/snakesteer of GitHub."""
    folder = tmp_path_factory.mktemp("cache")
    clone = folder / SOURCES / "snakemake-git-cache/github.com/OWNER/snakesteer"
    clone.parent.mkdir(parents=True)
    git(folder, "clone", "--quiet", "--bare", str(repository), str(clone))
    return folder


def project(folder: Path, source: str, use: str = "use rule * from steering") -> Path:
    """A project as `snakedeploy deploy-workflow` makes it: `config/` copied, a module of this."""
    for part in ("config", "profiles"):
        shutil.copytree(REPOSITORY / part, folder / part)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (folder / "workflow" / "scripts").mkdir(parents=True)  # of the project's own
    (folder / "workflow" / "Snakefile").write_text(
        'configfile: "config/config.yaml"\n\n'
        f"module steering:\n    snakefile: {source}\n    config: config\n\n{use}\n"
    )
    return folder


def snakemake(folder: Path, cache: Path, *arguments: str) -> str:
    """What Snakemake prints in a project; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=folder,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def sources(repository: Path) -> dict[str, str]:
    """How a module may name this workflow: by path, a git repository, and one of GitHub."""
    path = '"workflow/Snakefile"'
    return {
        "path": repr(str(repository / "workflow" / "Snakefile")),
        "gitfile": f'gitfile({str(repository)!r}, path={path}, tag="{TAG}")',
        "github": f'github("OWNER/snakesteer", path={path}, tag="{TAG}")',
    }


@pytest.mark.long
@pytest.mark.parametrize(
    ("form", "use", "prefix"),
    [
        ("path", "use rule * from steering as steering_*", "steering_"),
        ("gitfile", "use rule * from steering as steering_*", "steering_"),
        ("github", "use rule * from steering", ""),
    ],
)
def test_a_deployed_project_runs(
    form: str, use: str, prefix: str, repository: Path, cache: Path, tmp_path: Path
) -> None:
    """It plans the study of its config, and a job finds the package and the shipped model."""
    folder = project(tmp_path, sources(repository)[form], use)
    planned = snakemake(folder, cache, "-n", "--quiet", "reason")
    assert f"\n{prefix}sweep " in planned and f"\n{prefix}all " in planned
    snakemake(folder, cache, "--until", f"{prefix}model")
    assert len(list(folder.glob(MANIFESTS))) == 2
    assert (folder / "results" / "deployed" / "planned.json").exists()
    assert not (folder / "resources").exists()


@pytest.mark.long
def test_a_commit_is_laid_out_once(repository: Path, cache: Path, tmp_path: Path) -> None:
    folder = project(tmp_path, sources(repository)["gitfile"])
    snakemake(folder, cache, "-n")
    (laid_out,) = (cache / SOURCES / "snakesteer").iterdir()
    before = (laid_out / "Snakefile").stat().st_ctime_ns
    snakemake(folder, cache, "-n")
    assert (laid_out / "Snakefile").stat().st_ctime_ns == before
    held = {path.name for path in laid_out.iterdir()}
    assert held == {*PARTS, "tests"}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_single_files_of_an_address_are_not_enough(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("localhost", 0), partial(_Quiet, directory=REPOSITORY)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://localhost:{server.server_port}/workflow"
        folder = project(tmp_path, repr(f"{address}/Snakefile"))
        printed = printed_by(folder, ["-n"], status=1)
        server.shutdown()
    assert printed.splitlines()[-1] == (
        f"Error: only single files can be fetched from {address}; name the workflow as "
        'github("OWNER/snakesteer", path="workflow/Snakefile", tag="VERSION").'
    )
    assert "Traceback" not in printed
