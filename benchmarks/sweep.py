"""One skill sweep by four means: seconds, memory and agreement.

    PYTHONPATH=workflow/scripts python benchmarks/sweep.py --model random-32

`authors` is the loop of the paper's authors (`authors.py`); `steering-vectors` the same loop around
that library; `plain` and `shared` are the two paths of this engine, `compiled` the shared one with
`compile: true`. Layer by layer they take turns, and the median of `--repeats` turns counts; loading
the model, compiling it and a warm-up do not. Peak memory is measured before, on a CPU for each in a
process of its own.

Beside each measured ratio stands the one that counting predicts: how often a layer is evaluated,
the head counted as so many layers as it takes the time of. What is measured is kept after every
layer, so that a run that is cut short leaves the layers before. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import authors
import measure
import numpy as np
import torch
import workload
from workload import KINDS, WORKLOADS, Documents

from snakesteer.engine.batches import batches_of
from snakesteer.engine.compilation import with_compiled_blocks
from snakesteer.engine.head import predictions
from snakesteer.engine.hooks import replaced
from snakesteer.engine.models import DTYPES, LanguageModel
from snakesteer.engine.steering import final_states, injection, keep
from snakesteer.measures import next_token
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.runner import Asked

VARIANTS = ("authors", "steering-vectors", "plain", "shared", "compiled")
SHARING = ("shared", "compiled")
LOOPS = ("authors", "steering-vectors")
BASELINES = ("authors", "plain")
PAPER_TOKENS = 374.6e6
PAPER_HOURS = 19.85
PAPER_SPEED = 5242  # tokens a second
PAPER_CURVES = (0, 5, 10, 15, 15, 20, 25, 30)  # layers of a figure; 15 twice, for the control
LAYERS = 7
MATMUL = {"cuda": 8192, "cpu": 2048}


@dataclass(frozen=True)
class Sweep:
    """What is swept: everything but the layer and by which means.

    `compiled` is the model with compiled blocks, None if no variant asks for it.
    """

    model: LanguageModel
    compiled: LanguageModel | None
    documents: Documents
    vector: np.ndarray
    coefficients: Sequence[float]
    batch_tokens: int


@dataclass(frozen=True)
class Head:
    """What a pass costs beside its layers, in layers."""

    authors: float
    engine: float


@dataclass(frozen=True)
class Result:
    """One variant at one layer, measured at so many coefficients.

    `seconds` are those that all coefficients take at the speed measured, `evaluations` what
    counting predicts in layer evaluations a token.
    """

    variant: str
    layer: int
    coefficients: int
    seconds: float
    evaluations: float


@dataclass(frozen=True)
class Speed:
    """Floating-point operations a second, of one coefficient on the shared path.

    `above` is that of the layers above the injection alone, `point` that with the head.
    """

    above: float
    point: float


def run(sweep: Sweep, variant: str, layer: int) -> np.ndarray:
    """Counts of top 1 and top 10, [n_coefficients, n_documents, 2], corpus after corpus."""
    model, vector = sweep.model, sweep.vector[layer]
    if variant not in LOOPS:
        return _by_engine(sweep, variant, layer)
    loop = authors.sweep if variant == "authors" else _by_steering_vectors
    parts = [
        loop(model, layer, vector, sweep.coefficients, corpus.sequences, corpus.skipped)
        for corpus in sweep.documents.corpora.values()
    ]
    return np.concatenate(parts, axis=1)[:, :, :2]


def _by_engine(sweep: Sweep, variant: str, layer: int) -> np.ndarray:
    model = _model(sweep, variant)
    corpora = sweep.documents.corpora
    parts = (part(layer, sweep.vector[layer], "add"),)
    (table,) = runner.run(
        model,
        [Asked("tokens", next_token, corpora)],
        [Steering("own", parts, tuple(sweep.coefficients), {"tokens": tuple(corpora)})],
        batch_tokens=sweep.batch_tokens,
        path="shared" if variant in SHARING else "plain",
    )
    found = np.stack([table["top1"].to_numpy(), table["top10"].to_numpy()], axis=1)
    return found.reshape(len(sweep.coefficients), -1, 2)


def _model(sweep: Sweep, variant: str) -> LanguageModel:
    if variant != "compiled":
        return sweep.model
    assert sweep.compiled
    return sweep.compiled


def _by_steering_vectors(
    model: LanguageModel,
    layer: int,
    vector: np.ndarray,
    coefficients: Sequence[float],
    sequences: Sequence[Sequence[int]],
    skipped: Sequence[int],
) -> np.ndarray:
    from steering_vectors import SteeringVector

    direction = torch.as_tensor(vector).to(model.device, model.dtype)
    steering = SteeringVector({layer: direction})
    found = []
    for coefficient in coefficients:
        with steering.apply(model.network, multiplier=coefficient):
            found.append(authors.counts(model, sequences, skipped))
    return np.stack(found)


def warm_up(sweep: Sweep, variant: str, tokens: int | None = None) -> None:
    """The variant on a document of each corpus, cut after `tokens` tokens."""
    few = {
        name: next_token.Corpus(corpus.names[:1], [corpus.sequences[0][:tokens]], corpus.skipped)
        for name, corpus in sweep.documents.corpora.items()
    }
    short = Documents(few, {})
    run(replace(sweep, documents=short, coefficients=[0.0, 1.0]), variant, 0)


def peak_memory(sweep: Sweep, variant: str) -> int:
    """Bytes at the peak of two coefficients of a variant, beyond the loaded and warm model."""
    warm_up(sweep, variant, tokens=8)
    two = replace(sweep, coefficients=[0.0, 1.0])
    return measure.peak_bytes(sweep.model.device, lambda: run(two, variant, 0))


def peak_resident(name: str, dtype: str, documents: Documents, variant: str) -> int:
    """`peak_memory` on the CPU, where it shows in a process that has done nothing before."""
    with _log(name, dtype):
        model = workload.load(WORKLOADS[name], dtype, "cpu")
        direction = np.ones((model.n_layers, model.hidden), dtype=np.float32)
        compiled = with_compiled_blocks(model) if variant == "compiled" else None
        batch_tokens = WORKLOADS[name].batch_tokens
        return peak_memory(Sweep(model, compiled, documents, direction, [], batch_tokens), variant)


def evaluations(variant: str, layer: int, sweep: Sweep, head: Head) -> float:
    """How often a token passes a layer in a whole sweep, the head counted in layers."""
    depth, count = sweep.model.n_layers, len(sweep.coefficients)
    if variant in SHARING:
        return layer + 1 + count * (depth - 1 - layer + head.engine)
    return count * (depth + (head.engine if variant == "plain" else head.authors))


@torch.inference_mode()
def measured_head(sweep: Sweep) -> Head:
    """Seconds of what comes after the layers over those of a layer.

    For the engine on the middle one of its batches; for the authors' loop on a document of middling
    length, with all that a pass does beside its layers.
    """
    model, sequences = sweep.model, sorted(sweep.documents.sequences, key=len)
    corpus = next(iter(sweep.documents.corpora.values()))
    batches = batches_of(model, sequences, sweep.batch_tokens)
    batch, ids = batches[len(batches) // 2], sequences[len(sequences) // 2]
    states = torch.randn((*batch.ids.shape, model.hidden), device=model.device).to(model.dtype)
    flat, targets = states.flatten(0, 1), batch.ids.flatten()
    engine = measure.seconds(model.device, lambda: predictions(model, flat, targets))
    alone = states[:1, :1].expand(1, len(ids), -1)
    with replaced(model, {layer: lambda: alone for layer in range(model.n_layers)}):
        loop = measure.seconds(model.device, lambda: authors.counts(model, [ids], corpus.skipped))
    one = torch.tensor([ids], device=model.device)
    return Head(loop / _layer_seconds(model, one), engine / _layer_seconds(model, batch.ids))


def _layer_seconds(model: LanguageModel, ids: torch.Tensor) -> float:
    """Seconds of one layer: those of all of them, less those of a pass without any."""

    def act() -> Any:
        return model.network.base_model(input_ids=ids, use_cache=False)

    states = torch.zeros((*ids.shape, model.hidden), device=model.device, dtype=model.dtype)
    whole = measure.seconds(model.device, act)
    with replaced(model, {layer: lambda: states for layer in range(model.n_layers)}):
        return (whole - measure.seconds(model.device, act)) / model.n_layers


def agreement(
    sweep: Sweep, layer: int, counts: dict[str, np.ndarray]
) -> dict[str, tuple[int, int]]:
    """For each variant: predictions that differ from the first one's, and how many too many.

    `counts` begin with those of the sweep's coefficients. Too many are differences in a document
    beyond the number of its near-ties there.
    """
    model, sequences = sweep.model, sweep.documents.sequences
    first, *others = counts
    count = len(sweep.coefficients)
    differing = {
        variant: np.abs(counts[variant][:count] - counts[first][:count]) for variant in others
    }
    excess = dict.fromkeys(others, 0)
    for place, coefficient in enumerate(sweep.coefficients):
        with authors.injected(model, layer, sweep.vector[layer], coefficient):
            for number, ids in enumerate(sequences):
                here = {variant: differing[variant][place, number] for variant in others}
                if any(found.any() for found in here.values()):
                    near = np.array(authors.near_ties(model, ids))
                    for variant in others:
                        excess[variant] += int(np.maximum(here[variant] - near, 0).sum())
    return {variant: (int(differing[variant].sum()), excess[variant]) for variant in others}


def speed(sweep: Sweep, variant: str, layer: int) -> Speed:
    """How fast one coefficient is evaluated, with an injection at `layer`.

    Counted are the products with the weights and, over the causal half, those of attention, for
    real tokens alone; in the head for predicted tokens.
    """
    model = _model(sweep, variant)
    steering = injection(model, [part(layer, sweep.vector[layer], "add")])
    batches = batches_of(model, sweep.documents.sequences, sweep.batch_tokens)
    keep(model, batches, layer)
    weights = sum(
        weight.numel()
        for block in model.blocks[layer + 1 :]
        for weight in block.parameters()
        if weight.dim() > 1
    )
    above = model.n_layers - 1 - layer
    operations = sum(
        2 * weights * len(ids) + 2 * above * model.hidden * len(ids) ** 2
        for ids in sweep.documents.sequences
    )
    in_head = 2 * model.vocabulary * model.hidden * sweep.documents.tokens

    def layers() -> None:
        for batch in batches:
            final_states(model, batch, steering, 1.0)

    def point() -> None:
        for batch in batches:
            states = final_states(model, batch, steering, 1.0).flatten(0, 1)
            targets = batch.ids.flatten()[batch.predicting + 1]
            predictions(model, states[batch.predicting], targets)

    return Speed(
        operations / measure.timed(model.device, layers)[0],
        (operations + in_head) / measure.timed(model.device, point)[0],
    )


def matmul_speed(model: LanguageModel) -> float:
    """Floating-point operations a second in a large square product of the model's dtype."""
    size = MATMUL[model.device.type]
    left, right = torch.randn((2, size, size), device=model.device).to(model.dtype)
    return 2 * size**3 / measure.seconds(model.device, lambda: left @ right)


