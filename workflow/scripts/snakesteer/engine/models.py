"""Loading a causal language model and finding its decoder blocks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM
from transformers.quantizers import AutoHfQuantizer
from transformers.utils.logging import disable_progress_bar

from snakesteer.core.dtypes import ITEM_BYTES
from snakesteer.core.errors import StudyError, reason_of
from snakesteer.engine.adapters import merged
from snakesteer.engine.weights import check_weights
from snakesteer.hub.manifest import BESIDE, CONTEXT, identity, is_weights, quantisation, verify
from snakesteer.prompts.tokens import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {name: getattr(torch, name) for name in ITEM_BYTES}

# Where architectures keep the module list of their decoder blocks, seen from the model.
BLOCK_PATHS = (
    "model.layers",
    "model.language_model.layers",
    "transformer.h",
    "gpt_neox.layers",
    "model.decoder.layers",
    "backbone.layers",
)


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model ready to be read and steered.

    `blocks` are the decoder blocks in order: layer L (0-based) is `blocks[L]`, and its activation
    is the block's raw output, [batch, tokens, hidden], before the final norm. `extras` is what a
    block returns behind that output when it returns a tuple (entries set to None); None when it
    returns the bare tensor. `dtype` is that of the states, which in some architectures is wider
    than the weights'. `vocabulary` is the number of logits, `context` the longest input in tokens
    (None if there is no limit). Sequences up to `short_context` must not share a batch with longer
    ones, because the position embedding of all depends on the longest (None if it does not).
    `identity` is that of all its files, see `manifest`. `compiled` holds the blocks' compiled
    forwards, in order; nothing if they are run as they are. See `compilation`.
    """

    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    blocks: Sequence[torch.nn.Module]
    extras: tuple[None, ...] | None
    n_layers: int
    hidden: int
    vocabulary: int
    context: int | None
    short_context: int | None
    dtype: torch.dtype
    device: torch.device
    identity: str
    compiled: tuple[Callable[..., Any], ...] = ()

    def output(self, states: torch.Tensor) -> Any:
        """`states` [batch, tokens, hidden] in the form in which a block returns them."""
        return states if self.extras is None else (states, *self.extras)


def states_of(output: Any) -> torch.Tensor:
    """The states [batch, tokens, hidden] in what a block returned."""
    return output[0] if isinstance(output, (tuple, list)) else output


def load(
    folder: str | Path,
    manifest: Mapping[str, Any],
    *,
    dtype: str = "float32",
    device: str = "auto",
    attention: str = "auto",
    device_map: str | None = None,
    adapter: str | Path | None = None,
) -> LanguageModel:
    """Load the model in `folder`, whose files must be those of its `manifest`.

    `device` "auto" takes a GPU if there is one; a `device_map` ("auto", "balanced", …) spreads the
    layers over all GPUs instead. `attention` is transformers' attention implementation, "auto" the
    one that it takes for this architecture. `adapter` is the folder of the adapter to merge, whose
    files are in the manifest, too. Only the manifest's files are read, and no code found there is
    run. Raises StudyError for files that differ from the manifest, for an unknown dtype, and for a
    model that cannot be loaded with these settings or does not fit into memory. It does so as well
    for weights that differ from the files (see `weights`), hold NaN or infinity, or have an unknown
    quantisation, and if the decoder blocks cannot be found.
    """
    if dtype not in DTYPES:
        raise StudyError(f"dtype {dtype!r} is unknown; name one of {', '.join(DTYPES)}.")
    paths = verify(folder, manifest, adapter)
    quantised = _quantised(folder)
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as seen:
        for name, path in paths.items():
            if not name.startswith(BESIDE):
                (Path(seen) / name).symlink_to(path.absolute())
        network, told = _network(
            Path(seen),
            f"The model in {folder}",
            dtype=DTYPES[dtype],
            attn_implementation=None if attention == "auto" else attention,
            device_map=device_map,
        )
    for name, weights in network.named_parameters():
        if weights.is_meta:
            raise StudyError(
                f"The model in {folder} does not fit into the devices' memory: device_map "
                f"{device_map!r} leaves no room for {name}; use more GPUs or a smaller dtype."
            )
    files = [path for name, path in paths.items() if is_weights(name)]
    check_weights(network, files, told, folder=folder, quantised=quantised)
    if adapter is not None:
        network = merged(network, adapter)
    if device_map is None:
        place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            network = network.to(place)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(f"The model cannot be placed on device {place!r}: {reason}") from error
    for name, weights in network.named_parameters():
        if weights.itemsize > 1 and not torch.isfinite(weights).all():
            raise StudyError(
                f"The weights {name} of {folder} hold NaN or infinity; get the model's files again."
            )
    return wrap(network, load_tokenizer(folder), identity(manifest["files"]))


