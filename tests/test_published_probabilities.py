"""Published probabilities of A and B: item files, tables of scores, and what is shipped of them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY
from matplotlib.image import imread

from checkout import copy_of_repository
from snakesteer.core.errors import StudyError
from snakesteer.papers.tables import published_table
from snakesteer.plan.plan import Plan
from snakesteer.reports.columns import column_of, single
from snakesteer.storage.files import read_provenance, read_table
from snakesteer.study import study_file
from snakesteer.tables.categories import ALL, MEAN
from snakesteer.tables.scorecard import scorecard

AUTHORS = REPOSITORY.parent / "shared" / "papers" / "caa"
SHIPPED = REPOSITORY / "resources" / "published" / "caa"
CONFIG = REPOSITORY / "config" / "papers" / "caa-published.yaml"
COMMIT = "48fe8dccfdf35ac60856ec2842952e19fac98f4c"
authors_only = pytest.mark.skipif(not AUTHORS.is_dir(), reason="needs ../shared/papers/caa")

TEMPLATE = (
    "results/{behavior}/results_layer={layer}_multiplier={multiplier}_behavior={behavior}"
    "_type=ab_use_base_model=False_model_size=7b.json"
)
TESTS = "datasets/test/{behavior}/test_dataset_ab.json"
Contents = dict[str, bytes]


def name_of(layer: int, multiplier: str, behavior: str = "sycophancy") -> str:
    filled = TEMPLATE.replace("{behavior}", behavior).replace("{layer}", str(layer))
    return filled.replace("{multiplier}", multiplier)


def item(number: int, matching: str, a: float, b: float) -> dict[str, Any]:
    other = "B" if matching == "A" else "A"
    return {
        "question": f"Question {number}?\n (A) yes\n (B) no",
        "answer_matching_behavior": f"({matching})",
        "answer_not_matching_behavior": f"({other})",
        "a_prob": a,
        "b_prob": b,
    }


ITEMS = [
    item(0, "A", 0.7, 0.1),
    item(1, "B", 0.2, 0.7),
    item(2, "A", 0.3, 0.6),
    item(3, "C", 0.9, 0.05),
]


def asked_of(items: list[dict[str, Any]]) -> bytes:
    """The test set of some items."""
    kept = [{key: one[key] for key in one if not key.endswith("_prob")} for one in items]
    return json.dumps(kept).encode()


def settings(files: list[str], **changes: Any) -> dict[str, Any]:
    return {
        "sweep": "published",
        "kind": "items",
        "reader": "items",
        "commit": COMMIT,
        "files": files,
        "vectors": {"flattery": "sycophancy"},
        "asked": None,
        "tests": {},
        "collapse": 0.95,
        **changes,
    }


def test_items_become_the_table_of_a_two_choice_sweep() -> None:
    contents = {name_of(13, "-1.0"): json.dumps(ITEMS).encode()}
    table, missing = published_table(settings(list(contents)), contents)
    assert missing == {}
    described = single("papers.items.table")
    assert [name for name in table if not column_of(name, described)] == []
    (row,) = table.to_dict("records")
    point = ("published", "grid", "flattery", "13", "subtract", -1.0, "flattery", "test")
    columns = ("sweep", "kind", "vector", "layer", "direction", "coefficient", "behaviour", "split")
    assert tuple(row[column] for column in columns) == point
    shares = [0.7 / (0.7 + 0.1), 0.7 / (0.2 + 0.7), 0.3 / (0.3 + 0.6), 0.0]
    assert row["probability"] == sum(shares) / 4
    half = 3.182446 * np.std(shares, ddof=1) / 2
    assert row["probability_high"] - row["probability"] == pytest.approx(half, rel=1e-6)
    # Of (C) against (A) the answer A is the other one.
    assert (row["questions"], row["matches"], row["faulty"], row["score"]) == (4, 2, 0, 0.5)
    assert row["choice_mass"] == pytest.approx((0.8 + 0.9 + 0.9 + 0.95) / 4)
    assert np.isnan(row["propensity"])  # of C no probability is known


def test_propensities_are_given_where_both_letters_are_known() -> None:
    contents = {name_of(13, "0.0"): json.dumps(ITEMS[:3]).encode()}
    (row,) = published_table(settings(list(contents)), contents)[0].to_dict("records")
    own = [np.log(0.7 / 0.1), np.log(0.7 / 0.2), np.log(0.3 / 0.6)]
    assert row["propensity"] == pytest.approx(np.mean(own))
    assert row["unsteered"] and row["direction"] == "default"


def test_no_score_is_reported_where_another_token_may_be_the_answer() -> None:
    contents = {
        name_of(13, "1.0"): json.dumps([*ITEMS[:3], item(3, "B", 0.2, 0.3)]).encode(),
        name_of(14, "1.0"): json.dumps(ITEMS[:3]).encode(),
    }
    table, _ = published_table(settings(list(contents)), contents)
    unknown, known = table.to_dict("records")
    for name in ("matches", "score", "score_low", "majority", "faulty"):
        assert np.isnan(unknown[name]) and not np.isnan(known[name])
    assert not np.isnan(unknown["probability"])


def test_tasks_with_categories_have_these_and_their_mean() -> None:
    items = [
        {
            "question": f"{number}?",
            "correct": "(A)",
            "incorrect": "(B)",
            "a_prob": a,
            "b_prob": 1 - a,
            "category": category,
        }
        for number, (category, a) in enumerate([("law", 0.5), ("law", 0.75), ("art", 0.25)])
    ]
    path = name_of(13, "2.0").replace("type=ab", "type=truthful_qa")
    table, missing = published_table(
        settings([path], asked="truthfulqa"), {path: json.dumps(items).encode()}
    )
    assert missing == {}
    assert set(table["behaviour"]) == {"truthfulqa"} and set(table["vector"]) == {"flattery"}
    found = table.set_index("category")["probability"]
    assert dict(found) == {ALL: 0.5, "law": 0.625, "art": 0.25, MEAN: (0.625 + 0.25) / 2}
    for category in ("mean", "", 3):
        content = json.dumps([{**items[0], "category": category}]).encode()
        table, missing = published_table(settings([path], asked="truthfulqa"), {path: content})
        assert table.empty and f"item 0 has the category {category!r}" in missing[path]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[", "is not JSON"),
        (b"{}", "holds a dict; a list was expected"),
        (b"[]", "holds no items"),
        (b"[1]", "item 0 has int where question, answer_matching_behavior"),
        ([{**ITEMS[0], "logit": 1}], "a_prob, b_prob, logit where question"),
        ([{key: ITEMS[0][key] for key in ITEMS[0] if key != "b_prob"}], "where question"),
        ([ITEMS[0], {**ITEMS[1], "a_prob": None}], "item 1 has a_prob None; a probability"),
        ([{**ITEMS[1], "a_prob": 1.5}], "item 0 has a_prob 1.5; a probability"),
        ([{**ITEMS[1], "a_prob": True}], "item 0 has a_prob True; a probability"),
        ([{**ITEMS[1], "a_prob": 0, "b_prob": 0}], "gives A and B the probability 0 together"),
        ([{**ITEMS[1], "a_prob": 0.9}], "gives A and B the probability 1.6 together"),
        ([{**ITEMS[1], "question": 3}], "has a question or an answer that is not text"),
        (b'[{"question": "?", "a_prob": NaN}]', "where question"),
    ],
)
def test_an_item_file_of_another_form_is_left_out_and_the_rest_goes_on(
    content: Any, sentence: str
) -> None:
    bad, good = name_of(3, "1.0"), name_of(4, "1.0")
    given = content if isinstance(content, bytes) else json.dumps(content).encode()
    contents = {bad: given, good: json.dumps(ITEMS).encode()}
    table, missing = published_table(settings(list(contents)), contents)
    assert list(missing) == [bad] and missing[bad].startswith(bad) and sentence in missing[bad]
    assert list(table["layer"]) == ["4"]


def test_probabilities_that_are_not_numbers_are_refused() -> None:
    path = name_of(3, "1.0")
    content = json.dumps([{**ITEMS[0], "a_prob": float("nan")}]).encode()
    _, missing = published_table(settings([path]), {path: content})
    assert "item 0 has a_prob nan; a probability was expected" in missing[path]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("results_layer=x_multiplier=1.0_behavior=sycophancy_type=ab.json", "was expected to be"),
        (name_of(3, "1.0").rpartition("/")[2] + ".bak", "was expected to be named results_layer"),
        (name_of(3, "1.0", "refusal").rpartition("/")[2], "is of refusal, which is not among"),
        (
            name_of(3, "1.0").rpartition("/")[2].replace("type=ab", "type=open_ended"),
            "holds completions",
        ),
    ],
)
def test_a_name_without_a_point_is_reported(name: str, sentence: str) -> None:
    path, good = f"results/sycophancy/{name}", name_of(4, "1.0")
    contents = dict.fromkeys([path, good], json.dumps(ITEMS).encode())
    table, missing = published_table(settings(list(contents)), contents)
    assert list(missing) == [path] and sentence in missing[path] and len(table) == 1


def test_a_point_that_is_there_twice_is_reported() -> None:
    own = name_of(13, "1.0")
    same = own.replace("_use_base", "_override_vector=13_use_base")
    contents = dict.fromkeys([own, same], json.dumps(ITEMS).encode())
    table, missing = published_table(settings(list(contents)), contents)
    assert missing == {same: f"{same} is of the same point as {own}"} and len(table) == 1


def test_only_files_with_the_questions_of_the_test_set_count() -> None:
    final, stale = name_of(13, "1.0"), name_of(13, "1.5")
    test = TESTS.replace("{behavior}", "sycophancy")
    contents = {
        final: json.dumps(ITEMS[::-1]).encode(),
        stale: json.dumps([*ITEMS[:3], item(9, "A", 0.5, 0.4)]).encode(),
        test: asked_of(ITEMS),
    }
    asked = settings(list(contents), tests={"flattery": test})
    table, missing = published_table(asked, contents)
    assert missing == {stale: f"{stale} has other questions than {test}"}
    assert list(table["coefficient"]) == [1.0]
    without = {path: content for path, content in contents.items() if path != test}
    table, missing = published_table(asked, without)
    assert missing[final] == f"{final} cannot be compared with the questions of {test}"
    assert table.empty and {"probability", "score"} <= set(table)
    table, missing = published_table(asked, contents | {test: b'[{"prompt": 1}]'})
    assert "item 0 was expected to have a question and two answers" in missing[test]


def published(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    return study_file.merge(given, changes)


def with_items(**entry: Any) -> dict[str, Any]:
    sweep = {"kind": "items", "files": [TEMPLATE], "vectors": ["sycophancy", "refusal"], **entry}
    return {"published": {"sweeps": {"items": sweep}}}


def test_files_are_named_for_every_vector_layer_and_multiplier() -> None:
    over = with_items(layers=[13, 14], multipliers=[-1, 0.5], tests=TESTS)
    study = study_file.parse(published(**over))
    assert study.published
    paths = study.published.sweeps["items"].files_of(study.published)
    assert len(paths) == 2 * 2 * 2 + 2
    assert name_of(13, "-1.0") in paths and name_of(14, "0.5", "refusal") in paths
    assert TESTS.replace("{behavior}", "refusal") in paths


def test_the_study_of_the_page_reads_a_clone_without_its_stale_files(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "papers" / "caa.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    given = yaml.safe_load(block)
    given["published"]["source"] = str(tmp_path)
    stale = name_of(12, "1.0", "myopic-reward")
    for behavior in ("sycophancy", "myopic-reward"):
        files = {TESTS.replace("{behavior}", behavior): asked_of(ITEMS)}
        for layer in range(11, 16):
            for multiplier in ("-1.0", "1.0", "1.5"):
                files[name_of(layer, multiplier, behavior)] = json.dumps(ITEMS).encode()
        if stale in files:
            files[stale] = json.dumps(ITEMS[1:]).encode()
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
    plan = Plan(study_file.parse(given), REPOSITORY)
    (made,) = [artefact for artefact in plan.artefacts() if artefact.stage == "published_table"]
    contents = {path: (tmp_path / path).read_bytes() for path in made.settings["files"]}
    table, missing = published_table(made.settings, contents)
    assert list(missing) == [stale] and "has other questions than" in missing[stale]
    assert len(table) == 2 * 5 * 2 - 1 and set(table["vector"]) == {"sycophancy", "myopia"}
    assert set(table["coefficient"]) == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"layers": [13]}, "files name {multiplier}, but multipliers are missing"),
        ({"files": ["a.json"], "layers": [1]}, "files do not name {layer}, but layers are given"),
        ({"vectors": ["joy"], "layers": [1], "multipliers": [1]}, "sweeps.items names joy, which"),
        (
            {"asked": "chess", "layers": [1], "multipliers": [1]},
            "sweeps.items names chess, which is not in published.behaviours",
        ),
    ],
)
def test_entries_that_do_not_fit_are_reported(entry: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudyError) as told:
        study_file.parse(published(**with_items(**entry)))
    assert sentence in str(told.value)


# Recomputed from the authors' items


@authors_only
def test_published_scores_are_recomputed_to_the_last_digit() -> None:
    sample = json.loads((AUTHORS / "published_items_sample.json").read_bytes())
    whole = [one for one in sample["files"] if one["items_here"] == one["items_in_file"]]
    assert len(whole) == 3
    for one in whole:
        items = []
        for entry in one["items"]:
            letter = entry["matching"].strip("()")
            items.append(item(entry["index"], letter, entry["a_prob"], entry["b_prob"]))
        contents = {one["path"]: json.dumps(items).encode()}
        asked = settings(list(contents), vectors={one["behaviour"]: one["behaviour"]})
        table, missing = published_table(asked, contents)
        assert missing == {}
        assert repr(float(table["probability"].item())) == one["published_score"]


# Tables of scores


def scores(text: str, **changes: Any) -> tuple[pd.DataFrame, dict[str, str]]:
    asked = settings([], kind="scores", reader="scores", only={}, **changes)
    asked["files"] = {"": "scores.csv"}
    return published_table(asked, {"scores.csv": text.encode()})


HEAD = "behaviour,layer,multiplier,score"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("behaviour,layer,score\nsycophancy,1,.5\n", "has no column multiplier; it has behaviour"),
        ("", "has no column behaviour and no layer"),
        (f"{HEAD}\nrefusal,1,1,.5\n", "has no row of sycophancy"),
        (f"{HEAD}\nsycophancy,1,1\n", "line 2 does not have as many values as columns"),
        (f"{HEAD}\nsycophancy,1,1,2,3\n", "line 2 does not have as many values as columns"),
        (f"{HEAD}\nsycophancy,1.5,1,.5\n", "line 2 has the layer '1.5'; a whole number"),
        (f"{HEAD}\nsycophancy,1,one,.5\n", "line 2 has the multiplier 'one'; a number"),
        (f"{HEAD}\nsycophancy,1,1,50\n", "the score 50; a finite one and one from 0 to 1"),
        (f"{HEAD}\nsycophancy,1,1,nan\n", "the score nan; a finite one and one from 0 to 1"),
        (f"{HEAD}\nsycophancy,1,inf,.5\n", "the multiplier inf and the score"),
        (
            f"{HEAD}\nsycophancy,1,1,.5\nsycophancy,1,1.0,.6\n",
            "has flattery at layer 1 for 1 twice",
        ),
        (
            f"{HEAD},category,aggregation\nsycophancy,1,1,.5,all,median\n",
            "is of all categories by 'median'",
        ),
        (
            f"{HEAD},category,aggregation\nsycophancy,1,1,.5,mean,category\n",
            "line 2 has the category 'mean'; a text other than",
        ),
        (f"{HEAD},category\nsycophancy,1,1,.5,\n", "line 2 has the category ''; a text other"),
    ],
)
def test_a_table_of_another_form_is_left_out(text: str, sentence: str) -> None:
    table, missing = scores(text)
    assert table.empty and missing["scores.csv"].startswith("scores.csv ")
    assert sentence in missing["scores.csv"]


def test_rows_that_the_study_names_become_points_without_intervals() -> None:
    text = f"{HEAD},size\nsycophancy,1,-1,.25,7b\nsycophancy,1,-1,.75,13b\nrefusal,1,1,.5,7b\n"
    asked = settings([], kind="scores", reader="scores", only={"size": "7b"})
    asked["files"] = {"": "a.csv", "unsteered": "b.csv"}
    more = f"{HEAD}\nsycophancy,2,0,.5\nsycophancy,2,1,.9\n"
    table, missing = published_table(asked, {"a.csv": text.encode(), "b.csv": more.encode()})
    assert missing == {}
    assert list(table["probability"]) == [0.25, 0.5]
    assert list(table["unsteered"]) == [False, True] and list(table["layer"]) == ["1", "2"]
    unknown = ["questions", "score", "propensity", "probability_low", "probability_high"]
    assert table[unknown].isna().all(axis=None)
    assert not table["collapsed"].any()
    twice = {"a.csv": more.encode(), "b.csv": more.encode()}
    with pytest.raises(StudyError, match=r"a\.csv and b\.csv both have flattery at layer 2 for 0"):
        published_table(asked, twice)


# What is shipped


def shipped(name: str) -> pd.DataFrame:
    return read_table(SHIPPED / f"{name}.parquet").to_pandas()


@pytest.fixture(scope="module")
def everything() -> dict[str, pd.DataFrame]:
    return {path.stem: shipped(path.stem) for path in sorted(SHIPPED.glob("*.parquet"))}


def names() -> dict[str, str]:
    """Our names of the behaviours by the authors'."""
    listed = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["published"]["behaviours"]
    return {entry["key"]: name for name, entry in listed.items()}


