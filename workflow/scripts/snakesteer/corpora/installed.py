"""Documents that are on every machine where the pinned packages are installed.

Three kinds of documents are read from a fixed list of distributions and the standard library:
*text* (prose of docstrings, comments, package descriptions and licences), *python* (Python
without its docstrings and comments) and *other* (C, C++, CUDA, JavaScript, CSS without comments).
Two more are mixtures: *code*, half python and half other, and *all*, half text and half code.

A document's split is read off a hash of the first letters of its content (for text, of every
paragraph), so that neither another version of a package nor a near-duplicate elsewhere can move
a training text into validation. Files are visited in an order given by the hash of their path
within the installation, so that a small request needs only the first part of them and is served
by the same documents on every machine, for every number of workers.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import platform
import re
import signal
import sysconfig
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.corpora import source_files

DISTRIBUTIONS = (
    "attrs",
    "click",
    "docutils",
    "fonttools",
    "fsspec",
    "GitPython",
    "huggingface_hub",
    "Jinja2",
    "jsonschema",
    "matplotlib",
    "mpmath",
    "networkx",
    "numpy",
    "packaging",
    "pandas",
    "pillow",
    "psutil",
    "PuLP",
    "pyarrow",
    "pydantic",
    "Pygments",
    "pyparsing",
    "python-dateutil",
    "PyYAML",
    "requests",
    "rich",
    "seaborn",
    "setuptools",
    "snakemake",
    "SQLAlchemy",
    "sympy",
    "tokenizers",
    "torch",
    "traitlets",
    "transformers",
    "typer",
    "urllib3",
)
SPLITS = ("train", "validation")
MIXTURES = {
    "text": ("text",),
    "python": ("python",),
    "other": ("other",),
    "code": ("python", "other"),
    "all": ("text", "python", "text", "other"),
}
VALIDATION_SHARE = 10  # per cent
DOCUMENT_CHARACTERS = 1600
PER_FILE = 2
IDENTITY_LETTERS = {"text": 80, "python": 240, "other": 240}
LONGEST_FILE = 400_000
FILES_A_ROUND = 200

_C_LIKE = (".h", ".hpp", ".cuh", ".cu", ".c", ".cc", ".cpp", ".js", ".mjs", ".css")
_CYTHON = (".pyx", ".pxi", ".pxd")
_PAGES = (".md", ".rst", ".txt")
_PAGE_NAMES = ("METADATA", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")
_LEFT_OUT = re.compile(
    r"(^|/)(tests?|testing|_?test_[^/]*|conftest\.py|__pycache__|idlelib|lib2to3|turtledemo"
    r"|tkinter|ensurepip|distutils|site-packages|dist-packages|config-[^/]*)(/|$)"
    r"|_dispatch\.h$|[^/]*_sysconfigdata[^/]*$"
)
_NOT_A_LETTER = re.compile(r"\W+")

Wanted = Mapping[tuple[str, str], int | None]
Documents = dict[tuple[str, str], list[tuple[str, str]]]


@functools.cache
def distributions() -> list[tuple[str, str]]:
    """Name and version of every distribution that is read, without the build's label (``+cpu``).

    Raises StudyError for one that is not installed.
    """
    return [(name, _version(name)) for name in DISTRIBUTIONS]


def _version(name: str) -> str:
    return _distribution(name).version.split("+")[0]


def identity(settings: Mapping[str, Any], repository: str | Path) -> dict[str, Any]:
    """What decides the documents beside the settings: the versions of all that is read.

    A package that is not installed where the study is planned has its pinned version: jobs have an
    environment of their own.
    """
    pins = _pins(Path(repository) / "envs" / "requirements.txt")
    versions = {}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = _version(name)
        except StudyError:
            if name not in pins:
                raise
            versions[name] = pins[name]
    return {"python": platform.python_version(), "distributions": versions}


def _pins(path: Path) -> dict[str, str]:
    """The versions that a file of requirements pins; none where there is no such file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def documents(
    settings: Mapping[str, Any],
    split: str,
    workers: int,
    repository: str | Path,
    apart: Collection[str] = frozenset(),
) -> list[tuple[str, str]]:
    """The documents of a split as (id, text), sorted by id, a hash of the text.

    Those of one split are not in the other, as the content decides the split: `apart` is not read.

    Settings: ``kind`` (text, python, other, code, all), ``train`` and ``validation`` (how many
    documents at most). No more than two of a split come from one program file.
    """
    kind = settings["kind"]
    return _both_splits(kind, settings["train"], settings["validation"], workers)[kind, split]


