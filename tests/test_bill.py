"""What a study will cost, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import REPOSITORY
from tokenizers import Tokenizer

from checkout import SMALL
from snakesteer.__main__ import main
from snakesteer.behaviours.drawing import table
from snakesteer.corpora.drawing import SPLITS
from snakesteer.plan import activations, products
from snakesteer.plan import models as plans
from snakesteer.plan.bill import Item, bill
from snakesteer.plan.plan import Plan
from snakesteer.plan.reads import SAMPLED, Texts, readings
from snakesteer.storage.files import write_table
from snakesteer.study import study_file


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    return Plan(study_file.load(SMALL), REPOSITORY)


def prompt_tokens(plan: Plan, behaviour: str) -> float:
    """Tokens of a behaviour's prompt, on average."""
    tokenizer = Tokenizer.from_file(
        str(plans.folder(plan.graph, "miniature-chat") / "tokenizer.json")
    )
    prompts = table(activations.questions(plan.graph, behaviour).settings)["prompt"].to_pylist()[
        :SAMPLED
    ]
    return sum(len(tokenizer.encode(prompt).ids) for prompt in prompts) / len(prompts)


def test_tokens_and_jobs_are_those_the_settings_allow(small: Plan) -> None:
    items = {item.rule: item for item in bill(small)}
    # Two sweeps over two corpora and the tax over one, three coefficients, 600 tokens each; the
    # control takes as many as its precision needs, at least 2 documents and at most 760 tokens.
    skills = [
        one
        for name in ("code", "python", "code-permuted", "alignment-tax")
        for one in small.sweeps.get(name, [])
    ]
    least, most = (
        sum(reading.tokens for reading in end)
        for end in zip(*(readings(one, Texts(REPOSITORY), len) for one in skills), strict=True)
    )
    assert most == 3 * ((2 * 2 + 1) * 600 + 2 * 760)
    assert least == 2 * 2 * 2 * 600 + 3 * 600 + 2 * 2 * 2 * 128
    # Four corpora of 24 documents of 128 tokens, and two behaviours of 20 questions, two answers.
    asked = [prompt_tokens(small, name) for name in ("myopia", "wealth-seeking")]
    assert min(asked) > 30 and max(asked) < 100
    assert items["activations"].tokens == round(4 * 24 * 128 + 20 * 2 * sum(asked))
    assert items["activations"].least_tokens == items["activations"].tokens
    assert (items["activations"].jobs, items["activations"].to_run) == (6, 6)
    # 8 layers, 192 wide, float32.
    assert items["activations"].gigabytes * 1e9 == (4 * 24 + 2 * 20 * 2) * 8 * 192 * 4
    assert items["documents"].tokens == 0
    assert (items["table"].jobs, items["figure"].jobs, items["slopes"].jobs) == (8, 9, 1)