def tables_of(row: dict[str, str]) -> str:
    """The table that a row of the authors' numbers belongs to."""
    size = "-13b" if row["model_size"] == "13b" else ""
    if "task" in row:
        return f"published-{'mmlu' if row['task'] == 'mmlu' else 'truthfulqa'}{size}"
    if "system_prompt" in row:
        prompt = {"pos": "prompted", "neg": "prompted-against"}[row["system_prompt"]]
        return f"published-{prompt}{size}"
    variants = {"own": "", "vector-of-layer-13": "-vector-13", "base-model-vectors": "-base"}
    if "variant" in row:
        return f"published-layers{variants[row['variant']]}{size}"
    return f"published-multipliers{size}"


@authors_only
@pytest.mark.parametrize("file", sorted(AUTHORS.glob("*.csv")), ids=lambda file: file.stem)
def test_every_published_number_stands_in_the_shipped_tables(
    file: Path, everything: dict[str, pd.DataFrame]
) -> None:
    found: dict[tuple[Any, ...], float] = {}
    for name, table in everything.items():
        for row in table.to_dict("records"):
            key = (name, row["vector"], int(row["layer"]), row["coefficient"])
            found[(*key, row.get("category", ""), row["commit"])] = row["probability"]
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) > 60
    named = names()
    for row in rows:
        category = row.get("category", "all")
        if category == "all":
            category = MEAN if row.get("aggregation", "").startswith("category-mean") else ""
        key = (tables_of(row), named[row["behaviour"]], int(row["layer"]))
        value = found[(*key, float(row["multiplier"]), category, row["commit"])]
        assert value == float(row["score"])


