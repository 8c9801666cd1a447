"""What a person opens: the tables, figures and scorecards of a study, from its cached artefacts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.core.records import plain
from snakesteer.plan.activations import activations, questions
from snakesteer.plan.artefacts import Product
from snakesteer.plan.choices import candidate
from snakesteer.plan.graph import Graph, script_code
from snakesteer.plan.models import layer_sets
from snakesteer.plan.sweeps import choice, resampled_jobs, sweep_jobs, tabled
from snakesteer.plan.vectors import drawn_vectors, mean, vector
from snakesteer.study.controls import column_of, controls_of, has_slopes
from snakesteer.study.measures import Choice, TwoChoice
from snakesteer.study.tables import Table
from snakesteer.study.vectors import ControlVector
from snakesteer.tables.null import NullJob
from snakesteer.tables.ranking import RankingJob
from snakesteer.tables.slopes import EffectsJob

DESCRIBED = ("vectors.csv", "cosines.csv")
RANKED = ("arms", "pairs", "vectors")


def table(graph: Graph, name: str) -> Product:
    """The table of a sweep under one of its measures."""
    of_sweep, job = name.split(".")[0], tabled(graph, name)
    inputs = {"sweeps": sweep_jobs(graph, of_sweep), "resampled": resampled_jobs(graph, of_sweep)}
    sweep = graph.study.sweeps[of_sweep]
    of = graph.study.table(name)
    assert isinstance(of, Table)
    measure = of.measured
    if isinstance(measure, TwoChoice | Choice) and measure.by_category:
        job = replace(job, by_category=tuple(graph.study.sources_of(sweep, measure)))
        inputs["questions"] = [questions(graph, behaviour) for behaviour in job.by_category]
    if sweep.choice and sweep.inject.uses_multipliers:
        inputs["choice"] = [choice(graph, sweep.choice)]
    if job.choices:
        inputs["candidates"] = [candidate(graph, each) for each in job.choices]
    return Product(
        name,
        plain(job),
        {role: tuple(one.paths[0] for one in made) for role, made in inputs.items() if made},
        script_code(graph, "table", ("tables", job.measure)),
    )


def slopes(graph: Graph, name: str) -> Product:
    """The slopes of single questions of a sweep and of its controls."""
    entry, study = graph.study.effects[name], graph.study
    tables = [entry.sweep, *entry.controls]
    behaviours: dict[str, None] = {}
    for table in tables:
        behaviours |= dict.fromkeys(study.titles_of(table))
    job = EffectsJob(
        tables=tuple(tabled(graph, table) for table in tables),
        behaviours=tuple(behaviours),
        seed=entry.seed,
        balanced=entry.balanced,
    )
    choices = dict.fromkeys(choice for table in job.tables for choice in table.choices)
    inputs = {
        "sweeps": [made for table in tables for made in sweep_jobs(graph, table.split(".")[0])],
        "questions": [questions(graph, behaviour) for behaviour in behaviours],
        "candidates": [candidate(graph, choice) for choice in choices],
    }
    paths = {role: tuple(one.paths[0] for one in made) for role, made in inputs.items() if made}
    return Product(name, plain(job), paths)


def control(graph: Graph, name: str) -> Product:
    """The effects of a sweep against those of its controls' draws."""
    entry = graph.study.effects[name]
    job = NullJob(entry.sweep, column_of(graph.study, entry), controls_of(graph.study, entry))
    inputs = {"tables": _table_paths(graph, [entry.sweep, *entry.controls])}
    if has_slopes(graph.study, entry):
        inputs["effects"] = effects_paths(graph, name)
    return Product(name, plain(job), inputs)


def ranking(graph: Graph, name: str) -> Product:
    """Arms ranked, from the sweeps that they stand in."""
    entry = graph.study.rankings[name]
    jobs = tuple(tabled(graph, table) for table in entry.sweeps)
    arms = {arm: tuple(vectors) for arm, vectors in entry.arms.items()}
    choices = dict.fromkeys(choice for job in jobs for choice in job.choices)
    inputs = {
        "sweeps": [
            made for table in entry.sweeps for made in sweep_jobs(graph, table.split(".")[0])
        ],
        "candidates": [candidate(graph, choice) for choice in choices],
    }
    paths = {role: tuple(one.paths[0] for one in made) for role, made in inputs.items() if made}
    return Product(name, plain(RankingJob(jobs, arms)), paths)


def ranking_paths(graph: Graph, name: str) -> tuple[str, ...]:
    """The tables of an entry of `rankings`: of arms, pairs and vectors."""
    return tuple(graph.path("rankings", f"{name}.{of}.parquet") for of in RANKED)


