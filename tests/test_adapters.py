"""An adapter is merged where the study names it, and told about where it does not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from conftest import REPOSITORY
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.core.records import plain
from snakesteer.engine import models
from snakesteer.hub.manifest import content, manifest, verify
from snakesteer.jobs.model import load_job_model
from snakesteer.jobs.specified import ActivationsJob
from snakesteer.plan import models as plans
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.plan import Plan
from snakesteer.storage.provenance import provenance
from snakesteer.study import study_file

IDS = torch.tensor([[0, 5, 9, 20, 31, 40, 2]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.folder(tmp_path / "model")


def tuned() -> Any:
    """A model with a LoRA of random weights."""
    network = tiny.network()
    torch.manual_seed(1)
    return get_peft_model(
        network,
        LoraConfig(
            r=4,
            lora_alpha=8,
            target_modules=["q_proj", "down_proj"],
            modules_to_save=["lm_head"],
            init_lora_weights=False,
            task_type="CAUSAL_LM",
        ),
    )


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    tuned().save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def logits(network: Any) -> torch.Tensor:
    with torch.inference_mode():
        return network(input_ids=IDS, use_cache=False).logits


@pytest.mark.parametrize("beside", [False, True])
def test_an_adapter_is_merged(folder, adapter, beside):
    if beside:
        for path in adapter.glob("adapter_*"):
            path.rename(folder / path.name)
        adapter = folder
    made = manifest(folder, adapter=adapter)
    loaded = models.load(folder, made, adapter=adapter, device="cpu")
    expected = logits(tuned())
    torch.testing.assert_close(logits(loaded.network), expected, rtol=1e-5, atol=1e-5)
    assert (logits(tiny.network()) - expected).abs().max() > 0.1
    assert not any("lora" in name for name, _ in loaded.network.named_modules())


def test_a_job_merges_what_the_manifest_names(folder, adapter):
    made = {**manifest(folder, str(folder), adapter=adapter), "adapter": str(adapter)}
    asked = ActivationsJob("float32", "auto", None, 512, "tokenizer")
    job = SimpleNamespace(
        scriptdir=REPOSITORY / "workflow" / "scripts",
        input=SimpleNamespace(model=["m.json"]),
        params=SimpleNamespace(settings=plain(asked), code="0"),
        threads=1,
        rule="activations",
        wildcards={},
    )
    job.input.items = lambda: {}.items()
    network = load_job_model(job, made, asked).network
    torch.testing.assert_close(logits(network), logits(tuned()), rtol=1e-5, atol=1e-5)
    assert provenance(job, made)["model"]["adapter"] == "adapter"


def test_the_adapter_is_in_manifest_fingerprint_and_keys(folder, adapter):
    plain, made = manifest(folder), manifest(folder, adapter=adapter)
    own = {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"}
    assert made["files"].keys() - plain["files"].keys() == own
    assert made["files"] == content(folder, adapter)
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"lora_alpha": 4}))
    changed = manifest(folder, adapter=adapter)
    assert len({each["fingerprint"] for each in (plain, made, changed)}) == 3
    with pytest.raises(StudyError, match=f"^{config} is not the file that the model's manifest"):
        verify(folder, made, adapter)


def planned(**entry: Any) -> Plan:
    over = {"models": {"miniature": entry}}
    return Plan(study_file.parse(study_file.merge(study_file.read(SMALL), over)), REPOSITORY)


def manifested(**entry: Any) -> Artefact:
    return plans.model(planned(**entry).graph, "miniature")


def test_a_study_names_the_adapter(adapter):
    plain, merging = manifested(), manifested(adapter=str(adapter))
    assert plain.key != merging.key
    assert merging.settings["adapter"] == str(adapter)
    assert "adapter" not in plain.settings
    hub = {"source": "o/m", "revision": "a" * 40, "layers": 8}
    assert manifested(**hub).key != manifested(**hub, adapter=str(adapter)).key


def told(**entry: Any) -> str:
    with pytest.raises(StudyError) as error:
        planned(**entry)
    return str(error.value)


def test_an_adapter_that_is_not_asked_for_is_reported(folder, adapter):
    alone = f"{adapter} holds only an adapter (adapter_config.json); set `adapter` to it, and "
    assert told(source=str(adapter)) == (
        f"models.miniature.source: {alone}`source` to its base model."
    )
    (adapter / "adapter_config.json").rename(folder / "adapter_config.json")
    assert told(source=str(folder)) == (
        f"models.miniature.source: {folder} holds an adapter (adapter_config.json) next to the "
        "model; set `adapter` to its folder to merge it, or move it elsewhere."
    )


def test_an_adapter_that_is_not_there_is_reported(adapter):
    assert told(adapter="no/where") == (
        "models.miniature.adapter: there is no folder no/where; check the path."
    )
    assert told(adapter=f"{adapter}s") == (
        f"models.miniature.adapter: there is no folder {adapter}s; did you mean {adapter}?"
    )
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    assert told(adapter=str(adapter)) == (
        f"models.miniature.adapter: {adapter}/adapter_model.safetensors is missing; name a folder "
        "in which `peft` saved an adapter as safetensors."
    )


def refused(folder: Path, adapter: Path) -> str:
    with pytest.raises(StudyError) as error:
        models.load(folder, manifest(folder, adapter=adapter), adapter=adapter, device="cpu")
    return str(error.value)


def change(adapter: Path, old: str, new: str | None) -> None:
    weights = load_file(adapter / "adapter_model.safetensors")
    kept = weights.pop(old)
    save_file(weights | ({new: kept} if new else {}), adapter / "adapter_model.safetensors")


A = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"


def test_an_adapter_of_another_model_is_reported(folder, adapter, tmp_path):
    change(adapter, A, f"x.{A}")
    assert refused(folder, adapter) == (
        f"the adapter in {adapter} does not fit LlamaForCausalLM, which has no x.{A} and 1 more; "
        "set source to the base model that it was trained on."
    )
    change(adapter, f"x.{A}", None)
    assert refused(folder, adapter) == (
        f"the adapter in {adapter} is incomplete: "
        "base_model.model.model.layers.0.mlp.down_proj.lora_A.merged.weight is missing; get its "
        "files again."
    )
    other = tiny.folder(tmp_path / "other", tiny.network("gpt2"))
    said = refused(other, adapter)
    assert said.startswith(f"the adapter in {adapter} cannot be merged into GPT2LMHeadModel (")
    assert said.endswith(
        "name an adapter of weights (such as LoRA), and set source to the base model that it "
        "was trained on."
    )


def test_a_head_that_an_adapter_lacks_is_reported(folder, adapter):
    change(adapter, "base_model.model.lm_head.weight", None)
    assert "(KeyError: 'base_model.model.lm_head.weight')" in refused(folder, adapter)


def test_a_prompt_cannot_be_merged(folder, tmp_path):
    config = PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    get_peft_model(tiny.network(), config).save_pretrained(tmp_path / "prompt")
    said = refused(folder, tmp_path / "prompt")
    assert said == (
        f"the adapter in {tmp_path}/prompt cannot be merged into LlamaForCausalLM (ValueError: "
        "PROMPT_TUNING changes no weights); name an adapter of weights (such as LoRA), and set "
        "source to the base model that it was trained on."
    )


def test_without_peft_it_is_reported(folder, adapter, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    assert refused(folder, adapter) == (
        f"merging the adapter in {adapter} needs peft, which is not installed; run `pip install "
        "peft` in this workflow's environment."
    )
