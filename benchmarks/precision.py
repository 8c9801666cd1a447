"""Tokens and seconds that a curve takes for a stated precision: other documents, or the same.

    PYTHONPATH=workflow/scripts python benchmarks/precision.py --layers 0 3 6

The authors read other documents at every coefficient, so that a relative accuracy carries the
errors of two samples; this engine reads the same ones, and what they have in common cancels. The
precision is a standard error of the relative top-1 accuracy: 1.0 % on code and 1.5 % on text, what
the authors' 500,000 tokens a point gave, at every point above 20 % relative accuracy. All errors
are over documents.

First the tokens are estimated, for both, from one run over the same documents; their ratio does not
depend on the precision. Then, at errors `--scale` times the authors', their loop runs over the
tokens that it needs, and this engine with the `precision` setting, by curve and by coefficient;
seconds and the errors reached are compared. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import authors
import measure
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import workload
from workload import WORKLOADS

from snakesteer.engine.models import LanguageModel
from snakesteer.measures import next_token
from snakesteer.measures.next_token import Corpus
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.job import Precision
from snakesteer.sweeps.precision import standard_error
from snakesteer.sweeps.runner import Asked

ERRORS = {"code": 0.010, "text": 0.015}
LEAST_ACCURACY = 0.2
PILOT = 32
Z = NormalDist().inv_cdf(0.975)
AT_MOST = 3  # times the tokens that are estimated from may be read by the engine
BY: tuple[Literal["curve", "coefficient"], ...] = ("curve", "coefficient")


@dataclass(frozen=True)
class Point:
    """Tokens that a relative accuracy at a coefficient needs, of each of its two points if it is
    unpaired.
    """

    layer: int
    corpus: str
    coefficient: float
    relative_accuracy: float
    unpaired: float
    paired: float


def unpaired_error(
    hits: np.ndarray, tokens: np.ndarray, unsteered: np.ndarray, unsteered_tokens: np.ndarray
) -> float:
    """Standard error of the ratio of two accuracies measured on documents of their own.

    `hits` and `tokens` are [n_documents] counts of the one, `unsteered…` of the other. Each
    accuracy is a ratio of sums over its documents; their relative errors add up in squares.
    """
    share = hits.sum() / tokens.sum()
    unsteered_share = unsteered.sum() / unsteered_tokens.sum()
    relative = math.hypot(
        _relative_error(hits, tokens), _relative_error(unsteered, unsteered_tokens)
    )
    return share / unsteered_share * relative


def _relative_error(hits: np.ndarray, tokens: np.ndarray) -> float:
    residuals = hits - hits.sum() / tokens.sum() * tokens
    return math.sqrt(len(hits)) * residuals.std(ddof=1) / hits.sum()


def needed(layer: int, table: pa.Table, errors: Mapping[str, float]) -> list[Point]:
    """Tokens for the given standard errors at every coefficient above `LEAST_ACCURACY` but 0.

    `table` is a skill sweep's. An error falls with the root of the tokens.
    """
    points = []
    for corpus, error in errors.items():
        counts, tokens = _counts(table, corpus, "top1"), _counts(table, corpus, "tokens")[0.0]
        unsteered = counts[0.0]
        for coefficient, hits in counts.items():
            relative = hits.sum() / unsteered.sum()
            if coefficient and relative > LEAST_ACCURACY:
                apart = unpaired_error(hits, tokens, unsteered, tokens) / error
                together = standard_error(hits, unsteered) / error
                held = tokens.sum()
                points.append(
                    Point(layer, corpus, coefficient, relative, held * apart**2, held * together**2)
                )
    return points


def _counts(table: pa.Table, corpus: str, column: str) -> dict[float, np.ndarray]:
    """A column of a corpus, [n_documents] by coefficient."""
    frame = table.select(["coefficient", "corpus", column]).to_pandas()
    groups = frame[frame["corpus"] == corpus].groupby("coefficient", sort=False)[column]
    return {float(coefficient): counts.to_numpy() for coefficient, counts in groups}


def sweep(
    model: LanguageModel,
    layer: int,
    vector: np.ndarray,
    coefficients: Sequence[float],
    corpora: Mapping[str, Corpus],
    precision: Precision | None = None,
) -> pa.Table:
    """A skill sweep on the shared path; with a `precision`, over as many documents as it takes."""
    sources = {"tokens": tuple(corpora)}
    steering = Steering("own", (part(layer, vector, "add"),), tuple(coefficients), sources)
    asked = [Asked("tokens", next_token, corpora, precision=precision)]
    budget = WORKLOADS["miniature"].batch_tokens
    (table,) = runner.run(model, asked, [steering], batch_tokens=budget)
    return table


def authors_loop(
    model: LanguageModel,
    layer: int,
    vector: np.ndarray,
    coefficients: Sequence[float],
    corpus: Corpus,
    tokens: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hits and tokens [n_documents] at every coefficient, over other documents at each.

    The stream of documents is read on until a coefficient has `tokens` predicted tokens. Where the
    corpus ends it begins anew: that costs as much as further documents would.
    """
    stream = itertools.cycle(corpus.sequences)
    found = []
    for coefficient in coefficients:
        sequences = list(_first(stream, tokens))
        with authors.injected(model, layer, vector, coefficient):
            hits = authors.counts(model, sequences, corpus.skipped)[:, 0]
        found.append((hits, np.array([len(ids) - 1 for ids in sequences])))
    return found


