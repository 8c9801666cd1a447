"""Whether a network that was loaded holds the weights of its files, all of them and no others.

transformers fills what it does not find with random numbers and leaves out what it does not know.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

from snakesteer.core.errors import StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FLOATS = ("F64", "F32", "F16", "BF16")
NAMED = 3
LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
SCALES = re.compile(
    r"(scale(_inv)?|scales|qweight|qzeros|g_idx|absmax|quant_map|quant_state.*|SCB|weight_packed|"
    r"weight_shape|zero_point)$"
)
OTHER_HEAD = re.compile(r"(^|\.)(score|classifier|v_head|value_head|reward_head|qa_outputs)\.")


@dataclass(frozen=True)
class Stored:
    """A tensor of a file, and the name that the network has for what it becomes.

    `alone` says whether it is that tensor but for the number format; others are turned, split or
    joined while they are loaded.
    """

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    becomes: str
    alone: bool


def check_weights(
    network: PreTrainedModel,
    files: Sequence[Path],
    told: Mapping[str, Any],
    *,
    folder: str | Path,
    quantised: bool,
) -> None:
    """Refuse (StudyError) a network whose weights are not those of the safetensors `files`.

    `told` is what transformers says of the load (`output_loading_info`, mismatched sizes ignored).
    Absent may be what the architecture ties or computes; left over may be what it declares to be,
    what it computes itself, and the constants that older releases stored. Of every tensor that is
    loaded as it is, the first and the last row are compared with the file. With a quantisation that
    is applied (`quantised`), those that are turned while they are loaded may be stored in a byte.
    """
    stored = [tensor for file in files for tensor in _stored(network, file)]
    missing = sorted(told["missing_keys"])
    left = sorted(set(told["unexpected_keys"]) - _harmless(network, stored))
    reshaped = {
        name: (list(found), list(expected))
        for name, found, expected in sorted(told["mismatched_keys"])
    }
    if missing or left or reshaped:
        faults = [
            *([_listed(missing, "missing")] if missing else []),
            *([_listed(left, "left over")] if left else []),
            *([_reshaped(reshaped)] if reshaped else []),
        ]
        raise StudyError(
            f"the weights in {folder} are not those of {type(network).__name__}: "
            f"{', '.join(faults)}; {_cause(network, stored, missing, left, reshaped)}."
        )
    _compare(network, stored, folder, quantised)


def _stored(network: PreTrainedModel, file: Path) -> list[Stored]:
    """The tensors of a file, in its order, named as transformers does when it loads them."""
    conversions = getattr(network, "_weight_conversions", None) or []
    renamings = [step for step in conversions if isinstance(step, WeightRenaming)]
    converters = [step for step in conversions if isinstance(step, WeightConverter)]
    prefix, state = network.base_model_prefix, network.state_dict()
    found = []
    with safe_open(file, framework="pt") as tensors:
        for name in tensors.keys():
            becomes, pattern = rename_source_key(name, renamings, converters, prefix, state)
            if becomes not in state and name in state:
                becomes, pattern = rename_source_key(name, [], [], prefix, state)
            view = tensors.get_slice(name)
            shape = tuple(view.get_shape())
            found.append(Stored(file, name, shape, view.get_dtype(), becomes, pattern is None))
    return found


def _harmless(network: PreTrainedModel, stored: Sequence[Stored]) -> set[str]:
    """Names of tensors that hold nothing learned: what the network computes itself, and causal
    masks, their fill value and rotary frequencies as older releases stored them."""
    computed = {name for name, _ in network.named_buffers()} - network.state_dict().keys()
    harmless = set()
    for tensor in stored:
        last = tensor.becomes.rpartition(".")[2]
        mask = len(tensor.shape) == 4 and tensor.shape[:2] == (1, 1)
        if (
            tensor.becomes in computed
            or (last in ("bias", "causal_mask") and mask)
            or (last == "masked_bias" and len(tensor.shape) <= 1)
            or (last == "inv_freq" and len(tensor.shape) == 1)
        ):
            harmless.add(tensor.becomes)
    return harmless


def _compare(
    network: PreTrainedModel, stored: Sequence[Stored], folder: str | Path, quantised: bool
) -> None:
    state = network.state_dict()
    runs_quantised = getattr(network, "hf_quantizer", None) is not None
    learned = [tensor for tensor in stored if tensor.becomes in state]
    for tensor in learned:
        loaded = state[tensor.becomes]
        if tensor.dtype in FLOATS or not loaded.is_floating_point():
            continue
        turned = quantised and not tensor.alone
        if not (runs_quantised if loaded.itemsize == 1 else turned):
            raise StudyError(
                f"{tensor.name} in {folder} is stored as {tensor.dtype}, a quantisation that "
                "cannot be undone; name a model whose weights have 16 or 32 bits."
            )
    alone = [tensor for tensor in learned if tensor.alone and tensor.dtype in FLOATS]
    for tensor in alone:
        if not _same(tensor, state[tensor.becomes]):
            raise StudyError(
                f"{tensor.name} was not loaded from {tensor.file} unchanged (the file changed, "
                "or transformers converts this architecture); run again, or name another model."
            )
    print(
        f"All {len(stored):,} tensors of the files were loaded; {len(alone):,} of them, loaded "
        "unchanged, match the files in their first and last rows.",
        file=sys.stderr,
        flush=True,
    )


def _same(tensor: Stored, loaded: torch.Tensor) -> bool:
    """Whether the first and the last row of a loaded tensor are the file's, in its format."""
    if not loaded.numel():
        return True
    with safe_open(tensor.file, framework="pt") as tensors:
        if not tensor.shape:
            pairs = [(tensors.get_tensor(tensor.name), loaded)]
        else:
            view, last = tensors.get_slice(tensor.name), tensor.shape[0] - 1
            pairs = [(view[row : row + 1], loaded[row : row + 1]) for row in {0, last}]
    return all(
        torch.equal(kept.to(found.dtype).nan_to_num(), found.cpu().nan_to_num())
        for kept, found in pairs
    )


