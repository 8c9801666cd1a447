"""From a study to its artefacts: what is made, from what, under which key.

A cached artefact's key is a hash of everything that determines its content: the stage, the
settings that matter to it, its inputs with their keys, and the digest of the code that makes it.
All keys are computed while the Snakefile is read, without network and without running anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from snakesteer import corpora
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError, naming
from snakesteer.core.labels import injection_label
from snakesteer.hub.http import is_address
from snakesteer.hub.manifest import (
    absent_folder,
    adapter_content,
    content,
    context,
    file_identity,
    layers_and_width,
    locate,
    locate_file,
)
from snakesteer.plan import products
from snakesteer.plan import published as published_plan
from snakesteer.plan.artefacts import LOGS, STAGES, Artefact, Inputs
from snakesteer.plan.code_digest import code_digest
from snakesteer.plan.resources import RUNS_A_MODEL, Site, Size, request
from snakesteer.study import schema
from snakesteer.study.depth import at_depth
from snakesteer.study.references import check_layers
from snakesteer.study.source_entries import HUB

MAX_TOKENS = 4096


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def once(
    method: Callable[Concatenate[Plan, Arguments], Result],
) -> Callable[Concatenate[Plan, Arguments], Result]:
    """A method of the plan that works once for each set of arguments, as a study never changes."""

    @wraps(method)
    def remembered(plan: Plan, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        asked = (method.__name__, *arguments, *sorted(named.items()))
        if asked not in plan.remembered:
            plan.remembered[asked] = method(plan, *arguments, **named)
        result: Result = plan.remembered[asked]
        return result

    return remembered


class Plan:
    """All artefacts and products of one study."""

    def __init__(self, study: schema.Study, repository: Path) -> None:
        self.study = study
        self.repository = repository
        self.remembered: dict[tuple[Any, ...], Any] = {}
        self._scripts = repository / "workflow" / "scripts"
        self._made: dict[tuple[str, str, str], Artefact] = {}
        self._vectors: dict[str, Artefact] = {}
        self.study = study = at_depth(study, self.layers)
        check_layers(study)
        for name in study.vectors:
            self.vector(name)
        for name in study.activations:
            if study.activations[name].corpus:
                self.mean(name)
        self.sweeps = {name: self._sweep(name) for name in study.sweeps}
        self.resampled_sweeps = {name: self._resampled_sweep(name) for name in study.sweeps}
        self.samples = {name: self._samples(name) for name in study.samples}
        self.tables = {name: products.table(self, name) for name in study.sweeps}
        self.published = published_plan.tables(self) if study.published else {}
        self.figures = {name: products.figure(self, name) for name in study.figures}
        self.scorecards = {name: products.scorecard(self, name) for name in study.scorecards}

    # What rules ask -----------------------------------------------------------------------

    def artefacts(self, stage: str | None = None) -> list[Artefact]:
        """The cached artefacts of one stage, or of all, in the order of the DAG."""
        return [made for made in self._made.values() if stage in (None, made.stage)]

    def keys(self, stage: str) -> str:
        """A pattern for the wildcard `key` that admits just this stage's artefacts."""
        return "|".join(made.key for made in self.artefacts(stage)) or "none"

    def inputs(self, stage: str) -> Callable[[Any], dict[str, list[str]]]:
        """An input function for the rule that makes a stage."""
        return lambda wildcards: self._made[stage, wildcards.name, wildcards.key].input_paths

    def settings(self, stage: str) -> Callable[[Any], Mapping[str, Any]]:
        """A params function for the rule that makes a stage."""
        return lambda wildcards: self._made[stage, wildcards.name, wildcards.key].settings

    def resources(self, stage: str, site: Site) -> dict[str, Callable[..., int | str]]:
        """What a job of a stage asks of a cluster, for the rule's `resources`."""

        def asked(name: str) -> Callable[..., int | str]:
            def of(wildcards: Any, attempt: int) -> int | str:
                artefact = self._made[stage, wildcards.name, wildcards.key]
                size = self.size(artefact)
                assert size
                asks: int | str = getattr(request(artefact, size, site, attempt), name)
                return asks

            return of

        names = ["mem_mb", "runtime"]
        if stage in RUNS_A_MODEL:
            names += ["gpu", *(["slurm_extra"] if site.flags(1) else [])]
        return {name: asked(name) for name in names}

    def code(self, stage: str) -> Callable[[Any], str]:
        """A params function for the rule that makes a stage: the digest of the code it runs."""
        return lambda wildcards: self._made[stage, wildcards.name, wildcards.key].code

    @once
    def script_code(self, script: str, *named: tuple[str, str]) -> str:
        """The digest of a script's code and of the plugins it loads, (kind, name) each."""
        files = [plugins.file_of(kind, name) for kind, name in named]
        return code_digest(self._scripts / f"{script}.py", files)

    # Artefacts, stage by stage ------------------------------------------------------------

    def make(
        self,
        stage: str,
        name: str,
        settings: Mapping[str, Any],
        inputs: Inputs | None = None,
    ) -> Artefact:
        given = {
            role: tuple(item if isinstance(item, tuple) else (item, 0) for item in items)
            for role, items in (inputs or {}).items()
        }
        code = self.script_code(stage, *STAGES[stage].plugins_of(settings))
        artefact = Artefact(stage, name, settings, given, code)
        return self._made.setdefault((stage, name, artefact.key), artefact)

    def folder(self, model: str) -> Path:
        """The folder that holds a model's files."""
        source = self.study.models[model].source
        folder = locate(source, self.repository)
        if folder.is_dir():
            return folder
        if folder.is_file():
            raise StudyError(f"{source} is a file; name the folder that holds the model's files.")
        hint = (
            " A model of the hub needs its revision "
            f"(`git ls-remote {HUB}/{source} HEAD` prints it) and its number of layers."
        )
        on_the_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", source)
        raise StudyError(absent_folder(source, self.repository) + (hint if on_the_hub else ""))

    def adapter(self, model: str) -> Path | None:
        """The folder of the adapter to merge into a model, if the study names one."""
        given = self.study.models[model].adapter
        if given is None:
            return None
        folder = locate(given, self.repository)
        if not folder.is_dir():
            raise StudyError(absent_folder(given, self.repository))
        return folder

    def size(self, artefact: Artefact) -> Size | None:
        """How large the model is that an artefact is or comes from; None if it is from none."""
        while artefact.stage != "model":
            above = [made for given in artefact.inputs.values() for made, _ in given]
            models = [made for made in above if made.stage == "model"]
            if not above:
                return None
            artefact = (models or above)[0]
        entry = self.study.models[artefact.name]
        if entry.revision and entry.layers:
            return Size.planned(entry.parameters, entry.layers)
        return _size_of(self.folder(artefact.name))

    @once
    def model(self, name: str) -> Artefact:
        entry = self.study.models[name]
        merging: dict[str, Any] = {}
        with naming(f"models.{name}.adapter"):
            if adapter := self.adapter(name):
                merging = {"adapter": entry.adapter, "files": adapter_content(adapter)}
        if entry.revision:
            told = ("source", "revision", "layers")
            return self.make("model", name, {key: getattr(entry, key) for key in told} | merging)
        with naming(f"models.{name}.source"):
            files = content(self.folder(name), adapter)
        return self.make("model", name, {"source": entry.source, **merging, "files": files})

    @once
    def layers(self, model: str) -> int:
        """How many decoder blocks a model has."""
        entry = self.study.models[model]
        if entry.revision and entry.layers:
            return entry.layers
        with naming(f"models.{model}.source"):
            layers = layers_and_width(self.folder(model))[0]
        if entry.layers not in (None, layers):
            raise StudyError(
                f"models.{model}.layers is {entry.layers}, but the model has {layers}; correct it, "
                "or leave it out."
            )
        return layers

    def layer_sets(self, entry: str, model: str, given: Any) -> list[list[int]]:
        """Layer sets of a sweep, checked against the model's depth."""
        depth = self.layers(model)
        sets = (
            [[layer] for layer in range(depth)]
            if given == "all"
            else [[item] if isinstance(item, int) else list(item) for item in given]
        )
        for layer in (layer for layers in sets for layer in layers):
            if layer >= depth:
                raise StudyError(
                    f"{entry} names layer {layer}, but models.{model} has {depth} layers "
                    f"(0 to {depth - 1}); name one of those."
                )
        return sets

    def _transfer(self, entry: str, model: str, vectors: Iterable[str]) -> dict[str, Any]:
        """What settings say of vectors of another model, which must have this one's depth."""
        origins = {self.study.model_of(vector) for vector in vectors} - {model}
        for origin in sorted(origins):
            depth, here = self.layers(origin), self.layers(model)
            if depth != here:
                raise StudyError(
                    f"{entry}.model is {model}, which has {here} layers, but its vectors come from "
                    f"models.{origin}, which has {depth}; transfer takes models of one depth and "
                    "width."
                )
        return {"transfer": True} if origins else {}

    def _max_tokens(self, entry: str, of: schema.Activations | schema.SkillSweep) -> int:
        """Where documents are cut, checked against the model's context."""
        model = self.study.models[of.model]
        if model.revision:
            most = model.context
        else:
            with naming(f"models.{of.model}.source"):
                most = context(self.folder(of.model))
        if of.max_tokens is None:
            return MAX_TOKENS if most is None else min(MAX_TOKENS, most)
        if most is not None and of.max_tokens > most:
            raise StudyError(
                f"{entry}.max_tokens is {of.max_tokens}, but models.{of.model} reads at most "
                f"{most} tokens; lower it."
            )
        return of.max_tokens

    @once
    def documents(self, corpus: str) -> Artefact:
        entry = self.study.corpora[corpus].model_dump(exclude={"title"})
        source = corpora.SOURCES[entry["source"]]
        with naming(f"corpora.{corpus}"):
            identity = source.identity(entry, self.repository)
        return self.make("documents", corpus, {**entry, "identity": identity})

    @once
    def questions(self, behaviour: str) -> Artefact:
        entry = self.study.behaviours[behaviour].model_dump(mode="json", exclude={"title"})
        if "file" in entry and not is_address(entry["file"]):
            with naming(f"behaviours.{behaviour}.file"):
                entry["identity"] = file_identity(locate_file(entry["file"], self.repository))
        return self.make("questions", behaviour, entry)

    def skip_tokens(self, corpus: str, sweep: schema.SkillSweep, max_tokens: int) -> Artefact:
        return self.make(
            "skip_tokens",
            corpus,
            {
                "skip": sweep.skip,
                "max_tokens": max_tokens,
                "method": sweep.skip_tokens,
                **_reading(self.study.models[sweep.model]),
            },
            {"model": [self.model(sweep.model)], "documents": [(self.documents(corpus), 0)]},
        )

    @once
    def activations(self, name: str) -> Artefact:
        entry = self.study.activations[name]
        settings: dict[str, Any] = _running(self.study.models[entry.model])
        if entry.corpus:
            source = ("documents", (self.documents(entry.corpus), 0))
            most = self._max_tokens(f"activations.{name}", entry)
            settings |= {"documents": entry.documents, "max_tokens": most}
            settings |= _reading(self.study.models[entry.model])
        else:
            assert entry.behaviour
            source = ("questions", (self.questions(entry.behaviour), 0))
        role, of = source
        inputs: Inputs = {"model": [self.model(entry.model)], role: [of]}
        return self.make("activations", name, settings, inputs)

    @once
    def mean(self, name: str) -> Artefact:
        return self.make("mean", name, {}, {"activations": [self.activations(name)]})

    @once
    def vector(self, name: str) -> Artefact:
        entry = self.study.vectors[name]
        if entry.contrast:
            made = self.make(
                "vector",
                name,
                {"method": "contrast"},
                {"contrast": [self.activations(entry.contrast)]},
            )
        else:
            settings: dict[str, Any] = {"method": "skill", "dtype": entry.dtype}
            if entry.permute:
                settings |= {"permute": entry.permute, "seed": entry.seed}
            made = self.make(
                "vector",
                name,
                settings,
                {
                    "add": [self.mean(operand) for operand in entry.add or []],
                    "subtract": [self.mean(operand) for operand in entry.subtract or []],
                },
            )
        self._vectors[name] = made
        return made

    def resampled_vectors(self, name: str, resamples: int) -> Artefact:
        entry = self.study.vectors[name]
        settings = {"vector": name, "resamples": resamples, "seed": entry.seed}
        if entry.contrast:
            inputs: Inputs = {"contrast": [self.activations(entry.contrast)]}
        else:
            settings |= {"permute": entry.permute, "dtype": entry.dtype}
            inputs = {
                "add": [self.activations(operand) for operand in entry.add or []],
                "subtract": [self.activations(operand) for operand in entry.subtract or []],
            }
        return self.make("resampled_vectors", name, settings, inputs)

    @once
    def choice(self, name: str) -> Artefact:
        entry = self.study.choices[name]
        if entry.grid is None:
            given = {
                self.study.behaviour_of(vector): {
                    str(layer): cell.model_dump() for layer, cell in layers.items()
                }
                for vector, layers in (entry.multipliers or {}).items()
            }
            return self.make("choice", name, {"multipliers": given})
        return self.make(
            "choice",
            name,
            {"max_faulty": entry.max_faulty, **self.described(entry.grid)},
            {"grid": [*self._sweep(entry.grid)]},
        )

    # Sweeps -------------------------------------------------------------------------------

    @once
    def _sweep(self, name: str) -> list[Artefact]:
        """The jobs of one sweep: one per injection layer, or set of layers."""
        sweep = self.study.sweeps[name]
        match sweep:
            case schema.SkillSweep():
                return self._skill(name, sweep)
            case schema.GridSweep():
                return self._grid(name, sweep)
            case schema.SingleSweep():
                return self._single(name, sweep)
            case schema.CombinedSweep():
                return self._combined(name, sweep)
            case schema.SimultaneousSweep():
                return self._simultaneous(name, sweep)

    def _resampled_sweep(self, name: str) -> list[Artefact]:
        """The jobs of one sweep once more, each with the resamples of its vectors."""
        resamples = self.study.sweeps[name].resamples
        if not resamples:
            return []
        made = []
        for job in self.sweeps[name]:
            vectors = [
                self.resampled_vectors(vector, resamples) for vector in job.settings["layers"]
            ]
            inputs: Inputs = {role: list(items) for role, items in job.inputs.items()}
            inputs |= {"vectors": [*vectors], "base": [job]}
            settings = {**job.settings, "resamples": resamples}
            made.append(self.make(job.stage, f"{job.name}.resampled", settings, inputs))
        return made

    def _skill(self, name: str, sweep: schema.SkillSweep) -> list[Artefact]:
        max_tokens = self._max_tokens(f"sweeps.{name}", sweep)
        if isinstance(sweep.inject, str):
            sets = self.layer_sets(f"sweeps.{name}.layers", sweep.model, sweep.layers)
            injections = [{sweep.inject: layers} for layers in sets]
        else:
            injections = [self._own_layers(name, sweep.model, sweep.inject)]
        stopping = sweep.stopping.model_dump() if sweep.stopping else None
        settings = {
            **_running(self.study.models[sweep.model], sweep),
            **_reading(self.study.models[sweep.model]),
            "coefficients": schema.coefficients(sweep.coefficients),
            "corpora": sweep.corpora,
            "tokens": sweep.tokens,
            "paired": sweep.paired,
            "precision": (
                {
                    "half_width": sweep.precision,
                    "pilot": sweep.pilot,
                    "by": sweep.precision_by,
                }
                if sweep.precision
                else None
            ),
            "max_tokens": max_tokens,
            "stopping": stopping,
            **self._transfer(f"sweeps.{name}", sweep.model, injections[0]),
        }
        inputs: Inputs = {
            "model": [self.model(sweep.model)],
            "documents": [(self.documents(corpus), 1) for corpus in sweep.corpora],
            "skip_tokens": [
                self.skip_tokens(corpus, sweep, max_tokens) for corpus in sweep.corpora
            ],
        }
        return [
            self.make(
                "skill_sweep",
                f"{name}.{_place(injection)}",
                {**settings, "layers": injection},
                {**inputs, "vectors": [self.vector(vector) for vector in injection]},
            )
            for injection in injections
        ]

    def _grid(self, name: str, sweep: schema.GridSweep) -> list[Artefact]:
        made = []
        for (layer,) in self.layer_sets(f"sweeps.{name}.layers", sweep.model, sweep.layers):
            multipliers = sorted(sweep.multipliers)
            runs = [[0.0], multipliers, [-multiplier for multiplier in multipliers]]
            injections = [
                {
                    "label": vector,
                    "vectors": [vector],
                    "behaviours": [self.study.behaviour_of(vector)],
                    "runs": runs,
                }
                for vector in sweep.vectors
            ]
            settings = {
                "split": sweep.split,
                "layers": {vector: [layer] for vector in sweep.vectors},
                "injections": injections,
                "stopping": sweep.stopping.model_dump() if sweep.stopping else None,
            }
            made.append(self._behaviour(name, f"layer-{layer}", sweep, settings, sweep.vectors))
        return made

    def _single(self, name: str, sweep: schema.SingleSweep) -> list[Artefact]:
        vectors = self.study.chosen_vectors(sweep.choice)
        made = []
        for (layer,) in self.layer_sets(f"sweeps.{name}.layers", sweep.model, sweep.layers):
            settings = {
                "split": sweep.split,
                "layers": {vector: [layer] for vector in vectors},
                "injections": [
                    {
                        "label": vector,
                        "vectors": [vector],
                        "behaviours": [self.study.behaviour_of(vector)],
                        "runs": "chosen",
                    }
                    for vector in vectors
                ],
            }
            place = f"layer-{layer}"
            made.append(self._behaviour(name, place, sweep, settings, vectors, sweep.choice))
        return made

    def _combined(self, name: str, sweep: schema.CombinedSweep) -> list[Artefact]:
        vectors = self.study.chosen_vectors(sweep.choice)
        behaviours = [self.study.behaviour_of(vector) for vector in vectors]
        made = []
        for (layer,) in self.layer_sets(f"sweeps.{name}.layers", sweep.model, sweep.layers):
            settings = {
                "split": sweep.split,
                "layers": {vector: [layer] for vector in vectors},
                "injections": [
                    {
                        "label": f"{combine}{'-weighted' if weighted else ''}-{direction}",
                        "vectors": vectors,
                        "behaviours": behaviours,
                        "combine": combine,
                        "weighted": weighted,
                        "direction": direction,
                        "runs": [[1.0]],
                    }
                    for combine in sweep.combine
                    for weighted in sweep.weighted
                    for direction in ("add", "subtract")
                ],
            }
            place = f"layer-{layer}"
            made.append(self._behaviour(name, place, sweep, settings, vectors, sweep.choice))
        return made

    def _simultaneous(self, name: str, sweep: schema.SimultaneousSweep) -> list[Artefact]:
        injection = self._own_layers(name, sweep.model, sweep.inject)
        behaviours = [self.study.behaviour_of(vector) for vector in injection]
        settings = {
            "split": sweep.split,
            "layers": injection,
            "injections": [
                {
                    "label": "all",
                    "vectors": list(injection),
                    "behaviours": behaviours,
                    "runs": [schema.coefficients(sweep.coefficients)],
                }
            ],
        }
        return [self._behaviour(name, _place(injection), sweep, settings, list(injection))]

    def _behaviour(
        self,
        name: str,
        place: str,
        sweep: Any,
        settings: Mapping[str, Any],
        vectors: list[str],
        choice: str | None = None,
    ) -> Artefact:
        behaviours = [self.study.behaviour_of(vector) for vector in vectors]
        inputs: Inputs = {
            "model": [self.model(sweep.model)],
            "questions": [self.questions(behaviour) for behaviour in behaviours],
            "vectors": [self.vector(vector) for vector in vectors],
        }
        if choice:
            inputs["choice"] = [self.choice(choice)]
        return self.make(
            "behaviour_sweep",
            f"{name}.{place}",
            {
                **_running(self.study.models[sweep.model], sweep),
                **self._transfer(f"sweeps.{name}", sweep.model, vectors),
                "kind": sweep.kind,
                "behaviours": behaviours,
                **settings,
            },
            inputs,
        )

    def _own_layers(self, name: str, model: str, inject: Mapping[str, Any]) -> dict[str, list[int]]:
        entry = f"sweeps.{name}.inject"
        return {
            vector: self.layer_sets(entry, model, [layer])[0] for vector, layer in inject.items()
        }

    def _samples(self, name: str) -> Artefact:
        entry = self.study.samples[name]
        self.layer_sets(f"samples.{name}.layer", entry.model, [entry.layer])
        return self.make(
            "samples",
            name,
            {
                **_running(self.study.models[entry.model]),
                **self._transfer(f"samples.{name}", entry.model, [entry.vector]),
                "vector": entry.vector,
                "layer": entry.layer,
                "coefficients": entry.coefficients,
                "prompts": entry.prompts,
                "tokens": entry.tokens,
            },
            {"model": [self.model(entry.model)], "vectors": [self.vector(entry.vector)]},
        )

    # Published results --------------------------------------------------------------------

    @property
    def published_entry(self) -> schema.Published:
        """The study's entry of published results, where there is one."""
        assert self.study.published
        return self.study.published

    @cached_property
    def published_source(self) -> Artefact:
        """The published files, which every artefact made of them comes from."""
        return published_plan.source(self)

    def published_folder(self) -> str:
        """Where the published files lie, or are downloaded to."""
        return published_plan.folder(self)

    # The study's own folder ---------------------------------------------------------------

    def path(self, *parts: str) -> str:
        """A path in the study's own folder."""
        return "/".join(["results", self.study.name, *parts])

    def described(self, name: str) -> dict[str, Any]:
        """What a behaviour sweep's raw tables hold, in the order of its jobs, and its collapse."""
        jobs = self._sweep(name)
        return {
            "kind": jobs[0].settings["kind"],
            "split": jobs[0].settings["split"],
            "collapse": self.study.collapse_of(name),
            "jobs": [
                {
                    "layer": injection_label(job.settings["layers"]),
                    "injections": job.settings["injections"],
                }
                for job in jobs
            ],
        }

    def listed(self) -> dict[str, Any]:
        """What rules list of the whole study, of plain JSON types, by the name of the rule."""
        resolved = self.study.model_dump(mode="json")
        return {
            "catalogue": self.catalogue(),
            "usage": self.jobs(),
            "study": {name: entry for name, entry in resolved.items() if entry},
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
            for made in self._made.values()
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
            for made in self._made.values()
        ]


@cache
def _size_of(folder: Path) -> Size:
    return Size.of(folder)


def _running(model: schema.Model, sweep: schema.Run | None = None) -> dict[str, Any]:
    """Settings of a run of the model that determine its numbers."""
    settings: dict[str, Any] = {
        "dtype": model.dtype,
        "attention": model.attention,
        "device_map": model.device_map,
        "batch_tokens": model.batch_tokens,
        "bos": model.bos,
    }
    if sweep:
        settings |= {"dtype": sweep.dtype or model.dtype, "vector_dtype": sweep.vector_dtype}
        settings |= {"path": sweep.path, "kept_gb": model.kept_gb}
        settings["compile"] = model.compile
    return settings


def _reading(model: schema.Model) -> dict[str, str]:
    """Settings that determine the tokens of documents."""
    return {"bos": model.bos, "special_tokens": model.special_tokens}


def _place(injection: Mapping[str, list[int]]) -> str:
    """`layer-3`, or `layers-1-2-3`, for a file's name."""
    layers = sorted({layer for layers in injection.values() for layer in layers})
    return f"layer{'s' if len(layers) > 1 else ''}-{'-'.join(map(str, layers))}"
