"""What the entries of a study say of each other, checked: names, kinds, models, layers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import assert_never, get_args

from snakesteer.core.errors import StudyError
from snakesteer.study.activations import Activations
from snakesteer.study.coefficients import Range
from snakesteer.study.figures import Figure, WithIntervals
from snakesteer.study.published import PublishedSweep
from snakesteer.study.samples import Samples
from snakesteer.study.schema import Study
from snakesteer.study.sweeps import (
    CombinedSweep,
    GridSweep,
    Run,
    SimultaneousSweep,
    SingleSweep,
    SkillSweep,
    Sweep,
)
from snakesteer.study.vectors import METHODS, VectorEntry


def check(study: Study) -> None:
    """Check all references between entries, but those to layers.

    Raises StudyError with one sentence for the first that does not hold.
    """
    _activations(study)
    _vectors(study)
    _choices(study)
    for name, sweep in study.sweeps.items():
        _sweep(study, f"sweeps.{name}", sweep)
    _names(study)
    for name, samples in study.samples.items():
        _known(study, f"samples.{name}.model", "models", [samples.model])
        _known(study, f"samples.{name}.vector", "vectors", [samples.vector])
        _same_model(study, f"samples.{name}", samples, [samples.vector])
    for name, compared in study.scorecards.items():
        own = [sweep for sweep in compared.against if "/" not in sweep]
        _known(study, f"scorecards.{name}", "sweeps", [*compared.sweeps, *own], study.tabled)
    for name, figure in study.figures.items():
        _figure(study, f"figures.{name}", figure)


def check_layers(study: Study) -> None:
    """Check what entries say of each other's layers, in a study without fractions of depth.

    Raises StudyError with one sentence for the first that does not hold.
    """
    for name, sweep in study.sweeps.items():
        if isinstance(sweep, SingleSweep | CombinedSweep):
            _has_multipliers(study, f"sweeps.{name}", sweep)
    for name, figure in study.figures.items():
        _layers(study, f"figures.{name}", figure)
        figure.check_layers(f"figures.{name}", study)


def _known(
    study: Study, entry: str, section: str, names: Iterable[str], published: Iterable[str] = ()
) -> None:
    """Names that an entry mentions are in a section, or among the published ones."""
    entries = {*getattr(study, section), *published}
    for name in names:
        if name not in entries:
            near = difflib.get_close_matches(name, sorted(entries), n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"add it under `{section}`."
            raise StudyError(f"{entry} names `{name}`, which is not in {section}; {hint}")


def _is_of_kind(entry: str, name: str, sweep: Sweep | PublishedSweep, kind: str) -> None:
    if sweep.kind != kind:
        raise StudyError(
            f"{entry} names sweeps.{name}, a {sweep.kind} sweep; it needs a {kind} sweep."
        )


def _activations(study: Study) -> None:
    for name, activations in study.activations.items():
        entry = f"activations.{name}"
        _known(study, f"{entry}.model", "models", [activations.model])
        _known(study, f"{entry}.corpus", "corpora", filter(None, [activations.corpus]))
        _known(study, f"{entry}.behaviour", "behaviours", filter(None, [activations.behaviour]))
        _enough_documents(study, entry, activations)


def _vectors(study: Study) -> None:
    for name, vector in study.vectors.items():
        for field, operands in vector.operands().items():
            _known(study, f"vectors.{name}.{field}", vector.SECTION, operands)
            for operand in operands:
                _operand(study, f"vectors.{name}.{field}", vector, operand)
    for name in study.vectors:
        study.model_of(name)


def _choices(study: Study) -> None:
    for name, choice in study.choices.items():
        if choice.grid is None:
            vectors = choice.multipliers or {}
            _known(study, f"choices.{name}.multipliers", "vectors", vectors)
            _distinct_behaviours(study, f"choices.{name}.multipliers", vectors)
            continue
        entry = f"choices.{name}.grid"
        _known(study, entry, "sweeps", [choice.grid])
        grid = study.sweeps[choice.grid]
        _is_of_kind(entry, choice.grid, grid, "grid")
        if isinstance(grid, GridSweep) and grid.split == "test":
            raise StudyError(
                f"{entry} names sweeps.{choice.grid}, which reads the test split; "
                "choose on the validation split."
            )


def _sweep(study: Study, entry: str, sweep: Sweep) -> None:
    _known(study, f"{entry}.model", "models", [sweep.model])
    match sweep:
        case SkillSweep() | SimultaneousSweep():
            _known(study, f"{entry}.inject", "vectors", study.vectors_of(sweep))
            _has_zero(entry, sweep.coefficients)
        case GridSweep():
            _known(study, f"{entry}.vectors", "vectors", sweep.vectors)
        case SingleSweep() | CombinedSweep():
            _known(study, f"{entry}.choice", "choices", [sweep.choice])
            _searched(study, entry, sweep)
        case _:
            assert_never(sweep)
    if isinstance(sweep, SkillSweep):
        _known(study, f"{entry}.corpora", "corpora", sweep.corpora)
    else:
        _distinct_behaviours(study, entry, study.vectors_of(sweep))
    _same_model(study, entry, sweep, study.vectors_of(sweep))


def _figure(study: Study, entry: str, figure: Figure) -> None:
    for field, kind in figure.draws.items():
        for name in figure.named(field):
            _known(study, f"{entry}.{field}", "sweeps", [name], study.tabled)
            _is_of_kind(f"{entry}.{field}", name, study.tabled[name], kind)
    for field, section in figure.names.items():
        published = getattr(study.published, section, ())
        _known(study, f"{entry}.{field}", section, figure.named(field), published)
    figure.check(entry, study)
    if isinstance(figure, WithIntervals) and figure.intervals != "items":
        _resamples(study, entry, figure)


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


def _operand(study: Study, entry: str, vector: VectorEntry, operand: str) -> None:
    """What a vector is made of is what its method takes."""
    if vector.SECTION == "vectors":
        if study.vectors[operand].SECTION == "vectors":
            raise StudyError(
                f"{entry} names vectors.{operand}, which is a control itself; name the vector that "
                "it is of."
            )
        return
    of = "corpus" if study.activations[operand].corpus else "behaviour"
    if vector.READS not in (of, None):
        others = [method for method in METHODS if of == method.READS]
        names = [get_args(method.model_fields["method"].annotation)[0] for method in others]
        raise StudyError(
            f"{entry} names activations.{operand}, which are of a {of}, and {vector.method} takes "
            f"those of a {vector.READS}; use `method: {' or '.join(names)}` for them."
        )


def _resamples(study: Study, entry: str, figure: WithIntervals) -> None:
    for name in figure.drawn:
        if not getattr(study.tabled[name], "resamples", None):
            raise StudyError(
                f"{entry}.intervals is {figure.intervals}, but sweeps.{name} has no resamples of "
                "its vectors; give it `resamples`, or leave intervals out."
            )


def _layers(study: Study, entry: str, figure: Figure) -> None:
    """A figure of matching scores by layer has layers of its sweep; published results say theirs
    themselves."""
    for name in figure.own:
        sweep = study.tabled[name]
        if isinstance(sweep, GridSweep | SingleSweep | CombinedSweep) and sweep.layers != "all":
            for layer in getattr(figure, "layers", None) or []:
                if layer not in sweep.layers:
                    raise StudyError(
                        f"{entry}.layers names layer {layer}, which sweeps.{name} does not have; "
                        "add it there."
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
