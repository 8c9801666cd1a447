"""Texts that no model ever goes on from: those of the files that corpora with `generate: false`
read, whichever entry reads them."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from snakesteer.core.errors import StudyError
from snakesteer.hub.http import is_address
from snakesteer.hub.manifest import at_home
from snakesteer.study.behaviours import BehaviourEntry, OfFile
from snakesteer.study.corpora import CorpusEntry, HubCorpus, Records
from snakesteer.study.measures import MeasureEntry
from snakesteer.study.schema import Study
from snakesteer.study.sweeps import SweepEntry

File = tuple[str, str]
"""Where a file lies (the commit of a repository, the dataset on the hub, or "" for this machine and
addresses), and its path or pattern there."""


def check(study: Study, entry: str, sweep: SweepEntry, measure: MeasureEntry) -> None:
    """No model goes on from texts of a corpus that forbids it, nor from others of its files.

    `entry` is that of the measure. Raises StudyError for the first source that has such texts.
    """
    if not measure.writes or measure.section == "prompts":
        return
    for name in study.sources_of(sweep, measure):
        named = f"{measure.section}.{name}"
        goes_on = f"{entry} would continue the texts of {named}"
        reads: CorpusEntry | BehaviourEntry
        if measure.section == "behaviours":
            reads = study.behaviours[name]
        else:
            reads = study.origin_of(name)
            if never := study.never_generated(name):
                made = f", which is made of corpora.{never}" if never != name else ""
                raise StudyError(
                    f"{goes_on}{made}, but that has `generate: false`; name another corpus."
                )
        for place, file in _files(study, reads):
            if guarded := _guarded(study, (place, file)):
                raise StudyError(
                    f"{goes_on}, which reads {file}, but so does corpora.{guarded}, which has "
                    "`generate: false`; name a corpus of other files."
                )


def _guarded(study: Study, file: File) -> str | None:
    """A corpus with `generate: false` that reads a file, too."""
    for name, corpus in study.corpora.items():
        if not isinstance(corpus, CorpusEntry) or corpus.generate:
            continue
        if any(_same(file, other) for other in _files(study, corpus)):
            return name
    return None


def _files(study: Study, entry: CorpusEntry | BehaviourEntry) -> Iterator[File]:
    """The files that the splits of an entry are read from; those of draws before them are not."""
    if isinstance(entry, OfFile):
        place = _place(study, entry.repository)
        for file in entry.files:
            yield place, file
    if isinstance(entry, Records):
        for split in (entry.splits.train, entry.splits.validation):
            of_hub = isinstance(entry, HubCorpus)
            named = getattr(entry, "repository", None)
            place = split.repository if of_hub else _place(study, named)
            for file in split.files:
                yield place, file


def _place(study: Study, repository: str | None) -> str:
    return study.repositories[repository].commit if repository else ""


def _same(one: File, other: File) -> bool:
    """Whether two can be the same file: a folder or a pattern is all that it may name."""
    if one[0] != other[0]:
        return False
    first, second = (file if place else _whole(file) for place, file in (one, other))
    return _names(first, second) or _names(second, first)


def _whole(file: str) -> str:
    return file if is_address(file) else str(Path(at_home(file)).resolve())


def _names(given: str, file: str) -> bool:
    return PurePath(file).is_relative_to(given) or fnmatchcase(file, given)