def _first(stream: Iterator[list[int]], tokens: int) -> Iterator[list[int]]:
    held = 0
    while held < tokens:
        ids = next(stream)
        held += len(ids) - 1
        yield ids


def compare(
    model: LanguageModel,
    vector: np.ndarray,
    corpora: Mapping[str, Corpus],
    points: Sequence[Point],
    scale: float,
) -> list[dict[str, Any]]:
    """Seconds of both ways for one layer's curve, and the errors reached at the worst point.

    Both visit the same coefficients: 0 and those of `points` on both corpora.
    """
    layer = points[0].layer
    visited = [
        {point.coefficient for point in points if point.corpus == corpus} for corpus in ERRORS
    ]
    coefficients = [0.0, *sorted(set.intersection(*visited))]
    points = [point for point in points if point.coefficient in coefficients]
    rows = []
    for corpus, error in ERRORS.items():
        wanted = error * scale
        enough = math.ceil(worst(points, corpus, "unpaired") / scale**2)
        seconds, apart = measure.timed(
            model.device,
            lambda: authors_loop(model, layer, vector, coefficients, corpora[corpus], enough),
        )
        unsteered, *steered = apart
        reached = max(unpaired_error(*point, *unsteered) for point in steered)
        held = sum(int(tokens.sum()) for _, tokens in apart)
        rows.append(_row(layer, corpus, "authors", seconds, held, wanted, reached))
        for by in BY:
            precision = Precision(Z * wanted, PILOT, by)
            seconds, table = measure.timed(
                model.device,
                lambda: sweep(
                    model, layer, vector, coefficients, {corpus: corpora[corpus]}, precision
                ),
            )
            first, *others = _counts(table, corpus, "top1").values()
            reached = max(standard_error(hits, first[: len(hits)]) for hits in others)
            held = pc.sum(table["tokens"]).as_py()
            rows.append(_row(layer, corpus, by, seconds, held, wanted, reached))
    return rows


def _row(
    layer: int,
    corpus: str,
    variant: str,
    seconds: float,
    tokens: int,
    wanted: float,
    reached: float,
) -> dict[str, Any]:
    return {
        "layer": layer,
        "corpus": corpus,
        "variant": variant,
        "seconds": seconds,
        "tokens": tokens,
        "error_wanted": wanted,
        "error_reached": reached,
    }


def worst(points: Sequence[Point], corpus: str, way: str) -> float:
    """Tokens a point if every point of the curve has as many as the one that needs most."""
    return max(getattr(point, way) for point in points if point.corpus == corpus)


