"""Read and check the study and the site, plan the artefacts, say what changed since the last run."""

import os
import shlex
import sys
from pathlib import Path

from snakemake.logging import logger

REPOSITORY = Path(workflow.basedir)
sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))

from snakesteer.study import schema
from snakesteer.plan import listed
from snakesteer.study import study_file
from snakesteer.storage.files import check_writable, write_json
from snakesteer.plan.captions import caption
from snakesteer.plan.changes import changes
from snakesteer.plan.closing_notes import notes, reasons, say_last
from snakesteer.core.errors import StudyError
from snakesteer.storage.other_versions import other_versions
from snakesteer.plan.plan import Plan
from snakesteer.plan.resources import Site
from snakesteer.study.yaml_file import read_yaml

# A folder of any name: Snakemake takes braces in an environment's path for wildcards, and puts the
# path of Python into commands of the shell as it is.
ENVIRONMENT = str(REPOSITORY / "envs" / "environment.yaml").replace("{", "{{").replace("}", "}}")
if not sys.executable.startswith("'"):
    sys.executable = shlex.quote(sys.executable)

if workflow.remote_exec:
    # A job on a cluster's node: what it needs was fetched by local rules.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


def planned():
    """The plan of the configured study, or of the default one when none is given, and the site."""
    defaults = workflow.resource_settings.default_resources
    if workflow.configfiles:
        data, origin = config, Path(workflow.configfiles[-1])
    else:
        default = REPOSITORY / "config" / "miniature.yaml"
        data, origin = {"extends": default.name, **config}, default
    try:
        check_writable(Path("results"))
        for path in workflow.configfiles:
            read_yaml(Path(path))  # Snakemake takes the second of two equal keys
        study = study_file.parse(study_file.resolve(data, origin.parent), str(origin))
        return Plan(study, REPOSITORY), Site.of(getattr(defaults, "args", []))
    except StudyError as error:
        raise SystemExit(f"Error: {error}") from None


PLAN, SITE = planned()
STUDY = PLAN.study.name
LISTED = listed.path(STUDY)
TABLES = [
    PLAN.path("tables", f"{name}.parquet")
    for name in [*PLAN.tables, *PLAN.samples, *PLAN.published]
]

if workflow.is_main_process and (changed := changes(PLAN)):
    logger.info("\n  ".join([f"Changed since {STUDY} was last run:", *changed]))


onstart:
    paths = [path for made in PLAN.artefacts() for path in made.paths]
    try:
        write_json(PLAN.path("planned.json"), paths)  # spared by `make prune`, finished or not
        write_json(LISTED, PLAN.listed())
    except StudyError as error:
        raise SystemExit(f"Error: {error}") from None
    if note := other_versions(paths):
        logger.warning(note)


if workflow.is_main_process:

    onsuccess:
        say_last(notes(PLAN))

    onerror:
        say_last(reasons(log for job in workflow.scheduler.failed for log in job.log))


def verbatim(text):
    """A param as it is: in a text that no function returns, Snakemake takes `{x}` for a wildcard."""
    return lambda wildcards: text


def one_of(names):
    """A pattern that matches just these names."""
    return "|".join(sorted(names, reverse=True)) or "none"