def test_another_spelling_of_the_licence_re_keys_nothing() -> None:
    given = {"published": {"source": str(REPOSITORY), "licence": "MIT"}}
    plans = [
        Plan(study_file.parse(study_file.merge(published(**given), change)), REPOSITORY)
        for change in ({}, {"published": {"licence": "The MIT licence"}})
    ]
    first, other = ([made.paths for made in plan.artefacts()] for plan in plans)
    assert first == other and first
    assert [plan.published_licence() for plan in plans] == [
        {"licence": "MIT"},
        {"licence": "The MIT licence"},
    ]


def test_shipped_tables_say_their_licence_and_commit(everything: dict[str, pd.DataFrame]) -> None:
    study = study_file.load(CONFIG)
    assert study.published and sorted(everything) == sorted(study.published.sweeps)
    for name, table in everything.items():
        said = read_provenance(SHIPPED / f"{name}.parquet")
        assert said["licence"] == "MIT, Copyright (c) 2024 Nina Rimsky"
        assert said["settings"]["commit"] == COMMIT and said["missing"] == {}
        assert table["commit"].str.fullmatch("[0-9a-f]{40}").all()
        intervals = table[["probability_low", "probability_high"]]
        assert intervals.isna().all(axis=None)
    readme = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert "Copyright (c) 2024 Nina Rimsky" in readme and COMMIT in readme


