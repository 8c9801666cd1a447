"""Which files a model consists of, whether they are whole, and what identifies its weights.

Needs neither torch nor transformers, so that a damaged model is told before any job starts.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snakesteer.core.errors import StudyError

INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
BESIDE = "adapter/"  # before the names of an adapter's files in a manifest
SUMS = "SHA256SUMS"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
CHAT_TEMPLATE = "chat_template.jinja"
POINTER = b"version https://git-lfs"
HASHED_BYTES = 64 * 2**20
EXPERT = re.compile(r"(.*\.experts\.)(\d+)\.(.+)")
HASH = re.compile(r"[0-9a-f]{64}")

# How configurations of the hub name their depth, their longest input and their width.
DEPTH = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "model_max_length",
    "context_length",
    "n_ctx",
)
WIDTH = ("hidden_size", "n_embd", "d_model", "dim")


def manifest(
    folder: str | Path,
    source: str | None = None,
    revision: str | None = None,
    adapter: str | Path | None = None,
) -> dict[str, Any]:
    """What identifies the model in `folder`, as plain JSON.

    Returns `source`, `revision`, `files` ({name: sha256}), `large` (what `verify` knows the files
    above 64 MB by: {name: size and modification time, from before the hash; in the hub's cache,
    where a file has the name of its content, size and that name}), `fingerprint`
    (sha256 over the weight files' names and hashes), `n_layers` and `hidden`. The files of the
    folder `adapter`, which is merged into the model, are named `adapter/…`. Raises StudyError
    when the folder or a file is absent, is a Git LFS pointer, is cut short, or differs from the
    folder's SHA256SUMS; when it is unclear which weights are meant; and when the folder holds an
    adapter that is not asked for.
    """
    folder = Path(folder)
    paths = _checked(folder, adapter)
    large = {name: _size_and_time(path) for name, path in paths.items() if _is_large(path)}
    files = {name: sha256(path) for name, path in paths.items()}
    _compare(paths, files, _sums(folder), SUMS)
    n_layers, hidden = layers_and_width(folder)
    return {
        "source": str(folder) if source is None else source,
        "revision": revision,
        "files": files,
        "large": large,
        "fingerprint": fingerprint(files),
        "n_layers": n_layers,
        "hidden": hidden,
    }


def at_home(path: str) -> str:
    """A path of a study with the home folder in place of a `~` at its beginning."""
    return os.path.expanduser(path)  # noqa: PTH111, a home that is not known leaves it as it is


def locate(source: str, repository: str | Path) -> Path:
    """The folder of a model: absolute, in the working directory, or in the repository."""
    folder = Path(at_home(source))
    return folder if folder.is_absolute() or folder.is_dir() else Path(repository) / folder


def absent_folder(source: str, repository: str | Path) -> str:
    """What to say of a folder that `locate` does not find: the one that was probably meant."""
    nearest = _nearest_folder(source, repository)
    return f"there is no folder {source}; " + (
        f"did you mean {nearest}?" if nearest else "check the path."
    )


def _nearest_folder(source: str, repository: str | Path) -> str | None:
    """The folder whose path is written almost as `source`."""
    named = Path(at_home(source))
    for base in (Path(), Path(repository)):
        given = base / named
        above = next(folder for folder in given.parents if folder.is_dir())
        first, *rest = given.relative_to(above).parts
        names = [path.name for path in above.iterdir() if path.is_dir()]
        for name in difflib.get_close_matches(first, names):
            if (found := above.joinpath(name, *rest)).is_dir():
                return str(found if named.is_absolute() else found.relative_to(base))
    return None


def locate_file(file: str, repository: str | Path) -> Path:
    """A file on this machine: absolute, in the working directory, or in the repository.

    Raises StudyError if it is in neither.
    """
    name = at_home(file)
    for path in (Path(name), Path(repository) / name):
        if path.is_file():
            return path
    raise StudyError(f"there is no file {file}; check the path.")


def file_identity(path: Path) -> str:
    """What a file is known by in keys: its sha256, or size and modification time above 64 MB."""
    return _size_and_time(path) if _is_large(path) else sha256(path)


def content(folder: str | Path, adapter: str | Path | None = None) -> dict[str, str]:
    """Name and identity of every file that determines what the model computes, for keys.

    The identity is the sha256, or size and modification time for a file above 64 MB. The model
    card and other papers in the folder are left out. Raises StudyError as `manifest` does, except
    that it does not compare large files with SHA256SUMS.
    """
    paths = _checked(Path(folder), adapter)
    identities = {name: file_identity(path) for name, path in paths.items()}
    hashed = {name: value for name, value in identities.items() if ":" not in value}
    _compare(paths, hashed, _sums(Path(folder)), SUMS)
    return identities


def adapter_content(folder: str | Path) -> dict[str, str]:
    """Name and identity of an adapter's files, for keys; raises StudyError as `manifest` does."""
    return {name: file_identity(path) for name, path in adapter_files(folder).items()}


def verify(
    folder: str | Path, recorded: Mapping[str, Any], adapter: str | Path | None = None
) -> dict[str, Path]:
    """Refuse (StudyError) files that are not those of the manifest `recorded`; their paths by name.

    A large file whose size and modification time are those of the manifest is not read again.
    """
    paths = _checked(Path(folder), adapter)
    files = {
        name: sha256(path)
        for name, path in paths.items()
        if recorded["large"].get(name) != _size_and_time(path)
    }
    _compare(paths, files, recorded["files"], "the model's manifest")
    return paths


def is_weights(name: str) -> bool:
    """Whether a file of a manifest holds weights of the model itself."""
    return name.endswith(".safetensors") and not name.startswith(BESIDE)


def blob_id(content: bytes) -> str:
    """Git's id of a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def fingerprint(files: Mapping[str, str]) -> str:
    """sha256 over names and hashes of the weight files and of an adapter's among `files`."""
    return identity(
        {name: of for name, of in files.items() if is_weights(name) or name.startswith(BESIDE)}
    )


def identity(files: Mapping[str, str]) -> str:
    """sha256 over names and hashes of files: of all a model's, what tells it from any other.

    The same weights with another configuration or tokenizer are another model here.
    """
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def context(folder: str | Path) -> int | None:
    """How many tokens the model reads at most, if its configuration says so."""
    return _count(folder, CONTEXT)


def _configuration(folder: str | Path) -> dict[str, Any]:
    """The configuration of the part that reads text."""
    config = _json(Path(folder))
    text = config.get("text_config", config)
    return text if isinstance(text, dict) else config


def _json(folder: Path) -> dict[str, Any]:
    path = _existing(folder) / CONFIG
    if not path.is_file():
        alone = (folder / ADAPTER).is_file()
        raise StudyError(_adapter_not_asked_for(folder) if alone else _absent(folder, CONFIG))
    return _object(path)


def _object(path: Path) -> dict[str, Any]:
    """What a configuration file says."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StudyError(f"{path} is not valid JSON ({error}); {_remedy(path.parent)}") from error
    if not isinstance(config, dict):
        raise StudyError(f"{path} is not a model's configuration; {_remedy(path.parent)}")
    return config


def quantisation(folder: str | Path) -> dict[str, Any] | None:
    """How the configuration says that the weights are quantised; None if it does not.

    Raises StudyError if it says so in an unknown form.
    """
    config = _json(Path(folder))
    text = config.get("text_config")
    for part in (config, text if isinstance(text, dict) else {}):
        if given := part.get("quantization_config"):
            if not isinstance(given, dict):
                raise StudyError(
                    f"quantization_config in {Path(folder) / CONFIG} is {json.dumps(given)}, not "
                    "an object; get the model's files again."
                )
            return given
    return None


def layers_and_width(folder: str | Path) -> tuple[int, int]:
    """Number of decoder blocks and hidden size, from the model's configuration."""
    path = Path(folder) / CONFIG
    depth, width = _count(folder, DEPTH), _count(folder, WIDTH)
    _count(folder, ("vocab_size",))
    if depth is None or width is None:
        raise StudyError(
            f"{path} gives no depth ({', '.join(DEPTH)}) or no width ({', '.join(WIDTH)}); name "
            "a model of decoder blocks."
        )
    return depth, width


def compare_depth(model: str, made: Mapping[str, Any], layers: int) -> None:
    """Refuse (StudyError) a `model` whose manifest has another number of layers than a study."""
    if made["n_layers"] != layers:
        raise StudyError(
            f"{model} has {made['n_layers']} layers, but the study gives {layers}; set layers to "
            f"{made['n_layers']}."
        )


def _count(folder: str | Path, names: Iterable[str]) -> int | None:
    """The first of the settings `names` that the model's configuration has; None if it has none.

    Raises StudyError if it is no whole number above 0.
    """
    config = _configuration(folder)
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        if type(value) is not int or value < 1:
            raise StudyError(
                f"{name} in {Path(folder) / CONFIG} is {json.dumps(value)}, not a whole number "
                "above 0; correct it, or get the model's files again."
            )
        return value
    return None


def adapter_files(folder: str | Path) -> dict[str, Path]:
    """The two files of an adapter, by their names in a manifest, each present and whole."""
    folder = Path(folder)
    for name in (ADAPTER, ADAPTER_WEIGHTS):
        if not (folder / name).is_file():
            raise StudyError(
                f"{folder / name} is missing; name a folder in which `peft` saved an adapter as "
                "safetensors."
            )
    _whole(folder / ADAPTER)
    _tensors(folder / ADAPTER_WEIGHTS)
    return {f"{BESIDE}{name}": folder / name for name in (ADAPTER, ADAPTER_WEIGHTS)}


def _checked(folder: Path, adapter: str | Path | None) -> dict[str, Path]:
    """Configurations, weights and tokenizer files, by name, each present and whole."""
    _existing(folder)
    if adapter is None and (folder / ADAPTER).is_file():
        raise StudyError(_adapter_not_asked_for(folder))
    names = [CONFIG, *_weights(folder)]
    tokenizer = [name for name in TOKENIZER if (folder / name).is_file()]
    if not tokenizer:
        raise StudyError(_absent(folder, TOKENIZER[0]))
    names += [name for name in (INDEX, GENERATION, CHAT_TEMPLATE) if (folder / name).is_file()]
    summed = _sums(folder).keys() & {CONFIG, INDEX, GENERATION, CHAT_TEMPLATE, *TOKENIZER}
    names = sorted({*names, *tokenizer, *summed})
    for name in names:
        if not (folder / name).is_file():
            raise StudyError(_absent(folder, name))
        _whole(folder / name)
    if GENERATION in names:
        _object(folder / GENERATION)  # transformers passes over one that it cannot read
    files: dict[str, str] = {}
    for name in filter(is_weights, names):
        for tensor in _tensors(folder / name):
            if tensor in files:
                raise StudyError(
                    f"{tensor} is in both {files[tensor]} and {name} of {folder}, and the two "
                    "could differ; get the model's files again."
                )
            files[tensor] = name
    _refuse_gaps(folder, files)
    paths = {name: folder / name for name in names}
    return paths if adapter is None else paths | adapter_files(adapter)


def _refuse_gaps(folder: Path, tensors: Iterable[str]) -> None:
    """Refuse (StudyError) experts of which one lacks a tensor: transformers joins them in order, so
    that those behind a gap would take the place of others."""
    numbers: dict[str, dict[str, set[int]]] = {}
    for tensor in tensors:
        if match := EXPERT.fullmatch(tensor):
            numbers.setdefault(match[1], {}).setdefault(match[3], set()).add(int(match[2]))
    for experts, parts in numbers.items():
        count = 1 + max(map(max, parts.values()))
        for part, found in parts.items():
            if absent := set(range(count)) - found:
                raise StudyError(
                    f"{experts}{min(absent)}.{part} is missing from the weights in {folder}, which "
                    f"hold {count} experts there; get the model's files again."
                )


def _weights(folder: Path) -> list[str]:
    """Names of the weight files: those of the index, or the one file of a small model.

    Raises StudyError for an index beside `model.safetensors` that names other files.
    """
    index = folder / INDEX
    if not index.is_file():
        return [WEIGHTS]
    _whole(index)
    try:
        named = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        names = [name for name in named if name == Path(name).name]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{index} is damaged; {_remedy(folder)}") from error
    if not names or names != named:
        raise StudyError(f"{index} is damaged; {_remedy(folder)}")
    if (folder / WEIGHTS).is_file() and names != [WEIGHTS]:
        raise StudyError(
            f"{folder} holds {WEIGHTS} and {INDEX} with "
            f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}, which could "
            f"be different weights; remove {WEIGHTS}, or {INDEX} and its parts (on the hub: name "
            "another revision)."
        )
    return names


