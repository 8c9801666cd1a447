"""Read and check the study and the site, plan the artefacts, say what changed since the last run."""

import os
import shlex
import sys
from functools import cache
from pathlib import Path

from snakemake.logging import logger

# Of this file, also where another workflow takes this one in as a module.
REPOSITORY = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
SCRIPTS = str(REPOSITORY / "workflow" / "scripts")
if not Path(SCRIPTS).is_dir():
    raise SystemExit(
        f"Error: {REPOSITORY} is not a folder on this machine; clone snakesteer, and name the "
        "Snakefile of that clone."
    )
sys.path.insert(0, SCRIPTS)

from snakesteer.core import missing
from snakesteer.core.errors import StudyError
from snakesteer.core.interruption import tell_interruptions

with missing.standing_in():
    from snakesteer.plan import front_page, listed
    from snakesteer.plan.captions import caption
    from snakesteer.plan.changes import changes
    from snakesteer.plan.closing_notes import notes, reasons, say_last
    from snakesteer.plan.plan import Plan
    from snakesteer.plan.products import RANKED
    from snakesteer.plan.resources import Site
    from snakesteer.storage.files import check_writable, write_json
    from snakesteer.storage.other_versions import other_versions
    from snakesteer.study import study_file
    from snakesteer.study.yaml_file import read_yaml

# Scripts of another workflow that takes this one in have siblings of their own.
sys.path.remove(SCRIPTS)
tell_interruptions()


def environment(name):
    """A Conda environment's file. Snakemake takes braces in its path for wildcards."""
    path = REPOSITORY / "envs" / f"{name}.yaml"
    return str(path).replace("{", "{{").replace("}", "}}")


WITH_MODELS, WITHOUT_MODELS = environment("models"), environment("tables")

# A folder of any name: Snakemake puts the path of Python into commands of the shell as it is.
if not sys.executable.startswith("'"):
    sys.executable = shlex.quote(sys.executable)

if workflow.remote_exec:
    # A job on a cluster's node: what it needs was fetched by local rules.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


# Of a module Snakemake runs no handlers, and its `config` is what that workflow gives it.
IS_MODULE = not workflow.modifier.is_main_snakefile()
if IS_MODULE and workflow.modifier.path_modifier.replace_prefix("results/") != "results/":
    raise SystemExit("Error: results of a study belong under results/; remove the module's prefix.")


def given():
    """The study's data, the folder from which it names others, and what to call it."""
    files = [Path(path) for path in workflow.configfiles]
    if files and (config or not IS_MODULE):
        return config, files[-1].parent, str(files[-1])
    if config and IS_MODULE:
        return config, Path(), "the module's config"
    default = REPOSITORY / "config" / "miniature.yaml"
    return {"extends": default.name, **config}, default.parent, str(default)


def planned():
    """The plan of the configured study, or of the default one when none is given, and the site."""
    defaults = workflow.resource_settings.default_resources
    try:
        check_writable(Path("results"))
        for path in workflow.configfiles:
            read_yaml(Path(path))  # Snakemake takes the second of two equal keys
        data, folder, origin = given()
        with missing.standing_in():
            study = study_file.parse(study_file.resolve(data, folder), origin)
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
TABLES += [
    PLAN.path("effects", f"{name}.{of}.parquet")
    for of, names in (("items", PLAN.slopes), ("slopes", PLAN.slopes), ("control", PLAN.controls))
    for name in names
]
TABLES += [PLAN.path("rankings", f"{name}.{of}.parquet") for name in PLAN.rankings for of in RANKED]

# What was run is told from its files, which Snakemake alone cannot read.
if workflow.is_main_process and not missing.packages() and (changed := changes(PLAN)):
    logger.info("\n  ".join([f"Changed since {STUDY} was last run:", *changed]))


@cache
def begin():
    """Write what rules list, and what is set out to be made; once, before the first job."""
    paths = [path for made in PLAN.artefacts() for path in made.paths]
    try:
        missing.check()
        write_json(PLAN.path("planned.json"), paths)  # spared by `make prune`, finished or not
        write_json(LISTED, PLAN.listed())
    except StudyError as error:
        raise SystemExit(f"Error: {error}") from None
    if note := other_versions(paths):
        logger.warning(note)


def listed_file(wildcards):
    """Where a job finds what its rule lists."""
    if IS_MODULE and workflow.is_main_process and not workflow.dryrun:
        begin()
    return LISTED


onstart:
    begin()


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


def exported_to(name, vector):
    """Where a vector lies that an entry exports."""
    return PLAN.path("exports", name, vector)
