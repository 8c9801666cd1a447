"""README and the pages of docs/: their studies, commands, links and sentences.

Every block of a page is one of these: a study, or a fragment that fits into one; commands; Python,
whose code other tests run; something in another language that it names; or named by `NEITHER`, with
a reason.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from snakemake.cli import parse_args

import pages
import snakesteer
from checkout import copy_of_repository, printed_by
from pages import PAGES, Block
from snakesteer import __main__ as command_line
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.study.schema import Study

# The study that the fragments of a page fit into, if it is not the miniature.
FIT_INTO = {
    "docs/exchange.md": "config/smollm2.yaml",
    "docs/reading.md": "tests/fragments/chat.yaml",
    "docs/sources.md": "tests/fragments/chat.yaml",
    "docs/vectors.md": "tests/fragments/chat.yaml",
}
# The part of a study that a fragment is, if it is neither sections nor named sweeps or figures.
PARTS = {
    "docs/reading.md: measures:": "sweeps.read",
    "docs/sources.md: tuned: {source: models/llama, adapter: models/llama-tuned}": "models",
    "docs/sources.md: refusal:": "behaviours",
    "docs/sources.md: politeness: {source: crossed, file: resources/behaviours/politeness.yaml,": (
        "behaviours"
    ),
    "docs/sweeps.md: labels: labels.csv": "sweeps.judged.measures.texts.scores.hurried",
}
# What stands on a page in place of something longer, and files of the reader.
STANDS_FOR = {
    "COMMIT": "a" * 40,
    "PATH/TO/snakesteer": str(REPOSITORY),
    "splits: …": "splits: {train: {files: [train.jsonl]}, validation: {files: [rest.jsonl]}}",
}
READERS_FILES = {
    "labels.csv": "text,label\nNow.,1\nLater.,0\n",
}
# Pages whose studies are validated but not planned, and why.
NOT_PLANNED = {
    "docs/vectors.md": "a vector's file is not here",
    "docs/papers/caa.md": "the files of the authors are not here",
    "docs/sources.md": "its files, models and data sets are not here",
}
# Pages whose studies and files have a test of their own.
TESTED_BY = {
    "docs/study.md": "test_reference.py",
    "docs/your-own-study.md": "test_own_study.py",
}
# Blocks that are neither studies nor commands nor Python, and why.
NEITHER = {
    "docs/architecture.md: Snakefile the includes and `rule": "a tree of folders",
    "docs/architecture.md: repository files ─> documents, questions": "a drawing",
    'docs/cluster.md: account: ""': "variables of slurm/config.yaml, see the test of them",
    "docs/running.md: Changed since mine was last": "printed by a run",
    "docs/running.md: 5,120 of at most 41,000": "printed by a run",
    'docs/running.md: configfile: "config/config.yaml"': "a Snakefile, as in test_deployment.py",
    'docs/running.md: configfile: "config.yaml"': "a Snakefile, as in test_deployment.py",
    "docs/sources.md: # The file: the same": "a file of questions, as in resources/behaviours/",
}
# Programs whose commands are not tried, and why.
NOT_TRIED = {
    "$(sh envs/find-python)": "makes an environment",
    "cd": "a folder of the reader",
    "conda": "is not installed",
    "cp": "files of a study that was run",
    "export": "sets a variable",
    "git": "needs a network",
    "llama-cli": "another tool",
    "lm_eval": "another tool",
    "pip": "needs a network",
    "scancel": "needs a Slurm",
    "snakedeploy": "needs a network",
    "source": "makes the shell use an environment",
}
# Words in front of a command that do not change what it does.
BEFORE = re.compile(r"^(?:[A-Z_]+=\S+ +|taskset -c 0 +|\.venv(?:-benchmark)?/bin/)+")
SHELL = ("", "bash", "console", "sh", "shell")
# Studies of the reader, by which pages show commands.
READERS_STUDY = re.compile(r"(?:.*/)?(?:mine|my|my-[\w-]+|other)(?:\.yaml)?")
# Limits in words, for one sentence and for the mean of a page.
LONGEST, MEAN = 40, 20


def data_of(block: Block) -> dict[str, Any] | None:
    """A block as YAML with keys, or None."""
    if block.language not in ("", "yaml"):
        return None
    text = block.text
    for short, long in STANDS_FOR.items():
        text = text.replace(short, long)
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return data if isinstance(data, dict) else None


def commands_of(block: Block) -> list[str]:
    """The commands of a block, one by one; none if it is something else."""
    if block.language not in SHELL:
        return []
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        found += [part.strip() for part in re.sub(r"(?:^| )#.*", "", line).split("&&")]
    commands = [command for command in found if command]
    return commands if all(program(command) in PROGRAMS for command in commands) else []


def program(command: str) -> str:
    """What a command calls."""
    own = BEFORE.sub("", command)
    begun = [name for name in NOT_TRIED if own.startswith(name)]
    return begun[0] if begun else own.split()[0]


def is_python(block: Block) -> bool:
    if block.language:
        return block.language == "python"
    try:
        tree = ast.parse(block.text)
    except SyntaxError:
        return False
    return any(isinstance(node, (ast.Assign, ast.Import, ast.ImportFrom)) for node in tree.body)


ALL_BLOCKS = [block for page in PAGES for block in pages.blocks(page)]


def test_every_block_is_accounted_for() -> None:
    unknown = []
    for block in ALL_BLOCKS:
        if block.language not in (*SHELL, "yaml") or block.page in TESTED_BY:
            continue
        if block.name in NEITHER or is_python(block) or commands_of(block):
            continue
        if data_of(block) is None:
            unknown.append(f"{block.name} (line {block.line})")
    assert not unknown, f"say in NEITHER of {Path(__file__).name} why this is not tried: {unknown}"
    names = {block.name for block in ALL_BLOCKS}
    assert names >= NEITHER.keys() | PARTS.keys()
    assert set(PAGES) >= FIT_INTO.keys() | NOT_PLANNED.keys() | TESTED_BY.keys()
    assert all((REPOSITORY / "tests" / file).is_file() for file in TESTED_BY.values())


# Studies


def placed(block: Block, data: dict[str, Any]) -> dict[str, Any]:
    """A fragment where it belongs in a study."""
    if block.name in PARTS:
        for key in reversed(PARTS[block.name].split(".")):
            data = {key: data}
        return data
    if data.keys() <= Study.model_fields.keys() | {"extends"}:
        return data
    sections: dict[str, Any] = {"sweeps": {}, "figures": {}}
    for name, entry in data.items():
        assert isinstance(entry, Mapping) and {"kind", "measures"} & entry.keys(), (
            f"say in PARTS of {Path(__file__).name} which part of a study this is: {block.name}"
        )
        sections["figures" if "kind" in entry else "sweeps"][name] = entry
    return sections


def without_replaced(study: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A study without entries whose names a fragment gives to others, of their own kind."""
    kept = dict(study)
    for section, entries in given.items():
        if not isinstance(kept.get(section), dict) or not isinstance(entries, dict):
            continue
        kept[section] = dict(kept[section])
        for name, entry in entries.items():
            if isinstance(entry, dict) and entry.keys() & {"source", "method", "kind", "measures"}:
                kept[section].pop(name, None)
    return kept


