"""A judge's mean rating, corrected by ratings of people: by hand, and its coverage simulated."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from snakesteer.core.errors import StudyError
from snakesteer.sweeps.job import Injected, Placed
from snakesteer.tables import continuation
from snakesteer.tables.corrected import Correction, Rated, correction
from snakesteer.tables.job import Statistics


def raw(ratings: np.ndarray, texts: int = 1) -> pd.DataFrame:
    """Ratings [n_coefficients, n_prompts * texts] as the rows of a sweep."""
    rows = []
    for coefficient, given in enumerate(ratings):
        for place, rating in enumerate(given):
            rows.append(
                {
                    "injection": "noise at 1",
                    "measure": "texts",
                    "coefficient": float(coefficient),
                    "source": "prompts",
                    "sample": str(place // texts),
                    "n": place % texts,
                    "prompt": f"prompt {place // texts}",
                    "text": f"{coefficient} {place}",
                    "tokens": 7,
                    "finished": True,
                    "score_kind": rating,
                }
            )
    return pd.DataFrame(rows)


def rated(folder: Path, people: dict[str, object]) -> Rated:
    frame = pd.DataFrame({"text": list(people), "rating": list(people.values())})
    frame.to_csv(folder / "labels.csv", index=False)
    return Rated("kind", str(folder / "labels.csv"), "abc", 1, 10)


def table(asked: Rated, given: pd.DataFrame, **others: object) -> pd.DataFrame:
    injected = (Injected((Placed("noise", (1,)),), (0.0, 1.0)),)
    job = continuation.Job(
        *("own", "continuation", "texts", "grid", (injected,)),
        statistics=Statistics(200, 13),
        scores=("kind",),
        rated=(asked,),
    )
    return continuation.table(job, [given], [])


def test_it_is_prediction_powered_inference_where_nothing_is_shared(tmp_path) -> None:
    """Labelled are prompts of one coefficient, the means of another are over other prompts."""
    generator = np.random.default_rng(2)
    ratings = generator.uniform(2, 9, size=(2, 40)).round(2)
    given = raw(ratings)
    given.loc[40:, "sample"] = [f"other {place}" for place in range(40)]
    people = ratings[0, :15] + generator.normal(0.3, 0.4, 15).round(2)
    names = given["text"].tolist()
    found = table(rated(tmp_path, dict(zip(names[:15], people, strict=True))), given)
    differences = people - ratings[0, :15]
    assert found["kind_labels"].eq(15).all()
    assert found["kind_bias"].to_numpy() == pytest.approx(differences.mean())
    assert found["kind_error"].to_numpy() == pytest.approx(abs(differences).mean())
    alone = scipy.stats.ttest_1samp(differences, 0).confidence_interval()
    assert found[["kind_bias_low", "kind_bias_high"]].to_numpy()[0] == pytest.approx(list(alone))
    row = found.iloc[1]
    variance = ratings[1].var(ddof=1) / 40 + differences.var(ddof=1) / 15
    half = scipy.stats.t.ppf(0.975, 14) * math.sqrt(variance)
    expected = ratings[1].mean() + differences.mean()
    assert row["kind"] == pytest.approx(ratings[1].mean())
    assert row["kind_corrected"] == pytest.approx(expected)
    ends = [row["kind_corrected_low"], row["kind_corrected_high"]]
    assert ends == pytest.approx([expected - half, expected + half])


def test_all_texts_labelled_is_the_mean_of_people(tmp_path) -> None:
    generator = np.random.default_rng(3)
    given = raw(generator.uniform(1, 10, size=(1, 30)))
    people = generator.uniform(3, 8, 30)
    found = table(rated(tmp_path, dict(zip(given["text"], people, strict=True))), given)
    (row,) = found.itertuples()
    low, high = scipy.stats.ttest_1samp(people, 0).confidence_interval()
    assert row.kind_corrected == pytest.approx(people.mean())
    assert [row.kind_corrected_low, row.kind_corrected_high] == pytest.approx([low, high])


def test_the_mean_stays_within_the_bounds_and_needs_two_prompts(tmp_path) -> None:
    given = raw(np.full((1, 20), 9.5), texts=2)
    found = table(rated(tmp_path, {"0 0": 10, "0 3": 10, "0 5": 10}), given).iloc[0]
    assert (found["kind_corrected"], found["kind_corrected_high"]) == (10, 10)
    one = table(rated(tmp_path, {"0 0": 10, "0 1": 10}), given).iloc[0]
    assert one["kind_corrected"] == 10 and math.isnan(one["kind_corrected_low"])


def test_resampled_vectors_and_draws(tmp_path) -> None:
    generator = np.random.default_rng(4)
    ratings = generator.uniform(4, 6, size=(2, 10))
    asked = rated(tmp_path, {"0 0": 5, "1 4": 6.5, "1 7": 5})
    frames, parts = [], []
    for draw in (0, 1):
        injected = Injected((Placed("noise", (1,)),), (0.0, 1.0), draw=draw)
        parts.append(injected)
        frames.append(raw(ratings + draw / 4).assign(injection=injected.label))
    job = continuation.Job(
        *("own", "continuation", "texts", "grid", (tuple(parts),)),
        statistics=Statistics(200, 13),
        scores=("kind",),
        rated=(asked,),
    )
    found = continuation.table(job, [pd.concat(frames)], [])
    mean = found[found["draw"].isna()]
    spread = mean["kind_corrected_max"] - mean["kind_corrected_min"]
    assert len(mean) == 2 and spread.to_numpy() == pytest.approx(0.25)

    alone = continuation.Job(
        **{**vars(job), "jobs": ((Injected((Placed("noise", (1,)),), (0.0, 1.0)),),)}
    )
    again = [raw(ratings + shift).assign(resample=place) for place, shift in enumerate((0, 1, 2))]
    found = continuation.table(alone, [raw(ratings)], [pd.concat(again)])
    half = scipy.stats.t.ppf(0.975, 2) * 1
    width = found["kind_corrected_vector_high"] - found["kind_corrected_vector_low"]
    assert width.to_numpy() == pytest.approx(2 * half)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "text,rating\nnobody wrote this,1\n",
            "none of the 1 texts of .* was generated and rated here",
        ),
        ("text,rating\n0 0,0\n", "has the rating '0', which is not a number from 1 to 10"),
        ("text,rating\n0 0,good\n", "has the rating 'good', which is not a number from 1 to 10"),
        ("text,rating\n0 0,nan\n", "has the rating 'nan', which is not a number"),
        ("text,rating\n0 0,1\n0 0,2\n", "labels a text differently from an earlier line"),
        ("text,label\n0 0,1\n", "has no field rating .*read without `positive`; correct one"),
        ("text,rating\n", "has no labels; give it some"),
    ],
)
def test_ratings_that_are_wrong_are_one_sentence(tmp_path, content, sentence) -> None:
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(StudyError, match=sentence) as raised:
        correction(Rated("kind", str(tmp_path / "labels.csv"), "", 1, 10), [raw(np.ones((1, 3)))])
    assert "\n" not in str(raised.value)


@pytest.mark.long
@pytest.mark.parametrize(("labelled", "texts"), [(10, 1), (20, 3), (40, 1)])
@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_the_interval_covers_the_true_mean(labelled: int, texts: int, slope: float) -> None:
    """In at least 93 % of 1,000 samples, as many as the simulation's own error leaves of 95 %.

    People's ratings have a part of their prompt, and the judge follows them by its slope, with a
    noise of its own and one of the prompt. Every text of the first prompts is labelled.
    """
    generator = np.random.default_rng(19)
    prompts, samples, covered = 60, 1000, 0
    true = 5.0
    for _ in range(samples):
        of_prompt = generator.normal(0, 0.6, (prompts, 1))
        people = true + of_prompt + generator.normal(0, 0.8, (prompts, texts))
        own = generator.normal(0, 0.3, (prompts, 1)) + generator.normal(0, 0.5, people.shape)
        ratings = 3 + slope * (people - 5) + own
        chosen = pd.DataFrame(
            {
                "source": "prompts",
                "sample": np.repeat([str(place) for place in range(labelled)], texts),
                "rating": ratings[:labelled].ravel(),
                "label": people[:labelled].ravel(),
            }
        )
        names = np.array([str(place) for place in range(prompts)])
        totals, counts = ratings.sum(axis=1)[None], np.full((1, prompts), texts)
        _, low, high = Correction(chosen, 0, 10).mean("prompts", names, totals, counts)
        covered += low[0] <= true <= high[0]
    assert covered / samples >= 0.93
