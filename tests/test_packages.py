"""Wheels that pip downloads from a folder of the user's settings, and what goes wrong with them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import resource
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakesteer.core.errors import StudyError
from snakesteer.hub import packages

FILE = "small_model/small.gguf"


def wheel(folder: Path, version: str = "1.0", files: dict[str, bytes] | None = None) -> str:
    """Writes a wheel of the distribution `small-model` into `folder`; its sha256."""
    folder.mkdir(exist_ok=True)
    path = folder / f"small_model-{version}-py3-none-any.whl"
    about = f"small_model-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (files or {FILE: b"GGUF" + bytes(1000)}).items():
            archive.writestr(name, content)
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: small-model\nVersion: {version}\n"
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is set to take wheels from, and no index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@contextlib.contextmanager
def limited(most: int) -> Iterator[None]:
    """No file may become larger than `most` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def refusal(target: Path, package: str, version: str, sha256: str) -> str:
    with pytest.raises(StudyError) as told:
        packages.download(target, package, version, sha256)
    sentence = str(told.value)
    assert "\n" not in sentence and "Traceback" not in sentence
    assert not target.exists() and not list(target.parent.glob(".*"))
    return sentence


def test_a_wheel_is_downloaded_and_one_file_of_it_unpacked(index: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')\n".encode()
    files = {"small_model/__init__.py": code, FILE: b"GGUF and more", "setup.py": code}
    sha256 = wheel(index, files=files)
    target = tmp_path / "cache" / "small.whl"
    packages.download(target, "small-model", "1.0", sha256)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == sha256
    with packages.unpacked(target, FILE, tmp_path / "made" / "model") as file:
        assert file.read_bytes() == b"GGUF and more"
        assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert not ran.exists() and not list((tmp_path / "made").iterdir())


def test_a_path_leads_nowhere_else(tmp_path: Path) -> None:
    outside = "../../../outside.gguf"
    wheel(tmp_path / "wheels", files={outside: b"GGUF"})
    (path,) = (tmp_path / "wheels").iterdir()
    with packages.unpacked(path, outside, tmp_path / "made" / "model") as file:
        assert file.parent.parent == tmp_path / "made" and file.read_bytes() == b"GGUF"
    assert not list(tmp_path.parent.glob("outside.gguf"))


def test_another_hash_is_not_used(index: Path, tmp_path: Path) -> None:
    sha256 = wheel(index)
    told = refusal(tmp_path / "cache" / "small.whl", "small-model", "1.0", "a" * 64)
    assert f"has another sha256 ({sha256[:12]}…, not {'a' * 12}…) and was not used; correct" in told


def test_a_version_that_is_gone_and_a_package_that_is_not_there(
    index: Path, tmp_path: Path
) -> None:
    sha256 = wheel(index, "1.0")
    wheel(index, "1.1")
    target = tmp_path / "cache" / "small.whl"
    assert refusal(target, "small-model", "0.9", sha256) == (
        "the index has no wheel of small-model 0.9 for this machine, but has 1.0, 1.1; name one "
        "of these with its sha256."
    )
    told = refusal(target, "no-such-model", "1.0", sha256)
    assert told.startswith("pip finds no wheel of no-such-model for this machine; check the name")


def test_no_index_in_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_RETRIES", "0")
    told = refusal(tmp_path / "cache" / "small.whl", "small-model", "1.0", "a" * 64)
    assert told.startswith(
        "small-model 1.0 could not be downloaded: the package index cannot be reached; check the "
        "network and pip's settings (`pip config list`) and run again"
    )


def test_a_disk_that_is_full(index: Path, tmp_path: Path) -> None:
    """As one that ends within the file."""
    sha256 = wheel(index, files={FILE: random.Random(0).randbytes(1_000_000)})
    target = tmp_path / "cache" / "small.whl"
    with limited(100_000):
        told = refusal(target, "small-model", "1.0", sha256)
    assert told.startswith("small-model 1.0 could not be downloaded, as the disk is full;")
    packages.download(target, "small-model", "1.0", sha256)
    with (
        limited(100_000),
        pytest.raises(StudyError) as full,
        packages.unpacked(target, FILE, tmp_path / "made" / "model"),
    ):
        raise AssertionError("there is room")
    assert str(full.value) == (
        f"{FILE} could not be unpacked from {target} (File too large); make room and run again: "
        "the wheel is kept."
    )
    assert target.exists() and not list((tmp_path / "made").iterdir())


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({"other/large.gguf": b"GGUF"}, "name other/large.gguf."),
        ({"small_model/data.txt": b""}, "it has no .gguf file."),
    ],
)
def test_a_file_that_is_not_in_the_wheel(
    tmp_path: Path, files: dict[str, bytes], hint: str
) -> None:
    wheel(tmp_path, files=files)
    (path,) = tmp_path.iterdir()
    with pytest.raises(StudyError) as told, packages.unpacked(path, FILE, tmp_path / "model"):
        raise AssertionError("it is there")
    assert str(told.value) == f"{path} has no file {FILE}; {hint}"


def test_a_wheel_cut_short(tmp_path: Path) -> None:
    wheel(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    with (
        pytest.raises(StudyError, match="is damaged .*; delete it, then run again"),
        packages.unpacked(path, FILE, tmp_path / "model"),
    ):
        raise AssertionError("it is whole")


def test_whether_an_index_has_a_wheel(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(index)
    wheel(index, "1.1rc1")
    packages.check_offered("small-model", "1.0", 5)
    packages.check_offered("small-model", "1", 5)
    packages.check_offered("Small_Model", "1.1rc1", 5)
    with pytest.raises(StudyError) as told:
        packages.check_offered("small-model", "1.1", 5)
    assert "of small-model 1.1 for this machine, but has 1.1rc1, 1.0; name one" in str(told.value)
    assert list(index.glob("*")) and not list(tmp_path.rglob("*.dist-info"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(StudyError) as told:
        packages.check_offered("small-model", "1.0", 5)
    assert str(told.value) == (
        "small-model 1.0 could not be downloaded: the package index cannot be reached; check the "
        "network and pip's settings (`pip config list`) and run again."
    )