def print_points(points: Sequence[Point]) -> None:
    """Tokens by coefficient, and over the curve."""
    print(f"\nLayer {points[0].layer}: tokens a point for the authors' precision")
    print("corpus coefficient  accuracy    unpaired      paired   ratio")
    for point in points:
        print(
            f"{point.corpus:6} {point.coefficient:11.2f} {point.relative_accuracy:9.3f} "
            f"{point.unpaired:11,.0f} {point.paired:11,.0f} {point.unpaired / point.paired:7.1f}"
        )
    apart, by_curve, by_coefficient = 0.0, 0.0, 0.0
    for corpus in ERRORS:
        together = [point.paired for point in points if point.corpus == corpus]
        apart += worst(points, corpus, "unpaired") * (len(together) + 1)
        by_curve += max(together) * (len(together) + 1)
        by_coefficient += max(together) + sum(together)
    print(
        f"The curve: {apart:,.0f} unpaired, every point like the worst; paired {by_curve:,.0f} "
        f"likewise, ratio {apart / by_curve:.1f}, or {by_coefficient:,.0f} if every point takes "
        f"its own, ratio {apart / by_coefficient:.1f}"
    )


def print_seconds(rows: Sequence[Mapping[str, Any]]) -> None:
    """What the ways took, and how many times as long the authors' loop did."""
    print("layer corpus by          seconds     tokens  error wanted  reached")
    for row in rows:
        print(
            f"{row['layer']:>5} {row['corpus']:6} {row['variant']:11} {row['seconds']:7.2f} "
            f"{row['tokens']:10,} {row['error_wanted']:13.4f} {row['error_reached']:8.4f}"
        )
    print_ratios(rows)


def print_ratios(rows: Sequence[Mapping[str, Any]]) -> None:
    """How many times what each way took their loop takes: as both ran, and to the way's errors."""
    loop = {(row["layer"], row["corpus"]): row for row in rows if row["variant"] == "authors"}

    def ratio(own: Sequence[Mapping[str, Any]], quantity: str, to_its_errors: bool) -> float:
        theirs = 0.0
        for row in own:
            other = loop[row["layer"], row["corpus"]]
            more = (other["error_reached"] / row["error_reached"]) ** 2 if to_its_errors else 1
            theirs += other[quantity] * more
        return theirs / sum(row[quantity] for row in own)

    print("How many times as much the authors' loop takes: as both ran | to the errors reached")
    print("by          corpus  seconds  tokens | seconds  tokens")
    for by, corpus in itertools.product(BY, (*ERRORS, "both")):
        own = [row for row in rows if row["variant"] == by and corpus in (row["corpus"], "both")]
        ratios = (ratio(own, what, to) for to in (False, True) for what in ("seconds", "tokens"))
        print(f"{by:11} {corpus:6}" + "{:9.1f}{:8.1f} |{:8.1f}{:8.1f}".format(*ratios))


def main() -> None:
    """Estimate, check by running, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[3])
    parser.add_argument("--tokens", type=int, default=30_000, help="per corpus, to estimate from")
    parser.add_argument("--coefficients", type=int, default=25, help="how many, 0 among them")
    parser.add_argument(
        "--scale", type=float, default=1, help="times the authors' error, to run at"
    )
    options = parser.parse_args()
    work = WORKLOADS["miniature"]
    documents = workload.read(work, options.tokens)
    everything = workload.read(work, AT_MOST * options.tokens)
    model = workload.load(work, work.dtype, "auto")
    vector = workload.vector(model, documents)
    coefficients = np.linspace(0, 6, options.coefficients).tolist()
    print(
        f"miniature, {work.dtype}, {model.device.type}, {workload.THREADS} threads; estimated from "
        f"{documents.tokens:,} tokens of {len(documents.sequences)} documents"
    )
    points, seconds = [], []
    measure.FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        (measure.FOLDER / "precision.log").open("a", encoding="utf-8") as log,
        contextlib.redirect_stderr(log),
    ):
        for layer in options.layers:
            table = sweep(model, layer, vector[layer], coefficients, documents.corpora)
            here = needed(layer, table, ERRORS)
            print_points(here)
            rows = compare(model, vector[layer], everything.corpora, here, options.scale)
            print_seconds(rows)
            points += [vars(point) for point in here]
            seconds += rows
    print("\nAll layers")
    print_ratios(seconds)
    settings = {**vars(options), "device": model.device.type, "threads": workload.THREADS}
    measure.write("precision-tokens", points, settings)
    measure.write("precision-seconds", seconds, settings)


if __name__ == "__main__":
    main()