def ratio(results: Sequence[Result], variant: str, baseline: str) -> tuple[float, float] | None:
    """How many times as fast as a baseline a variant is, measured and predicted."""
    mine = [result for result in results if result.variant == variant]
    theirs = [result for result in results if result.variant == baseline]
    if not theirs:
        return None
    return (
        sum(result.seconds for result in theirs) / sum(result.seconds for result in mine),
        sum(result.evaluations for result in theirs) / sum(result.evaluations for result in mine),
    )


def rows_of(
    sweep: Sweep, layer: int | None, results: Sequence[Result], peaks: dict[str, int]
) -> list[dict[str, Any]]:
    """A row for each variant: of one layer, or of all of them (`layer` None)."""
    rows = []
    layers = len({result.layer for result in results})
    for variant in dict.fromkeys(result.variant for result in results):
        own = [result for result in results if result.variant == variant]
        seconds = sum(result.seconds for result in own)
        tokens = layers * len(sweep.coefficients) * sweep.documents.tokens
        row = {
            "layer": layer,
            "variant": variant,
            "seconds": seconds,
            "tokens_per_second": tokens / seconds,
            "tokens_measured": sweep.documents.tokens * sum(result.coefficients for result in own),
            "peak_bytes": peaks[variant],
        }
        for baseline in BASELINES:
            measured, predicted = ratio(results, variant, baseline) or (None, None)
            row[f"over_{baseline}"], row[f"over_{baseline}_predicted"] = measured, predicted
        rows.append(row)
    return rows


