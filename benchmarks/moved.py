"""How far single steering moves each behaviour, question by question, corrected by Holm.

    PYTHONPATH=workflow/scripts python benchmarks/moved.py results/cache/sweeps/single.*.parquet \\
        --questions results/cache/questions/*.parquet

For each behaviour and direction it prints the mean difference of propensity from the unsteered
model over test questions, positive where the steering did what it should, its 95 % interval
(Student's t of paired differences), and the p-value of the hypothesis that it is 0, two-sided,
after Holm (1979) over all of them. Questions with one matching answer are alike: differences are
averaged over these first, and answers are what is counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from snakesteer.storage.files import read_table

MEASURE = "answers"


def differences(raw: pd.DataFrame, answers: pd.Series) -> pd.DataFrame:
    """By injection, direction and question: propensity less that of the unsteered model.

    `answers` are the matching ones, by behaviour's question.
    """
    key = ["injection", "behaviour", "question"]
    unsteered = raw[raw["coefficient"] == 0].set_index(key)["propensity"]
    steered = raw[raw["coefficient"] != 0].set_index(key)
    moved = steered["propensity"] - unsteered.reindex(steered.index)
    signs = np.sign(steered["coefficient"])
    found = steered.assign(
        difference=moved * signs, direction=signs.map({1: "add", -1: "subtract"})
    ).reset_index()
    return found.join(answers, on=["behaviour", "question"])


def matching(files: Sequence[Path]) -> pd.Series:
    """The matching answers of questions' files, named by behaviour and key, by these."""
    parts = []
    for path in files:
        read = read_table(path).to_pandas()[["question", "matching"]]
        parts.append(read.assign(behaviour=path.name.split(".")[0]))
    return pd.concat(parts).set_index(["behaviour", "question"])["matching"].rename("answer")


def tested(differences: pd.DataFrame) -> pd.DataFrame:
    """A row for each behaviour and direction, with Holm's p-value over all."""
    rows = []
    for (behaviour, direction), own in differences.groupby(["behaviour", "direction"], sort=False):
        means = own.groupby("answer")["difference"].mean()
        low, high = stats.t.interval(0.95, len(means) - 1, means.mean(), stats.sem(means))
        row = {"behaviour": behaviour, "direction": direction, "questions": len(own)}
        row |= {"coefficient": own["coefficient"].iloc[0], "counted": len(means)}
        row |= {"difference": means.mean(), "low": low, "high": high}
        rows.append(row | {"p": stats.ttest_1samp(means, 0).pvalue})
    table = pd.DataFrame(rows)
    ordered = table["p"].sort_values()
    factors = np.arange(len(ordered), 0, -1)
    table["p_holm"] = (ordered * factors).cummax().clip(upper=1)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", nargs="+", type=Path, help="the raw tables of one sweep's jobs")
    parser.add_argument("--questions", nargs="+", type=Path, help="those of its behaviours")
    given = parser.parse_args()
    raw = pd.concat([read_table(path).to_pandas() for path in given.raw], ignore_index=True)
    table = tested(differences(raw[raw["measure"] == MEASURE], matching(given.questions)))
    print(table.to_string(index=False, float_format="{:.3g}".format))
    both = table.assign(moves=(table["low"] > 0) & (table["p_holm"] < 0.05))
    moved = both.groupby("behaviour", sort=False)["moves"].all()
    print(f"Moved both ways: {', '.join(moved[moved].index)} ({moved.sum()} of {len(moved)}).")


if __name__ == "__main__":
    main()