@functools.cache
def _both_splits(kind: str, train: int, validation: int, workers: int) -> Documents:
    """One visit to the files serves both splits."""
    return collect({(kind, "train"): train, (kind, "validation"): validation}, PER_FILE, workers)


def _quiet() -> None:
    """No warnings of a worker, and no traceback: after Ctrl-C the job ends its workers."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def collect(wanted: Wanted, per_file: int | None = None, workers: int = 2) -> Documents:
    """Several kinds and splits from one pass over the files, stopping once all are filled.

    ``wanted`` maps (kind, split) to the largest number of documents, None for all there are.
    ``per_file`` limits how many of a split's documents one program file gives. What is returned
    for a pair does not depend on the other pairs nor on ``workers``.
    Raises StudyError for an unknown kind.
    """
    for kind, _ in wanted:
        if kind not in MIXTURES:
            raise StudyError(
                f"source 'installed' has no kind '{kind}': choose one of {', '.join(MIXTURES)}"
            )
    shelves = {pair: _Shelf(limit) for pair, limit in _single_kinds(wanted).items()}
    kinds = {kind for kind, _ in shelves}
    texts = {split: _TextPacker() for split in SPLITS}
    seen: dict[str, set[bytes]] = {kind: set() for kind in kinds}
    files = _files()
    with get_context("fork").Pool(workers, _quiet) as pool:
        for start in range(0, len(files), FILES_A_ROUND):
            open_kinds = frozenset(kind for kind, split in shelves if not shelves[kind, split].full)
            if not open_kinds:
                break
            tasks = [
                (path, name, open_kinds) for name, path in files[start : start + FILES_A_ROUND]
            ]
            for pieces in pool.imap(_read, tasks, chunksize=8):
                taken = dict.fromkeys(SPLITS, 0)
                for piece_kind, piece in pieces:
                    identity = _identity(piece, IDENTITY_LETTERS[piece_kind])
                    if identity in seen[piece_kind]:
                        continue
                    seen[piece_kind].add(identity)
                    split = _split(identity)
                    if (piece_kind, split) not in shelves:
                        continue
                    if piece_kind == "text":
                        document = texts[split].add(piece)
                        if document:
                            shelves["text", split].put(document)
                    elif per_file is None or taken[split] < per_file:
                        taken[split] += 1
                        shelves[piece_kind, split].put(piece)
    return {pair: _mix(pair, limit, shelves) for pair, limit in wanted.items()}


@dataclass
class _Shelf:
    """The documents found so far of one kind and split, in the order of the visit."""

    limit: int | None
    found: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return self.limit is not None and len(self.found) >= self.limit

    def put(self, document: str) -> None:
        if not self.full:
            self.found.append(document)


@dataclass
class _TextPacker:
    """Puts paragraphs together until they make a document."""

    paragraphs: list[str] = field(default_factory=list)

    def add(self, paragraph: str) -> str | None:
        self.paragraphs.append(paragraph)
        document = "\n\n".join(self.paragraphs)
        if len(document) < DOCUMENT_CHARACTERS:
            return None
        self.paragraphs = []
        return document


def _single_kinds(wanted: Wanted) -> dict[tuple[str, str], int | None]:
    """How many documents of the unmixed kinds the request needs."""
    needed: dict[tuple[str, str], int | None] = {}
    for (kind, split), limit in wanted.items():
        parts = MIXTURES[kind]
        for part in parts:
            share = None if limit is None else -(-limit * parts.count(part) // len(parts))
            earlier = needed.get((part, split), 0)
            both = None if share is None or earlier is None else max(share, earlier)
            needed[part, split] = both
    return needed


def _mix(
    pair: tuple[str, str], limit: int | None, shelves: Mapping[tuple[str, str], _Shelf]
) -> list[tuple[str, str]]:
    """Documents of a kind in its mixture's proportions, as many as the scarcest part allows."""
    kind, split = pair
    parts = MIXTURES[kind]
    heaps = {part: iter(shelves[part, split].found) for part in parts}
    mixed: list[str] = []
    while limit is None or len(mixed) < limit:
        document = next(heaps[parts[len(mixed) % len(parts)]], None)
        if document is None:
            break
        mixed.append(document)
    return sorted((hashlib.sha256(text.encode()).hexdigest()[:16], text) for text in mixed)


