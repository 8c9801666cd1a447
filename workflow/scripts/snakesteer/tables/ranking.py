"""Arms, ranked by the mean change of propensity over behaviours: which steer farther, and which
are ties.

An arm is a way of making vectors, with one for each behaviour, under the operator of a sweep. All
are measured on the same questions, so that two are compared in pairs: behaviour by behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.student_t import t_p_value, t_quantile
from snakesteer.tables.job import TableJob
from snakesteer.tables.null import ALPHA, benjamini_hochberg, holm
from snakesteer.tables.raw import by_injection, unsteered_rows
from snakesteer.tables.slopes import mean_over, propensity

ARM = ["arm", "sweep"]
ARM_COLUMNS = [*ARM, "rank", "behaviours", "questions", "change", "change_low", "change_high"]
ARM_COLUMNS += ["questions_low", "questions_high"]
PAIR_COLUMNS = [*ARM, "against", "against_sweep", "difference", "difference_low"]
PAIR_COLUMNS += ["difference_high", "p", "p_holm", "p_bh", "tests", "tie"]
VECTOR_COLUMNS = [*ARM, "behaviour", "vector", "layer", "coefficient", "questions", "unsteered"]
VECTOR_COLUMNS += ["change", "change_low", "change_high"]


@dataclass(frozen=True)
class RankingJob:
    """The arms of `tables`, with the vectors of each."""

    tables: tuple[TableJob, ...]
    arms: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Ranked:
    """`arms` (`ARM_COLUMNS`, the farthest first), `pairs` of them (`PAIR_COLUMNS`), and `vectors`
    (`VECTOR_COLUMNS`, with `source_layer` and `source_position` where injections have them).

    Columns of arms, a row for each arm, the largest change first:
        arm (text): The arm's name in the ranking.
        sweep (text): The table that has the arm.
        rank (whole number): Its rank, from 1.
        behaviours, questions (whole number): Behaviours of the arm, and their questions.
        change, change_low, change_high (number): Mean over behaviours of the mean change of
            propensity from the unsteered model, in nats, with Student's interval over behaviours.
        questions_low, questions_high (number): Welch's interval of the same mean over questions, of
            these behaviours and vectors alone.

    Columns of pairs, a row for every two arms, the one with the larger change first:
        arm, sweep (as tables.ranking.Ranked.arms)
        against, against_sweep (text): The other arm, and the table that has it.
        difference, difference_low, difference_high (number): The difference between their changes,
            in nats, with Student's interval over behaviours, paired.
        p (number): Student's p of that difference, two-sided.
        p_holm (number): The same, adjusted by Holm over all pairs.
        p_bh (number): The same, adjusted by Benjamini and Hochberg over all pairs.
        tests (whole number): How many pairs there are.
        tie (true or false): Whether `p_holm` is above 0.05.

    Columns of vectors, a row for each arm and behaviour:
        arm, sweep (as tables.ranking.Ranked.arms)
        behaviour, vector, layer, coefficient
        questions (whole number): Questions of the behaviour.
        unsteered (number): Their mean propensity without steering, in nats.
        change, change_low, change_high (number): Mean change of propensity from the unsteered
            model, in nats, with Student's interval over questions.
        source_layer, source_position
    """

    arms: pd.DataFrame
    pairs: pd.DataFrame
    vectors: pd.DataFrame


def ranking(job: RankingJob, raw: Sequence[Sequence[pd.DataFrame]]) -> Ranked:
    """Arms ranked, from the raw tables of each sweep.

    The change of a question is its propensity under steering less that of the unsteered model, that
    of an arm the mean over behaviours of the mean over questions. Its interval is Student's over
    behaviours, each with its vector and its questions (95 %); that over questions, of these
    behaviours and vectors alone, is Welch's. Two arms are compared by Student's test of the
    differences between their means, paired by behaviour; of all pairs together they are a tie
    unless Holm's p is at most `ALPHA`.

    Raises StudyError for a curve that is not of one coefficient, and for arms on other questions.
    """
    changes: dict[tuple[str, str], dict[str, pd.Series]] = {}
    listed: list[dict[str, object]] = []
    of = {vector: arm for arm, vectors in job.arms.items() for vector in vectors}
    for table, own in zip(job.tables, raw, strict=True):
        for injected, rows, _ in by_injection(table, own, []):
            if injected.vector not in of:
                continue
            (behaviour,) = rows["behaviour"].unique()
            named = {"arm": of[injected.vector], "sweep": table.sweep}
            change, about = _change(rows, f"{injected.vector} at {injected.layer}")
            own_changes = changes.setdefault((named["arm"], table.sweep), {})
            if behaviour in own_changes:
                raise StudyError(
                    f"a ranking compares vectors in one place each, and {injected.vector} is "
                    f"injected in several in {table.sweep}; keep one."
                )
            own_changes[str(behaviour)] = change
            mean, low, high = mean_over(change.to_numpy())
            about |= {"change": mean, "change_low": low, "change_high": high}
            place = {"vector": injected.vector, "layer": injected.layer, **injected.columns}
            listed.append(named | {"behaviour": behaviour} | place | about)
    _same_questions(changes)
    vectors = pd.DataFrame(listed).sort_values([*ARM, "behaviour"], kind="stable")
    further = [name for name in vectors if name not in VECTOR_COLUMNS]
    vectors = vectors[[*VECTOR_COLUMNS, *further]].astype(dict.fromkeys(further, "Int64"))
    means = {
        arm: pd.Series({of: each.mean() for of, each in own.items()}).sort_index()
        for arm, own in changes.items()
    }
    return Ranked(_arms(changes, means), _pairs(means), vectors)


def _change(rows: pd.DataFrame, curve: str) -> tuple[pd.Series, dict[str, object]]:
    """The change of each question by steering, and at which coefficient."""
    rows = rows.assign(propensity=propensity(rows))
    unsteered = unsteered_rows(rows["coefficient"].to_numpy(dtype=float))
    coefficients = rows.loc[~unsteered, "coefficient"].unique()
    if len(coefficients) != 1:
        raise StudyError(
            f"a ranking compares vectors at one coefficient each, and {curve} has "
            f"{len(coefficients)}; give it one."
        )
    steered = rows[~unsteered].set_index("question")["propensity"].sort_index()
    before = rows[unsteered].set_index("question")["propensity"].sort_index()
    about: dict[str, object] = {"coefficient": float(coefficients[0]), "questions": len(steered)}
    return steered - before, about | {"unsteered": before.mean()}


def _same_questions(changes: Mapping[tuple[str, str], Mapping[str, pd.Series]]) -> None:
    first, *others = changes.values()
    for other in others:
        same = first.keys() == other.keys()
        if not same or any(not first[name].index.equals(other[name].index) for name in first):
            raise StudyError(
                "the arms of a ranking are on other questions; measure all on the same split."
            )


def _arms(
    changes: Mapping[tuple[str, str], Mapping[str, pd.Series]],
    means: Mapping[tuple[str, str], pd.Series],
) -> pd.DataFrame:
    rows = []
    for arm, own in changes.items():
        values = np.concatenate([each.to_numpy() for each in own.values()])
        kinds = [behaviour for behaviour, each in own.items() for _ in each]
        change, low, high = mean_over(means[arm].to_numpy())
        _, questions_low, questions_high = mean_over(values, kinds)
        row: dict[str, object] = dict(zip(ARM, arm, strict=True))
        row |= {"behaviours": len(own), "questions": len(values)}
        row |= {"change": change, "change_low": low, "change_high": high}
        rows.append(row | {"questions_low": questions_low, "questions_high": questions_high})
    table = pd.DataFrame(rows).sort_values("change", ascending=False, kind="stable")
    return table.assign(rank=range(1, len(table) + 1))[ARM_COLUMNS].reset_index(drop=True)


def _pairs(means: Mapping[tuple[str, str], pd.Series]) -> pd.DataFrame:
    order = sorted(means, key=lambda arm: -float(means[arm].mean()))
    rows = []
    for one, other in combinations(order, 2):
        apart = (means[one] - means[other]).to_numpy()
        mean, error = float(apart.mean()), float(apart.std(ddof=1) / np.sqrt(len(apart)))
        half = t_quantile(len(apart) - 1) * error
        p = t_p_value(mean / error, len(apart) - 1) if error else float(mean == 0)
        row: dict[str, object] = dict(zip(ARM, one, strict=True))
        row |= {"against": other[0], "against_sweep": other[1], "difference": mean}
        row |= {"difference_low": mean - half, "difference_high": mean + half, "p": p}
        rows.append(row | {"tests": len(order) * (len(order) - 1) // 2})
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"].to_numpy())
    table["p_bh"] = benjamini_hochberg(table["p"].to_numpy())
    return table.assign(tie=table["p_holm"] > ALPHA)[PAIR_COLUMNS]
