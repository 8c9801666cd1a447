"""Vectors compared at equal KL as the workflow runs it, against sweeps that name by hand what was
chosen, and the ranking against their raw answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from checkout import Checkout, copy_of_repository
from snakesteer.storage.files import read_json, read_table

pytestmark = pytest.mark.long

VECTORS = ["myopia", "wealth-seeking", "myopia-pca", "wealth-seeking-pca"]
KL = {"measure": "divergence", "corpora": ["text"], "tokens": 400, "max_tokens": 40, "over": "all"}
BEHAVIOUR = {"source": "generated", "questions": 44, "train": 16, "validation": 14}
AT_KL = 0.05


def studied(operator: str, coefficients: list[float]) -> dict[str, Any]:
    """A search, and a test of what is chosen in it."""
    inject = {"vectors": VECTORS, "layers": [2, 4], "operator": operator}
    searched = {"answers": {"measure": "two_choice", "split": "validation"}, "kl": KL}
    tested = {"answers": {"measure": "two_choice"}, "kl": KL}
    search = {"inject": inject, "coefficients": coefficients, "measures": searched}
    chosen = {"inject": {"choice": operator}, "coefficients": {"choice": operator}}
    return {
        f"search-{operator}": {"model": "chat", **search},
        operator: {"model": "chat", **chosen, "measures": tested},
    }


def chosen_in(operator: str) -> dict[str, Any]:
    best = {"highest": f"search-{operator}.answers", "column": "propensity"}
    return {"best": best, "at_kl": {"table": f"search-{operator}.kl", "kl": AT_KL}}


STUDY: dict[str, Any] = {
    "name": "equal",
    "models": {"chat": {"source": "resources/models/miniature-chat", "dtype": "float32"}},
    "corpora": {"text": {"source": "installed", "kind": "text", "train": 4, "validation": 12}},
    "behaviours": {name: {**BEHAVIOUR, "trait": name} for name in ("myopia", "wealth-seeking")},
    "activations": {
        name: {"model": "chat", "behaviour": name} for name in ("myopia", "wealth-seeking")
    },
    "vectors": {
        "myopia": {"method": "contrast", "of": "myopia"},
        "wealth-seeking": {"method": "contrast", "of": "wealth-seeking"},
        "myopia-pca": {"method": "pca", "of": "myopia", "scale": {"norm_of": "myopia"}},
        "wealth-seeking-pca": {
            **{"method": "pca", "of": "wealth-seeking"},
            "scale": {"norm_of": "wealth-seeking"},
        },
    },
    "sweeps": {
        **studied("add", [-2, -1, -0.5, 0, 0.5, 1, 2]),
        **studied("ablate", [-16, -4, -1, 0, 1, 4, 16]),
    },
    "choices": {operator: chosen_in(operator) for operator in ("add", "ablate")},
    "effects": {"slopes": {"sweep": "add.answers"}},
    "rankings": {
        "methods": {
            "sweeps": ["add.answers", "ablate.answers"],
            "arms": {"difference": VECTORS[:2], "pca": VECTORS[2:]},
        }
    },
    "figures": {"methods": {"kind": "ranking", "ranking": "methods"}},
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_of_repository(tmp_path_factory.mktemp("checkout"))
    run(checkout, STUDY)
    return checkout


def run(checkout: Checkout, study: dict[str, Any]) -> None:
    path = checkout.folder / "equal.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    checkout.forked("--cores", "1", config=path)


def results(checkout: Checkout) -> Path:
    return checkout.folder / "results" / "equal"


def table(checkout: Checkout, name: str) -> pd.DataFrame:
    return read_table(results(checkout) / f"{name}.parquet").to_pandas()


@pytest.mark.parametrize("operator", ["add", "ablate"])
def test_every_vector_stands_where_its_curve_is_best(checkout: Checkout, operator: str) -> None:
    """By a loop over the tables of the search, with numpy's interpolation."""
    answers, kl = (table(checkout, f"tables/search-{operator}.{of}") for of in ("answers", "kl"))
    on = ["vector", "layer", "coefficient"]
    both = answers[answers["coefficient"].notna()].merge(kl[[*on, "kl"]], on=on)
    choice = read_json(results(checkout) / "choices" / f"{operator}.json")
    for each in choice["each"]:
        found = []
        for layer in (2, 4):
            own = both[(both["vector"] == each["vector"]) & (both["layer"] == str(layer))]
            for side in (1, -1):
                half = own[own["coefficient"] * side >= 0].sort_values("coefficient", key=abs)
                roots = np.sqrt(np.maximum(half["kl"].to_numpy(), 0))
                above = np.flatnonzero((roots[:-1] <= AT_KL**0.5) & (roots[1:] >= AT_KL**0.5))
                if len(above):
                    two = slice(above[0], above[0] + 2)
                    at = [
                        float(np.interp(AT_KL**0.5, roots[two], half[name].to_numpy()[two]))
                        for name in ("propensity", "coefficient")
                    ]
                    found.append((*at, layer))
        score, coefficient, layer = max(found)
        assert (each["score"], each["coefficient"]) == pytest.approx((score, coefficient))
        assert each["layer"] == layer
    assert [each["vector"] for each in choice["each"]] == VECTORS