@pytest.mark.parametrize("page", [page for page in PAGES if page not in TESTED_BY])
def test_studies_of_a_page_are_planned(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fragment fits into a study together with those before it on the page."""
    monkeypatch.chdir(tmp_path)
    for file, text in READERS_FILES.items():
        Path(file).write_text(text)
    around = study_file.read(REPOSITORY / FIT_INTO.get(page, "config/miniature.yaml"))
    studies, fragments = [], False
    for block in pages.blocks(page):
        data = data_of(block)
        if data is None or block.name in NEITHER or commands_of(block) or is_python(block):
            continue
        given = placed(block, data)
        if {"name", "extends"} & given.keys():
            study = study_file.parse(study_file.resolve(given, REPOSITORY / "config"), block.name)
            studies.append(study)
            continue
        if block.name not in PARTS:
            around = without_replaced(around, given)
        around = study_file.merge(around, given)
        study_file.parse(around, block.name)
        fragments = True
    if page in NOT_PLANNED:
        return
    if fragments:
        studies.append(study_file.parse(around, page))
    for study in studies:
        Plan(study, REPOSITORY)


def test_the_page_of_clusters_names_variables_of_the_profile() -> None:
    variables = yaml.safe_load((REPOSITORY / "slurm" / "config.yaml").read_text())["__variables__"]
    (block,) = [block for block in pages.blocks("docs/cluster.md") if "account" in block.text]
    given = yaml.safe_load(block.text)
    assert given and given.items() <= variables.items()


# Commands


@functools.cache
def try_make(*words: str) -> None:
    """`make -n`, with variables that the Makefile knows and studies that are there."""
    makefile = (REPOSITORY / "Makefile").read_text()
    for word in words:
        name, sign, value = word.partition("=")
        assert not sign or re.search(rf"\b{name}\b", makefile), word
        if sign and name in ("STUDY", "A", "B"):
            try_study(value)
    done = subprocess.run(
        ["make", "-n", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def try_study(file: str) -> None:
    """A study that can be read, or one of the reader."""
    names = {path.stem for path in (REPOSITORY / "config").glob("*.yaml")}
    if file not in names and not READERS_STUDY.fullmatch(file):
        study_file.load(REPOSITORY / file)


@functools.cache
def try_snakemake(*words: str) -> None:
    """Snakemake's own reading of the arguments, with studies that are there."""
    here = [word.replace("PATH/TO/snakesteer", str(REPOSITORY)) for word in words]
    _, given = parse_args(here)
    for file in given.configfile or []:
        try_study(str(file))


@functools.cache
def try_snakesteer(*words: str) -> None:
    """The arguments as the command reads them, which then does nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(command_line._COMMANDS, words[0], lambda given: None)
        patch.setattr(command_line, "tell_interruptions", lambda: None)
        assert command_line.main(list(words)) == 0


@functools.cache
def try_python(*words: str) -> None:
    """A script or a module that is there; a script's options are in it."""
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]), words[1]
        files = [word for word in words[2:] if word.startswith("tests/")]
        assert all((REPOSITORY / file).is_file() for file in files), files
        return
    script = (REPOSITORY / words[0]).read_text()
    for option in words[1:]:
        if option.startswith("--"):
            name = option.removeprefix("--").removeprefix("no-")
            assert f'"--{name}"' in script, f"{words[0]} has no {option}"