def line_of(row: dict[str, Any]) -> str:
    """A row as it is printed."""
    layer = "all" if row["layer"] is None else row["layer"]
    text = (
        f"{layer:>5} {row['variant']:16} {row['seconds']:9.2f} {row['tokens_per_second']:10,.0f}"
        f" {row['peak_bytes'] / 1e6:9,.0f}"
    )
    for baseline in BASELINES:
        measured, predicted = row[f"over_{baseline}"], row[f"over_{baseline}_predicted"]
        text += (
            f" {measured:9.2f} {predicted:9.2f} {measured / predicted:8.2f}"
            if measured
            else f" {'-':>9} {'-':>9} {'-':>8}"
        )
    return text


def paper_hours(rows: Sequence[dict[str, Any]], variant: str) -> float:
    """GPU hours of the paper's two coding figures at the speeds of a variant, layer by layer."""
    speeds = {row["layer"]: row["tokens_per_second"] for row in rows if row["variant"] == variant}
    layers = [layer for layer in PAPER_CURVES if layer in speeds]
    return PAPER_TOKENS * float(np.mean([1 / speeds[layer] for layer in layers])) / 3600


def _log(name: str, dtype: str) -> contextlib.redirect_stderr:
    """What the engine says goes to a file beside the figures."""
    measure.FOLDER.mkdir(parents=True, exist_ok=True)
    return contextlib.redirect_stderr(
        (measure.FOLDER / f"sweep-{name}-{dtype}.log").open("a", encoding="utf-8")
    )