def _whole(path: Path) -> None:
    """Refuse a Git LFS pointer."""
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise StudyError(
                f"{path} is a Git LFS pointer, not the file itself; "
                "run `git lfs install` and `git lfs pull` in the repository."
            )


def _tensors(path: Path) -> list[str]:
    """Names of the tensors in a safetensors file.

    Raises StudyError for a Git LFS pointer, and a file shorter or longer than its header says.
    """
    _whole(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        if size >= 8 + header:
            try:
                tensors = json.loads(file.read(header))
                tensors.pop("__metadata__", None)
                ends = [tensor["data_offsets"][1] for tensor in tensors.values()]
                if size == 8 + header + max(ends, default=0):
                    return list(tensors)
            except (ValueError, KeyError, TypeError, AttributeError):
                pass
    raise StudyError(f"{path} ({size:,} bytes) is damaged or truncated; {_remedy(path.parent)}")


def _adapter_not_asked_for(folder: Path) -> str:
    if (folder / WEIGHTS).is_file() or (folder / INDEX).is_file():
        return (
            f"{folder} holds an adapter ({ADAPTER}) next to the model; set `adapter` to its "
            "folder to merge it, or move it elsewhere."
        )
    return (
        f"{folder} holds only an adapter ({ADAPTER}); set `adapter` to it, and `source` to its "
        "base model."
    )


def _sums(folder: Path) -> dict[str, str]:
    """{name: sha256} of the folder's SHA256SUMS; empty when there is none."""
    path = folder / SUMS
    if not path.is_file():
        return {}
    pairs = [line.split(None, 1) for line in path.read_text(encoding="utf-8").splitlines()]
    if any(len(pair) != 2 for pair in pairs):
        raise StudyError(f"{path} is damaged or truncated; {_remedy(folder)}")
    return {name.lstrip("*"): digest for digest, name in pairs}


def _compare(
    paths: Mapping[str, Path], files: Mapping[str, str], expected: Mapping[str, str], where: str
) -> None:
    for name, digest in files.items():
        if expected.get(name, digest) != digest:
            raise StudyError(
                f"{paths[name]} is not the file that {where} names (its sha256 is "
                f"{digest[:12]}…, not {expected[name][:12]}…); {_remedy(paths[name].parent)}"
            )


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise StudyError(f"The model folder {folder} does not exist; {_remedy(folder)}")
    return folder


def _absent(folder: Path, name: str) -> str:
    return f"{folder / name} is missing; {_remedy(folder)}"


def _remedy(folder: Path) -> str:
    return (
        f"restore it with `git checkout -- {folder}` if it belongs to a repository, or fetch the "
        "model again (safetensors weights, configuration and tokenizer)."
    )


def _is_large(path: Path) -> bool:
    return path.stat().st_size > HASHED_BYTES


def _size_and_time(path: Path) -> str:
    status = path.stat()
    kept = kept_as(path)
    return f"{status.st_size}:{kept if HASH.fullmatch(kept) else status.st_mtime_ns}"


def kept_as(path: Path) -> str:
    """The name that the hub's cache keeps a file under, which is the id of its content; "" for what
    is no link.

    That file may be a link itself, into a store that repositories share, where names mean something
    else: Xet's hashes, which look the same.
    """
    return path.readlink().name if path.is_symlink() else ""


def sha256(path: Path) -> str:
    """The hash of a file's content, taken once as long as its size and time are the same."""
    status = path.stat()
    return _sha256_of(path.resolve(), status.st_size, status.st_mtime_ns)


@cache
def _sha256_of(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