def _identity(piece: str, letters: int) -> bytes:
    """Hash of the first letters of a piece, without case, spaces and punctuation."""
    opening = _NOT_A_LETTER.sub("", piece[: 4 * letters].lower())[:letters]
    return hashlib.sha256(opening.encode()).digest()


def _split(identity: bytes) -> str:
    below = int.from_bytes(identity[:2], "big") < 65536 * VALIDATION_SHARE // 100
    return "validation" if below else "train"


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise StudyError(
            f"source 'installed' reads the package {name}, which is not installed: "
            "install the pinned environment"
        ) from None


def _files() -> list[tuple[str, Path]]:
    """Name within the installation and path of every file that is read, in visiting order."""
    found = {}
    for name in DISTRIBUTIONS:
        files = _distribution(name).files
        if files is None:
            raise StudyError(
                f"source 'installed' finds no list of the files of the package {name}: "
                "install the pinned environment with pip, uv or conda"
            )
        for file in files:
            if ".." not in file.parts:
                relative = re.sub(r"-[^/]*\.dist-info/", ".dist-info/", file.as_posix())
                found[relative] = Path(str(file.locate()))
    library = Path(sysconfig.get_path("stdlib"))
    for path in library.rglob("*.py"):
        found["/" + path.relative_to(library).as_posix()] = path
    names = [name for name in found if _wanted_file(name)]
    return [(name, found[name]) for name in sorted(names, key=_visit)]


def _visit(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _wanted_file(name: str) -> bool:
    if _LEFT_OUT.search(name):
        return False
    last = name.rsplit("/", 1)[-1]
    if name.endswith((".py", *_C_LIKE, *_CYTHON)):
        return True
    return ".dist-info/" in name and (last.startswith(_PAGE_NAMES) or last.endswith(_PAGES))


def _read(task: tuple[Path, str, frozenset[str]]) -> list[tuple[str, str]]:
    """The pieces of one file as (kind, text): paragraphs of prose and documents of code."""
    path, name, kinds = task
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    if len(source) > LONGEST_FILE:
        return []
    return [(kind, text) for kind, text in _pieces(name, source, kinds) if kind in kinds]


def _pieces(name: str, source: str, kinds: frozenset[str]) -> Iterator[tuple[str, str]]:
    if name.endswith(".py"):
        try:
            tree = ast.parse(source)
            if "python" in kinds:
                yield from (
                    ("python", text) for text in cut(source_files.python_code(source, tree))
                )
        except (SyntaxError, ValueError, RecursionError):
            return
        if "text" in kinds:
            yield from (("text", text) for text in source_files.python_prose(source, tree))
    elif name.endswith(_C_LIKE):
        if "other" in kinds:
            code = source_files.c_code(source, css=name.endswith(".css"))
            yield from (("other", text) for text in cut(code))
        yield from (("text", text) for text in source_files.c_prose(source))
    elif name.endswith(_CYTHON):
        yield from (("text", text) for text in source_files.cython_prose(source))
    else:
        yield from (("text", text) for text in source_files.page_prose(source))


def cut(code: str) -> list[str]:
    """Consecutive documents of at least 1,600 characters, cut at line ends; the rest is left."""
    cuts, lines, length = [], [], 0
    for line in code.split("\n"):
        lines.append(line)
        length += len(line) + 1
        if length > DOCUMENT_CHARACTERS:
            cuts.append("\n".join(lines))
            lines, length = [], 0
    return cuts