def _in_its_own_process(act: Callable[..., int], *arguments: Any) -> int:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(act, *arguments).result()


def main() -> None:
    """Measure, print a table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=WORKLOADS, default="miniature")
    parser.add_argument("--tokens", type=int, help="predicted tokens per corpus and point")
    parser.add_argument("--corpora", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--dtype", choices=DTYPES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--layers", type=int, nargs="+", help="seven, evenly spread, if left out")
    parser.add_argument("--coefficients", type=int, default=25, help="how many, 0 among them")
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        default=list(VARIANTS[:-1]),
        help="all but `compiled` if left out, which changes little on a CPU",
    )
    parser.add_argument(
        "--baseline-coefficients",
        type=int,
        help="how many of the coefficients those variants run that pay the same for each, all but "
        "`shared` and `compiled`; their seconds are scaled",
    )
    parser.add_argument("--repeats", type=int, default=1, help="turns that each variant takes")
    parser.add_argument(
        "--agreement",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether to compare what the variants predict, which takes passes of its own",
    )
    options = parser.parse_args()
    if options.baseline_coefficients is not None and options.baseline_coefficients < 2:
        parser.error("--baseline-coefficients must be at least 2: 0 and another one")
    work = WORKLOADS[options.model]
    dtype = options.dtype or work.dtype
    read = workload.read(work, options.tokens or work.tokens)
    documents = Documents({name: read.corpora[name] for name in options.corpora}, read.vector)

    model = workload.load(work, dtype, options.device)
    coefficients = np.linspace(0, 6, options.coefficients).tolist()
    vector = workload.vector(model, documents)
    compiled = with_compiled_blocks(model) if "compiled" in options.variants else None
    sweep = Sweep(model, compiled, documents, vector, coefficients, work.batch_tokens)
    baseline = replace(sweep, coefficients=coefficients[: options.baseline_coefficients])
    swept = {variant: sweep if variant in SHARING else baseline for variant in options.variants}
    evaluated = Documents(documents.corpora, {})
    with _log(options.model, dtype):
        peaks = {
            variant: (
                _in_its_own_process(peak_resident, options.model, dtype, evaluated, variant)
                if model.device.type == "cpu"
                else peak_memory(sweep, variant)
            )
            for variant in options.variants
        }
    layers = options.layers or workload.spread(model.n_layers, LAYERS)
    head = measured_head(sweep)
    matmul = matmul_speed(model)
    print(
        f"{options.model}: {sum(weight.numel() for weight in model.network.parameters()):,} "
        f"parameters, {dtype}, {model.device.type}, {workload.THREADS} threads\n"
        f"{len(layers)} layers × {len(coefficients)} coefficients × {documents.tokens:,} tokens of "
        f"{len(documents.sequences)} documents of {' and '.join(options.corpora)}\n"
        f"All but {' and '.join(SHARING)} run at {len(baseline.coefficients)} of the coefficients; "
        f"medians of {options.repeats}\n"
        f"What a pass does beside its layers costs {head.authors:.2f} layers in the authors' loop, "
        f"{head.engine:.2f} in the engine; a large product runs at {matmul / 1e12:.2f} TFLOP/s\n"
        "Peak memory is beyond the loaded model, in MB; ratios say how many times as fast\n\n"
        f"{'':50}{'over authors':>29}{'over plain':>28}\n"
        f"layer {'variant':16} {'seconds':>9} {'tokens/s':>10} {'MB':>9}"
        + f" {'measured':>9} {'predicted':>9} {'share':>8}"
        * 2,
        flush=True,
    )
    rows, results, speeds, agreements = [], [], {}, {}
    settings = {
        **vars(options),
        "dtype": dtype,
        "device": model.device.type,
        "tokens": documents.tokens,
        "threads": workload.THREADS,
        "head_in_layers": {"authors": head.authors, "engine": head.engine},
        "matmul_flops": matmul,
    }
    with _log(options.model, dtype):
        for variant in options.variants:
            warm_up(sweep, variant)
        for layer in layers:
            counts, here = {}, []

            def turn(variant: str) -> None:
                counts[variant] = run(swept[variant], variant, layer)

            ways = {variant: partial(turn, variant) for variant in options.variants}
            taken = measure.in_turns(model.device, ways, options.repeats)
            for variant, times in taken.items():
                run_at = len(swept[variant].coefficients)
                seconds = statistics.median(times) * len(coefficients) / run_at
                predicted = evaluations(variant, layer, sweep, head)
                here.append(Result(variant, layer, run_at, seconds, predicted))
            rows += rows_of(sweep, layer, here, peaks)
            results += here
            print(*map(line_of, rows[-len(here) :]), sep="\n", flush=True)
            for variant in filter(SHARING.__contains__, options.variants):
                speeds[f"{layer} {variant}"] = asdict(speed(sweep, variant, layer))
            if options.agreement:
                agreements[str(layer)] = agreement(baseline, layer, counts)
            about = {**settings, "agreement": agreements, "flops": speeds}
            measure.keep(f"sweep-{options.model}-{dtype}", rows, about)
    rows += rows_of(sweep, None, results, peaks)
    print(*map(line_of, rows[-len(options.variants) :]), sep="\n")

    print("\nTFLOP/s in the layers above and with the head, shares of the large product's")
    for name, found in speeds.items():
        print(
            f"{name:>11}"
            + "".join(f" {flops / 1e12:8.3f} {flops / matmul:5.2f}" for flops in found.values())
        )
    decided = 2 * len(baseline.coefficients) * documents.tokens * len(layers)
    first, *others = options.variants
    for variant in others if options.agreement else ():
        differing, excess = np.sum([found[variant] for found in agreements.values()], axis=0)
        print(
            f"{variant}: {differing:,} of {decided:,} decisions differ from {first}'s, "
            f"{excess:,} of them by more than rounding"
        )
    if options.model == "llama-2-7b":
        print(
            f"\nThe paper's two coding figures, {PAPER_TOKENS / 1e6:.1f} million tokens: "
            f"{PAPER_HOURS} GPU hours at {PAPER_SPEED:,} tokens/s by the authors' records; here"
        )
        for variant in options.variants:
            print(f"{variant:16} {paper_hours(rows, variant):7.2f} GPU hours")
    measure.write(f"sweep-{options.model}-{dtype}", rows, about)


if __name__ == "__main__":
    main()
