"""The workflow as a user meets it: run, run again, changed, interrupted, and given wrong input."""

from __future__ import annotations

import base64
import csv
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import REPOSITORY

from checkout import SMALL, Checkout, copy_of_repository
from snakesteer.core.interruption import INTERRUPTED
from snakesteer.plan import models as plans
from snakesteer.plan.plan import Plan
from snakesteer.plan.reads import Texts, counting, readings
from snakesteer.plan.resources import RUNS_A_MODEL
from snakesteer.prompts.skip_tokens import AUTHORS
from snakesteer.storage import files
from snakesteer.study import study_file
from snakesteer.sweeps.unqualified import unqualified
from snakesteer.tables.items import column_of, read_items


def cached(checkout: Checkout, stage: str, name: str) -> Path:
    """The file of an artefact, by the catalogue."""
    with checkout.path("artefacts.csv").open(newline="") as file:
        (path,) = (
            row["path"]
            for row in csv.DictReader(file)
            if (row["stage"], row["name"]) == (stage, name)
        )
    return checkout.folder / path


def test_slopes_are_those_of_the_propensities_of_the_sweep(finished: Checkout) -> None:
    """By numpy, question by question, from the cached rows; and what the table says of them."""
    rows = pq.read_table(cached(finished, "sweep", "grid.layers-3-4")).to_pandas()
    rows["propensity"] = rows["logit_matching"] - rows["logit_not_matching"]
    items = pq.read_table(finished.path("effects", "grid.items.parquet")).to_pandas()
    slopes = pq.read_table(finished.path("effects", "grid.slopes.parquet")).to_pandas()
    assert len(items) == 2 * 2 * 20  # vectors, layers, questions
    for (vector, layer), own in items.groupby(["vector", "layer"]):
        curve = rows[rows["injection"] == f"{vector} at {layer}"]
        for question, slope in zip(own["question"], own["slope"], strict=True):
            one = curve[curve["question"] == question]
            expected = np.polyfit(one["coefficient"], one["propensity"], 1)[0]
            assert slope == pytest.approx(expected, rel=1e-9, abs=1e-12)
        named = (slopes["vector"] == vector) & (slopes["layer"] == layer)
        (whole,) = slopes[named & (slopes["by"] == "all")].to_dict("records")
        assert whole["anti"] == (own["slope"] < 0).sum() and whole["items"] == 20
        assert whole["mean"] == pytest.approx(own["slope"].mean())
    assert set(items["answer"]) == {"A", "B"}
    assert set(items["first"]) == {"matching", "other"}


@pytest.mark.parametrize("name", ["grid", "single", "combined", "simultaneous"])
def test_the_questions_behind_a_table_have_its_means(finished: Checkout, name: str) -> None:
    path = finished.path("tables", f"{name}.parquet")
    table, items = pq.read_table(path).to_pandas(), read_items(path)
    for column in ("score", "propensity", "probability", "choice_mass"):
        means = [values["value"].mean() for values in column_of(table, items, column)]
        np.testing.assert_allclose(means, table[column], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["code", "code-permuted", "python", "alignment-tax"])
def test_the_documents_behind_a_table_have_its_ratios(finished: Checkout, name: str) -> None:
    path = finished.path("tables", f"{name}.parquet")
    table, items = pq.read_table(path).to_pandas(), read_items(path)
    for column in ("top1", "relative_top1", "relative_kept_top10", "nll"):
        found = []
        for values in column_of(table, items, column):
            sums = values.sum()
            ratio = sums["hits"] / sums["counted"]
            if column.startswith("relative"):
                ratio /= sums["unsteered_hits"] / sums["unsteered_counted"]
            found.append(ratio)
        np.testing.assert_allclose(found, table[column], rtol=1e-12)


