"""What stands in the way of a run: on this machine, and of what a study is read from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from snakesteer.core.errors import StudyError, reason_of
from snakesteer.plan.machine import (
    RUNS_MODELS,
    Finding,
    device,
    folders,
    installed,
    is_clone,
    profiles,
    slurm,
    versions,
)

if TYPE_CHECKING:
    from snakesteer.study.schema import Study


def examine(repository: Path, path: Path | None = None) -> Iterator[Finding]:
    """What is found, one after the other: about this machine, then about the study at `path`.

    The network is used for the sources of a study alone. `repository` is the clone whose workflow
    runs.
    """
    yield from versions(repository)
    yield from device()
    yield from folders()
    if is_clone(repository):
        yield from profiles(repository)
    else:
        yield Finding(
            f"{repository.resolve()} is not a clone of snakesteer, which a run of a study needs; "
            "name one with --repository.",
            problem=path is not None,
        )
    yield from slurm()
    if path:
        yield from _of_study(path, repository)


def _of_study(path: Path, repository: Path) -> Iterator[Finding]:
    try:
        from snakesteer.study import study_file

        study = study_file.load(path)
    except StudyError as error:
        yield Finding(str(error), problem=True)
        return
    except ImportError as error:
        yield Finding(
            f"{path} cannot be read here ({reason_of(error)}); install the missing package.",
            problem=True,
        )
        return
    if installed("snakemake") is None:
        yield Finding(
            "snakemake is not installed, which a run of a study needs; install it.", problem=True
        )
    absent = [name for name in RUNS_MODELS if installed(name) is None]
    if study.models and absent:
        yield Finding(
            f"packages that run models are not installed here ({', '.join(absent)}); install "
            "them, or let jobs use their own environment (--software-deployment-method conda).",
            problem=True,
        )
    if is_clone(repository):
        yield from _sources(study, repository)


def _sources(study: Study, repository: Path) -> Iterator[Finding]:
    from snakesteer.plan.graph import Graph
    from snakesteer.plan.sources import sources

    for source in sources(Graph(study, repository)):
        try:
            yield Finding(f"{source.entry}: {source.find()}")
        except StudyError as error:
            yield Finding(str(error), problem=True)
        except ModuleNotFoundError as error:
            yield Finding(
                f"{source.entry} cannot be checked, as {error.name} is not installed; install it.",
                problem=True,
            )
        except Exception as error:
            yield Finding(
                f"{source.entry} cannot be checked ({reason_of(error)}); correct it, or report "
                "this as a bug.",
                problem=True,
            )
