"""What a person opens: the tables, figures and scorecards of a study, from its cached artefacts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import injection_label
from snakesteer.plan.artefacts import Artefact, Product
from snakesteer.plan.graph import Graph
from snakesteer.plan.models import layer_sets
from snakesteer.plan.sweeps import choice, described, resampled_jobs, sweep_jobs
from snakesteer.plan.vectors import mean, vector
from snakesteer.study import schema


def table(graph: Graph, name: str) -> Product:
    """The table of a sweep."""
    sweep = graph.study.sweeps[name]
    settings: dict[str, Any] = {"sweep": name, "kind": sweep.kind}
    jobs = sweep_jobs(graph, name)
    if isinstance(sweep, schema.SkillSweep):
        settings |= {
            "curves": [
                {"vector": _vector_label(job), "layer": injection_label(job.settings["layers"])}
                for job in jobs
            ],
            "target": sweep.corpora[0],
            "statistics": graph.study.statistics.model_dump(),
        }
    else:
        settings |= described(graph, name)
    inputs = {"sweeps": jobs, "resampled": resampled_jobs(graph, name)}
    if isinstance(sweep, schema.SingleSweep) or (
        isinstance(sweep, schema.CombinedSweep) and any(sweep.weighted)
    ):
        inputs["choice"] = [choice(graph, sweep.choice)]
    return Product(
        name,
        settings,
        {role: tuple(job.paths[0] for job in made) for role, made in inputs.items() if made},
    )


def figure(graph: Graph, name: str) -> Product:
    """A figure, from the tables or vectors that it shows."""
    study = graph.study
    figure = study.figures[name]
    settings = figure.model_dump(exclude={"caption"})
    settings["labels"] = _labels(graph, figure)
    inputs: dict[str, tuple[str, ...]] = {}
    match figure:
        case schema.DistributionsFigure() if _are_published(graph, figure):
            inputs["tables"] = _table_paths(
                graph,
                [f"{item}-mean" for item in figure.activations]
                + [f"{item}-vector" for item in figure.vectors],
            )
        case schema.DistributionsFigure():
            inputs["means"] = tuple(mean(graph, item).paths[0] for item in figure.activations)
            inputs["vectors"] = tuple(vector(graph, item).paths[0] for item in figure.vectors)
            _check_figure_layers(graph, name, figure)
        case schema.TradeoffFigure():
            several = figure.sweeps if len(figure.sweeps) > 1 else []
            settings["titles"] = {
                name: title
                for name in (*several, *figure.controls)
                if (title := _skill(study, name).title)
            }
            inputs["tables"] = _table_paths(graph, [*figure.sweeps, *figure.controls])
        case schema.CombinedFigure():
            inputs["tables"] = _table_paths(graph, [figure.sweep, figure.single])
        case schema.SimultaneousFigure():
            inputs["tables"] = _table_paths(graph, [figure.sweep, *filter(None, [figure.tax])])
        case schema.HeatmapFigure():
            inputs["tables"] = _table_paths(graph, [figure.sweep])
            grid = study.tabled[figure.sweep]
            if isinstance(grid, schema.GridSweep) and grid.stopping:
                settings["max_faulty"] = grid.stopping.faulty
        case schema.SingleFigure():
            inputs["tables"] = _table_paths(graph, [figure.sweep])
    if not isinstance(figure, schema.TradeoffFigure | schema.DistributionsFigure):
        settings["collapse"] = study.collapse_of(figure.sweep)
    return Product(name, settings, inputs)


def _vector_label(job: Artefact) -> str:
    names = list(job.settings["layers"])
    return names[0] if len(names) == 1 else "all"


def _are_published(graph: Graph, figure: schema.DistributionsFigure) -> bool:
    own = {*graph.study.activations, *graph.study.vectors}
    return not own.intersection([*figure.activations, *figure.vectors])


def _labels(graph: Graph, figure: schema.AnyFigure) -> dict[str, str]:
    """Titles of the entries that a figure shows, by name."""
    study = graph.study
    shown: dict[str, str | None] = {}
    match figure:
        case schema.TradeoffFigure():
            for name in figure.sweeps:
                corpora = _skill(study, name).corpora
                shown |= {corpus: study.title_of("corpora", corpus) for corpus in corpora}
        case schema.DistributionsFigure() if _are_published(graph, figure):
            shown |= {name: study.title_of("corpora", name) for name in figure.activations}
            shown |= {name: study.title_of("behaviours", name) for name in figure.vectors}
        case schema.DistributionsFigure():
            for name in figure.activations:
                corpus = study.activations[name].corpus
                shown[name] = study.corpora[corpus].title if corpus else None
            for name in figure.vectors:
                contrast = study.vectors[name].contrast
                if contrast:
                    shown[name] = study.behaviours[study.behaviour_of(name)].title
        case _ if figure.sweep in study.sweeps:
            for job in sweep_jobs(graph, figure.sweep):
                for behaviour in job.settings["behaviours"]:
                    shown[behaviour] = study.behaviours[behaviour].title
        case _:
            behaviours = study.published.behaviours if study.published else {}
            shown |= {name: entry.title for name, entry in behaviours.items()}
    return {name: title for name, title in shown.items() if title}


def _skill(study: schema.Study, name: str) -> schema.SkillSweep | schema.PublishedSkill:
    sweep = study.tabled[name]
    assert isinstance(sweep, schema.SkillSweep | schema.PublishedSkill)
    return sweep


def _check_figure_layers(graph: Graph, name: str, figure: schema.DistributionsFigure) -> None:
    operands = [
        *figure.activations,
        *(graph.study.vectors[v].contrast or _operands(graph, v)[0] for v in figure.vectors),
    ]
    for operand in operands:
        model = graph.study.activations[operand].model
        layer_sets(graph, f"figures.{name}.layers", model, figure.layers)


def _operands(graph: Graph, vector: str) -> list[str]:
    entry = graph.study.vectors[vector]
    return [*(entry.add or []), *(entry.subtract or [])]


def scorecard(graph: Graph, name: str) -> Product:
    """A comparison of sweeps.

    Raises StudyError for a sweep of another study that has not been run.
    """
    entry = graph.study.scorecards[name]
    against = [_compared_path(graph, name, sweep) for sweep in entry.against]
    return Product(
        name,
        {"title": entry.title or name, "sweeps": entry.sweeps, "against": entry.against},
        {"sweeps": _table_paths(graph, entry.sweeps), "against": tuple(against)},
    )


def _compared_path(graph: Graph, name: str, sweep: str) -> str:
    """The table of a sweep of this study, or of another one in the same results folder."""
    study, _, other = sweep.rpartition("/")
    if not study or study == graph.study.name:
        return graph.path("tables", f"{other}.parquet")
    path = f"results/{study}/tables/{other}.parquet"
    if not Path(path).is_file():
        raise StudyError(
            f"scorecards.{name}.against names {sweep}, but {path} does not exist; run the "
            f"study {study} first, or name another sweep."
        )
    return path


def _table_paths(graph: Graph, sweeps: Iterable[str]) -> tuple[str, ...]:
    return tuple(graph.path("tables", f"{sweep}.parquet") for sweep in sweeps)
