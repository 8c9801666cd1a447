"""What a model reads, and the activations that it gives: documents, questions, activations."""

from __future__ import annotations

from dataclasses import replace

from snakesteer.core import plugins
from snakesteer.core.errors import naming
from snakesteer.core.records import plain
from snakesteer.hub.http import is_address
from snakesteer.hub.manifest import file_identity, locate_file
from snakesteer.jobs.selection import SelectionJob
from snakesteer.jobs.specified import ActivationsJob, SkipTokensJob
from snakesteer.measures.selection_settings import Bound
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.models import max_tokens, model, reading, running
from snakesteer.plan.repositories import repository_inputs
from snakesteer.prompts.formats import Format
from snakesteer.study.behaviours import OfFile
from snakesteer.study.corpora import SelectedCorpus
from snakesteer.study.formats import Formatted
from snakesteer.study.measures import NextToken
from snakesteer.study.schema import Study


def format_of(study: Study, entry: Formatted) -> Format | None:
    """The format in which an entry reads texts; None if they are read as they stand."""
    form = study.format_of(entry)
    return Format(**form.settings()) if form else None


@once
def documents(graph: Graph, corpus: str) -> Artefact:
    """Both splits of a corpus: file 0 is the training split, file 1 the validation split."""
    given = graph.study.corpora[corpus]
    if isinstance(given, SelectedCorpus):
        return selected_documents(graph, corpus, given)
    entry = given.model_dump(exclude={"title", "generate"})
    for name in ("completion", "sample", "strip"):
        if not entry.get(name):
            entry.pop(name, None)
    source = plugins.load("corpora", entry["source"])
    with naming(f"corpora.{corpus}"):
        entry["identity"] = source.identity(entry, graph.repository)
    if hasattr(source, "readers"):
        entry["readers"] = source.readers(entry)
    inputs: Inputs = {}
    if hasattr(source, "paths"):
        inputs = repository_inputs(graph, entry["repository"], source.paths(entry))
    return graph.make("documents", corpus, entry, inputs)


def selected_documents(graph: Graph, corpus: str, entry: SelectedCorpus) -> Artefact:
    """Those of another corpus that a model's answers select, in files as `documents` has them."""
    ran_by = graph.study.models[entry.model]
    job = SelectionJob(
        **running(ran_by),
        special_tokens=ran_by.special_tokens,
        of=entry.of,
        asked=entry.asked,
        max_tokens=max_tokens(graph, f"corpora.{corpus}", entry.model, entry.max_tokens),
        bound=Bound(entry.above, entry.below),
        format=format_of(graph.study, entry),
    )
    of = documents(graph, entry.of)
    inputs: Inputs = {"model": [model(graph, entry.model)], "documents": [(of, 0), (of, 1)]}
    return graph.make("selected_documents", corpus, plain(job), inputs)


@once
def questions(graph: Graph, behaviour: str) -> Artefact:
    """The questions of a behaviour, of all splits."""
    asked = graph.study.behaviours[behaviour]
    entry = asked.settings()
    inputs: Inputs = {}
    if isinstance(asked, OfFile):
        if asked.repository:
            inputs = repository_inputs(graph, asked.repository, asked.files)
        elif identity := _identity(graph, behaviour, asked):
            entry["identity"] = identity
    source = plugins.load("behaviours", entry["source"])
    if hasattr(source, "readers"):
        entry["readers"] = source.readers(entry)
    return graph.make("questions", behaviour, entry, inputs)


def _identity(graph: Graph, behaviour: str, asked: OfFile) -> str | dict[str, str] | None:
    """What the files on this machine are known by; of one that is all of the behaviour, alone."""
    found = {}
    for file in asked.files:
        if not is_address(file):
            place = "file" if asked.file else "splits"
            with naming(f"behaviours.{behaviour}.{place}"):
                found[file] = file_identity(locate_file(file, graph.repository))
    return found.get(asked.file) if asked.file else found


def skip_tokens(
    graph: Graph, corpus: str, read_by: str, measure: NextToken, longest: int
) -> Artefact:
    """The tokens of a corpus that a measure leaves out, its documents cut at `longest`."""
    return graph.make(
        "skip_tokens",
        corpus,
        plain(
            SkipTokensJob(
                skip=measure.skip,
                max_tokens=longest,
                method=measure.skip_tokens,
                format=format_of(graph.study, measure),
                counted=measure.counted,
                **reading(graph.study.models[read_by]),
            )
        ),
        {"model": [model(graph, read_by)], "documents": [(documents(graph, corpus), 0)]},
    )


@once
def activations(graph: Graph, name: str) -> Artefact:
    """Activations of a corpus's or a behaviour's training split."""
    entry = graph.study.activations[name]
    ran_by = graph.study.models[entry.model]
    job = ActivationsJob(
        **running(ran_by),
        format=format_of(graph.study, entry),
        site=entry.site,
        positions=entry.model_dump()["positions"],
    )
    if entry.corpus:
        source = ("documents", (documents(graph, entry.corpus), 0))
        job = replace(
            job,
            documents=entry.documents,
            max_tokens=max_tokens(graph, f"activations.{name}", entry.model, entry.max_tokens),
            special_tokens=ran_by.special_tokens,
        )
    else:
        assert entry.behaviour
        source = ("questions", (questions(graph, entry.behaviour), 0))
    role, of = source
    inputs: Inputs = {"model": [model(graph, entry.model)], role: [of]}
    return graph.make("activations", name, plain(job), inputs)