def effects_paths(graph: Graph, name: str) -> tuple[str, ...]:
    """The tables of slopes of an entry of `effects`: item by item, and on the whole."""
    return tuple(graph.path("effects", f"{name}.{of}.parquet") for of in ("items", "slopes"))


def described_vectors(graph: Graph) -> Product:
    """The study's vectors in numbers, from them, of controls with draws these, and from the samples
    that they, or what they are controls of, are made of."""
    study = graph.study
    settings: list[dict[str, Any]] = []
    about: dict[str, Any]
    paths: list[str] = []
    vectors: list[str] = []
    for name, entry in study.vectors.items():
        of = study.vectors[entry.of] if isinstance(entry, ControlVector) else entry
        samples = {role: _placed(graph, named, paths) for role, named in of.activations().items()}
        about = {"name": name, "method": entry.method, "model": study.model_of(name)}
        about |= {"made_of": _placed(graph, study.activations_of(name), paths)}
        draws = study.draws_of([name])
        made = drawn_vectors(graph, name, draws[name]) if draws else vector(graph, name)
        vectors.append(made.paths[0])
        settings.append(about | {"samples": samples} | ({"draws": draws[name]} if draws else {}))
    inputs = {"vectors": tuple(vectors), "activations": tuple(paths)}
    return Product("vectors", settings, {role: given for role, given in inputs.items() if given})


def _placed(graph: Graph, names: Iterable[str], paths: list[str]) -> list[int]:
    """Where the files of activations stand among paths, to which those that lack are added."""
    places = []
    for name in names:
        (path,) = activations(graph, name).paths
        paths += [] if path in paths else [path]
        places.append(paths.index(path))
    return places


def figure(graph: Graph, name: str) -> Product:
    """A figure, from the tables or vectors that it shows."""
    study = graph.study
    figure = study.figures[name]
    means, vectors = figure.arrays(study)
    if means or vectors or figure.describes_vectors:
        layers = getattr(figure, "layers", None) or "all"
        for model in filter(None, figure.models(study)):
            layer_sets(graph, f"figures.{name}.layers", model, layers)
    settings = figure.model_dump(exclude={"caption", "choice", "dose"}) | figure.settings(study)
    settings["arrays"] = [*means, *vectors]
    settings["labels"] = {shown: title for shown, title in figure.labels(study).items() if title}
    inputs = {
        "tables": _table_paths(graph, figure.tables(study)),
        "means": tuple(mean(graph, item).paths[0] for item in means),
        "vectors": tuple(vector(graph, item).paths[0] for item in vectors),
        "described": tuple(map(graph.path, DESCRIBED)) if figure.reads_lengths(study) else (),
        "choice": tuple(candidate(graph, figure.marks).paths) if figure.marks else (),
        "effects": _effects_of(graph, figure.shown_effects) if figure.shown_effects else (),
        "ranking": ranking_paths(graph, figure.shown_ranking) if figure.shown_ranking else (),
    }
    return Product(
        name,
        settings,
        {role: paths for role, paths in inputs.items() if paths},
        script_code(graph, "figure", ("figures", figure.kind)),
    )


def _effects_of(graph: Graph, name: str) -> tuple[str, ...]:
    """The tables of an entry of `effects`, with that of its controls where it has some."""
    paths = effects_paths(graph, name)
    if controls_of(graph.study, graph.study.effects[name]):
        paths += (graph.path("effects", f"{name}.control.parquet"),)
    return paths


def scorecard(graph: Graph, name: str) -> Product:
    """A comparison of sweeps.

    Raises StudyError for a sweep of another study that has not been run.
    """
    entry = graph.study.scorecards[name]
    against = [_compared_path(graph, name, sweep) for sweep in entry.against]
    choices = [candidate(graph, choice).paths[0] for choice in entry.choices or []]
    return Product(
        name,
        {"title": entry.title or name, "sweeps": entry.sweeps, "against": entry.against}
        | {"column": entry.column, "along": entry.along}
        | ({"by_category": True} if entry.by_category else {}),
        {"sweeps": _table_paths(graph, entry.sweeps), "against": tuple(against)}
        | ({"choices": tuple(choices)} if choices else {}),
    )


def _compared_path(graph: Graph, name: str, sweep: str) -> str:
    """The table of a sweep of this study, or of another one in the same results folder."""
    study, _, other = sweep.rpartition("/")
    if not study or study == graph.study.name:
        return graph.path("tables", f"{other}.parquet")
    path = f"results/{study}/tables/{other}.parquet"
    if not Path(path).is_file():
        raise StudyError(
            f"scorecards.{name}.against names {sweep}, but {path} does not exist; run the study "
            f"{study} first, or name another sweep."
        )
    return path


def _table_paths(graph: Graph, sweeps: Iterable[str]) -> tuple[str, ...]:
    return tuple(graph.path("tables", f"{sweep}.parquet") for sweep in sweeps)