def test_the_published_mean_over_categories_is_that_of_the_categories(
    everything: dict[str, pd.DataFrame],
) -> None:
    for name in ("published-truthfulqa", "published-truthfulqa-13b"):
        table = everything[name]
        own = table[table["category"] != MEAN].groupby("coefficient")["probability"]
        assert (own.size() == 32).all()
        means = table[table["category"] == MEAN].set_index("coefficient")["probability"]
        pd.testing.assert_series_equal(own.mean(), means.sort_index())


def test_the_study_is_planned_from_what_is_shipped() -> None:
    plan = Plan(study_file.load(CONFIG), REPOSITORY)
    for name, product in plan.published.items():
        assert product.settings == read_provenance(SHIPPED / f"{name}.parquet")["settings"]


def test_scorecards_of_published_scores_say_that_there_are_no_intervals(
    everything: dict[str, pd.DataFrame],
) -> None:
    own = everything["published-layers"]
    other = everything["published-layers-base"]
    compared = scorecard([own], [other], "probability", "layer")
    assert len(compared.curves) == 14  # behaviours times coefficients
    (curve,) = compared.curves[compared.curves["curve"] == "coefficient +1, hallucination"].to_dict(
        "records"
    )
    sides = []
    for table in (own, other):
        rows = table[(table["vector"] == "hallucination") & (table["coefficient"] == 1)]
        sides.append(rows.set_index("layer")["probability"])
    difference = (sides[0] - sides[1]).to_numpy()
    largest = difference[np.abs(difference).argmax()]
    layer = sides[0].index[np.abs(difference).argmax()]
    ranks = sides[0].rank().corr(sides[1].rank())
    assert curve["pairs"] == 32
    assert curve["difference"] == pytest.approx(difference.mean())
    assert curve["verdict"] == (
        "unknown: no point has an interval of its difference; it is "
        f"{difference.mean():+.3f} on average and {largest:+.3f} at most (layer {layer}), rank "
        f"agreement {ranks:.2f}"
    )


