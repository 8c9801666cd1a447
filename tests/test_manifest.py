"""A model's manifest, and the one sentence for each way its files can be spoilt."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import torch
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.engine import models
from snakesteer.hub import manifest as manifests
from snakesteer.hub.manifest import content, identity, layers_and_width, manifest, verify
from snakesteer.jobs import model
from snakesteer.jobs.model import load_job_tokenizer
from snakesteer.jobs.specified import ActivationsJob
from snakesteer.plan.plan import Plan
from snakesteer.prompts.tokens import load_tokenizer
from snakesteer.storage.provenance import provenance
from snakesteer.study import study_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.folder(tmp_path / "model")


def sums(folder: Path) -> None:
    names = ["model.safetensors", "tokenizer.json", "config.json"]
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in names
    ]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


def test_manifest_identifies_the_model(folder):
    sums(folder)
    made = manifest(folder, "hub/model", "abc")
    assert (made["source"], made["revision"]) == ("hub/model", "abc")
    assert (made["n_layers"], made["hidden"]) == layers_and_width(folder) == (4, 32)
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert made["files"]["model.safetensors"] == weights
    assert {"config.json", "tokenizer.json"} <= set(made["files"])
    assert made["files"] == content(folder)
    (folder / "README.md").write_text("A card.")
    assert manifest(folder, "hub/model", "abc") == made
    json.dumps(made)


def test_what_ends_a_text_is_part_of_the_model(folder):
    """Transformers takes the end tokens from this file, and passes over one it cannot read."""
    ends, before = folder / "generation_config.json", manifest(folder)
    ends.write_text(json.dumps({"eos_token_id": [1, 2]}))
    assert manifest(folder)["files"] != before["files"]
    assert content(folder) == manifest(folder)["files"]
    with pytest.raises(StudyError, match=r"generation_config\.json is not the file that"):
        verify(folder, before)
    ends.write_text("{")
    with pytest.raises(StudyError, match=r"generation_config\.json is not valid JSON .*; restore"):
        manifest(folder)
    ends.unlink()
    assert "generation_config.json" not in manifest(folder)["files"]


def test_fingerprint_follows_the_weights_alone(folder, tmp_path):
    before = manifest(folder)["fingerprint"]
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"note": 1}))
    assert manifest(folder)["fingerprint"] == before
    other = tiny.folder(tmp_path / "other", tiny.network(seed=1))
    assert manifest(other)["fingerprint"] != before


def spoil(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    match how:
        case "absent folder":
            folder.rename(folder.with_name("moved"))
        case "absent weights":
            weights.unlink()
        case "absent tokenizer":
            (folder / "tokenizer.json").unlink()
        case "absent shard":
            index = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
            weights.unlink()
        case "pointer":
            weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        case "truncated":
            weights.write_bytes(weights.read_bytes()[:-5])
        case "cut in the header":
            weights.write_bytes(weights.read_bytes()[:100])
        case "empty":
            weights.write_bytes(b"")
        case "other bytes":
            weights.write_bytes(weights.read_bytes()[:-5] + b"other")
        case "config":
            (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    "how, sentence",
    [
        ("absent folder", "does not exist"),
        ("absent weights", "model.safetensors is missing"),
        ("absent tokenizer", "tokenizer.json is missing"),
        ("absent shard", "model-00001-of-00001.safetensors is missing"),
        ("pointer", "git lfs pull"),
        ("truncated", "truncated"),
        ("cut in the header", "truncated"),
        ("empty", "truncated"),
        ("other bytes", "is not the file that SHA256SUMS names"),
        ("config", "config.json"),
    ],
)
def test_spoilt_files_are_reported_in_one_sentence(folder, how, sentence):
    sums(folder)
    spoil(folder, how)
    for read in (manifest, content):
        with pytest.raises(StudyError, match=sentence) as error:
            read(folder)
        assert "git" in str(error.value)
        assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_no_tokenizer_is_reported_without_sums(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(StudyError, match=r"tokenizer\.json is missing"):
        manifest(folder)


def test_loading_refuses_other_files_than_the_manifest(folder):
    made = manifest(folder)
    verify(folder, made)
    spoil(folder, "other bytes")
    with pytest.raises(StudyError, match="the model's manifest"):
        models.load(folder, made)


def test_a_large_file_is_known_again_by_size_and_time(folder, monkeypatch):
    weights = folder / "model.safetensors"
    monkeypatch.setattr(manifests, "HASHED_BYTES", weights.stat().st_size - 1)
    made = manifest(folder)
    assert made == manifest(folder) and list(made["large"]) == ["model.safetensors"]
    assert made["large"]["model.safetensors"] == content(folder)["model.safetensors"]

    hashed = []
    monkeypatch.setattr(
        manifests, "sha256", lambda path: hashed.append(path.name) or made["files"][path.name]
    )
    verify(folder, made)
    assert "config.json" in hashed and "model.safetensors" not in hashed
    os.utime(weights, ns=(0, 0))
    verify(folder, made)
    assert "model.safetensors" in hashed
    monkeypatch.undo()

    spoil(folder, "other bytes")
    with pytest.raises(StudyError, match="the model's manifest"):
        verify(folder, made)


def test_a_large_file_of_the_hubs_cache_is_known_by_its_own_hash(folder, tmp_path, monkeypatch):
    """Also where it lies in a store that knows it by another hash."""
    monkeypatch.setattr(manifests, "HASHED_BYTES", 0)
    weights = folder / "model.safetensors"
    digest = manifest(folder)["files"]["model.safetensors"]
    blob, payload = tmp_path / digest, tmp_path / digest[::-1]
    weights.rename(payload)
    blob.symlink_to(payload)
    weights.symlink_to(blob)
    size = payload.stat().st_size
    assert manifest(folder)["large"]["model.safetensors"] == f"{size}:{digest}"
    os.utime(payload, ns=(0, 0))
    assert content(folder)["model.safetensors"] == f"{size}:{digest}"


def test_the_fingerprint_does_not_follow_the_times(folder, monkeypatch):
    monkeypatch.setattr(manifests, "HASHED_BYTES", 0)
    before = manifest(folder)
    os.utime(folder / "model.safetensors", ns=(0, 0))
    after = manifest(folder)
    assert after["large"] != before["large"]
    assert (after["files"], after["fingerprint"]) == (before["files"], before["fingerprint"])


def test_loading(folder):
    model = models.load(folder, manifest(folder), dtype="bfloat16", device="cpu")
    assert (model.n_layers, model.hidden, model.dtype) == (4, 32, torch.bfloat16)
    assert model.context == 128 and model.identity == identity(manifest(folder)["files"])
    with pytest.raises(StudyError, match="float32, bfloat16"):
        models.load(folder, manifest(folder), dtype="float8")


def test_nan_in_the_weights_is_refused(tmp_path):
    network = tiny.network()
    with torch.no_grad():
        network.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    folder = tiny.folder(tmp_path, network)
    with pytest.raises(StudyError, match=r"layers\.1\.mlp\.up_proj\.weight"):
        models.load(folder, manifest(folder))


def test_manifest_needs_no_torch():
    heavy = "{'torch', 'transformers'} & {*sys.modules}"
    code = f"import sys; import snakesteer.hub.manifest; assert not {heavy}"
    scripts = REPOSITORY / "workflow" / "scripts"
    subprocess.run([sys.executable, "-c", code], cwd=scripts, check=True)


def test_a_tokenizer_that_cannot_be_loaded_is_reported(folder):
    for text, reason in (
        ("{", "Expecting "),
        ("{}", ""),
        ('{"model": {"type": "BPE"}}', ""),
        ("[]", ""),
    ):
        (folder / "tokenizer.json").write_text(text)
        told = rf"cannot be loaded \({reason}.+get its files again\.$"
        with pytest.raises(StudyError, match=told):
            load_tokenizer(folder)
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    with pytest.raises(StudyError, match=r"has no tokenizer\.json, and its tokenizer cannot be"):
        load_tokenizer(folder)


def job():
    return SimpleNamespace(
        scriptdir=REPOSITORY / "workflow" / "scripts",
        input=SimpleNamespace(model=["m.json"]),
        threads=1,
    )


def test_documents_cut_beyond_the_models_input_are_reported_before_it_is_loaded(folder):
    made = manifest(folder)
    assert load_job_tokenizer(job(), made, 128).encode("mill")
    with pytest.raises(StudyError, match="cut at 129 tokens, but .* reads at most 128; set"):
        load_job_tokenizer(job(), made, 129)


def test_a_model_that_leaves_no_room_to_run_it_is_reported(folder, monkeypatch):
    def full(_model):
        raise torch.OutOfMemoryError("no")

    asked = ActivationsJob("float32", "auto", None, 512, "tokenizer")
    assert model.load_job_model(job(), manifest(folder), asked).n_layers == 4
    monkeypatch.setattr(model, "check", full)
    with pytest.raises(StudyError, match="fills the device, leaving no memory to run in"):
        model.load_job_model(job(), manifest(folder), asked)


def planned(source: str) -> Plan:
    study = study_file.merge(study_file.read(SMALL), {"models": {"miniature": {"source": source}}})
    return Plan(study_file.parse(study), REPOSITORY)


HUB = (
    " A model of the hub needs its revision (`git ls-remote https://huggingface.co/{0} HEAD` "
    "prints it) and its number of layers."
)


@pytest.mark.parametrize(
    "source, told",
    [
        (
            "resources/models/minature",
            "there is no folder resources/models/minature; did you mean "
            "resources/models/miniature?",
        ),
        (
            "resource/models/miniature",
            "there is no folder resource/models/miniature; did you mean "
            "resources/models/miniature?",
        ),
        ("meta/llama", "there is no folder meta/llama; check the path." + HUB.format("meta/llama")),
        (
            "{tmp}/modell",
            "there is no folder {tmp}/modell; did you mean {tmp}/model?",
        ),
        (
            "modells/mine",
            "there is no folder modells/mine; did you mean models/mine?"
            + HUB.format("modells/mine"),
        ),
        (
            "{tmp}/model/model.safetensors",
            "{tmp}/model/model.safetensors is a file; name the folder of the model.",
        ),
    ],
)
def test_a_misspelt_path_names_the_nearest_folder(folder, tmp_path, monkeypatch, source, told):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError) as error:
        planned(source.replace("{tmp}", str(tmp_path)))
    expected = f"models.miniature.source: {told}".replace("{tmp}", str(tmp_path))
    assert str(error.value) == expected


@pytest.mark.parametrize(
    "source, kept",
    [("/data/models/llama", "llama"), ("models/llama", "models/llama"), ("o/llama", "o/llama")],
)
def test_provenance_holds_no_path_of_the_machine(source, kept):
    made = SimpleNamespace(
        rule="mean", wildcards={}, params=SimpleNamespace(settings={}, code="0"), input={}
    )
    model = {"source": source, "revision": None, "fingerprint": "f", "hidden": 8}
    assert provenance(made, model)["model"] == {**model, "source": kept}


@pytest.mark.parametrize("architecture", ["gpt2", "mpt", "gpt_bigcode"])
def test_documents_are_cut_at_the_longest_input_by_any_name(architecture, tmp_path):
    folder = tiny.folder(tmp_path / "model", tiny.network(architecture))
    with pytest.raises(StudyError) as error:
        load_job_tokenizer(job(), manifest(folder), 129)
    assert f"cut at 129 tokens, but {folder} reads at most 128; " in str(error.value)
