"""What a run finds on this machine: versions, the device, folders to write to, profiles."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from snakesteer.core.errors import reason_of

PINS = Path("envs", "requirements.txt")
RUNS_MODELS = ("torch", "transformers", "tokenizers", "accelerate", "gguf")
# Package -> what is not done without it; "" is nothing at all.
PACKAGES = {
    "snakemake": "studies cannot be run",
    "snakemake-executor-plugin-slurm": "jobs cannot be submitted to Slurm",
    **dict.fromkeys(RUNS_MODELS, "models cannot be run"),
    "peft": "adapters cannot be merged",
    "huggingface_hub": "nothing can be fetched from the hub",
    **dict.fromkeys(("pydantic", "numpy", "pyarrow", "pandas", "safetensors"), ""),
    **dict.fromkeys(("matplotlib", "seaborn"), ""),
}
DTYPES = ("float32", "bfloat16", "float16")
COMMANDS = ("sbatch", "squeue", "scancel")
LEAST_FREE = 1e9  # bytes


@dataclass(frozen=True)
class Finding:
    """What was found, or with `problem` a sentence that says what is wrong and what to do."""

    said: str
    problem: bool = False

    def __str__(self) -> str:
        return f"{'problem' if self.problem else 'ok'}: {self.said}"


def versions(repository: Path) -> Iterator[Finding]:
    """Python and the packages, with the pins of the clone in `repository`.

    Another version than the pinned one is told, and no problem; nor is one missing that only some
    of the work needs.
    """
    python = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding(f"{python}, {sys.executable}")
    pins = _pins(repository / PINS)
    for name, undone in PACKAGES.items():
        pin = pins.get(name)
        found = installed(name)
        if found is None and undone:
            yield Finding(f"{name} is not installed: {undone}")
        elif found is None:
            remedy = f"pip install {name}{f'=={pin}' if pin else ''}"
            yield Finding(f"{name} is not installed; run `{remedy}`.", problem=True)
        else:
            same = found.split("+")[0] == pin
            pinned = ", as pinned" if same else f" (pinned: {pin})" if pin else ""
            yield Finding(f"{name} {found}{pinned}")


def installed(name: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _pins(path: Path) -> dict[str, str]:
    """The pinned versions by name; none outside a clone."""
    if not path.is_file():
        return {}
    found = re.findall(r"^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def device() -> Iterator[Finding]:
    """What models run on here, with its memory and the number formats that it multiplies; nothing
    where torch is not installed."""
    try:
        import torch
    except ModuleNotFoundError:
        yield Finding("device: unknown, as torch is not installed")
        return
    except Exception as error:  # of libraries that do not fit together
        yield Finding(f"torch cannot be imported ({reason_of(error)}); reinstall it.", problem=True)
        return
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            yield _device(f"cuda:{number}")
    else:
        yield _device("cpu")


def _device(place: str) -> Finding:
    """What is at a `place`, and the number formats in which it has multiplied matrices."""
    try:
        about = _gpu(place) if place.startswith("cuda") else _processor()
        works = [dtype for dtype in DTYPES if _multiplies(place, dtype)]
    except Exception as error:  # of the driver, or of another one who has it to himself
        return Finding(
            f"device {place} cannot be used ({reason_of(error)}); free it, or select others with "
            "CUDA_VISIBLE_DEVICES.",
            problem=True,
        )
    return Finding(f"device {place}: {about}, {', '.join(works)}")


def _gpu(place: str) -> str:
    import torch

    free, whole = torch.cuda.mem_get_info(place)
    memory = f"{free / 1e9:.1f} of {whole / 1e9:.1f} GB free"
    return f"{torch.cuda.get_device_name(place)}, {memory}"


def _processor() -> str:
    import torch

    unused = ", MPS, which is not used" if torch.backends.mps.is_available() else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{os.cpu_count()} processors, {memory / 1e9:.1f} GB of memory{unused}"


def _multiplies(place: str, dtype: str) -> bool:
    import torch

    ones = torch.ones(8, 8, dtype=getattr(torch, dtype), device=place)
    try:
        return bool((ones @ ones == 8).all())
    except RuntimeError:  # of a format that it does not have
        return False


def folders() -> Iterator[Finding]:
    """The folders that a run from here writes to: whether it may, and how much is free."""
    yield _folder("results", Path("results").resolve(), "choose another folder with --directory")
    try:
        from huggingface_hub import constants, get_token
    except ModuleNotFoundError:
        return  # told among the versions
    cache = Path(constants.HF_HUB_CACHE)
    said = "with an access token" if get_token() else "without an access token"
    if constants.HF_HUB_OFFLINE:
        said += ", HF_HUB_OFFLINE is set"
    yield _folder(f"the hub's cache ({said})", cache, "set HF_HOME to another")


def _folder(name: str, path: Path, otherwise: str) -> Finding:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(
            f"{name}: {path} cannot be written ({error.strerror}); change its permissions, or "
            f"{otherwise}.",
            problem=True,
        )
    if free < LEAST_FREE:
        return Finding(
            f"{name}: {path} has {free / 1e9:.1f} GB free; make room, or {otherwise}.",
            problem=True,
        )
    return Finding(f"{name}: {path}, {free / 1e9:.1f} GB free")


def is_clone(repository: Path) -> bool:
    """Whether a folder holds the workflow."""
    return (repository / "workflow" / "scripts" / "snakesteer").is_dir()


def profiles(repository: Path) -> Iterator[Finding]:
    """The profiles of the clone in `repository`, and one that the environment names."""
    for name, path in (("default", "profiles/default"), ("slurm", "slurm")):
        folder = repository / path
        if (folder / "config.yaml").is_file():
            yield Finding(f"profile {name}: {folder}")
        else:
            yield Finding(
                f"profile {name}: {folder / 'config.yaml'} is missing; restore it with `git "
                f"checkout -- {path}`.",
                problem=True,
            )
    if given := os.environ.get("SNAKEMAKE_PROFILE"):
        yield Finding(f"profile {given}, set by SNAKEMAKE_PROFILE")


def slurm() -> Iterator[Finding]:
    """Whether jobs can be given to Slurm here."""
    found = [command for command in COMMANDS if shutil.which(command)]
    absent = [command for command in COMMANDS if command not in found]
    if found and absent:
        yield Finding(
            f"Slurm: {' and '.join(found)} found, but not {' and '.join(absent)}; load its "
            "module, or add its commands to PATH.",
            problem=True,
        )
    elif found:
        yield Finding(f"Slurm: {', '.join(found)} found")
    else:
        yield Finding("Slurm: not found; `--profile slurm` works on a cluster's login node")
