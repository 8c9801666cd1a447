"""The figures of a study."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from snakesteer.study.entries import Count, Entry, Layers, LayerSet, Name, Names


class Figure(Entry):
    """What every figure may say."""

    title: str | None = None
    caption: str | None = Field(
        None,
        description="Caption in the report; what controls, lines and dots are, the layers of "
        "vectors that have each their own, and what intervals are over, are said after it.",
    )


class WithIntervals(Figure):
    """A figure with intervals."""

    intervals: Literal["items", "vectors", "both"] = Field(
        "items",
        description="Uncertainty shown: over documents or questions; over vectors, where the "
        "sweeps have `resamples`; or both, their half-widths added in squares.",
    )


class TradeoffFigure(WithIntervals):
    """Relative accuracy on one corpus against another, a line per layer."""

    kind: Literal["tradeoff"]
    sweeps: Names
    controls: list[Name] = Field([], description="Sweeps drawn as controls.")
    layers: list[LayerSet] | None = Field(None, description="All of the sweeps' if left out.")
    measure: Literal["top1", "top10", "kept_top1", "kept_top10"] = Field(
        "top1",
        description="Accuracy drawn; `kept` leaves the most frequent tokens out.",
    )
    limits: tuple[float, float] | None = Field(None, description="Both axes, in per cent.")


class HeatmapFigure(Figure):
    """Grid search: layers across, multipliers down."""

    kind: Literal["heatmap"]
    sweep: Name
    behaviour: Name | None = Field(None, description="One behaviour; all if left out.")
    direction: Literal["add", "subtract"] | None = Field(None, description="Both if left out.")
    layers: Layers | None = None


class SingleFigure(WithIntervals):
    """Matching score by default, added and subtracted."""

    kind: Literal["single"]
    sweep: Name
    layers: Layers | None = None


class CombinedFigure(WithIntervals):
    """Matching score under combined vectors, beside single steering."""

    kind: Literal["combined"]
    sweep: Name
    single: Name
    layers: Layers | None = None
    max_faulty: int = Field(10, description="Bars with more faulty answers are not drawn.")


class SimultaneousFigure(WithIntervals):
    """Matching scores along the global coefficient, with the alignment tax."""

    kind: Literal["simultaneous"]
    sweep: Name
    tax: Name | None = None
    max_faulty: int = Field(5, description="Points with more faulty answers are not drawn.")


class DistributionsFigure(Figure):
    """Histograms of mean activations or of steering vectors over the hidden dimension."""

    kind: Literal["distributions"]
    activations: list[Name] = []
    vectors: list[Name] = []
    layers: Layers
    bins: Count = 100
    log: bool = Field(True, description="Logarithmic counts.")

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if bool(self.activations) == bool(self.vectors):
            raise ValueError("name either activations or vectors")
        return self


AnyFigure = Annotated[
    TradeoffFigure
    | HeatmapFigure
    | SingleFigure
    | CombinedFigure
    | SimultaneousFigure
    | DistributionsFigure,
    Field(discriminator="kind"),
]