def _listed(names: Sequence[str], fault: str) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} {'is' if len(names) == 1 else 'are'} {fault}"


def _reshaped(reshaped: Mapping[str, tuple[list[int], list[int]]]) -> str:
    name, (found, expected) = next(iter(reshaped.items()))
    more = f" ({len(reshaped) - 1} more differ)" if len(reshaped) > 1 else ""
    return f"{name} has shape {found} in the file and {expected} by config.json{more}"


def _cause(
    network: PreTrainedModel,
    stored: Sequence[Stored],
    missing: Sequence[str],
    left: Sequence[str],
    reshaped: Mapping[str, tuple[list[int], list[int]]],
) -> str:
    """What most likely happened, and what to do."""
    if any("lora_" in name for name in left):
        return "an adapter is among them: name its folder as adapter, and its base model as source"
    if any(SCALES.search(name) for name in left):
        return (
            "they belong to a quantisation that config.json does not name: name a model whose "
            "weights have 16 or 32 bits"
        )
    if prefix := _prefix(missing, left):
        return f"the names begin with {prefix} of a wrapper: save the model itself, without it"
    if any(OTHER_HEAD.search(name) for name in left):
        return "this is a model of another class: name the causal language model"
    if reshaped:
        vocabulary = network.config.get_text_config().vocab_size
        shapes = list(reshaped.values())
        if all(to[0] == vocabulary and found[1:] == to[1:] for found, to in shapes):
            return f"set vocab_size to {shapes[0][0][0]} in config.json, or get its files again"
        return "config.json is that of another model: get its files again"
    depth = 1 + max(_layers(network.state_dict()), default=-1)
    stored_depth = 1 + max(_layers(tensor.becomes for tensor in stored), default=-1)
    beyond = min(depth, stored_depth)
    numbers = list(_layers([*missing, *left]))
    if len(numbers) == len(missing) + len(left) and min(numbers) >= beyond:
        return (
            f"config.json names {depth} layers and the files hold {stored_depth}: correct it, or "
            "get them again"
        )
    head = network.get_output_embeddings()
    heads = [f"{path}.weight" for path, module in network.named_modules() if module is head]
    if missing == heads and not left:
        return (
            "config.json does not tie it to the embeddings: save the model with its head, or set "
            "tie_word_embeddings if they are the same"
        )
    return "the files are incomplete, or of another model than config.json: get them again"


def _prefix(missing: Sequence[str], left: Sequence[str]) -> str | None:
    """What stands before the names of missing tensors in those that are left over."""
    for name in left:
        for absent in missing:
            if name.endswith(f".{absent}"):
                return name.removesuffix(absent)
    return None


def _layers(names: Iterable[str]) -> Iterator[int]:
    """The numbers of the decoder blocks that tensors belong to, for those that belong to one."""
    for name in names:
        if match := LAYER.search(name):
            yield int(match[1])