def test_what_is_there_is_not_to_run_unless_what_it_is_made_of_is(small: Plan) -> None:
    for rule, made in (("table", small.tables), ("figure", small.figures)):
        folder = Path(small.path(f"{rule}s"))
        folder.mkdir(parents=True)
        for name in made:
            (folder / f"{name}.{'parquet' if rule == 'table' else 'pdf'}").touch()
    for path in map(Path, products.effects_paths(small.graph, "grid")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for one in small.artefacts():
        for path in map(Path, one.paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    left = {item.rule: item.to_run for item in bill(small)}
    assert left["study_vector"] == len(small.study.vectors)
    assert left["sweep"] == left["table"] == left["slopes"] == left["figure"] == 0
    Path(small.sweeps["single"][0].paths[0]).unlink()
    left = {item.rule: item.to_run for item in bill(small)}
    # Its table, its figure, and the one that draws it beside the combined sweep.
    assert (left["sweep"], left["table"], left["figure"]) == (1, 1, 2)


def test_a_speed_of_nothing_is_refused(small: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bill", str(REPOSITORY), str(SMALL), "--tflops", "0"]) == 1
    assert "TFLOPS is 0; give the speed" in capsys.readouterr().err


def test_hours_follow_the_speed_and_the_shared_layers(small: Plan) -> None:
    (slow, fast) = ({item.rule: item for item in bill(small, speed)} for speed in (1.0, 4.0))
    assert slow["sweep"].gpu_hours == pytest.approx(4 * fast["sweep"].gpu_hours)
    item, whole = alone(small, "code.layer-3")
    assert (item.to_run, item.tokens) == (1, 3600)
    # Layers 0 to 3 once, 4 to 7 and the head three times, of 9 times three.
    assert item.gpu_hours == pytest.approx(whole * (4 + 3 * 5) / (3 * 9))


def alone(plan: Plan, name: str) -> tuple[Item, float]:
    """The item of a sweep's job that is the only one left of its rule, at 1 TFLOP/s, and the hours
    that it would take without any sharing."""
    (sweep,) = (one for one in plan.artefacts() if one.name == name)
    for one in plan.artefacts(sweep.stage):
        path = Path(one.paths[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True) if one is sweep else path.touch()
    (item,) = (item for item in bill(plan, 1.0) if item.rule == sweep.stage)
    size = plans.size(plan.graph, sweep)
    assert size
    return item, 2 * size.parameters * item.tokens / 1e12 / 3600


def changed(over: dict[str, Any]) -> Plan:
    return Plan(study_file.parse(study_file.merge(study_file.read(SMALL), over)), REPOSITORY)


def test_no_more_is_shared_than_what_reads_the_same(small: Plan) -> None:
    other = changed({"sweeps": {"code": {"measures": {"next_token": {"paired": False}}}}})
    item, whole = alone(other, "code.layer-3")
    assert item.gpu_hours == pytest.approx(whole)
    # Each of the two behaviours is asked at five points, under its own vector.
    apart = changed({"models": {"miniature-chat": {"job_tokens": 1}}})
    item, whole = alone(apart, "grid.layer-3")
    asked = 20 * sum(prompt_tokens(small, name) for name in ("myopia", "wealth-seeking"))
    assert (item.least_tokens, item.tokens) == (round(3 * asked), round(5 * asked))
    assert item.gpu_hours == pytest.approx(whole * (4 + 5 * 5) / (5 * 9), rel=1e-4)
    assert item.least_gpu_hours == pytest.approx(whole * 3 / 5 * (4 + 3 * 5) / (3 * 9), rel=1e-4)
    # Both layers in one job: layers 0 to 4 once, then four blocks and the head, or three.
    item, whole = alone(small, "grid.layers-3-4")
    assert (item.least_tokens, item.tokens) == (round(6 * asked), round(10 * asked))
    assert item.gpu_hours == pytest.approx(whole * (5 + 5 * 5 + 5 * 4) / (10 * 9), rel=1e-4)
    least = whole * 3 / 5 * (5 + 3 * 5 + 3 * 4) / (6 * 9)
    assert item.least_gpu_hours == pytest.approx(least, rel=1e-4)
    # All ways to combine ask both.
    item, whole = alone(small, "combined.layer-4")
    assert item.gpu_hours == pytest.approx(whole * (5 + 8 * 4) / (8 * 9), rel=1e-4)


def test_documents_of_files_and_those_that_are_there_are_counted(small: Plan) -> None:
    for split in SPLITS:
        Path(f"{split}.jsonl").write_text(f'{{"text": "{split}, a short text"}}\n' * 30)
    text = {"source": "files", "splits": {name: {"files": [f"{name}.jsonl"]} for name in SPLITS}}
    data = study_file.merge(study_file.read(SMALL), {"corpora": {"text": {"kind": None, **text}}})
    of_files = activations.documents(Plan(study_file.parse(data), REPOSITORY).graph, "text")
    assert Texts(REPOSITORY).mean_document(of_files, 1, 99, len) == len("validation, a short text")
    assert Texts(REPOSITORY).mean_document(of_files, 1, 9, len) == 9
    installed = activations.documents(small.graph, "text")
    assert Texts(REPOSITORY).mean_document(installed, 0, 9999, len) == 1000
    table = pa.table({"document": ["a", "b"], "text": ["it is there", "now"]})
    write_table(installed.paths[0], table, {})
    assert Texts(REPOSITORY).mean_document(installed, 0, 9999, len) == 7


def test_the_bill_is_printed_and_nothing_is_run(
    small: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bill", str(REPOSITORY), str(SMALL), "--tflops", "100"]) == 0
    printed = capsys.readouterr().out
    assert "Estimate for the study small; nothing was run." in printed
    assert "100 TFLOP/s" in printed
    (sweeps,) = (line for line in printed.splitlines() if line.startswith("sweep"))
    assert "55,212 to 70,665" in sweeps
    assert not list(tmp_path.iterdir())
