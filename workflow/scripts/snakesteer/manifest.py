"""Which files a model consists of, whether they are whole, and what identifies its weights.

Needs neither torch nor transformers, so that a damaged model is told before any job starts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snakesteer.errors import StudyError

INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
SUMS = "SHA256SUMS"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
POINTER = b"version https://git-lfs"
HASHED_BYTES = 64 * 2**20
HASH = re.compile(r"[0-9a-f]{64}")

# How configurations of the hub name their depth, their longest input and their width.
DEPTH = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
CONTEXT = ("max_position_embeddings", "max_seq_len")
WIDTH = ("hidden_size", "n_embd", "d_model", "dim")


def manifest(
    folder: str | Path, source: str | None = None, revision: str | None = None
) -> dict[str, Any]:
    """What identifies the model in `folder`, as plain JSON.

    Returns `source`, `revision`, `files` ({name: sha256}), `large` (what `verify` knows the files
    above 64 MB by: {name: size and modification time, from before the hash; in the hub's cache,
    where a file has the name of its content, size and that name}), `fingerprint`
    (sha256 over the weight files' names and hashes), `n_layers` and `hidden`. Raises StudyError
    when the folder or a file is absent, is a Git LFS pointer, is cut short, or differs from the
    folder's SHA256SUMS.
    """
    folder = Path(folder)
    paths = _checked(folder)
    large = {path.name: _size_and_time(path) for path in paths if _is_large(path)}
    files = {path.name: sha256(path) for path in paths}
    _compare(folder, files, _sums(folder), SUMS)
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


def content(folder: str | Path) -> dict[str, str]:
    """Name and identity of every file that determines what the model computes, for keys.

    The identity is the sha256, or size and modification time for a file above 64 MB. The model
    card and other papers in the folder are left out. Raises StudyError as `manifest` does, except
    that it does not compare large files with SHA256SUMS.
    """
    folder = Path(folder)
    identities = {path.name: file_identity(path) for path in _checked(folder)}
    hashed = {name: value for name, value in identities.items() if ":" not in value}
    _compare(folder, hashed, _sums(folder), SUMS)
    return identities


def verify(folder: str | Path, recorded: Mapping[str, Any]) -> None:
    """Refuse (StudyError) files that are not those of the manifest `recorded`.

    A large file whose size and modification time are those of the manifest is not read again.
    """
    folder = Path(folder)
    files = {
        path.name: sha256(path)
        for path in _checked(folder)
        if recorded["large"].get(path.name) != _size_and_time(path)
    }
    _compare(folder, files, recorded["files"], "the model's manifest")


def fingerprint(files: Mapping[str, str]) -> str:
    """sha256 over names and hashes of the weight files among `files`."""
    return identity({name: of for name, of in files.items() if name.endswith(".safetensors")})


def identity(files: Mapping[str, str]) -> str:
    """sha256 over names and hashes of files: of all a model's, what tells it from any other.

    The same weights with another configuration or tokenizer are another model here.
    """
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def context(folder: str | Path) -> int | None:
    """How many tokens the model reads at most, if its configuration says so."""
    config = _configuration(folder)
    length = next((config[name] for name in CONTEXT if name in config), None)
    return length if isinstance(length, int) else None


def _configuration(folder: str | Path) -> dict[str, Any]:
    path = _existing(Path(folder)) / CONFIG
    if not path.is_file():
        raise StudyError(_absent(Path(folder), CONFIG))
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StudyError(f"{path} is not valid JSON ({error}); {_remedy(path.parent)}") from error
    if not isinstance(config, dict):
        raise StudyError(f"{path} is not a model's configuration; {_remedy(path.parent)}")
    text = config.get("text_config", config)
    return dict(text) if isinstance(text, dict) else config


def layers_and_width(folder: str | Path) -> tuple[int, int]:
    """Number of decoder blocks and hidden size, from the model's configuration."""
    path = Path(folder) / CONFIG
    config = _configuration(folder)
    depth = next((config[name] for name in DEPTH if name in config), None)
    width = next((config[name] for name in WIDTH if name in config), None)
    if depth is None or width is None:
        raise StudyError(
            f"{path} names no depth ({', '.join(DEPTH)}) or no width ({', '.join(WIDTH)}); "
            "name a model of decoder blocks."
        )
    return depth, width


def _checked(folder: Path) -> list[Path]:
    """Configuration, weights and tokenizer files, by name, each present and whole."""
    _existing(folder)
    names = [CONFIG, *_weights(folder)]
    tokenizer = [name for name in TOKENIZER if (folder / name).is_file()]
    if not tokenizer:
        raise StudyError(_absent(folder, TOKENIZER[0]))
    if (folder / INDEX).is_file():
        names.append(INDEX)
    names = sorted({*names, *tokenizer, *(_sums(folder).keys() & {CONFIG, INDEX, *TOKENIZER})})
    for name in names:
        if not (folder / name).is_file():
            raise StudyError(_absent(folder, name))
        _whole(folder / name)
    return [folder / name for name in names]


def _weights(folder: Path) -> list[str]:
    """Names of the weight files: those of the index, or the one file of a small model."""
    index = folder / INDEX
    if not index.is_file():
        return ["model.safetensors"]
    _whole(index)
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError) as error:
        raise StudyError(f"{index} is damaged; {_remedy(folder)}") from error


def _whole(path: Path) -> None:
    """Refuse a Git LFS pointer, and a safetensors file shorter or longer than its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(max(8, len(POINTER)))
        if start.startswith(POINTER):
            raise StudyError(
                f"{path} is a Git LFS pointer, not the file itself; "
                "run `git lfs install` and `git lfs pull` in the repository."
            )
        if path.suffix != ".safetensors":
            return
        header = int.from_bytes(start[:8], "little")
        if size >= 8 + header:
            file.seek(8)
            try:
                tensors = json.loads(file.read(header))
                tensors.pop("__metadata__", None)
                ends = [tensor["data_offsets"][1] for tensor in tensors.values()]
                if size == 8 + header + max(ends, default=0):
                    return
            except (ValueError, KeyError, TypeError, AttributeError):
                pass
    raise StudyError(f"{path} ({size:,} bytes) is damaged or cut short; {_remedy(path.parent)}")


def _sums(folder: Path) -> dict[str, str]:
    """{name: sha256} of the folder's SHA256SUMS; empty when there is none."""
    path = folder / SUMS
    if not path.is_file():
        return {}
    pairs = [line.split(None, 1) for line in path.read_text(encoding="utf-8").splitlines()]
    if any(len(pair) != 2 for pair in pairs):
        raise StudyError(f"{path} is damaged or cut short; {_remedy(folder)}")
    return {name.lstrip("*"): digest for digest, name in pairs}


def _compare(
    folder: Path, files: Mapping[str, str], expected: Mapping[str, str], where: str
) -> None:
    for name, digest in files.items():
        if expected.get(name, digest) != digest:
            raise StudyError(
                f"{folder / name} is not the file that {where} names (its sha256 is "
                f"{digest[:12]}…, not {expected[name][:12]}…); {_remedy(folder)}"
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