def test_every_product_is_there_and_says_what_it_is_made_of(finished: Checkout) -> None:
    resolved = study_file.parse(yaml.safe_load(finished.path("study.yaml").read_text()))
    assert resolved == study_file.load(SMALL)
    for name in resolved.figures:
        for ending in ("pdf", "png", "csv"):
            assert finished.path("figures", f"{name}.{ending}").stat().st_size > 0
    for name in [*resolved.tabled, *resolved.samples]:
        assert pq.read_table(finished.path("tables", f"{name}.parquet")).num_rows > 0
    for name in resolved.vectors:
        path = finished.path("vectors", f"{name}.safetensors")
        assert files.read_tensors(path)["vector"].shape == (8, 192)
    with finished.path("artefacts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    planned = files.read_json(finished.path("planned.json"))
    assert planned == [row["path"] for row in rows]
    for row in rows:
        path = finished.folder / row["path"]
        assert path.stat().st_size == int(row["size"])
        assert row["key"] in path.name
        if path.suffix in (".parquet", ".safetensors"):
            provenance = files.read_provenance(path)
            assert (provenance["kind"], provenance["key"]) == (row["stage"], row["key"])


def test_the_first_page_loads_nothing_and_leads_to_files_that_are_there(finished: Checkout) -> None:
    shown = finished.path("index.html").read_text()
    loaded = re.findall(r'(?:src|srcset|poster|data)="([^"]*)"', shown)
    assert loaded and all(each.startswith("data:image/png;base64,") for each in loaded)
    assert not re.search(r"url\(|@import|<script|<link", shown)
    linked = set(re.findall(r'href="([^"#][^"]*)"', shown))
    assert {"usage.html", "tables/single.parquet", "samples/chat.html"} <= linked
    for link in linked - {"report.html"}:  # which `make` writes afterwards
        assert finished.path(link).is_file(), link
    for name in study_file.load(SMALL).figures:
        picture = finished.path("figures", f"{name}.png").read_bytes()
        assert base64.b64encode(picture).decode() in shown


def test_every_job_of_the_cache_says_what_it_took(finished: Checkout) -> None:
    with finished.path("usage.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with finished.path("artefacts.csv").open(newline="") as file:
        assert {row["key"] for row in rows} == {row["key"] for row in csv.DictReader(file)}
    assert all(float(row["seconds"]) > 0 for row in rows)
    passes = [row for row in rows if row["rule"] in RUNS_A_MODEL]
    assert all(int(float(row["tokens"])) > 0 for row in passes)


def test_every_job_reads_about_as_many_tokens_as_the_bill_says(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Estimated where nothing is there yet; points that two jobs share are read by one of them."""
    with finished.path("usage.csv").open(newline="") as file:
        read = {row["name"]: float(row["tokens"]) for row in csv.DictReader(file) if row["tokens"]}
    monkeypatch.chdir(tmp_path)
    plan = Plan(study_file.load(SMALL), REPOSITORY)
    jobs = [one for stage in RUNS_A_MODEL for one in plan.artefacts(stage)]
    assert {one.name for one in jobs} == set(read)
    for one in jobs:
        ((model, _),) = one.inputs["model"]
        count = counting(plans.folder(plan.graph, model.name))
        least, most = readings(one, Texts(REPOSITORY), count)
        assert least.tokens / 2 <= read[one.name] <= 2 * most.tokens, one.name


def test_sweeps_are_paired(finished: Checkout) -> None:
    """The same documents, and the same questions, at every coefficient (design: invariant 2).

    Not so the control, whose coefficients take each its own number of them.
    """
    for path in (finished.folder / "results" / "cache" / "sweeps").glob("*.parquet"):
        if path.name.startswith("code-permuted."):
            continue
        table = pq.read_table(path).to_pandas()
        unit = "document" if "document" in table else "question"
        by = ["measure", "injection", "corpus" if unit == "document" else "behaviour"]
        for _, rows in table.groupby(by):
            asked = rows.groupby("coefficient")[unit].agg(tuple)
            assert asked.nunique() == 1


def test_no_choice_reads_the_test_split(finished: Checkout) -> None:
    cache = finished.folder / "results" / "cache"
    questions = {
        row["question"]: row["split"]
        for path in (cache / "questions").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    splits = {
        name: {
            questions[question]
            for path in (cache / "sweeps").glob(f"{name}.*.parquet")
            for question in pq.read_table(path)["question"].to_pylist()
        }
        for name in ("grid", "single", "combined", "simultaneous")
    }
    assert splits.pop("grid") == {"validation"}
    assert all(seen == {"test"} for seen in splits.values())


def test_tables_of_a_choice_say_where_no_multiplier_qualified(finished: Checkout) -> None:
    chosen = files.read_json(cached(finished, "choice", "multipliers"))
    for name in ("single", "combined"):
        described = files.read_provenance(finished.path("tables", f"{name}.parquet"))
        assert described["unqualified"] == unqualified(chosen, {"4"})


def test_a_stated_precision_takes_first_documents_for_each_coefficient(finished: Checkout) -> None:
    raw = pq.read_table(cached(finished, "sweep", "code-permuted.layer-3")).to_pandas()
    table = pq.read_table(finished.path("tables", "code-permuted.parquet")).to_pandas()
    counts = []
    for corpus, rows in raw.groupby("corpus"):
        own = {c: list(at["document"]) for c, at in rows.groupby("coefficient")}
        for documents in own.values():
            assert documents == own[0.0][: len(documents)]
            counts.append(len(documents))
        hits = rows.pivot(index="document", columns="coefficient", values="top1")
        for row in table[table["corpus"] == corpus].to_dict("records"):
            there = hits[hits[row["coefficient"]].notna()]
            relative = there[row["coefficient"]].sum() / there[0.0].sum()
            assert row["documents"] == len(there)
            assert row["relative_top1"] == pytest.approx(relative)
    assert min(counts) == 2 < max(counts)


def test_a_second_run_has_nothing_to_do(finished: Checkout) -> None:
    assert "Nothing to be done" in finished.snakemake("--cores", "1")


@pytest.mark.long
def test_changing_back_runs_no_model(finished: Checkout) -> None:
    changed = finished.variant({"sweeps": {"code": {"coefficients": [0, 1, 2]}}})
    finished.forked("--cores", "2", config=changed)
    ran = finished.path("planned.json").read_bytes()
    back = finished.planned()
    assert finished.path("planned.json").read_bytes() == ran  # a dry run sets out to make nothing
    local = {"table", "figure", "scorecard", "catalogue", "usage", "study", "front_page"}
    assert set(back) <= local | {"all", "total"}
    finished.snakemake("--cores", "2")


@pytest.mark.long
def test_vectors_of_one_model_steer_another(finished: Checkout) -> None:
    borrowed = {"model": "miniature", "transfer": True}
    authors = {"measures": {"next_token": {"skip_tokens": "authors"}}}
    change = {
        "sweeps": {"alignment-tax": {**borrowed, "coefficients": [0, 1], **authors}},
        "figures": {"simultaneous-steering": {"tax": None}},
        "samples": {"chat": borrowed},
    }
    variant = finished.variant(change)
    plan = Plan(study_file.load(variant), finished.folder)
    made = [*plan.sweeps["alignment-tax"], plan.samples["chat"]]
    paths = [path for one in made for path in one.paths]
    finished.forked("--cores", "2", "--", *paths, config=variant)
    (model,) = plans.model(plan.graph, "miniature").paths
    (skipped,) = (one for one in plan.artefacts("skip_tokens") if one.name == "all")
    assert files.read_json(finished.folder / skipped.paths[0]) == AUTHORS
    fingerprint = files.read_json(finished.folder / model)["fingerprint"]
    for path in paths:
        provenance = files.read_provenance(finished.folder / path)
        assert provenance["model"]["fingerprint"] == fingerprint
        for vector in provenance["inputs"]["vectors"]:
            (origin,) = (finished.folder / "results/cache/vectors").glob(f"*.{vector}.safetensors")
            assert files.read_provenance(origin)["model"]["fingerprint"] != fingerprint


@pytest.mark.long
def test_a_measure_has_the_same_numbers_beside_others(finished: Checkout) -> None:
    """Next-token accuracy with questions asked beside it, of a skill's vector; questions of chosen
    multipliers, with documents read beside them."""
    documents = {"corpora": ["text", "all"], "tokens": 600, "max_tokens": 128}
    asked = {"measure": "two_choice", "behaviours": ["myopia"], "split": "validation"}
    change = {
        "sweeps": {
            "code": {"measures": {"asked": asked}},
            "single": {"measures": {"next_token": documents}},
        },
        "figures": {
            "general-coding": {"sweeps": ["code.next_token"]},
            "single-steering": {"sweep": "single.two_choice"},
            "combined-steering": {"single": "single.two_choice"},
        },
        "scorecards": {"control": {"sweeps": ["code.next_token"]}},
    }
    variant = finished.variant(change)
    targets = [f"tables/{name}.parquet" for name in ("code.asked", "single.next_token")]
    targets += [f"figures/{name}.csv" for name in ("general-coding", "single-steering")]
    before = {name: finished.path(name).read_text() for name in targets[2:]}
    shared = (("code", "next_token"), ("single", "two_choice"))
    alone = {name: pq.read_table(finished.path("tables", f"{name}.parquet")) for name, _ in shared}
    paths = [str(finished.path(name)) for name in targets]
    names = [path.removeprefix(f"{finished.folder}/") for path in paths]
    finished.forked("--cores", "2", "--", *names, config=variant)
    for sweep, measure in shared:
        table = pq.read_table(finished.path("tables", f"{sweep}.{measure}.parquet"))
        assert set(table["sweep"].to_pylist()) == {f"{sweep}.{measure}"}
        assert table.drop_columns("sweep").equals(alone[sweep].drop_columns("sweep"))
    answers = pq.read_table(finished.path("tables", "code.asked.parquet")).to_pandas()
    assert set(answers["behaviour"]) == {"myopia"} and set(answers["split"]) == {"validation"}
    assert sorted(answers["coefficient"]) == [0, 1, 4] and (answers["questions"] == 20).all()
    accuracy = pq.read_table(finished.path("tables", "single.next_token.parquet")).to_pandas()
    chosen = alone["single"].to_pandas()
    for vector, rows in accuracy.groupby("vector"):
        multipliers = set(chosen.loc[chosen["vector"] == vector, "coefficient"])
        assert set(rows["coefficient"]) == multipliers and len(multipliers) == 3
        assert set(rows["corpus"]) == {"text", "all"}
    for name, text in before.items():
        drawn, was = finished.path(name).read_text(), text
        for sweep, measure in shared:
            drawn = drawn.replace(f"{sweep}.{measure}", sweep)
        assert drawn == was
    finished.forked("--cores", "2")


@pytest.mark.long
def test_equal_runs_give_equal_bytes(finished: Checkout) -> None:
    """A model job, a vector, a table and a figure made again (design: invariant 3)."""
    targets = [
        cached(finished, "sweep", "code.layer-3"),
        cached(finished, "vector", "code"),
        finished.path("tables", "code.parquet"),
        finished.path("figures", "general-coding.pdf"),
        finished.path("figures", "general-coding.png"),
    ]
    before = [path.read_bytes() for path in targets]
    names = [str(path.relative_to(finished.folder)) for path in targets]
    finished.snakemake("--cores", "2", "--forcerun", *names, "--", *names)
    finished.snakemake("--cores", "2")
    assert [path.read_bytes() for path in targets] == before


def interrupted(checkout: Checkout, name: str) -> str:
    """What a run that makes `name` prints when it hears Ctrl-C in the middle of its job; "" if that
    came too late, and then nothing of it is left."""
    printed = checkout.folder / "printed.txt"
    with printed.open("w") as output:
        process = subprocess.Popen(
            checkout.command("--cores", "1", "--", name),
            cwd=checkout.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Also where the tests run in the background, whose jobs do not hear it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    logs = checkout.folder / "results/logs/activations"
    while not any(logs.glob("code.*")) and process.poll() is None:
        time.sleep(0.01)
    in_time = process.returncode is None
    if in_time:
        # Nothing goes on while it is looked whether the job has ended.
        os.killpg(process.pid, signal.SIGSTOP)
        in_time = not (checkout.folder / name).exists()
        os.killpg(process.pid, signal.SIGINT)
        os.killpg(process.pid, signal.SIGCONT)
    process.wait()
    if not in_time:
        for path in [checkout.folder / name, *logs.glob("code.*")]:
            path.unlink(missing_ok=True)
    return printed.read_text() if in_time else ""


@pytest.mark.long
def test_an_interrupted_run_goes_on(tmp_path: Path, finished: Checkout) -> None:
    """Ctrl-C in the middle is told in a sentence, and leaves no half file; the next run ends with
    the same bytes."""
    checkout = copy_of_repository(tmp_path)
    shutil.copytree(
        finished.folder / "results/cache/documents", tmp_path / "results/cache/documents"
    )
    target = next((finished.folder / "results/cache/activations").glob("code.*"))
    name = str(target.relative_to(finished.folder))
    for _ in range(5):
        if printed := interrupted(checkout, name):
            break
    else:
        pytest.fail("the job ended before it could be interrupted, five times")
    assert "Traceback" not in printed
    assert printed.splitlines()[-1] == INTERRUPTED
    left = [path for path in (tmp_path / "results/cache").rglob("*") if path.is_file()]
    assert not [path for path in left if path.name.startswith(".")]
    assert not (checkout.folder / name).exists()
    checkout.snakemake("--cores", "2", "--", name)
    assert (checkout.folder / name).read_bytes() == target.read_bytes()


@pytest.mark.long
def test_damaged_files_of_the_cache_are_named_and_rebuilt(finished: Checkout) -> None:
    """A mean cut short, a sweep with other bytes inside: a run that needs them makes them again."""
    mean, sweep = (
        cached(finished, "mean", "code"),
        cached(finished, "sweep", "code.layer-3"),
    )
    whole = {path: path.read_bytes() for path in (mean, sweep)}
    mean.write_bytes(whole[mean][:-100])
    sweep.write_bytes(whole[sweep][:4] + bytes(100) + whole[sweep][104:])
    targets = [
        "results/small/figures/activation-distributions.csv",
        "results/small/tables/code.parquet",
    ]
    failed = finished.attempt("--cores", "2", "--keep-going", "--", *targets)
    assert failed.returncode != 0
    names = [str(path.relative_to(finished.folder)) for path in whole]
    for name, path in zip(names, whole, strict=True):
        assert f"{name} is damaged" in failed.stdout
        assert not path.exists()
    finished.snakemake("--cores", "2", "--", *targets, *names)
    assert {path: path.read_bytes() for path in whole} == whole
    for path in whole:
        path.with_name(f"{path.name}.damaged").unlink()
    finished.snakemake("--cores", "2")
