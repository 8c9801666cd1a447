"""What Slurm adds to the miniature study, and what planning a large study takes.

    .venv/bin/python benchmarks/slurm.py

Plans a study of some 2,000 jobs (`-n`). Then runs the miniature twice, in two fresh clones of this
checkout with its environment: on two processors of this machine, and as jobs of a Slurm of one node
(tests/slurm/start.sh, with its packages if they are missing). Prints seconds, and how many of the
files have other bytes.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
STUDY = ["--configfile", "config/miniature.yaml"]
SEEDS = 500  # a permuted control each: vector, its copy, sweep, table


def clone(folder: Path) -> Path:
    """A fresh clone of this checkout."""
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(folder)], check=True)
    return folder


def seconds(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> float:
    """Wall seconds of a command; ends with its output if it fails."""
    log = folder.with_suffix(".log")
    started = time.monotonic()
    with log.open("w") as stream:
        status = subprocess.run(
            command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT, env=environment
        ).returncode
    if status:
        sys.exit(f"{log.read_text()}\n{' '.join(command)} ended with status {status}")
    return time.monotonic() - started


def large(folder: Path) -> Path:
    """A study of the miniature's models and corpora with hundreds of permuted controls."""
    names = [f"control-{seed}" for seed in range(SEEDS)]
    study = {
        "extends": "miniature.yaml",
        "name": "large",
        "vectors": {
            name: {"method": "control", "of": "code", "how": "operands", "seed": seed}
            for seed, name in enumerate(names)
        },
        "sweeps": {
            name: {
                "model": "miniature",
                "inject": {"vector": name, "layers": [3]},
                "coefficients": [0, 1],
                "measures": {"next_token": {"corpora": ["code", "text"], "tokens": 1000}},
            }
            for name in names
        },
    }
    path = folder / "config" / "large.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return path


def slurm(folder: Path) -> dict[str, str]:
    """The environment that uses a Slurm started in a folder."""
    printed = subprocess.run(
        [REPOSITORY / "tests" / "slurm" / "start.sh", folder],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    shown = subprocess.run(["bash", "-c", f'{printed}\nprintf %s "$PATH"'], capture_output=True)
    return {**os.environ, "PATH": shown.stdout.decode()}


def made(folder: Path) -> dict[Path, bytes]:
    """What a run has made, but for what its jobs took."""
    return {
        path.relative_to(folder): path.read_bytes()
        for part in ("cache", "miniature")
        for path in sorted((folder / "results" / part).rglob("*"))
        if path.is_file() and path.stem != "usage"
    }


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        here.chmod(0o755)  # munged's socket lies below it
        local, remote = clone(here / "local"), clone(here / "slurm")
        study = large(local)
        planning = [*SNAKEMAKE, "--cores", "2", "-n", "--configfile", str(study)]
        took = seconds(planning, local)
        log = (here / "local.log").read_text()
        (total,) = {line.split()[1] for line in log.splitlines() if line.startswith("total ")}
        print(f"planning {total} jobs: {took:.1f} s", flush=True)
        alone = seconds([*SNAKEMAKE, "--cores", "2", *STUDY], local)
        print(f"miniature, two processors: {alone:.0f} s", flush=True)
        try:
            environment = slurm(here / "state")
            ask = ["--slurm-init-seconds-before-status-checks", "2"]
            command = [*SNAKEMAKE, "--profile", "slurm", *STUDY, *ask]
            print(f"    {shlex.join(command[2:])}", flush=True)
            submitted = seconds(command, remote, environment)
        finally:
            subprocess.run([REPOSITORY / "tests" / "slurm" / "stop.sh", here / "state"])
        print(f"miniature, Slurm of one node: {submitted:.0f} s, {submitted - alone:.0f} s more")
        one, other = made(local), made(remote)
        different = [path for path in one.keys() | other.keys() if one.get(path) != other.get(path)]
        print(f"{len(one)} files, {len(different)} of them with other bytes")


if __name__ == "__main__":
    main()
