"""What the entries of a study say of each other, checked: names, kinds, models, layers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.study.activations import Activations
from snakesteer.study.coefficients import Range
from snakesteer.study.figures import (
    CombinedFigure,
    DistributionsFigure,
    HeatmapFigure,
    SimultaneousFigure,
    SingleFigure,
    TradeoffFigure,
    WithIntervals,
)
from snakesteer.study.published import PublishedSkill
from snakesteer.study.samples import Samples
from snakesteer.study.schema import Study
from snakesteer.study.sweeps import (
    CombinedSweep,
    GridSweep,
    Run,
    SimultaneousSweep,
    SingleSweep,
    SkillSweep,
)


def check(study: Study) -> None:
    """Check all references between entries, but those to layers.

    Raises StudyError with one sentence for the first that does not hold.
    """

    def known(
        entry: str, section: str, names: Iterable[str], published: Iterable[str] = ()
    ) -> None:
        entries = {*getattr(study, section), *published}
        for name in names:
            if name not in entries:
                near = difflib.get_close_matches(name, sorted(entries), n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"add it under `{section}`."
                raise StudyError(f"{entry} names `{name}`, which is not in {section}; {hint}")

    def kind(entry: str, section: str, name: str, *kinds: str) -> None:
        entries = getattr(study, section) if section != "sweeps" else study.tabled
        known(entry, section, [name], entries if entry.startswith("figures.") else ())
        actual = entries[name].kind
        if actual not in kinds:
            raise StudyError(
                f"{entry} names {section}.{name}, a {actual} sweep; it needs a "
                f"{' or '.join(kinds)} sweep."
            )

    for name, activations in study.activations.items():
        entry = f"activations.{name}"
        known(f"{entry}.model", "models", [activations.model])
        known(f"{entry}.corpus", "corpora", filter(None, [activations.corpus]))
        known(f"{entry}.behaviour", "behaviours", filter(None, [activations.behaviour]))
        _enough_documents(study, entry, activations)
    for name, vector in study.vectors.items():
        entry = f"vectors.{name}"
        operands = [*(vector.add or []), *(vector.subtract or [])]
        known(entry, "activations", [*operands, *filter(None, [vector.contrast])])
        for operand in operands:
            if study.activations[operand].corpus is None:
                raise StudyError(
                    f"{entry} adds or subtracts activations.{operand}, which are of a behaviour; "
                    "use `contrast` for it."
                )
        if vector.contrast and study.activations[vector.contrast].behaviour is None:
            raise StudyError(
                f"{entry}.contrast names activations.{vector.contrast}, which are of a corpus; "
                "use `add` and `subtract` for them."
            )
        study.model_of(name)
    for name, choice in study.choices.items():
        if choice.grid is None:
            known(f"choices.{name}.multipliers", "vectors", choice.multipliers or {})
            _distinct_behaviours(study, f"choices.{name}.multipliers", choice.multipliers or {})
            continue
        kind(f"choices.{name}.grid", "sweeps", choice.grid, "grid")
        grid = study.sweeps[choice.grid]
        if isinstance(grid, GridSweep) and grid.split == "test":
            raise StudyError(
                f"choices.{name}.grid names sweeps.{choice.grid}, which reads the test split; "
                "choose on the validation split."
            )
    for name, sweep in study.sweeps.items():
        _sweep(study, f"sweeps.{name}", sweep, known)
    _names(study)
    for name, samples in study.samples.items():
        known(f"samples.{name}.model", "models", [samples.model])
        known(f"samples.{name}.vector", "vectors", [samples.vector])
        _same_model(study, f"samples.{name}", samples, [samples.vector])
    for name, compared in study.scorecards.items():
        own = [sweep for sweep in compared.against if "/" not in sweep]
        known(f"scorecards.{name}", "sweeps", [*compared.sweeps, *own], study.tabled)
    published = study.published
    for name, figure in study.figures.items():
        entry = f"figures.{name}"
        match figure:
            case TradeoffFigure():
                for sweep_name in [*figure.sweeps, *figure.controls]:
                    kind(entry, "sweeps", sweep_name, "skill")
                _tradeoff(study, entry, figure)
            case HeatmapFigure():
                kind(f"{entry}.sweep", "sweeps", figure.sweep, "grid")
                behaviours = published.behaviours if published else ()
                known(
                    f"{entry}.behaviour",
                    "behaviours",
                    filter(None, [figure.behaviour]),
                    behaviours,
                )
                _searched_behaviour(study, entry, figure)
            case SingleFigure():
                kind(f"{entry}.sweep", "sweeps", figure.sweep, "single")
            case CombinedFigure():
                kind(f"{entry}.sweep", "sweeps", figure.sweep, "combined")
                kind(f"{entry}.single", "sweeps", figure.single, "single")
            case SimultaneousFigure():
                kind(f"{entry}.sweep", "sweeps", figure.sweep, "simultaneous")
                if figure.tax:
                    kind(f"{entry}.tax", "sweeps", figure.tax, "skill")
                    _tax(study, entry, figure)
            case DistributionsFigure():
                means = published.activations if published else ()
                vectors = published.vectors if published else ()
                known(f"{entry}.activations", "activations", figure.activations, means)
                _have_means(study, entry, figure)
                known(f"{entry}.vectors", "vectors", figure.vectors, vectors)
                _histograms(study, entry, figure)
        if isinstance(figure, WithIntervals) and figure.intervals != "items":
            _resamples(study, entry, figure)


def check_layers(study: Study) -> None:
    """Check what entries say of each other's layers, in a study without fractions of depth.

    Raises StudyError with one sentence for the first that does not hold.
    """
    for name, sweep in study.sweeps.items():
        if isinstance(sweep, SingleSweep | CombinedSweep):
            _has_multipliers(study, f"sweeps.{name}", sweep)
    for name, figure in study.figures.items():
        match figure:
            case HeatmapFigure() | SingleFigure() | CombinedFigure():
                _layers(study, f"figures.{name}", figure)
            case SimultaneousFigure(tax=str()):
                _same_injection(study, f"figures.{name}", figure)


def _names(study: Study) -> None:
    """No name stands for two things in figures, and no two entries write one file."""
    published = study.published
    for section in ("activations", "vectors") if published else ():
        for name in getattr(published, section):
            if name in getattr(study, section):
                raise StudyError(
                    f"published.{section}.{name} has the name of an entry of the study's own; "
                    "rename one."
                )
    written: dict[str, str] = {}
    for entry, table in _tables(study):
        if table in written:
            raise StudyError(
                f"{entry} and {written[table]} both write the table {table}; rename one."
            )
        written[table] = entry
    for name in study.scorecards:
        if f"{name}-pairs" in study.scorecards:
            raise StudyError(
                f"scorecards.{name}-pairs and scorecards.{name} both write "
                f"{name}-pairs.parquet; rename one."
            )


def _tables(study: Study) -> Iterator[tuple[str, str]]:
    """Entries with the names of the tables that they write."""
    for section in ("sweeps", "samples"):
        for name in getattr(study, section):
            yield f"{section}.{name}", name
    if published := study.published:
        for section, ending in (("sweeps", ""), ("activations", "-mean"), ("vectors", "-vector")):
            for name in getattr(published, section):
                yield f"published.{section}.{name}", f"{name}{ending}"


def _have_means(study: Study, entry: str, figure: DistributionsFigure) -> None:
    for name in figure.activations:
        if name in study.activations and study.activations[name].corpus is None:
            raise StudyError(
                f"{entry}.activations names activations.{name}, which are of a behaviour and have "
                "no mean; name a vector that contrasts them in the figure's `vectors` instead."
            )


def _histograms(study: Study, entry: str, figure: DistributionsFigure) -> None:
    """Published activations are drawn from histograms, of the layers and bins made for them."""
    published = study.published
    names = [*figure.activations, *figure.vectors]
    own = {**study.activations, **study.vectors}
    shown = [name for name in names if name not in own]
    if not shown or published is None:
        return
    if len(shown) < len(names):
        raise StudyError(
            f"{entry} mixes published activations ({', '.join(shown)}) with the study's own; give "
            "each its own figure."
        )
    if not set(figure.layers) <= set(published.layers) or figure.bins != published.bins:
        raise StudyError(
            f"{entry} draws layers {figure.layers} in {figure.bins} bins, but the published "
            f"histograms are of layers {published.layers} in {published.bins}; change "
            "published.layers and published.bins."
        )


def _resamples(study: Study, entry: str, figure: WithIntervals) -> None:
    keys = ("sweeps", "controls", "sweep", "single", "tax")
    given = [getattr(figure, key, None) or [] for key in keys]
    for name in (
        name for names in given for name in ([names] if isinstance(names, str) else names)
    ):
        if not getattr(study.tabled[name], "resamples", None):
            raise StudyError(
                f"{entry}.intervals is {figure.intervals}, but sweeps.{name} has no resamples of "
                "its vectors; give it `resamples`, or leave intervals out."
            )


def _tradeoff(study: Study, entry: str, figure: TradeoffFigure) -> None:
    corpora = {}
    for name in [*figure.sweeps, *figure.controls]:
        sweep = study.tabled[name]
        assert isinstance(sweep, SkillSweep | PublishedSkill)
        corpora[tuple(sweep.corpora)] = name
        if len(sweep.corpora) != 2:
            raise StudyError(
                f"{entry} needs two corpora to plot one against the other, but "
                f"sweeps.{name}.corpora names {len(sweep.corpora)}."
            )
    if len(corpora) > 1:
        raise StudyError(
            f"{entry} draws sweeps over different corpora "
            f"({', '.join(f'sweeps.{name}' for name in corpora.values())}); "
            "give each its own figure."
        )


def _tax(study: Study, entry: str, figure: SimultaneousFigure) -> None:
    sweep, tax = study.tabled[figure.sweep], study.tabled[figure.tax or ""]
    if not (isinstance(sweep, SimultaneousSweep) and isinstance(tax, SkillSweep)):
        return  # published results do not say what was asked for
    if tax.coefficients != sweep.coefficients:
        raise StudyError(
            f"{entry}.tax names sweeps.{figure.tax}, which has other coefficients than "
            f"sweeps.{figure.sweep}; make `coefficients` equal."
        )
    if tax.precision_by == "coefficient":
        raise StudyError(
            f"{entry}.tax draws accuracies, which sweeps.{figure.tax} takes over other documents "
            "at every coefficient (`precision_by: coefficient`); take precision_by out there."
        )


def _same_injection(study: Study, entry: str, figure: SimultaneousFigure) -> None:
    sweep, tax = study.tabled[figure.sweep], study.tabled[figure.tax or ""]
    if not (isinstance(sweep, SimultaneousSweep) and isinstance(tax, SkillSweep)):
        return  # published results do not say what was injected
    if tax.inject != sweep.inject:
        raise StudyError(
            f"{entry}.tax names sweeps.{figure.tax}, which injects something else than "
            f"sweeps.{figure.sweep}; make `inject` equal."
        )


def _layers(
    study: Study, entry: str, figure: HeatmapFigure | SingleFigure | CombinedFigure
) -> None:
    sweep = study.tabled[figure.sweep]
    if not isinstance(sweep, GridSweep | SingleSweep | CombinedSweep):
        return  # published results say their layers themselves
    for layer in figure.layers or []:
        if sweep.layers != "all" and layer not in sweep.layers:
            raise StudyError(
                f"{entry}.layers names layer {layer}, which sweeps.{figure.sweep} does not have; "
                "add it there."
            )


def _searched_behaviour(study: Study, entry: str, figure: HeatmapFigure) -> None:
    sweep = study.tabled[figure.sweep]
    if isinstance(sweep, GridSweep) and figure.behaviour:
        shown = [study.behaviour_of(vector) for vector in sweep.vectors]
        if figure.behaviour not in shown:
            raise StudyError(
                f"{entry}.behaviour names {figure.behaviour}, which sweeps.{figure.sweep} does "
                f"not search; name one of {', '.join(shown)}."
            )


def _same_model(study: Study, entry: str, steered: Run | Samples, vectors: Iterable[str]) -> None:
    for vector in vectors:
        origin = study.model_of(vector)
        if origin != steered.model and not steered.transfer:
            raise StudyError(
                f"{entry}.model is {steered.model}, but vectors.{vector} is made with {origin}; "
                f"steer the model that the vector is from, or set {entry}.transfer to true."
            )


def _enough_documents(study: Study, entry: str, activations: Activations) -> None:
    if activations.corpus and activations.documents:
        held = study.corpora[activations.corpus].train
        if activations.documents > held:
            raise StudyError(
                f"{entry}.documents asks for {activations.documents}, but "
                f"corpora.{activations.corpus}.train holds {held}; ask for fewer."
            )


def _sweep(study: Study, entry: str, sweep: Any, known: Any) -> None:
    known(f"{entry}.model", "models", [sweep.model])
    match sweep:
        case SkillSweep():
            vectors = [sweep.inject] if isinstance(sweep.inject, str) else list(sweep.inject)
            known(f"{entry}.inject", "vectors", vectors)
            known(f"{entry}.corpora", "corpora", sweep.corpora)
            _has_zero(entry, sweep.coefficients)
        case GridSweep():
            vectors = sweep.vectors
            known(f"{entry}.vectors", "vectors", vectors)
            _distinct_behaviours(study, entry, vectors)
        case SingleSweep() | CombinedSweep():
            known(f"{entry}.choice", "choices", [sweep.choice])
            vectors = study.chosen_vectors(sweep.choice)
            _searched(study, entry, sweep)
        case SimultaneousSweep():
            vectors = list(sweep.inject)
            known(f"{entry}.inject", "vectors", vectors)
            _distinct_behaviours(study, entry, vectors)
            _has_zero(entry, sweep.coefficients)
    _same_model(study, entry, sweep, vectors)


def _searched(study: Study, entry: str, sweep: SingleSweep | CombinedSweep) -> None:
    grid = study.choices[sweep.choice].grid
    if grid and (searched := study.sweeps[grid].model) != sweep.model:
        raise StudyError(
            f"{entry}.model is {sweep.model}, but choices.{sweep.choice} picks from sweeps.{grid}, "
            f"which steers {searched}; search on {sweep.model}, too."
        )


def _has_multipliers(study: Study, entry: str, sweep: SingleSweep | CombinedSweep) -> None:
    choice = study.choices[sweep.choice]
    for layer in sweep.layers:
        lacks = f"{entry}.layers names layer {layer}, for which choices.{sweep.choice} has no"
        if choice.grid is None:
            for vector, layers in (choice.multipliers or {}).items():
                if layer not in layers:
                    raise StudyError(f"{lacks} multipliers of {vector}; add them there.")
            continue
        grid = study.sweeps[choice.grid]
        assert isinstance(grid, GridSweep)
        if grid.layers != "all" and layer not in grid.layers:
            raise StudyError(f"{lacks} multipliers; add it to the layers of sweeps.{choice.grid}.")


def _distinct_behaviours(study: Study, entry: str, vectors: Iterable[str]) -> None:
    behaviours = [study.behaviour_of(vector) for vector in vectors]
    for behaviour in set(behaviours):
        if behaviours.count(behaviour) > 1:
            raise StudyError(f"{entry} names two vectors of the behaviour {behaviour}; keep one.")


def _has_zero(entry: str, given: list[float] | Range) -> None:
    if isinstance(given, list) and 0 not in given:
        raise StudyError(
            f"{entry}.coefficients has no 0, the unsteered model that all else is relative to; "
            "add it."
        )
