"""What a person opens: the tables, figures and scorecards of a study, from its cached artefacts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import injection_label
from snakesteer.plan.artefacts import Artefact, Product
from snakesteer.study import schema

if TYPE_CHECKING:
    from snakesteer.plan.plan import Plan


def table(plan: Plan, name: str) -> Product:
    """The table of a sweep."""
    sweep = plan.study.sweeps[name]
    settings: dict[str, Any] = {"sweep": name, "kind": sweep.kind}
    jobs = plan.sweeps[name]
    if isinstance(sweep, schema.SkillSweep):
        settings |= {
            "curves": [
                {"vector": _vector_label(job), "layer": injection_label(job.settings["layers"])}
                for job in jobs
            ],
            "target": sweep.corpora[0],
            "statistics": plan.study.statistics.model_dump(),
        }
    else:
        settings |= plan.described(name)
    inputs = {"sweeps": jobs, "resampled": plan.resampled_sweeps[name]}
    if isinstance(sweep, schema.SingleSweep) or (
        isinstance(sweep, schema.CombinedSweep) and any(sweep.weighted)
    ):
        inputs["choice"] = [plan.choice(sweep.choice)]
    return Product(
        name,
        settings,
        {role: tuple(job.paths[0] for job in made) for role, made in inputs.items() if made},
    )


def figure(plan: Plan, name: str) -> Product:
    """A figure, from the tables or vectors that it shows."""
    study = plan.study
    figure = study.figures[name]
    settings = figure.model_dump(exclude={"caption"})
    settings["labels"] = _labels(plan, figure)
    inputs: dict[str, tuple[str, ...]] = {}
    match figure:
        case schema.DistributionsFigure() if _are_published(plan, figure):
            inputs["tables"] = _table_paths(
                plan,
                [f"{item}-mean" for item in figure.activations]
                + [f"{item}-vector" for item in figure.vectors],
            )
        case schema.DistributionsFigure():
            inputs["means"] = tuple(plan.mean(item).paths[0] for item in figure.activations)
            inputs["vectors"] = tuple(plan.vector(item).paths[0] for item in figure.vectors)
            _check_figure_layers(plan, name, figure)
        case schema.TradeoffFigure():
            several = figure.sweeps if len(figure.sweeps) > 1 else []
            settings["titles"] = {
                name: title
                for name in (*several, *figure.controls)
                if (title := _skill(study, name).title)
            }
            inputs["tables"] = _table_paths(plan, [*figure.sweeps, *figure.controls])
        case schema.CombinedFigure():
            inputs["tables"] = _table_paths(plan, [figure.sweep, figure.single])
        case schema.SimultaneousFigure():
            inputs["tables"] = _table_paths(plan, [figure.sweep, *filter(None, [figure.tax])])
        case schema.HeatmapFigure():
            inputs["tables"] = _table_paths(plan, [figure.sweep])
            grid = study.tabled[figure.sweep]
            if isinstance(grid, schema.GridSweep) and grid.stopping:
                settings["max_faulty"] = grid.stopping.faulty
        case schema.SingleFigure():
            inputs["tables"] = _table_paths(plan, [figure.sweep])
    if not isinstance(figure, schema.TradeoffFigure | schema.DistributionsFigure):
        settings["collapse"] = study.collapse_of(figure.sweep)
    return Product(name, settings, inputs)


def _vector_label(job: Artefact) -> str:
    names = list(job.settings["layers"])
    return names[0] if len(names) == 1 else "all"


def _are_published(plan: Plan, figure: schema.DistributionsFigure) -> bool:
    own = {*plan.study.activations, *plan.study.vectors}
    return not own.intersection([*figure.activations, *figure.vectors])


def _labels(plan: Plan, figure: schema.AnyFigure) -> dict[str, str]:
    """Titles of the entries that a figure shows, by name."""
    study = plan.study
    shown: dict[str, str | None] = {}
    match figure:
        case schema.TradeoffFigure():
            for name in figure.sweeps:
                corpora = _skill(study, name).corpora
                shown |= {corpus: study.title_of("corpora", corpus) for corpus in corpora}
        case schema.DistributionsFigure() if _are_published(plan, figure):
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
        case _ if figure.sweep in plan.sweeps:
            for job in plan.sweeps[figure.sweep]:
                for behaviour in job.settings["behaviours"]:
                    shown[behaviour] = study.behaviours[behaviour].title
        case _:
            behaviours = plan.published_entry.behaviours
            shown |= {name: entry.title for name, entry in behaviours.items()}
    return {name: title for name, title in shown.items() if title}


def _skill(study: schema.Study, name: str) -> schema.SkillSweep | schema.PublishedSkill:
    sweep = study.tabled[name]
    assert isinstance(sweep, schema.SkillSweep | schema.PublishedSkill)
    return sweep


def _check_figure_layers(plan: Plan, name: str, figure: schema.DistributionsFigure) -> None:
    operands = [
        *figure.activations,
        *(plan.study.vectors[v].contrast or _operands(plan, v)[0] for v in figure.vectors),
    ]
    for operand in operands:
        model = plan.study.activations[operand].model
        plan.layer_sets(f"figures.{name}.layers", model, figure.layers)


def _operands(plan: Plan, vector: str) -> list[str]:
    entry = plan.study.vectors[vector]
    return [*(entry.add or []), *(entry.subtract or [])]


def scorecard(plan: Plan, name: str) -> Product:
    """A comparison of sweeps.

    Raises StudyError for a sweep of another study that has not been run.
    """
    entry = plan.study.scorecards[name]
    against = [_compared_path(plan, name, sweep) for sweep in entry.against]
    return Product(
        name,
        {"title": entry.title or name, "sweeps": entry.sweeps, "against": entry.against},
        {"sweeps": _table_paths(plan, entry.sweeps), "against": tuple(against)},
    )


def _compared_path(plan: Plan, name: str, sweep: str) -> str:
    """The table of a sweep of this study, or of another one in the same results folder."""
    study, _, other = sweep.rpartition("/")
    if not study or study == plan.study.name:
        return plan.path("tables", f"{other}.parquet")
    path = f"results/{study}/tables/{other}.parquet"
    if not Path(path).is_file():
        raise StudyError(
            f"scorecards.{name}.against names {sweep}, but {path} does not exist; run the "
            f"study {study} first, or name another sweep."
        )
    return path


def _table_paths(plan: Plan, sweeps: Iterable[str]) -> tuple[str, ...]:
    return tuple(plan.path("tables", f"{sweep}.parquet") for sweep in sweeps)
