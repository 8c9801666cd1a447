"""What it saves that the prompt of a question runs once for all its choices.

    PYTHONPATH=workflow/scripts python benchmarks/choices.py

`answers` are questions of the generated behaviours with their two options as whole answers,
`few-shot` five of them, answered, before a sixth one with four options. Each is measured with the
texts of a question in one sequence and with a sequence for each text, in turns, on random weights
of SmolLM2's shape unless another model is named. Printed are the tokens that are read, and the
ratio of both ways: of tokens, and of the median seconds of the processors, or on a GPU of the wall.
See docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import random
import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any
from unittest import mock

import measure
import numpy as np
import workload
from workload import WORKLOADS

from snakesteer.behaviours.generated import DRAFTS, Draft
from snakesteer.engine.models import DTYPES, LanguageModel
from snakesteer.measures import choice
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.runner import Asked

BEHAVIOURS = ("myopia", "wealth-seeking", "sycophancy")
SHOTS, OPTIONS = 5, 4
WAYS = {"once": choice.WORTH_IT, "apart": math.inf}


def asked(draft: Draft) -> str:
    """A question up to its answer."""
    return f"Human:\n{draft.ask}\n\nAI: "


def with_answers(count: int, rng: random.Random) -> list[dict[str, Any]]:
    """Questions with two whole answers."""
    found = []
    for number in range(count):
        draft = DRAFTS[BEHAVIOURS[number % len(BEHAVIOURS)]](rng)
        options = {"matching": draft.matching, "not_matching": draft.other}
        found.append({"question": f"q{number}", "prompt": asked(draft), **options})
    return found


def few_shot(count: int, rng: random.Random) -> list[dict[str, Any]]:
    """Questions behind answered ones, with four options."""
    found = []
    for number in range(count):
        draw = DRAFTS[BEHAVIOURS[number % len(BEHAVIOURS)]]
        shots = [draw(rng) for _ in range(SHOTS)]
        before = "".join(f"{asked(shot)}{shot.matching}\n\n" for shot in shots)
        own, other = draw(rng), draw(rng)
        options = [own.matching, own.other, f"{other.matching} again", f"{other.other} again"]
        prompt = {"question": f"q{number}", "prompt": before + asked(own)}
        found.append({**prompt, "choices": options[:OPTIONS], "place": 0})
    return found


KINDS = {"answers": with_answers, "few-shot": few_shot}


def run(
    model: LanguageModel,
    items: choice.Items,
    vector: np.ndarray,
    layer: int,
    coefficients: Sequence[float],
    batch_tokens: int,
    worth_it: float,
) -> None:
    """One sweep, in which a question's texts are joined that have `worth_it` times its tokens."""
    steering = Steering(
        "own", (part(layer, vector, "add"),), tuple(coefficients), {"choice": ("asked",)}
    )
    with (
        contextlib.redirect_stderr(io.StringIO()),
        mock.patch.object(choice, "WORTH_IT", worth_it),
    ):
        runner.run(
            model,
            [Asked("choice", choice, {"asked": items})],
            [steering],
            batch_tokens=batch_tokens,
        )


def tokens(model: LanguageModel, items: choice.Items) -> dict[str, int]:
    """Tokens that are read either way."""
    joined = choice.arranged(model, "asked", items)
    return {"once": sum(map(len, joined.sequences)), "apart": sum(map(len, items.sequences))}


def main() -> None:
    """Measure, print the ratios and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=WORKLOADS, default="smollm2")
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=[*KINDS])
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--dtype", choices=DTYPES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--layer", type=int, help="the middle one, if left out")
    parser.add_argument("--coefficients", type=int, default=3, help="how many, 0 among them")
    parser.add_argument("--batch-tokens", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    work = WORKLOADS[options.model]
    dtype = options.dtype or work.dtype
    model = workload.load(work, dtype, options.device)
    layer = model.n_layers // 2 if options.layer is None else options.layer
    batch_tokens = options.batch_tokens or work.batch_tokens
    vector = np.random.default_rng(0).normal(size=model.hidden)
    coefficients = np.linspace(0, 1, options.coefficients).tolist()
    print(
        f"{options.model}: {dtype}, {model.device.type}, {workload.THREADS} threads; "
        f"{options.questions} questions × {len(coefficients)} coefficients at layer {layer}, "
        f"medians of {options.repeats}\n\n{'':<10}{'tokens':>8} {'apart':>8} {'ratio':>6} "
        f"{'seconds':>8} {'apart':>8} {'ratio':>6}",
        flush=True,
    )
    rows: list[dict[str, Any]] = []
    for name in options.kinds:
        questions = KINDS[name](options.questions, random.Random(13))
        items = choice.read_items(model.tokenizer, "asked", questions)
        read = tokens(model, items)
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        given = (model, items, vector, layer, coefficients, batch_tokens)
        run(*given, math.inf)  # does not count
        for _ in range(options.repeats):
            for way, worth_it in WAYS.items():
                act = partial(run, *given, worth_it)
                taken[way].append(measure.processor_seconds(model.device, act))
        once, apart = (statistics.median(taken[way]) for way in WAYS)
        row = {"tokens": read["once"], "tokens_apart": read["apart"]}
        row |= {"seconds": once, "seconds_apart": apart}
        rows.append({"questions": name, **row})
        fewer = read["apart"] / read["once"]
        print(
            f"{name:<10}{read['once']:>8,} {read['apart']:>8,} {fewer:>6.2f} "
            f"{once:>8.2f} {apart:>8.2f} {apart / once:>6.2f}",
            flush=True,
        )
    measure.write(f"choices-{options.model}-{dtype}", rows, {**vars(options), "dtype": dtype})


if __name__ == "__main__":
    main()
