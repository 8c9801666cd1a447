"""Resampled vectors: drawn as stated, and their intervals from tables to figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.measures import next_token
from snakesteer.measures.next_token_settings import Stopping
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import read_rows, read_tensors, write_tensors
from snakesteer.study import study_file
from snakesteer.sweeps.injections import Steering
from snakesteer.sweeps.job import Precision
from snakesteer.sweeps.resampled import again, joined
from snakesteer.sweeps.runner import Asked
from snakesteer.tables.next_token import Curve, skill_table
from snakesteer.tables.two_choice import Part, behaviour_table
from snakesteer.tables.vector_intervals import with_intervals
from snakesteer.vectors import contrast, control, difference, draws
from snakesteer.vectors.samples import ByRole, Samples, mean, of_files

DIFFERENCE = {"method": "difference", "dtype": "float32"}
OTHERS = {
    "vectors": [{"method": "contrast"}, {"method": "pca", "centred": False}],
    "samples": [{"of": [0]}, {"of": [0]}],
}
# Methods with their settings, and the roles of their samples.
METHODS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "difference": (DIFFERENCE, ("add", "subtract")),
    "contrast": ({"method": "contrast"}, ("of",)),
    "control": ({"method": "control", "how": "permuted", "of": DIFFERENCE}, ("add", "subtract")),
    "pca": ({"method": "pca", "centred": True}, ("of",)),
    "logistic": ({"method": "logistic", "C": 0.1, "paired": False}, ("add", "subtract")),
    "lda": ({"method": "lda", "shrinkage": "auto", "paired": True}, ("of",)),
    "combine": (
        {"method": "combine", "how": "mean", "weights": [2.0], "without": True, **OTHERS},
        ("samples",),
    ),
    "scaled": ({"method": "scaled", "norm": "others", **OTHERS}, ("samples",)),
    "random-direction": ({"method": "random-direction", "of": DIFFERENCE}, ("add", "subtract")),
}
# Of unlabelled samples one that is drawn twice has one label, and two equal ones may have two; the
# vector of a file has other samples; a method of one's own needs its file. Tests of their own hold
# them.
TRIED_ELSEWHERE = {"shuffled-labels", "file", "own"}
DRAWN = {"vector": "own", "resamples": 3, "seed": 13}


def activations(n: int = 9, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 2, 4)).astype(np.float32)


def test_a_resample_is_the_mean_over_samples_drawn_again() -> None:
    given = activations()
    drawn = draws.times_drawn(draws.generator(13, "code"), len(given), 3)
    assert drawn.sum(axis=1).tolist() == [9, 9, 9]
    found = mean(Samples({"activations": given}), "activations", drawn)
    for counts, one in zip(drawn, found, strict=True):
        np.testing.assert_allclose(one, np.repeat(given, counts, axis=0).mean(axis=0), atol=1e-6)


def test_vectors_of_one_seed_are_drawn_independently() -> None:
    drawn = [
        draws.times_drawn(draws.generator(seed, name), 50, 2)
        for seed, name in ((13, "code"), (13, "code"), (13, "python"), (14, "code"))
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2]) and not np.array_equal(drawn[0], drawn[3])


def test_every_resample_of_a_control_is_shuffled_again() -> None:
    samples = {"add": [Samples({"activations": activations(1, seed=2)})], "subtract": []}
    plain = draws.several(difference.fit, samples, DIFFERENCE | DRAWN)
    np.testing.assert_array_equal(plain[0], plain[1])
    for how in ("permuted", "operands"):
        made = {"how": how, "of": DIFFERENCE} | DRAWN
        shuffled = draws.several(control.fit, samples, made)
        assert not np.array_equal(shuffled[0], shuffled[1])
        np.testing.assert_array_equal(np.sort(shuffled, axis=2), np.sort(plain, axis=2))
        for i, own in enumerate(shuffled):
            draw = np.random.default_rng([13, i])
            np.testing.assert_array_equal(own, draw.permuted(plain[i], axis=1))


@pytest.mark.parametrize("method", METHODS)
def test_resampled_vectors_are_those_of_the_samples_drawn(tmp_path: Path, method: str) -> None:
    """Of every method that there is, from files of activations."""
    assert METHODS.keys() | TRIED_ELSEWHERE == set(plugins.names("vectors"))
    made, names = METHODS[method]
    fit = plugins.load("vectors", method).fit
    held = {
        role: {
            name: activations(100, seed)
            for seed, name in enumerate(("activations", "matching", "not_matching"), start)
        }
        for start, role in enumerate(names)
    }
    files = {role: [str(tmp_path / f"{role}.safetensors")] for role in names}
    for role, tensors in held.items():
        write_tensors(files[role][0], tensors, {})
    found = draws.several(fit, of_files(files), made | DRAWN)
    assert found.shape == (3, 2, 4) and found.dtype == np.float32
    draw = draws.generator(13, "own")
    drawn = {role: draws.times_drawn(draw, 100, 3) for role in names}
    for i, vector in enumerate(found):
        again: ByRole = {
            role: [Samples({n: np.repeat(t, drawn[role][i], axis=0) for n, t in tensors.items()})]
            for role, tensors in held.items()
        }
        expected = fit(again, made | {"seed": [13, i]})
        np.testing.assert_allclose(vector, expected, atol=1e-6)


def test_activations_that_are_not_finite_make_no_resamples() -> None:
    matching, other = activations(), activations(seed=2)
    matching[0, 1, 2] = np.inf
    samples = {"of": [Samples({"matching": matching, "not_matching": other})]}
    with pytest.raises(StudyError, match="NaN or infinite at layer 1"):
        draws.several(contrast.fit, samples, DRAWN)


def test_resamples_are_evaluated_where_the_sweep_itself_was() -> None:
    rows = pd.DataFrame(skill_rows({0: 40, 2: 20}, injection="one", measure="tokens"))
    base = pa.Table.from_pandas(
        pd.concat([rows, rows[rows.coefficient == 2].assign(injection="two")])
    )
    sources = {"tokens": ("code",)}
    given = [Steering(name, (), (0.0, 1.0, 2.0), sources) for name in ("one", "two")]
    read = {
        "code": next_token.Corpus(["a", "c", "b"], [[1], [2], [3]], (7,)),
        "text": next_token.Corpus(["a"], [[1]], ()),
    }
    measures = [
        Asked("tokens", next_token, read, Stopping(), precision=Precision(0.1, 2)),
        Asked("others", next_token, read),
    ]
    (measure, none), steerings = again(measures, given, base)
    assert [steering.coefficients for steering in steerings] == [(0.0, 2.0), (2.0,)]
    assert measure.stopping is measure.precision is None
    assert none.samples["code"].names == []
    assert measure.samples == {
        "code": next_token.Corpus(["a", "b"], [[1], [3]], (7,)),
        "text": next_token.Corpus([], [], ()),
    }


def test_tables_of_resamples_are_counted() -> None:
    tables = [
        pa.table({"n": pa.array([n] * rows, pa.int64())}) for n, rows in enumerate((1, 2, 1, 0))
    ]
    assert joined(tables, 2).to_pydict() == {"n": [0, 1, 1, 2], "resample": [0, 0, 0, 1]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_are_read_as_the_whole_tensor_is(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "a.safetensors"
    tensor = torch.from_numpy(activations()).to(dtype)
    write_tensors(path, {"other": tensor[:2] + 1, "activations": tensor}, {})
    parts = list(read_rows(path, "activations", at_once=4))
    assert [len(part) for part in parts] == [4, 4, 1]
    np.testing.assert_array_equal(np.concatenate(parts), read_tensors(path)["activations"])
    np.testing.assert_allclose(
        mean(Samples(str(path)), "activations"),
        tensor.double().mean(0).float().numpy(),
        rtol=1e-6,
        atol=1e-7,
    )
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StudyError, match="damaged"):
        list(read_rows(path, "activations"))


def skill_rows(top1: dict[float, int], **columns: Any) -> list[dict[str, Any]]:
    """Two documents of 50 tokens at each coefficient, with so many hits each."""
    return [
        {
            "coefficient": coefficient,
            "corpus": "code",
            "document": document,
            **{name: 50 for name in ("tokens", "kept")},
            **{name: hits for name in ("top1", "top10", "kept_top1", "kept_top10")},
            "nll": 1.0,
            **columns,
        }
        for coefficient, hits in top1.items()
        for document in ("a", "b")
    ]


def test_a_skill_table_has_intervals_over_vectors() -> None:
    raw = pd.DataFrame(skill_rows({0: 40, 1: 20}))
    again = pd.DataFrame(
        [
            row
            for i, hits in enumerate((15, 20, 25))
            for row in skill_rows({0: 40, 1: hits}, resample=i)
        ]
    )
    table = skill_table("s", "code", [Curve("v", "3", raw, again)], resamples=10)
    at_0, at_1 = table.to_dict("records")
    assert at_0["relative_top1_vector_low"] == at_0["relative_top1_vector_high"] == 1
    half = 4.302653 * np.std([15 / 40, 20 / 40, 25 / 40], ddof=1)
    assert at_1["relative_top1_vector_low"] == pytest.approx(0.5 - half)
    assert at_1["relative_top1_vector_high"] == pytest.approx(0.5 + half)
    assert at_1["top1_vector_high"] == pytest.approx(0.4 + half * 0.8)
    assert not [
        name for name in skill_table("s", "code", [Curve("v", "3", raw)], 10) if "vector_" in name
    ]


def test_a_behaviour_table_has_intervals_over_vectors() -> None:
    def rows(matches: int, **columns: Any) -> list[dict[str, Any]]:
        return [
            {
                "coefficient": 1.0,
                "behaviour": "myopic",
                "answer": "A",
                "outcome": "match" if place < matches else "other",
                "logit_matching": float(matches),
                "logit_not_matching": 1.0,
                "choice_mass": 1.0,
                "probability": matches / 20,
                **columns,
            }
            for place in range(10)
        ]

    again = pd.DataFrame(
        [row for i, matches in enumerate((4, 6)) for row in rows(matches, resample=i)]
    )
    part = Part("single", "myopic", "3", "test", pd.DataFrame(rows(5)), resampled=again)
    (row,) = behaviour_table("s", [part], 0.95).to_dict("records")
    half = 12.706205 * np.std([0.4, 0.6], ddof=1)
    assert (row["score_vector_low"], row["score_vector_high"]) == pytest.approx(
        (0.5 - half, 0.5 + half)
    )
    assert row["propensity_vector_high"] == pytest.approx(4 + 10 * half)
    assert row["probability_vector_low"] == pytest.approx(0.25 - half / 2)


def test_a_figure_shows_the_intervals_it_is_asked_for() -> None:
    table = pd.DataFrame(
        {
            "score": [0.5],
            "score_low": [0.2],
            "score_high": [0.9],
            "score_vector_low": [0.1],
            "score_vector_high": [0.8],
        }
    )
    assert with_intervals(table, "items").equals(table)
    over_vectors, both = (with_intervals(table, which).iloc[0] for which in ("vectors", "both"))
    assert (over_vectors["score_low"], over_vectors["score_high"]) == (0.1, 0.8)
    assert (both["score_low"], both["score_high"]) == pytest.approx((0.0, 1.0))
    with pytest.raises(StudyError, match="resamples"):
        with_intervals(table[["score", "score_low", "score_high"]], "both")


def test_resamples_add_jobs_and_re_key_none() -> None:
    def planned(**sweep: Any) -> Plan:
        over = {"sweeps": {"code": sweep}}
        return Plan(study_file.parse(study_file.merge(study_file.read(SMALL), over)), REPOSITORY)

    before, after = planned(), planned(resamples=5)
    assert {made.key for made in before.artefacts()} < {made.key for made in after.artefacts()}
    assert len(after.artefacts()) == len(before.artefacts()) + 2
    (again,) = after.resampled_sweeps["code"]
    assert again.inputs["base"] == ((after.sweeps["code"][0], 0),)


def test_intervals_over_vectors_need_resamples() -> None:
    over = {"figures": {"general-coding": {"intervals": "both"}}}
    with pytest.raises(StudyError, match=r"general-coding.intervals.*sweeps.code"):
        study_file.parse(study_file.merge(study_file.read(SMALL), over))
