"""A model's weights are those of its files, or its job ends in one sentence and caches nothing."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import tiny
import torch
from conftest import REPOSITORY
from safetensors.torch import load_file, save_file
from transformers import LlamaForSequenceClassification

from snakesteer.core.errors import StudyError
from snakesteer.engine import models
from snakesteer.engine.batches import batches_of
from snakesteer.engine.both_answers import shares_prompts
from snakesteer.hub.manifest import content, context, manifest
from snakesteer.storage.files import write_json, write_table

IDS = torch.tensor([[0, 5, 9, 20, 31, 40, 2]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.folder(tmp_path / "model")


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """The weights of a folder after `change`, which returns new ones or changes them in place."""
    weights = load_file(folder / "model.safetensors")
    changed = change(weights)
    kept = changed if isinstance(changed, dict) else weights
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def configure(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def prefixed(prefix: str) -> Callable[[Path], None]:
    return lambda folder: rewrite(
        folder, lambda weights: {prefix + name: of for name, of in weights.items()}
    )


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, lambda weights: weights.pop(name))


def reward(folder: Path) -> None:
    config = tiny.network().config
    config.num_labels = 1
    LlamaForSequenceClassification(config).save_pretrained(folder)


def scaled(folder: Path, scales: bool = True) -> None:
    """The projections in 8 bits, with the scales that fine-grained FP8 stores."""

    def quantise(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.endswith("proj.weight")]:
            scale = weights[name].abs().max() / 448
            weights[name] = (weights[name] / scale).to(torch.float8_e4m3fn)
            if scales:
                weights[f"{name}_scale_inv"] = scale.reshape(1, 1)

    rewrite(folder, quantise)


def sharded(folder: Path) -> list[Path]:
    """The model in parts with an index, and nothing else."""
    (folder / "model.safetensors").unlink()
    tiny.network().save_pretrained(folder, max_shard_size="20KB")
    return sorted(folder.glob("model-*.safetensors"))


def lacking(folder: Path) -> None:
    """Parts, of which one has lost a tensor that the index has lost, too."""
    part = sharded(folder)[-1]
    weights = load_file(part)
    name = next(name for name in weights if name.endswith("up_proj.weight"))
    weights.pop(name)
    save_file(weights, part, metadata={"format": "pt"})
    index = folder / "model.safetensors.index.json"
    listed = json.loads(index.read_text())
    listed["weight_map"].pop(name)
    index.write_text(json.dumps(listed))


ALL = "lm_head.weight, model.embed_tokens.weight, model.layers.0.input_layernorm.weight and 36 more"
FOREIGN = "the weights in {folder} are not those of LlamaForCausalLM: "
GET = "the files are incomplete, or of another model than config.json: get them again."


def wrapped(prefix: str) -> str:
    left = ", ".join(prefix + name for name in ALL.split(", "))
    return (
        f"{FOREIGN}{ALL} are missing, {left} are left over; the names begin with {prefix} of a "
        "wrapper: save the model itself, without it."
    )


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no head": (
        without("lm_head.weight"),
        FOREIGN + "lm_head.weight is missing; config.json does not tie it to the embeddings: save "
        "the model with its head, or set tie_word_embeddings if they are the same.",
    ),
    "a base model": (
        lambda folder: tiny.network().model.save_pretrained(folder),
        FOREIGN + "lm_head.weight is missing; config.json does not tie it to the embeddings: save "
        "the model with its head, or set tie_word_embeddings if they are the same.",
    ),
    "compiled": (prefixed("_orig_mod."), wrapped("_orig_mod.")),
    "in parallel": (prefixed("module."), wrapped("module.")),
    "of peft": (prefixed("base_model.model."), wrapped("base_model.model.")),
    "a reward model": (
        reward,
        FOREIGN
        + "lm_head.weight is missing, score.weight is left over; this is a model of another "
        "class: name the causal language model.",
    ),
    "one tensor missing": (
        without("model.layers.1.mlp.up_proj.weight"),
        FOREIGN + f"model.layers.1.mlp.up_proj.weight is missing; {GET}",
    ),
    "one tensor missing in parts": (
        lacking,
        FOREIGN + f"model.layers.3.mlp.up_proj.weight is missing; {GET}",
    ),
    "one tensor left over": (
        lambda folder: rewrite(folder, lambda weights: weights.update(other=torch.ones(2))),
        FOREIGN + f"other is left over; {GET}",
    ),
    "more layers": (
        lambda folder: configure(folder, num_hidden_layers=5, layer_types=None),
        FOREIGN + "model.layers.4.input_layernorm.weight, model.layers.4.mlp.down_proj.weight, "
        "model.layers.4.mlp.gate_proj.weight and 6 more are missing; config.json names 5 layers "
        "and the files hold 4: correct it, or get them again.",
    ),
    "fewer layers": (
        lambda folder: configure(folder, num_hidden_layers=3, layer_types=None),
        FOREIGN + "model.layers.3.input_layernorm.weight, model.layers.3.mlp.down_proj.weight, "
        "model.layers.3.mlp.gate_proj.weight and 6 more are left over; config.json names 3 layers "
        "and the files hold 4: correct it, or get them again.",
    ),
    "a smaller vocabulary": (
        lambda folder: configure(folder, vocab_size=318),
        FOREIGN + "lm_head.weight has shape [320, 32] in the file and [318, 32] by config.json (1 "
        "more differ); set vocab_size to 320 in config.json, or get its files again.",
    ),
    "another width": (
        lambda folder: configure(folder, intermediate_size=40),
        FOREIGN + "model.layers.0.mlp.down_proj.weight has shape [32, 48] in the file and [32, 40] "
        "by config.json (11 more differ); config.json is that of another model: get its files "
        "again.",
    ),
    "scales of a quantisation": (
        scaled,
        FOREIGN + "model.layers.0.mlp.down_proj.weight_scale_inv, "
        "model.layers.0.mlp.gate_proj.weight_scale_inv, "
        "model.layers.0.mlp.up_proj.weight_scale_inv and 25 more are left over; they belong to a "
        "quantisation that config.json does not name: name a model whose weights have 16 or 32 "
        "bits.",
    ),
    "a quantisation without scales": (
        lambda folder: scaled(folder, scales=False),
        "model.layers.0.mlp.down_proj.weight in {folder} is stored as F8_E4M3, a quantisation "
        "that cannot be undone; name a model whose weights have 16 or 32 bits.",
    ),
    "an unknown quantisation": (
        lambda folder: configure(folder, quantization_config={"quant_method": "nonesuch"}),
        "The model in {folder} is quantised by nonesuch, which transformers {version} does "
        "not support; name a model whose weights have 16 or 32 bits.",
    ),
    "a quantisation without a name": (
        lambda folder: configure(folder, quantization_config={"bits": 4}),
        "The model in {folder} is quantised by no named method, which transformers "
        "{version} does not support; name a model whose weights have 16 or 32 bits.",
    ),
    "an adapter's tensors": (
        lambda folder: rewrite(
            folder, lambda weights: weights.update({"model.x.lora_A.weight": torch.ones(2)})
        ),
        FOREIGN + "model.x.lora_A.weight is left over; an adapter is among them: name its folder "
        "as adapter, and its base model as source.",
    ),
}


def extraction(folder: Path, results: Path) -> tuple[int, str]:
    """The exit status of an extraction job on the model in `folder`, and what its log ends with."""
    made = {"model": results / "cache" / "models" / "m.0.json", "log": results / "log.txt"}
    documents = results / "cache" / "documents" / "d.parquet"
    for path in (*made.values(), documents):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(made["model"], manifest(folder))
    rows = [{"document": name, "text": text} for name, text in tiny.documents()]
    write_table(documents, pa.Table.from_pylist(rows), {})
    settings = {
        "documents": 4,
        "max_tokens": 64,
        "batch_tokens": 256,
        "dtype": "float32",
        "attention": "auto",
        "device_map": None,
        "bos": "tokenizer",
        "special_tokens": "token",
    }

    class Input(dict):
        model = (str(made["model"]),)
        documents = (str(results / "cache" / "documents" / "d.parquet"),)

    class Wildcards(dict):
        name = "a"

    snakemake = SimpleNamespace(
        scriptdir=REPOSITORY / "workflow" / "scripts",
        rule="activations",
        wildcards=Wildcards(key="0"),
        input=Input(model=Input.model, documents=Input.documents),
        output=[str(results / "cache" / "activations" / "a.0.safetensors")],
        log=[str(made["log"])],
        params=SimpleNamespace(settings=settings, code="0"),
        threads=1,
    )
    child = os.fork()
    if child == 0:
        status = 70
        try:
            script = REPOSITORY / "workflow" / "scripts" / "activations.py"
            runpy.run_path(str(script), init_globals={"snakemake": snakemake})
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 71
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, made["log"].read_text().splitlines()[-1]


def cached(results: Path) -> set[str]:
    return {path.parent.name for path in (results / "cache").rglob("*") if path.is_file()}


@pytest.mark.parametrize("what", FAULTS)
def test_foreign_weights_are_one_sentence_and_nothing_is_cached(folder, tmp_path, what):
    spoil, sentence = FAULTS[what]
    spoil(folder)
    told = sentence.format(folder=folder, version=version("transformers"))
    status, last = extraction(folder, tmp_path / "results")
    assert (status, last) == (1, f"Error: activations.a: {told}")
    assert cached(tmp_path / "results") == {"models", "documents"}


def test_the_files_own_weights_are_extracted(folder, tmp_path):
    status, last = extraction(folder, tmp_path / "results")
    assert status == 0, last
    assert "activations" in cached(tmp_path / "results")
    log = (tmp_path / "results" / "log.txt").read_text()
    assert "All 39 tensors of the files were loaded; 39 " in log


@pytest.mark.parametrize("architecture", tiny.SHAPES)
def test_every_architecture_is_loaded_as_it_was_saved(architecture, tmp_path):
    network = tiny.network(architecture)
    folder = tiny.folder(tmp_path, network)
    model = models.load(folder, manifest(folder), device="cpu")
    assert context(folder) == model.context
    state = model.network.state_dict()
    assert all(torch.equal(of, state[name]) for name, of in network.state_dict().items())


LEFTOVERS = {
    "llama": {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)},
    "gpt2": {
        "transformer.h.0.attn.bias": torch.ones(1, 1, 128, 128, dtype=torch.bool),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e4),
    },
    "gptj": {"transformer.h.0.attn.bias": torch.ones(1, 1, 128, 128, dtype=torch.bool)},
    "gpt_neo": {
        "transformer.h.0.attn.attention.bias": torch.ones(1, 1, 128, 128, dtype=torch.uint8),
        "transformer.h.0.attn.attention.masked_bias": torch.tensor([-1e9]),
    },
    "codegen": {"transformer.h.0.attn.causal_mask": torch.ones(1, 1, 128, 128, dtype=torch.bool)},
    "gpt_neox": {
        "gpt_neox.layers.0.attention.bias": torch.ones(1, 1, 128, 128, dtype=torch.bool),
        "gpt_neox.layers.0.attention.masked_bias": torch.tensor(-1e9),
        "gpt_neox.layers.0.attention.rotary_emb.inv_freq": torch.ones(4),
    },
    "xglm": {"model.embed_positions.weights": torch.ones(130, 32)},
    "qwen3_next": {"mtp.fc.weight": torch.ones(2, 2)},
    "deepseek_v3": {"model.layers.61.embed_tokens.weight": torch.ones(2, 2)},
}


@pytest.mark.parametrize("architecture", LEFTOVERS)
def test_other_tensors_of_older_files_are_accepted(architecture, tmp_path):
    folder = tiny.folder(tmp_path, tiny.network(architecture))
    rewrite(folder, lambda weights: weights.update(LEFTOVERS[architecture]))
    models.load(folder, manifest(folder), device="cpu")


def test_a_tied_head_may_be_absent_and_a_base_models_names_be_short(tmp_path):
    network = tiny.network("gpt2")
    folder = tiny.folder(tmp_path, network)
    rewrite(
        folder,
        lambda weights: {name.removeprefix("transformer."): of for name, of in weights.items()},
    )
    loaded = models.load(folder, manifest(folder), device="cpu").network
    with torch.inference_mode():
        assert torch.equal(loaded(IDS).logits, network(IDS).logits)


def test_a_quantisation_that_is_applied_is_taken(folder):
    scaled(folder)
    fp8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    configure(folder, quantization_config=fp8)
    loaded = models.load(folder, manifest(folder), device="cpu").network
    with torch.inference_mode():
        assert (loaded(IDS).logits - tiny.network()(IDS).logits).abs().max() < 0.2
    rewrite(folder, lambda weights: weights.pop("model.layers.0.mlp.up_proj.weight_scale_inv"))
    with pytest.raises(StudyError) as error:
        models.load(folder, manifest(folder), device="cpu")
    assert str(error.value) == (
        f"model.layers.0.mlp.up_proj.weight in {folder} is stored as F8_E4M3, a quantisation "
        "that cannot be undone; name a model whose weights have 16 or 32 bits."
    )


def test_weights_that_another_reader_gives_are_refused(folder, monkeypatch):
    """As if transformers had filled in a tensor and not told."""
    right = models._network

    def wrong(*given: Any, **settings: Any) -> Any:
        network, told = right(*given, **settings)
        network.model.layers[2].mlp.up_proj.weight.data[-1] += 1
        return network, told

    monkeypatch.setattr(models, "_network", wrong)
    told = (
        "^model\\.layers\\.2\\.mlp\\.up_proj\\.weight was not loaded from "
        f"{folder}/model\\.safetensors unchanged \\(the file changed, or transformers converts "
        "this architecture\\); run again, or name another model\\.$"
    )
    with pytest.raises(StudyError, match=told):
        models.load(folder, manifest(folder), device="cpu")


# Which file is read ---------------------------------------------------------------------------


def refused(folder: Path) -> str:
    """What planning and the manifest say of a folder."""
    said = set()
    for read in (content, manifest):
        with pytest.raises(StudyError) as error:
            read(folder)
        said.add(str(error.value))
    assert len(said) == 1
    return said.pop()


def test_one_file_beside_parts_is_refused(folder):
    tiny.network(seed=7).save_pretrained(folder, max_shard_size="20KB")
    parts = len(list(folder.glob("model-*")))
    assert refused(folder) == (
        f"{folder} holds model.safetensors and model.safetensors.index.json with "
        f"model-00001-of-{parts:05}.safetensors and {parts - 1} more, which could be different "
        "weights; remove model.safetensors, or model.safetensors.index.json and its parts (on "
        "the hub: name another revision)."
    )
    (folder / "model.safetensors").unlink()
    loaded = models.load(folder, manifest(folder), device="cpu").network
    expected = tiny.network(seed=7).state_dict()
    assert all(torch.equal(of, expected[name]) for name, of in loaded.state_dict().items())


def test_a_tensor_in_two_parts_is_refused(folder):
    first, *_, last = sharded(folder)
    name, weights = next(iter(load_file(first).items()))
    save_file(load_file(last) | {name: weights + 1}, last, metadata={"format": "pt"})
    assert refused(folder) == (
        f"{name} is in both {first.name} and {last.name} of {folder}, and the two could differ; "
        "get the model's files again."
    )


@pytest.mark.parametrize(
    "index", ["[]", '{"weight_map": {"a": 3}}', '{"weight_map": {"a": "../b"}}']
)
def test_a_damaged_index_is_reported(folder, index):
    (folder / "model.safetensors.index.json").write_text(index)
    assert refused(folder).startswith(f"{folder}/model.safetensors.index.json is damaged; restore ")


EXPERTS = "model.layers.0.mlp.experts."


def test_an_expert_that_lacks_a_tensor_is_reported(tmp_path):
    folder = tiny.folder(tmp_path, tiny.network("qwen3_moe"))
    name = f"{EXPERTS}1.up_proj.weight"
    rewrite(folder, lambda weights: {key: of for key, of in weights.items() if key != name})
    assert refused(folder) == (
        f"{name} is missing from the weights in {folder}, which hold 4 experts there; get the "
        "model's files again."
    )


def test_experts_are_numbered_without_a_gap(tmp_path):
    folder = tiny.folder(tmp_path, tiny.network("qwen3_moe"))
    one, six = f"{EXPERTS}1.", f"{EXPERTS}6."
    rewrite(folder, lambda weights: {key.replace(one, six): of for key, of in weights.items()})
    said = refused(folder)
    assert said.startswith(one)
    assert said.endswith("which hold 7 experts there; get the model's files again.")


def test_only_the_manifests_files_are_read(folder):
    """Not those that its configuration names instead."""
    tiny.network(seed=7).save_pretrained(folder / "other")
    (folder / "other" / "model.safetensors").rename(folder / "other.safetensors")
    configure(folder, transformers_weights="other.safetensors")
    with pytest.raises(StudyError, match="cannot be loaded"):
        models.load(folder, manifest(folder), device="cpu")


# Odd configurations ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value",
    [
        ("num_hidden_layers", "4"),
        ("num_hidden_layers", -1),
        ("hidden_size", 32.0),
        ("hidden_size", True),
        ("vocab_size", "many"),
        ("vocab_size", 0),
        ("max_position_embeddings", -1),
        ("max_position_embeddings", [128]),
    ],
)
def test_odd_sizes_are_reported_before_any_job(folder, name, value):
    configure(folder, **{name: value})
    read = context if name == "max_position_embeddings" else manifest
    with pytest.raises(StudyError) as error:
        read(folder)
    assert str(error.value) == (
        f"{name} in {folder}/config.json is {json.dumps(value)}, not a whole number above 0; "
        "correct it, or get the model's files again."
    )


@pytest.mark.parametrize(
    "name, value",
    [
        ("num_attention_heads", 0),
        ("num_attention_heads", "four"),
        ("num_attention_heads", None),
        ("num_key_value_heads", 3),
        ("rms_norm_eps", "small"),
        ("hidden_act", "nonesuch"),
        ("rope_parameters", {"rope_type": "nonesuch"}),
        ("model_type", "nonesuch"),
        ("layer_types", ["full_attention"]),
        ("quantization_config", "fp8"),
        ("quantization_config", {"bits": 4}),
    ],
)
def test_odd_values_are_one_sentence(folder, name, value):
    configure(folder, **{name: value})
    with pytest.raises(StudyError) as error:
        models.load(folder, manifest(folder), device="cpu")
    said = str(error.value)
    assert said.endswith(".") and "\n" not in said


@pytest.mark.parametrize(
    "name",
    ["max_position_embeddings", "n_positions", "max_seq_len", "context_length", "n_ctx"],
)
def test_the_longest_input_by_any_name(folder, name):
    configure(folder, **{"max_position_embeddings": None, name: 77})
    assert context(folder) == 77


# Tokens that the model does not know -----------------------------------------------------------


def test_a_token_beyond_the_embedding_is_reported(tmp_path):
    tokenizer = tiny.tokenizer()
    tokenizer.add_tokens(["<|user|>"])
    known = len(tokenizer) - 1
    network = tiny.network(vocab_size=known)
    model = models.wrap(network, tokenizer, "none")
    batches_of(model, [[0, known - 1]], 64)
    told = (
        f"the tokenizer gives '<|user|>' the id {known}, but the model has embeddings only for "
        f"ids up to {known - 1}; use the model's own tokenizer, or resize its embeddings."
    )
    for act in (
        lambda: batches_of(model, [[0, 5], [0, *tokenizer("<|user|>")["input_ids"]]], 64),
        lambda: shares_prompts(model, [[0, 5]], torch.tensor([[7, known]])),
    ):
        with pytest.raises(StudyError) as error:
            act()
        assert str(error.value) == told
