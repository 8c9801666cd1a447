"""A judge's agreement with people, hand-counted, and the share of positive texts, simulated."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.stats

from snakesteer.core.errors import StudyError
from snakesteer.figures.drawing import notes_of
from snakesteer.figures.inputs import Inputs
from snakesteer.reports.samples import texts_page
from snakesteer.sweeps.job import Injected, Placed
from snakesteer.tables import continuation
from snakesteer.tables.agreement import Agreement, Labelled, agreement, effective
from snakesteer.tables.job import Statistics
from snakesteer.tables.judged import said

# text, rating (None: unread), label of people (None: none). At 5 and more the judge says yes.
TEXTS = [
    *[(f"both yes {place}", 5 + place % 3, 1) for place in range(9)],
    *[(f"judge no, people yes {place}", 4, 1) for place in range(3)],
    *[(f"both no {place}", 1, 0) for place in range(14)],
    *[(f"judge yes, people no {place}", 9, 0) for place in range(2)],
    *[(f"not rated {place}", None, 1) for place in range(4)],
    *[(f"not labelled {place}", 7, None) for place in range(12)],
]


def raw() -> pd.DataFrame:
    """Half of the texts at each of two coefficients, in turn."""
    rows = []
    for place, (text, rating, _) in enumerate(TEXTS):
        rows.append(
            {
                "injection": "noise at 1",
                "measure": "texts",
                "coefficient": float(place % 2),
                "source": "prompts",
                "sample": f"s{place // 2:02d}",
                "n": 0,
                "prompt": f"prompt {place // 2}",
                "text": text,
                "tokens": 7,
                "finished": True,
                "score_kind": rating,
            }
        )
    return pd.DataFrame(rows).astype({"score_kind": float})


def csv(folder: Path, content: str) -> Labelled:
    path = folder / "labels.csv"
    path.write_text(content)
    return Labelled("kind", str(path), "abc", 5)


def labelled(folder: Path) -> Labelled:
    lines = [f'"{text}",{label}\n' for text, _, label in TEXTS if label is not None]
    return csv(folder, "text,label\nnobody wrote this,1\n" + "".join(lines))


def test_the_agreement_is_that_counted_by_hand(tmp_path) -> None:
    found = agreement(labelled(tmp_path), [raw()])
    assert found == Agreement(positive=12, both_positive=9, negative=16, both_negative=14)
    columns = found.columns("kind")
    assert columns["kind_labels"] == 28
    for name, agreed, count in (
        ("accuracy", 23, 28),
        ("sensitivity", 9, 12),
        ("specificity", 14, 16),
    ):
        assert columns[f"kind_{name}"] == pytest.approx(agreed / count)
        wilson = scipy.stats.binomtest(agreed, count).proportion_ci(method="wilson")
        ends = [columns[f"kind_{name}_low"], columns[f"kind_{name}_high"]]
        assert ends == pytest.approx([wilson.low, wilson.high])


def test_the_table_has_it_beside_the_scores(tmp_path) -> None:
    injected = (Injected((Placed("noise", (1,)),), (0.0, 1.0)),)
    job = continuation.Job(
        *("own", "continuation", "texts", "grid", (injected,)),
        statistics=Statistics(200, 13),
        scores=("kind",),
        labelled=(labelled(tmp_path),),
    )
    table = continuation.table(job, [raw()], [])
    assert table["kind_labels"].tolist() == [28, 28] and table["kind_missing"].tolist() == [2, 2]
    for row, (_, rows) in zip(table.itertuples(), raw().groupby("coefficient"), strict=True):
        judged = (rows["score_kind"].dropna() >= 5).mean()
        assert row.kind_judged == pytest.approx(judged)
        expected = (judged + 14 / 16 - 1) / (9 / 12 + 14 / 16 - 1)
        assert row.kind_share == pytest.approx(expected)
        wilson = scipy.stats.binomtest(round(judged * 20), 20).proportion_ci(method="wilson")
        assert row.kind_share_high - row.kind_share_low > wilson.high - wilson.low
    without = continuation.table(continuation.Job(**{**vars(job), "labelled": ()}), [raw()], [])
    assert [name for name in table if name in without] == list(without)
    assert without["kind"].tolist() == table["kind"].tolist()


def test_the_agreement_stands_below_figures_and_above_texts(tmp_path) -> None:
    injected = (Injected((Placed("noise", (1,)),), (0.0, 1.0)),)
    job = continuation.Job(
        *("own", "continuation", "texts", "grid", (injected,)),
        statistics=Statistics(200, 13),
        scores=("kind",),
        labelled=(labelled(tmp_path),),
    )
    numbers = (
        "labelled by people: accuracy 0.82 [0.64, 0.92], sensitivity 0.75 [0.47, 0.91], "
        "specificity 0.88 [0.64, 0.97]."
    )
    shown = {"table": "own", "column": "kind_share", "judged": "kind"}
    table = continuation.table(job, [raw()], [])
    inputs = Inputs(tables=[table])
    expected = [f"The judge of kind on 28 texts of own {numbers}"]
    assert notes_of(inputs, {"shown": [shown]}) == expected
    assert notes_of(inputs, {"x": {"table": "own"}, "y": shown}) == expected
    assert notes_of(inputs, {"shown": [{"table": "own", "column": "tokens"}]}) == []
    unknown = continuation.table(replace(job, labelled=()), [raw()], [])
    expected = ["The judge of kind has not been compared with people."]
    assert notes_of(Inputs(tables=[unknown]), {"shown": [shown]}) == expected
    html = texts_page(job, [raw()], None, [])
    assert f"The judge of kind on 28 texts {numbers}" in html


def test_a_file_that_is_wrong_is_reported_with_its_score(tmp_path) -> None:
    injected = (Injected((Placed("noise", (1,)),), (0.0, 1.0)),)
    job = continuation.Job(
        *("own", "continuation", "texts", "grid", (injected,)),
        statistics=Statistics(200, 13),
        scores=("kind",),
        labelled=(csv(tmp_path, "text,label\nnobody wrote this,1\n"),),
    )
    for made in (
        lambda: continuation.table(job, [raw()], []),
        lambda: texts_page(job, [raw()], None, []),
    ):
        with pytest.raises(StudyError, match="^sweeps.own: scores.kind: none of the 1 texts"):
            made()


@pytest.mark.parametrize("counts", [(12, 9, 16, 4), (12, 9, 0, 0)])
def test_a_judge_that_does_not_distinguish_texts_is_reported(counts) -> None:
    found = said("kind", Agreement(*counts).columns("kind"))
    assert found.endswith("It does not distinguish positive from negative, so there is no share.")


def test_the_share_has_an_interval_over_vectors(tmp_path) -> None:
    injected = (Injected((Placed("noise", (1,)),), (0.0, 1.0)),)
    job = continuation.Job(
        *("own", "continuation", "texts", "grid", (injected,)),
        statistics=Statistics(200, 13),
        scores=("kind",),
        labelled=(labelled(tmp_path),),
    )
    again = []
    for place, fewer in enumerate((0, 2, 5)):
        ratings = raw()["score_kind"].where(raw().index >= fewer, 1.0)
        again.append(raw().assign(resample=place, score_kind=ratings))
    table = continuation.table(job, [raw()], [pd.concat(again)])
    shares = []
    for rows in again:
        known = rows.dropna(subset=["score_kind"])
        judged = (known["score_kind"] >= 5).groupby(known["coefficient"]).mean()
        shares.append((judged + 14 / 16 - 1) / (9 / 12 + 14 / 16 - 1))
    half = scipy.stats.t.ppf(0.975, 2) * np.std(shares, axis=0, ddof=1)
    width = table["kind_share_vector_high"] - table["kind_share_vector_low"]
    assert width.to_numpy() == pytest.approx(2 * half)


def test_draws_have_their_mean_share(tmp_path) -> None:
    parts, frames = [], []
    for draw in (0, 1):
        injected = Injected((Placed("noise", (1,)),), (0.0, 1.0), draw=draw)
        parts.append(injected)
        ratings = raw()["score_kind"].where(raw().index < 40 - 9 * draw, 1.0)
        frames.append(raw().assign(injection=injected.label, score_kind=ratings))
    job = continuation.Job(
        *("own", "continuation", "texts", "grid", (tuple(parts),)),
        statistics=Statistics(200, 13),
        scores=("kind",),
        labelled=(labelled(tmp_path),),
    )
    table = continuation.table(job, [pd.concat(frames)], [])
    single, mean = table[table["draw"].notna()], table[table["draw"].isna()]
    assert len(single) == 4 and len(mean) == 2
    by_draw = single["kind_share"].to_numpy().reshape(2, 2)
    assert by_draw[0, 0] != by_draw[1, 0]
    assert mean["kind_share"].to_numpy() == pytest.approx(by_draw.mean(axis=0))
    assert mean["kind_share_max"].to_numpy() == pytest.approx(by_draw.max(axis=0))


def test_labels_by_prompt_and_text(tmp_path) -> None:
    """The same text behind two prompts, labelled differently, in each kind of file."""
    given = raw()[:4].assign(text="same", score_kind=[6.0, 6.0, 2.0, 2.0])
    given["prompt"] = ["a", "b", "c", "a"]
    labels = [{"prompt": name, "text": "same", "label": name == "a"} for name in "abc"]
    frame = pd.DataFrame(labels)
    frame.to_csv(tmp_path / "labels.csv", index=False)
    frame.to_json(tmp_path / "labels.jsonl", orient="records", lines=True)
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "labels.parquet")
    for ending in ("csv", "jsonl", "parquet"):
        found = agreement(Labelled("kind", str(tmp_path / f"labels.{ending}"), "", 5), [given])
        assert found == Agreement(positive=1, both_positive=1, negative=2, both_negative=1)
    without = frame.drop(columns="prompt").assign(label=True)[:1]
    pq.write_table(pa.Table.from_pandas(without), tmp_path / "labels.parquet")
    found = agreement(Labelled("kind", str(tmp_path / "labels.parquet"), "", 5), [given])
    assert found == Agreement(positive=3, both_positive=2, negative=0, both_negative=0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "text,label\nnobody wrote this,1\n",
            "none of the 1 texts of .* was generated and rated here",
        ),
        (
            "text,label\nboth yes 0,maybe\n",
            "has the label 'maybe', which is not 1 or 0; correct it",
        ),
        (
            "text,label\nboth yes 0,1\nboth yes 0,0\n",
            "labels a text differently from an earlier line",
        ),
        ("text,says\nboth yes 0,1\n", "has no field label"),
        ("text,label\n", "has no labels; give it some"),
    ],
)
def test_labels_that_are_wrong_are_one_sentence(tmp_path, content, sentence) -> None:
    with pytest.raises(StudyError, match=sentence) as raised:
        agreement(csv(tmp_path, content), [raw()])
    assert "\n" not in str(raised.value)


def test_no_share_without_both_labels_or_better_than_chance() -> None:
    judged, count = np.array([0.5]), np.array([100.0])
    for found in (Agreement(0, 0, 10, 10), Agreement(10, 10, 0, 0), Agreement(10, 4, 10, 5)):
        assert all(math.isnan(each[0]) for each in found.share(judged, count))
    assert math.isnan(Agreement(0, 0, 10, 10).columns("kind")["kind_sensitivity"])


def test_texts_of_one_prompt_are_worth_fewer() -> None:
    """20 prompts of 5 texts: all alike within a prompt, they are worth about 20, else about 100."""
    alike = np.repeat([[0, 5]], 10, axis=1).reshape(1, 20)
    share, worth = effective(alike, np.full((1, 20), 5))
    assert share == [0.5] and worth[0] == pytest.approx(19)
    generator = np.random.default_rng(3)
    hits = generator.binomial(5, 0.3, size=(200, 20))
    _, worth = effective(hits, np.full((200, 20), 5))
    assert np.median(worth) == pytest.approx(100, rel=0.1) and worth.max() <= 100
    assert effective(np.zeros((1, 20)), np.full((1, 20), 5))[1] == [20]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.9, 0.8), (0.7, 0.95)])
@pytest.mark.parametrize(("texts", "labels"), [(100, 100), (1000, 60)])
def test_the_interval_covers_the_true_share(texts, labels, share, sensitivity, specificity) -> None:
    """In at least 93 % of 2,000 samples, as many as the simulation's own error leaves of 95 %."""
    generator = np.random.default_rng(17)
    seen = share * sensitivity + (1 - share) * (1 - specificity)
    covered, samples = 0, 2000
    for _ in range(samples):
        positive = generator.binomial(labels, max(share, 0.2))
        found = Agreement(
            positive,
            generator.binomial(positive, sensitivity),
            labels - positive,
            generator.binomial(labels - positive, specificity),
        )
        judged = generator.binomial(texts, seen) / texts
        _, low, high = found.share(np.array([judged]), np.array([float(texts)]))
        covered += low[0] <= share <= high[0]
    assert covered / samples >= 0.93