def test_what_is_taken_is_what_sweeps_by_hand_say(checkout: Checkout) -> None:
    """Another path through the model, so that no point of the one serves the other."""
    each = read_json(results(checkout) / "choices/add.json")["each"]
    by_hand = {}
    for number, taken in enumerate(each):
        inject = {"vector": taken["vector"], "layers": [taken["layer"]]}
        by_hand[f"by-hand-{number}"] = {
            **{"model": "chat", "inject": inject, "path": "plain"},
            **{"coefficients": [0, taken["coefficient"]]},
            "measures": {"answers": {"measure": "two_choice"}, "kl": KL},
        }
    run(checkout, {**STUDY, "sweeps": {**STUDY["sweeps"], **by_hand}})
    for measure, column in (("answers", "propensity"), ("kl", "kl")):
        own = table(checkout, f"tables/add.{measure}").set_index("vector")
        assert len(own) == 2 * len(VECTORS)
        for number, taken in enumerate(each):
            named = table(checkout, f"tables/by-hand-{number}.{measure}")
            steered = own.loc[taken["vector"]]
            assert list(steered["coefficient"]) == list(named["coefficient"])
            assert list(steered["layer"]) == list(named["layer"])
            assert steered[column].to_numpy() == pytest.approx(named[column].to_numpy(), abs=1e-4)
    # The same texts as in the search: what was interpolated is measured.
    measured = table(checkout, "tables/add.kl")
    steered = measured[~measured["unsteered"]]["kl"]
    assert ((steered > AT_KL / 2) & (steered < AT_KL * 2)).all()


def test_arms_are_ranked_by_their_answers(checkout: Checkout) -> None:
    arms = table(checkout, "rankings/methods.arms")
    assert len(arms) == 4 and list(arms["change"]) == sorted(arms["change"], reverse=True)
    for row in arms.itertuples():
        answers = table(checkout, f"tables/{row.sweep}")
        own = answers[answers["vector"].isin(STUDY["rankings"]["methods"]["arms"][row.arm])]
        mean = own.groupby("unsteered")["propensity"].mean()
        assert row.change == pytest.approx(mean[False] - mean[True], abs=1e-6)
        assert row.questions == 2 * 14
    pairs = table(checkout, "rankings/methods.pairs")
    assert len(pairs) == 6 and set(pairs["tests"]) == {6}
    vectors = table(checkout, "rankings/methods.vectors")
    assert len(vectors) == 8
    page = (results(checkout) / "index.html").read_text()
    assert "propensity changes by" in page and "rankings/methods.arms.parquet" in page
    assert (results(checkout) / "figures/methods.pdf").stat().st_size > 1000
    slopes = table(checkout, "effects/slopes.slopes")
    assert set(slopes["vector"]) == set(VECTORS)
