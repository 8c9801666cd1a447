"""What the rules ask of a study: inputs, settings, code and resources of each job, and products."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snakesteer.plan import front_page, products, published, repositories
from snakesteer.plan.artefacts import LOGS, Artefact
from snakesteer.plan.choices import candidate
from snakesteer.plan.exports import exports, is_folder
from snakesteer.plan.graph import Graph, script_code
from snakesteer.plan.lineage import lineage
from snakesteer.plan.models import layers, size
from snakesteer.plan.resources import RUNS_A_MODEL, Request, Site, request
from snakesteer.plan.sweeps import resampled_jobs, samples, sweep_jobs
from snakesteer.plan.vectors import drawn_vectors, mean, vector
from snakesteer.study import schema
from snakesteer.study.choices import CandidateChoice
from snakesteer.study.controls import controls_of, has_slopes
from snakesteer.study.depth import at_depth
from snakesteer.study.designs import USUALLY_CHANGED
from snakesteer.study.references import check_layers
from snakesteer.study.tables import Table


class Plan:
    """All artefacts and products of one study.

    `vectors`, `sweeps`, `resampled_sweeps`, `samples` and `candidates` (choices among these) are
    cached artefacts by the name of their entry, `tables`, `published`, `figures` and `scorecards`
    what is made of them, and so are `slopes` and `controls`, of entries of `effects`, and
    `rankings`. `texts` are the tables of texts, which have a page; `study_vectors` are the vectors
    with the draws of controls, which are named NAME-draws. `exported_files` and `exported_folders`
    are what vectors are exported as, by entry and name of the file or folder.
    """

    def __init__(self, study: schema.Study, repository: Path) -> None:
        unresolved = Graph(study, repository)
        self.study = study = at_depth(study, lambda model: layers(unresolved, model))
        check_layers(study)
        self.repository = repository
        self.graph = graph = Graph(study, repository)
        self.vectors = {name: vector(graph, name) for name in study.vectors}
        self.study_vectors = dict(self.vectors)
        for name, draws in study.draws_of(study.vectors).items():
            self.study_vectors[f"{name}-draws"] = drawn_vectors(graph, name, draws)
        for name, entry in study.activations.items():
            if entry.corpus:
                mean(graph, name)
        self.sweeps = {name: sweep_jobs(graph, name) for name in study.sweeps}
        self.resampled_sweeps = {name: resampled_jobs(graph, name) for name in study.sweeps}
        self.samples = {name: samples(graph, name) for name in study.samples}
        self.candidates = {
            name: candidate(graph, name)
            for name, choice in study.choices.items()
            if isinstance(choice, CandidateChoice)
        }
        exported = exports(graph)
        self.exported_folders = {of: made for of, made in exported.items() if is_folder(made)}
        self.exported_files = {of: made for of, made in exported.items() if not is_folder(made)}
        self.described_vectors = products.described_vectors(graph)
        self.tables = {
            name: products.table(graph, name)
            for name, table in study.tabled.items()
            if isinstance(table, Table)
        }
        self.texts = {
            name: table
            for name, table in study.tabled.items()
            if isinstance(table, Table) and table.measured.writes
        }
        self.published = published.tables(graph) if study.published else {}
        self.slopes = {
            name: products.slopes(graph, name)
            for name, entry in study.effects.items()
            if has_slopes(study, entry)
        }
        self.controls = {
            name: products.control(graph, name)
            for name, entry in study.effects.items()
            if controls_of(study, entry)
        }
        self.rankings = {name: products.ranking(graph, name) for name in study.rankings}
        self.figures = {name: products.figure(graph, name) for name in study.figures}
        self.scorecards = {name: products.scorecard(graph, name) for name in study.scorecards}

    def said_of_texts(self, name: str) -> list[str]:
        """What the page of a table of texts says of how states are changed."""
        return self.texts[name].sweep.inject.said or [USUALLY_CHANGED]

    # Cached artefacts -----------------------------------------------------------------------

    def artefacts(self, stage: str | None = None) -> list[Artefact]:
        """The cached artefacts of one stage, or of all, in the order of the DAG."""
        return [made for made in self.graph.made.values() if stage in (None, made.stage)]

    def keys(self, stage: str) -> str:
        """A pattern for the wildcard `key` that admits just this stage's artefacts."""
        return "|".join(made.key for made in self.artefacts(stage)) or "none"

    def inputs(self, stage: str) -> Callable[[Any], dict[str, list[str]]]:
        """An input function for the rule that makes a stage."""
        return lambda wildcards: self._made(stage, wildcards).input_paths

    def settings(self, stage: str) -> Callable[[Any], Mapping[str, Any]]:
        """A params function for the rule that makes a stage."""
        return lambda wildcards: self._made(stage, wildcards).settings

    def code(self, stage: str) -> Callable[[Any], str]:
        """A params function for the rule that makes a stage: the digest of the code it runs."""
        return lambda wildcards: self._made(stage, wildcards).code

    def codes(self, stage: str) -> Callable[[Any], Mapping[str, str]]:
        """A params function for the rule that makes a stage: the digests of its script's code and
        of its plugins', each by itself."""
        return lambda wildcards: self.graph.codes(self._made(stage, wildcards))

    def resources(self, stage: str, site: Site) -> dict[str, Callable[..., int | str]]:
        """What a job of a stage asks of a cluster, for the rule's `resources`."""

        @cache
        def requested(name: str, key: str, attempt: int) -> Request:
            artefact = self.graph.made[stage, name, key]
            model_size = size(self.graph, artefact)
            assert model_size
            return request(artefact, model_size, site, attempt)

        def asked(resource: str) -> Callable[..., int | str]:
            def of(wildcards: Any, attempt: int) -> int | str:
                asks: int | str = getattr(
                    requested(wildcards.name, wildcards.key, attempt), resource
                )
                return asks

            return of

        names = ["mem_mb", "runtime"]
        if stage in RUNS_A_MODEL:
            names += ["gpu", *(["slurm_extra"] if site.flags(1) else [])]
        return {name: asked(name) for name in names}

    def _made(self, stage: str, wildcards: Any) -> Artefact:
        return self.graph.made[stage, wildcards.name, wildcards.key]

    # Products -------------------------------------------------------------------------------

    def script_code(self, script: str) -> str:
        """The digest of the code of a script that makes no cached artefact."""
        return script_code(self.graph, script)

    def path(self, *parts: str) -> str:
        """A path in the study's own folder."""
        return self.graph.path(*parts)

    def origin(self, wildcards: Any, output: Any) -> dict[str, str]:
        """A params function: where the files of a repository come from.

        No reason to get them again, as they are verified: Snakemake compares no param of which a
        function asks for `output`.
        """
        return repositories.origin(self.graph, wildcards.name)

    def lineage(self, wildcards: Any, output: Any) -> dict[str, Any]:
        """A params function: what a vector of the study was made from.

        Its input's key holds all of it, so that Snakemake need not compare it, see `origin`.
        """
        return lineage(self.graph, self.study_vectors[wildcards.name])

    def published_folder(self) -> str:
        """Where the published files lie, or are downloaded to."""
        return published.folder(self.graph)

    def published_licence(self) -> dict[str, str]:
        """What published tables say of their licence, beside their settings."""
        return published.licence(self.graph)

    def listed(self) -> dict[str, Any]:
        """What rules list of the whole study, of plain JSON types, by the name of the rule."""
        resolved = self.study.model_dump(mode="json")
        return {
            "catalogue": self.catalogue(),
            "usage": self.jobs(),
            "study": {name: entry for name, entry in resolved.items() if entry},
            "front_page": front_page.contents(self),
        }

    def catalogue(self) -> list[dict[str, str]]:
        """A row per cached file: stage, name, key, path, settings as JSON."""
        return [
            {
                "stage": made.stage,
                "name": made.name,
                "key": made.key,
                "path": path,
                "settings": json.dumps(made.settings, ensure_ascii=False),
            }
            for made in self.artefacts()
            for path in made.paths
        ]

    def jobs(self) -> list[dict[str, str]]:
        """A job per cached artefact: rule, name, key, and where it is said what it took."""
        return [
            {
                "rule": made.stage,
                "name": made.name,
                "key": made.key,
                "benchmark": f"{LOGS}/{made.stage}/{made.name}.{made.key}.tsv",
                "usage": f"{LOGS}/{made.stage}/{made.name}.{made.key}.usage.json",
            }
            for made in self.artefacts()
        ]
