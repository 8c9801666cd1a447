"""A search on validation items, between its best two coefficients, and the estimate on test items:
as the workflow runs it, against a sweep that names by hand what was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_json, read_table, read_tensors

pytestmark = pytest.mark.long

LAYERS, COEFFICIENTS = [2, 4], [0, 0.5, 1]
VALIDATION = {"split": "validation"}
SEARCHED = {
    "score": {"measure": "two_choice", **VALIDATION},
    "kl": {"measure": "divergence", **VALIDATION},
}
TESTED = {"score": {"measure": "two_choice"}, "kl": {"measure": "divergence"}}


def sweep(inject: dict[str, Any], coefficients: Any, measures: dict[str, Any]) -> dict[str, Any]:
    steered = {"model": "chat", "inject": inject, "coefficients": coefficients}
    return {**steered, "measures": measures}


def limits(*sweeps: str) -> list[dict[str, Any]]:
    return [{"table": [f"{name}.kl" for name in sweeps], "at_most": 3}]


SEARCH = {"vectors": ["myopia", "long"], "layers": LAYERS}
ABLATED = {"vector": "myopia", "layers": LAYERS, "operator": "ablate"}
STUDY: dict[str, Any] = {
    "name": "chosen",
    "models": {"chat": {"source": "resources/models/miniature-chat", "dtype": "float32"}},
    "behaviours": {
        "myopia": {
            **{"source": "generated", "trait": "myopia"},
            **{"questions": 44, "train": 16, "validation": 14},
        }
    },
    "activations": {"myopia": {"model": "chat", "behaviour": "myopia"}},
    "vectors": {
        "myopia": {"method": "contrast", "of": "myopia"},
        "long": {"method": "contrast", "of": "myopia", "scale": 2.0},
        "noise": {"method": "control", "of": "myopia", "how": "random", "draws": 2},
    },
    "sweeps": {
        "search": sweep(SEARCH, COEFFICIENTS, SEARCHED),
        "ablated": sweep(ABLATED, [0, 1], SEARCHED),
        "fine": sweep({"choice": "coarse"}, {"refine": 2}, SEARCHED),
        "tested": {
            **sweep({"choice": "finest"}, {"choice": "finest"}, TESTED),
            "resamples": 3,
        },
        "controls": sweep({"choice": "finest", "vectors": ["noise"]}, {"choice": "finest"}, TESTED),
    },
    "choices": {
        "coarse": {
            "best": {"highest": ["search.score", "ablated.score"], "column": "propensity"},
            "limits": limits("search", "ablated"),
        },
        "finest": {
            "best": {"highest": "fine.score", "column": "propensity"},
            "limits": limits("fine"),
            "resamples": 200,
        },
        "added": {"best": {"highest": "search.score"}},
    },
    "figures": {
        "shares": {"kind": "chosen", "choice": "coarse"},
        "estimate": {"kind": "curves", "sweeps": ["tested.score"]},
    },
    "samples": {
        "read": {
            "model": "chat",
            "choice": "finest",
            "coefficients": {"choice": "finest"},
            "prompts": ["The AI is"],
            "tokens": 4,
        }
    },
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    run(checkout, STUDY)
    return checkout


def run(checkout: Checkout, study: dict[str, Any]) -> None:
    config(checkout).write_text(yaml.safe_dump(study, sort_keys=False))
    checkout.forked("--cores", "1", config=config(checkout))


def config(checkout: Checkout) -> Path:
    return checkout.folder / "chosen.yaml"


def choice(checkout: Checkout, name: str) -> dict[str, Any]:
    made: dict[str, Any] = read_json(checkout.folder / f"results/chosen/choices/{name}.json")
    return made


def table(checkout: Checkout, name: str) -> pd.DataFrame:
    path = checkout.folder / f"results/chosen/tables/{name}.parquet"
    return read_table(path).to_pandas()


def test_the_choice_is_the_best_of_the_tables(checkout: Checkout) -> None:
    rows = []
    for name in ("search", "ablated"):
        scores, costs = table(checkout, f"{name}.score"), table(checkout, f"{name}.kl")
        on = ["vector", "layer", "coefficient"]
        both = scores[~scores["unsteered"]].merge(costs[[*on, "kl"]], on=on)
        rows.append(both.assign(sweep=name))
    every = pd.concat(rows, ignore_index=True)
    left = every[every["kl"] <= 3]
    best = left.loc[left["propensity"].idxmax()]
    made = choice(checkout, "coarse")
    taken = made["chosen"]
    place = (taken["sweep"], taken["vector"], str(taken["layer"]), taken["coefficient"])
    assert place == (best["sweep"], best["vector"], best["layer"], best["coefficient"])
    assert made["candidates"] == len(every) == 2 * 2 * 2 + 2
    assert sum(each["candidates"] for each in made["left_out"]) == len(every) - len(left)
    assert made["resamples"]["resamples"] == 1000
    listed = pd.read_parquet(checkout.folder / "results/chosen/choices/coarse.parquet")
    assert len(listed) == len(every) and listed["share"].sum() == pytest.approx(1)
    shares = {each["share"] for each in made["resamples"]["shares"]}
    assert made["resamples"]["chosen"] in shares


def test_ties_go_to_the_smaller_dose(checkout: Checkout) -> None:
    scores = table(checkout, "search.score")
    best = scores[~scores["unsteered"] & (scores["score"] == scores["score"].max())]
    doses = []
    for row in best.itertuples():
        path = checkout.folder / f"results/chosen/vectors/{row.vector}.safetensors"
        norm = np.linalg.norm(read_tensors(path)["vector"][int(row.layer)])
        doses.append(abs(row.coefficient) * norm)
    taken = choice(checkout, "added")["chosen"]
    assert taken["dose"] == pytest.approx(min(doses)) and len(doses) > 1
    place = best.iloc[int(np.argmin(doses))]
    assert (taken["vector"], str(taken["layer"])) == (place["vector"], place["layer"])


def test_the_search_goes_on_between_two_coefficients(checkout: Checkout) -> None:
    """Points at both ends are those that were measured before."""
    coarse, fine = choice(checkout, "coarse"), table(checkout, "fine.score")
    first, last = coarse["between"]
    expected = {0.0, *(first + (last - first) * part / 3 for part in range(4))}
    assert sorted(fine["coefficient"]) == pytest.approx(sorted(expected))
    assert set(fine["layer"]) == {str(coarse["chosen"]["layer"])}
    assert set(fine["vector"]) == {coarse["chosen"]["vector"]}
    (log,) = (checkout.folder / "results/logs/sweep").glob("fine.*.log")
    measured = [line for line in log.read_text().splitlines() if line.startswith("coefficient")]
    assert 0 < len(measured) <= 2  # of two measures that share their passes, the ends are found
    assert choice(checkout, "finest")["resamples"]["resamples"] == 200


def test_what_is_taken_is_what_a_sweep_by_hand_says(checkout: Checkout) -> None:
    """Another path through the model, so that no point of the one serves the other."""
    coarse, finest = choice(checkout, "coarse")["chosen"], choice(checkout, "finest")["chosen"]
    inject = {"vector": finest["vector"], "layers": [finest["layer"]]}
    inject |= {"operator": "ablate"} if coarse["sweep"] == "ablated" else {}
    by_hand = sweep(inject, [0, finest["coefficient"]], TESTED) | {"path": "plain"}
    control = {**inject, "vector": "noise"}
    controls = sweep(control, [0, finest["coefficient"]], TESTED) | {"path": "plain"}
    sweeps = {**STUDY["sweeps"], "by-hand": by_hand, "controls-by-hand": controls}
    study = {**STUDY, "sweeps": sweeps}
    run(checkout, study)
    for taken, other in (("tested", "by-hand"), ("controls", "controls-by-hand")):
        for measure, column in (("score", "propensity"), ("kl", "kl")):
            own, named = (table(checkout, f"{name}.{measure}") for name in (taken, other))
            assert len(own) == len(named) and (own["layer"] == named["layer"]).all()
            assert (own["coefficient"] == named["coefficient"]).all()
            assert own[column].to_numpy() == pytest.approx(named[column].to_numpy(), abs=1e-4)
    own = table(checkout, "tested.score")
    assert set(own["split"]) == {"test"} and set(own["questions"]) == {14}
    assert own["score_low"].notna().all()
    steered = own[~own["unsteered"]]
    assert (steered["propensity_vector_low"] < steered["propensity_vector_high"]).all()
    config(checkout).write_text(yaml.safe_dump(STUDY, sort_keys=False))
    left = checkout.planned(config(checkout)).keys()
    assert left <= {"catalogue", "usage", "study", "front_page", "all", "total"}


def test_figures_and_samples_take_it(checkout: Checkout) -> None:
    folder = checkout.folder / "results/chosen"
    assert (folder / "figures/shares.pdf").stat().st_size > 1000
    drawn = pd.read_csv(folder / "figures/shares.csv")
    assert len(drawn) == 10 and drawn["chosen"].sum() == 1
    finest = choice(checkout, "finest")["chosen"]
    texts = read_table(folder / "tables/read.parquet").to_pandas()
    assert set(texts["coefficient"]) == {0.0, finest["coefficient"]}
    assert set(texts["vector"]) == {finest["vector"]}
    assert set(texts["layer"].astype(str)) == {str(finest["layer"])}