TRIED = {
    "make": try_make,
    "snakemake": try_snakemake,
    "snakesteer": try_snakesteer,
    "python": try_python,
    "python3": try_python,
}
PROGRAMS = {*NOT_TRIED, *TRIED}


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_are_understood(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    for block in pages.blocks(page):
        for command in commands_of(block):
            words = shlex.split(BEFORE.sub("", command))
            if program(command) in TRIED:
                TRIED[words[0]](*words[1:])
    for code in pages.inline_code(page):
        words = code.split()
        if "…" in code or len(words) < 2 or words[0] not in ("make", "snakemake", "snakesteer"):
            continue
        if words[0] == "snakesteer":
            assert words[1] in command_line._COMMANDS, code
        else:
            TRIED[words[0]](*words[1:])


# What of a dry run cannot be had here.
NOT_DRY = {
    "--report": "needs a run",
    "--sdm": "needs Conda",
    "KEY": "stands for a file's key",
}


@pytest.mark.long
def test_snakemake_commands_have_something_to_run(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path).folder
    mine = {"extends": str(folder / "config" / "miniature.yaml"), "name": "mine"}
    dry = set()
    for block in ALL_BLOCKS:
        for command in commands_of(block):
            if program(command) == "snakemake" and not any(part in command for part in NOT_DRY):
                own = BEFORE.sub("", command).replace("PATH/TO/snakesteer", str(folder))
                dry.add(own.replace("<study>", "mine").removesuffix(" -n"))
    for study in re.findall(r"--configfile (\S+)", "\n".join(dry)):
        if READERS_STUDY.fullmatch(study):
            (folder / study).write_text(yaml.safe_dump(mine))
    assert dry
    for command in sorted(dry):
        printed = printed_by(folder, ["-n", *shlex.split(command)[1:]])
        assert "--unlock" in command or "Job stats:" in printed, printed


# Python


def test_what_python_imports_of_the_package_is_there() -> None:
    names = set()
    for block in ALL_BLOCKS:
        for node in ast.walk(ast.parse(block.text)) if is_python(block) else []:
            if isinstance(node, ast.ImportFrom) and node.module == "snakesteer":
                names.update(alias.name for alias in node.names)
    assert names and names <= {*snakesteer.__all__}


# Links and sentences


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_to_files_and_headings(page: str) -> None:
    folder = (REPOSITORY / page).parent
    for link in pages.links(page):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else REPOSITORY / page
        assert target.exists(), f"{link}: there is no such file"
        if anchor:
            there = pages.anchors(target.relative_to(REPOSITORY).as_posix())
            assert anchor in there, f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES)
def test_sentences_of_a_page_are_short(page: str) -> None:
    words = {sentence: len(sentence.split()) for sentence in pages.sentences(page)}
    longest = max(words, key=words.__getitem__)
    assert words[longest] <= LONGEST, longest
    assert sum(words.values()) < MEAN * len(words)
