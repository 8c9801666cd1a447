"""Models from GGUF files through the workflow's rules: in a wheel, on this machine, on the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf_files
import hub
import pytest
import yaml
from conftest import REPOSITORY
from test_packages import FILE, wheel

from checkout import copy_of_repository
from snakesteer.core.errors import StudyError
from snakesteer.plan import models
from snakesteer.plan.bill import bill
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import read_provenance
from snakesteer.study import study_file

MINIATURE = REPOSITORY / "resources" / "models" / "miniature"
COMMIT = "c" * 40
FORM = {"layers": 8, "parameters": 0.0043, "dtype": "float32"}


def study(sha256: str, local: Path, /, **changes: Any) -> dict[str, Any]:
    """A small sweep on the model in a wheel, and two more models whose tokens are counted."""
    packed = {"package": "small-model", "version": "1.0", "sha256": sha256, "file": FILE}
    return {
        "name": "gguf",
        "models": {
            "packed": {"source": packed} | FORM | changes,
            "local": {"source": str(local), **FORM},
            "hosted": {"source": "o/small", "revision": COMMIT, "file": "small.gguf", **FORM},
        },
        "corpora": {
            "text": {"source": "installed", "kind": "text", "train": 6, "validation": 2},
            "code": {"source": "installed", "kind": "code", "train": 6, "validation": 2},
        },
        "activations": {
            **{
                name: {"model": "packed", "corpus": name, "max_tokens": 64}
                for name in ("text", "code")
            },
            **{
                name: {"model": name, "corpus": "text", "max_tokens": 64}
                for name in ("local", "hosted")
            },
        },
        "vectors": {"code": {"add": ["text"], "subtract": ["code"]}},
        "sweeps": {
            "code": {
                "model": "packed",
                "inject": {"vector": "code", "layers": [3]},
                "coefficients": [0, 1],
                "measures": {"next_token": {"corpora": ["code"], "tokens": 100, "max_tokens": 64}},
            }
        },
    }


def planned(data: dict[str, Any]) -> Plan:
    return Plan(study_file.parse(data, "my.yaml"), REPOSITORY)


def test_a_study_is_planned_before_its_model_is_there(tmp_path: Path) -> None:
    file = gguf_files.write(tmp_path / "small.gguf", MINIATURE)
    plan = planned(study("a" * 64, file))
    assert models.layers(plan.graph, "packed") == 8
    costs = {item.rule: item for item in bill(plan)}
    assert costs["package"].jobs == 1 and costs["gguf_model"].jobs == 3
    assert costs["gguf_model"].gigabytes == pytest.approx(3 * 4 * 0.0043)
    # Another study shares the converted folder, another dtype too, but not another wheel.
    key = models.gguf_model(plan.graph, "packed").key
    for data, same in (
        (study("a" * 64, file, dtype="bfloat16") | {"name": "other"}, True),
        (study("b" * 64, file), False),
    ):
        assert (models.gguf_model(planned(data).graph, "packed").key == key) == same
    # The content of a file counts.
    key = models.gguf_model(plan.graph, "local").key
    gguf_files.write(file, MINIATURE, pre="qwen2")
    assert models.gguf_model(planned(study("a" * 64, file)).graph, "local").key != key


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as told:
        planned(study("a" * 64, tmp_path / "none.gguf"))
    assert str(told.value) == (
        f"models.local.source: there is no file {tmp_path / 'none.gguf'}; check the path."
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layers": None}, "`models.packed`: layers is missing; give the number of decoder"),
        ({"revision": COMMIT}, "`models.packed`: revision is for models of the hub, but source"),
        ({"source": {"package": "a"}}, "`models.packed.source.version` is missing; add it."),
        (
            {"source": "a.gguf", "file": "b.gguf"},
            "`models.packed`: file is b.gguf, which belongs to a",
        ),
        (
            {"file": "b.bin"},
            "`models.packed.file`: 'b.bin' is not a GGUF file; give one whose name",
        ),
    ],
)
def test_errors_of_an_entry_are_reported(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StudyError) as told:
        planned(study("a" * 64, tmp_path / "none.gguf", **changes))
    assert str(told.value).startswith(f"my.yaml: {sentence}")


@pytest.mark.long
def test_from_files_to_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = copy_of_repository(tmp_path / "checkout")
    file = gguf_files.write(tmp_path / "small.gguf", MINIATURE, quantised="Q4_1")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "small.gguf").write_bytes(file.read_bytes())
    sha256 = wheel(tmp_path / "index", files={FILE: file.read_bytes()})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    config = checkout.folder / "study.yaml"

    def run(data: dict[str, Any], *arguments: str) -> Any:
        config.write_text(yaml.safe_dump(data))
        return checkout.attempt("--cores", "2", "--quiet", "all", *arguments, config=config)

    def told(data: dict[str, Any], stage: str, name: str) -> str:
        """What the log says of a job that fails."""
        plan = Plan(study_file.parse(data), checkout.folder)
        (made,) = (one for one in plan.artefacts(stage) if one.name == name)
        assert run(data, "--", made.paths[0]).returncode != 0
        log = checkout.folder / f"results/logs/{stage}/{name}.{made.key}.log"
        text = log.read_text()
        assert text.count("\n") == 1
        return text

    with hub.StandIn({"o/small": hub.Served(COMMIT, tmp_path / "served")}) as stand_in:
        for name, value in stand_in.environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        data = study(sha256, file)
        wrong = study("a" * 64, file)
        assert "Error: models.packed: the wheel of small" in told(wrong, "package", "packed")
        wrong = study(sha256, file)
        wrong["models"]["packed"]["source"]["file"] = "none.gguf"
        assert "has no file none.gguf; name small_model" in told(wrong, "gguf_model", "packed")
        wrong = study(sha256, file)
        wrong["models"]["hosted"]["file"] = "none.gguf"
        assert told(wrong, "gguf_model", "hosted").startswith(
            f"Error: models.hosted: o/small at {COMMIT} has no file none.gguf; name one from"
        )
        wrong = study(sha256, file, layers=9)
        assert "has 8 layers, but the study gives 9; set" in told(wrong, "model", "packed")
        made = run(data)
        assert made.returncode == 0, made.stdout
    # What the three were converted into is the same, and so are activations of the same texts.
    plan = Plan(study_file.parse(data), checkout.folder)
    manifests = {
        name: json.loads((checkout.folder / models.model(plan.graph, name).paths[0]).read_text())
        for name in data["models"]
    }
    assert len({json.dumps(each["files"]) for each in manifests.values()}) == 1
    table = checkout.folder / "results/gguf/tables/code.parquet"
    vector = read_provenance(checkout.folder / "results/gguf/vectors/code.safetensors")
    assert table.is_file() and vector["model"]["gguf"] == manifests["packed"]["gguf"]
    assert "Nothing to be done" in checkout.snakemake("-n", config=config)

    # A converted folder that has gone comes back, and nothing else is made again.
    weights = checkout.folder / manifests["packed"]["folder"] / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    target = models.model(plan.graph, "packed").paths[0]
    checkout.snakemake("--cores", "1", "--force", target, config=config)
    assert weights.read_bytes() == content
    assert "Nothing to be done" in checkout.snakemake("-n", config=config)
