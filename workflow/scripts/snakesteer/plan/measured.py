"""What the measures of a sweep are asked, and what they read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from snakesteer.plan.activations import documents, format_of, questions, skip_tokens
from snakesteer.plan.artefacts import Artefact, Inputs
from snakesteer.plan.graph import Graph, once
from snakesteer.plan.models import max_tokens
from snakesteer.study.measures import (
    Continuation,
    NextToken,
    OnBehaviours,
    OnCorpora,
    OnEither,
)
from snakesteer.sweeps.job import Measured


@once
def measured(graph: Graph, name: str) -> tuple[tuple[Measured, ...], Inputs]:
    """The measures of a sweep, and the files that they read, each once, by role."""
    sweep, found = graph.study.sweeps[name], []
    files: Inputs = {}
    for of, entry in sweep.measures.items():
        sources = graph.study.sources_of(sweep, entry)
        place = f"sweeps.{name}.measures.{of}"
        if isinstance(entry, Continuation):
            one = _written(graph, of, entry, sources, files)
        elif isinstance(entry, OnCorpora) or (isinstance(entry, OnEither) and entry.corpora):
            one = _on_corpora(graph, place, sweep.model, of, entry, files)
        else:
            assert isinstance(entry, OnBehaviours)
            asked = [(questions(graph, behaviour), 0) for behaviour in sources]
            behaviours = [graph.study.behaviours[behaviour] for behaviour in sources]
            one = Measured(
                name=of,
                measure=entry.measure,
                sources=tuple(sources),
                own=entry.sources is None,
                files={"questions": _places(files, "questions", asked)},
                split=entry.split,
                asked=entry.settings(),
                format=format_of(graph.study, entry),
                readings=max(map(entry.readings, behaviours), default=1),
            )
        found.append(one)
    return tuple(found), files


def _written(
    graph: Graph, of: str, entry: Continuation, sources: Sequence[str], files: Inputs
) -> Measured:
    """What is written: on which prompts, in files where they are not listed."""
    roles: dict[str, tuple[int, ...]] = {}
    if entry.section == "corpora":
        made = [(documents(graph, corpus), 1) for corpus in sources]
        roles["documents"] = _places(files, "documents", made)
    elif entry.section == "behaviours":
        asked = [(questions(graph, behaviour), 0) for behaviour in sources]
        roles["questions"] = _places(files, "questions", asked)
    return Measured(
        name=of,
        measure=entry.measure,
        sources=tuple(sources),
        own=entry.sources is None,
        files=roles,
        split=entry.split if entry.section == "behaviours" else "validation",
        asked=entry.settings(),
        format=format_of(graph.study, entry),
    )


def _on_corpora(
    graph: Graph,
    place: str,
    model: str,
    of: str,
    entry: OnCorpora | OnEither,
    files: Inputs,
) -> Measured:
    corpora = entry.corpora or []
    longest = max_tokens(graph, place, model, entry.max_tokens)
    roles = {"documents": [(documents(graph, corpus), 1) for corpus in corpora]}
    if isinstance(entry, NextToken):
        left_out = [skip_tokens(graph, corpus, model, entry, longest) for corpus in corpora]
        roles["skip_tokens"] = [(made, 0) for made in left_out]
    measured = Measured(
        name=of,
        measure=entry.measure,
        sources=tuple(corpora),
        own=False,
        files={role: _places(files, role, made) for role, made in roles.items()},
        split="validation",
        asked=entry.settings(),
        tokens=entry.tokens if isinstance(entry, OnCorpora) else entry.budget,
        max_tokens=longest,
        special_tokens=graph.study.models[model].special_tokens,
        format=format_of(graph.study, entry),
    )
    if not isinstance(entry, OnCorpora):
        return measured
    if not entry.paired:
        measured = replace(measured, tokens=None, read_on=entry.tokens)
    return replace(measured, precision=entry.planned)


def _places(files: Inputs, role: str, made: Iterable[tuple[Artefact, int]]) -> tuple[int, ...]:
    """The places of files among those of a role, where each stands once."""
    of_role, places = files.setdefault(role, []), []
    for one in made:
        if one not in of_role:
            of_role.append(one)
        places.append(of_role.index(one))
    return tuple(places)
