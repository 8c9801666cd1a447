"""How far the chat model can be steered: what its model card says, measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from snakesteer.behaviours import generated
from snakesteer.behaviours.drawing import split_questions
from snakesteer.behaviours.generated import DRAFTS
from snakesteer.engine.extraction import of_questions
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.texts import read_questions
from snakesteer.measures import two_choice
from snakesteer.measures.two_choice_settings import Stopping
from snakesteer.storage.points import Points
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.runner import Asked
from snakesteer.vectors import contrast
from snakesteer.vectors.samples import Samples

Records = dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class Score:
    """Answers under one injection: matching score and share of faulty answers."""

    layer: int
    coefficient: float
    score: float
    faulty: float


@dataclass(frozen=True)
class Gate:
    """One behaviour on test questions: unsteered, subtracted and added.

    Layer and coefficient of both directions are those with the lowest and the highest score on
    validation questions. `layers` are those at which both `LOW` and `HIGH` are reached there.
    """

    behaviour: str
    default: Score
    subtracted: Score
    added: Score
    layers: tuple[int, ...]


LOW, HIGH, MOST_FAULTY = 0.15, 0.85, 0.05
BATCH_TOKENS = 512


def measure_gates(
    model: LanguageModel,
    multipliers: Sequence[float],
    report: Callable[[str], None] = print,
    layers: Sequence[int] | None = None,
    questions: int = 1000,
) -> list[Gate]:
    """Grid search over layers (default: all) on validation questions, the best cells scored on
    the test.

    Half of the `questions` train and a fifth validates. `multipliers` are positive and ascending;
    each is added and subtracted. A column of the grid ends at mode collapse or more than 10 faulty
    answers, as in the paper.
    """
    gates = []
    for behaviour in DRAFTS:
        records: Records = {"train": [], "validation": [], "test": []}
        drawn = generated.questions({"trait": behaviour, "questions": questions, "seed": 13})
        parts = split_questions(drawn, train=questions // 2, validation=questions // 5, seed=13)
        for split, question in parts:
            records[split].append(asdict(question))
        pair = of_questions(
            model, read_questions(model.tokenizer, records["train"]), batch_tokens=BATCH_TOKENS
        )
        answers = Samples({role: found.float().numpy() for role, found in pair.items()})
        vector = contrast.fit({"of": [answers]}, {})
        points = Points()  # so that coefficient 0 is asked once
        cells = [
            cell
            for layer in (range(model.n_layers) if layers is None else layers)
            for cell in _column(model, vector, layer, behaviour, records, multipliers, points)
        ]
        usable = [cell for cell in cells if cell.coefficient == 0 or cell.faulty < MOST_FAULTY]
        best = [
            min(
                (cell for cell in usable if cell.coefficient <= 0),
                key=lambda cell: (cell.score, abs(cell.coefficient)),
            ),
            max(
                (cell for cell in usable if cell.coefficient >= 0),
                key=lambda cell: (cell.score, -cell.coefficient),
            ),
        ]
        low = {cell.layer for cell in usable if cell.score <= LOW and cell.coefficient < 0}
        high = {cell.layer for cell in usable if cell.score >= HIGH and cell.coefficient > 0}
        tested = [
            _scores(
                model,
                vector,
                cell.layer,
                behaviour,
                records["test"],
                (0.0, cell.coefficient),
                None,
                points,
            )
            for cell in best
        ]
        gate = Gate(
            behaviour, tested[0][0], tested[0][-1], tested[1][-1], tuple(sorted(low & high))
        )
        report(str(gate))
        gates.append(gate)
    return gates


def _column(
    model: LanguageModel,
    vector: np.ndarray,
    layer: int,
    behaviour: str,
    records: Records,
    multipliers: Sequence[float],
    points: Points,
) -> list[Score]:
    both_signs = (0.0, *(-value for value in multipliers), *multipliers)
    asked = records["validation"]
    return _scores(model, vector, layer, behaviour, asked, both_signs, Stopping(), points)


def _scores(
    model: LanguageModel,
    vector: np.ndarray,
    layer: int,
    behaviour: str,
    questions: list[dict[str, str]],
    coefficients: tuple[float, ...],
    stopping: Stopping | None,
    points: Points,
) -> list[Score]:
    sources = {"answers": (behaviour,)}
    steering = Steering("own", (part(layer, vector[layer], "add"),), coefficients, sources)
    prompts = {behaviour: two_choice.read_prompts(model.tokenizer, behaviour, questions)}
    answers = Asked("answers", two_choice, prompts, stopping)
    (table,) = runner.run(model, [answers], [steering], batch_tokens=BATCH_TOKENS, points=points)
    return [
        Score(
            layer,
            coefficient,
            _share(table, coefficient, "match"),
            _share(table, coefficient, "faulty"),
        )
        for coefficient in table["coefficient"].unique().to_pylist()
    ]


def _share(table: pa.Table, coefficient: float, outcome: str) -> float:
    rows = table.filter(pc.equal(table["coefficient"], coefficient))
    return float(pc.mean(pc.cast(pc.equal(rows["outcome"], outcome), pa.float64())).as_py())