def _network(folder: Path, model: str, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """The network of a folder, and what transformers tells of its weights.

    Whatever its configuration makes transformers raise is told in one sentence about `model`.
    """
    asked = " and ".join(
        f"{name} {value!r}"
        for name, value in (
            ("attention", settings["attn_implementation"]),
            ("device_map", settings["device_map"]),
        )
        if value is not None
    )
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **settings,
        )
    except torch.OutOfMemoryError:
        raise StudyError(
            f"{model} does not fit into the device's memory; use a smaller dtype or device_map."
        ) from None
    except Exception as error:
        reason = reason_of(error).replace(str(folder), "its folder")
        remedy = "correct config.json, or get the model's files again"
        if isinstance(error, ImportError):
            remedy = "install it, or name another model"
        elif asked:
            remedy = "change these settings, or correct config.json"
        raise StudyError(
            f"{model} cannot be loaded{f' with {asked}' if asked else ''} ({reason}); {remedy}."
        ) from error


def _quantised(folder: str | Path) -> bool:
    """Whether transformers undoes or runs a quantisation; StudyError for one that it would skip."""
    given = quantisation(folder)
    if given is None:
        return False
    try:
        known = AutoHfQuantizer.supports_quant_method(given)
    except ValueError:  # it names no method
        known = False
    if not known:
        method = given.get("quant_method", "no named method")
        raise StudyError(
            f"The model in {folder} is quantised by {method}, which transformers "
            f"{version('transformers')} does not support; name a model whose weights have 16 or "
            "32 bits."
        )
    return True


def wrap(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, identity: str
) -> LanguageModel:
    """A loaded network as a LanguageModel, in evaluation mode."""
    network.eval()
    config = network.config.get_text_config()
    blocks = find_blocks(network)
    output = _block_output(network, blocks, config.hidden_size)
    return LanguageModel(
        network=network,
        tokenizer=tokenizer,
        blocks=blocks,
        extras=(None,) * (len(output) - 1) if isinstance(output, (tuple, list)) else None,
        n_layers=len(blocks),
        hidden=config.hidden_size,
        vocabulary=config.vocab_size,
        context=next(filter(None, (getattr(config, name, None) for name in CONTEXT)), None),
        short_context=_short_context(config),
        dtype=states_of(output).dtype,
        device=next(network.parameters()).device,
        identity=identity,
    )


def device_name(device: torch.device) -> str:
    """Which GPU model it is; "cpu" if it is none."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def find_blocks(network: PreTrainedModel) -> Sequence[torch.nn.Module]:
    """The module list of the decoder blocks: a known place, else the only list of that length.

    Raises StudyError listing the candidates when the place is not known and not unambiguous.
    """
    depth = network.config.get_text_config().num_hidden_layers
    lists = {
        path: module
        for path, module in network.named_modules()
        if isinstance(module, torch.nn.ModuleList)
    }
    fitting = [path for path, module in lists.items() if len(module) == depth]
    known = [path for path in BLOCK_PATHS if path in fitting]
    chosen = known or fitting
    if len(chosen) != 1:
        candidates = ", ".join(f"{path} ({len(module)})" for path, module in lists.items())
        raise StudyError(
            f"The {depth} decoder blocks of {type(network).__name__} could not be found; add the "
            f"right module list to BLOCK_PATHS: {candidates or 'there are none'}."
        )
    return attrgetter(chosen[0])(network)


@torch.inference_mode()
def _block_output(network: PreTrainedModel, blocks: Sequence[torch.nn.Module], hidden: int) -> Any:
    """What the last block returns for one sequence of two tokens."""
    outputs: list[Any] = []
    handle = blocks[-1].register_forward_hook(lambda _module, _args, output: outputs.append(output))
    try:
        ids = torch.zeros((1, 2), dtype=torch.long, device=next(network.parameters()).device)
        network.base_model(input_ids=ids, use_cache=False)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise StudyError(
            f"{type(network).__name__} cannot be run ({reason_of(error)}); correct config.json, or "
            "get the model's files again."
        ) from error
    finally:
        handle.remove()
    if len(outputs) != 1 or states_of(outputs[0]).shape != (1, 2, hidden):
        raise StudyError(
            f"The blocks of {type(network).__name__} do not return states of shape [batch, "
            f"tokens, {hidden}]; use a model of plain decoder blocks."
        )
    return outputs[0]


def _short_context(config: Any) -> int | None:
    """Where a long-context rotary embedding ("longrope") changes its frequencies."""
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        rope.get("original_max_position_embeddings")
        if rope.get("rope_type") == "longrope"
        else None
    )
