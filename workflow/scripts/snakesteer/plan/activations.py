"""What a model reads, and the activations that it gives: documents, questions, activations."""

from __future__ import annotations

from dataclasses import replace

from snakesteer.core import plugins
from snakesteer.core.errors import naming
from snakesteer.core.records import plain
from snakesteer.hub.http import is_address
from snakesteer.hub.manifest import file_identity, locate_file
from snakesteer.jobs.specified import ActivationsJob, SkipTokensJob
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.models import max_tokens, model, reading, running
from snakesteer.prompts.formats import Format
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
    entry = graph.study.corpora[corpus].model_dump(exclude={"title"})
    if entry.get("completion") is None:
        entry.pop("completion", None)
    with naming(f"corpora.{corpus}"):
        source = plugins.load("corpora", entry["source"])
        entry["identity"] = source.identity(entry, graph.repository)
    if hasattr(source, "readers"):
        entry["readers"] = source.readers(entry)
    return graph.make("documents", corpus, entry)


@once
def questions(graph: Graph, behaviour: str) -> Artefact:
    """The questions of a behaviour, of all splits."""
    entry = graph.study.behaviours[behaviour].model_dump(mode="json", exclude={"title"})
    if "file" in entry and not is_address(entry["file"]):
        with naming(f"behaviours.{behaviour}.file"):
            entry["identity"] = file_identity(locate_file(entry["file"], graph.repository))
    source = plugins.load("behaviours", entry["source"])
    if hasattr(source, "readers"):
        entry["readers"] = source.readers(entry)
    return graph.make("questions", behaviour, entry)


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
