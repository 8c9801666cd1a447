"""The artefacts of one study: made once each, by functions that say what each is made from.

A cached artefact's key is a hash of everything that determines its content: the stage, the
settings that matter to it, its inputs with their keys, and the digest of the code that makes it.
All keys are computed while the Snakefile is read, without network and without running anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from snakesteer.core import plugins
from snakesteer.plan.artefacts import STAGES, Artefact, Inputs
from snakesteer.plan.code_digest import code_digest
from snakesteer.study import schema

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass
class Graph:
    """A study, the workflow's folder, and the artefacts asked for so far.

    `made` has them by stage, name and key, in the order of the DAG.
    """

    study: schema.Study
    repository: Path
    made: dict[tuple[str, str, str], Artefact] = field(default_factory=dict)
    remembered: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def make(
        self,
        stage: str,
        name: str,
        settings: Mapping[str, Any],
        inputs: Inputs | None = None,
    ) -> Artefact:
        """The artefact of these settings and inputs, the same one whenever it is asked for."""
        given = {
            role: tuple(item if isinstance(item, tuple) else (item, 0) for item in items)
            for role, items in (inputs or {}).items()
        }
        code = script_code(self, script_of(stage), *STAGES[stage].plugins_of(settings))
        artefact = Artefact(stage, name, settings, given, code)
        return self.made.setdefault((stage, name, artefact.key), artefact)

    def codes(self, artefact: Artefact) -> dict[str, str]:
        """The digests of the code behind an artefact: of its script alone, and of each plugin."""
        found = {"script": script_code(self, script_of(artefact.stage))}
        for kind, name in STAGES[artefact.stage].plugins_of(artefact.settings):
            found[f"{kind}/{name}"] = plugin_code(self, kind, name)
        return found

    def path(self, *parts: str) -> str:
        """A path in the study's own folder."""
        return "/".join(["results", self.study.name, *parts])


def once(
    function: Callable[Concatenate[Graph, Arguments], Result],
) -> Callable[Concatenate[Graph, Arguments], Result]:
    """A function of a graph that works once for each set of arguments, as a study never changes."""

    @wraps(function)
    def remembered(
        graph: Graph, /, *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        asked = (function, *arguments, *sorted(named.items()))
        if asked not in graph.remembered:
            graph.remembered[asked] = function(graph, *arguments, **named)
        result: Result = graph.remembered[asked]
        return result

    return remembered


def script_of(stage: str) -> str:
    """The name of the script that makes a stage."""
    return STAGES[stage].script or stage


@once
def script_code(graph: Graph, script: str, *named: tuple[str, str]) -> str:
    """The digest of a script's code and of the plugins it loads, (kind, name) each."""
    scripts = graph.repository / "workflow" / "scripts"
    files = [plugins.file_of(kind, name, scripts / "snakesteer") for kind, name in named]
    return code_digest([scripts / f"{script}.py", *files], scripts)


@once
def plugin_code(graph: Graph, kind: str, name: str) -> str:
    """The digest of a plugin's own code."""
    scripts = graph.repository / "workflow" / "scripts"
    return code_digest([plugins.file_of(kind, name, scripts / "snakesteer")], scripts)