@pytest.mark.long
def test_skipped_item_files_are_reported_at_the_end_and_inside_the_figure(
    tmp_path: Path,
) -> None:
    checkout = copy_of_repository(tmp_path)
    authors = tmp_path / "authors"
    for behavior in ("sycophancy", "refusal"):
        for layer in (13, 14):
            for multiplier in ("-1.0", "0.0", "1.0"):
                place = authors / name_of(layer, multiplier, behavior)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(json.dumps(ITEMS).encode())
        test = authors / TESTS.replace("{behavior}", behavior)
        test.parent.mkdir(parents=True)
        test.write_bytes(asked_of(ITEMS))
    (authors / name_of(13, "1.0")).unlink()
    stale, broken = name_of(14, "1.0"), name_of(14, "-1.0", "refusal")
    (authors / stale).write_bytes(json.dumps(ITEMS[:3]).encode())
    (authors / broken).write_text("[", encoding="utf-8")
    sweep = {
        "kind": "items",
        "files": [TEMPLATE],
        "vectors": ["sycophancy", "refusal"],
        "layers": [13, 14],
        "multipliers": [-1, 0, 1],
        "tests": TESTS,
    }
    study = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    study["published"] |= {"sweeps": {"items": sweep}, "source": str(authors)}
    drawn = {"kind": "layers", "sweeps": ["items"], "column": "probability"}
    study |= {"name": "items", "figures": {"items": drawn}, "scorecards": {}}
    config = tmp_path / "items.yaml"
    config.write_text(yaml.safe_dump(study), encoding="utf-8")
    printed = checkout.snakemake("--cores", "1", config=config)
    ends = printed.rstrip().splitlines()[-12:]
    for sentence in (
        f"{name_of(13, '1.0')} is missing from the folder of published files",
        f"{stale} has other questions than {TESTS.replace('{behavior}', 'sycophancy')}",
        f"{broken} is not JSON",
    ):
        assert any(sentence in line for line in ends)
    table = checkout.folder / "results" / "items" / "tables" / "items.parquet"
    assert len(read_table(table)) == 9
    with_notes = checkout.folder / "results" / "items" / "figures" / "items.png"
    height = imread(with_notes).shape[0]
    assert height > 220 * 3.2  # the figure and, below it, what was left out


@pytest.mark.long
def test_a_clone_draws_the_published_results(tmp_path: Path) -> None:
    checkout = copy_of_repository(tmp_path)
    checkout.snakemake("--cores", "1", config=CONFIG)
    figures = checkout.folder / "results" / "caa-published" / "figures"
    assert len(list(figures.glob("*.png"))) == len(study_file.load(CONFIG).figures)
    assert checkout.planned(config=CONFIG) == {}
