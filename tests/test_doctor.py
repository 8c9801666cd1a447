"""`snakesteer doctor`: what is there, what is not, and all that with sentences alone."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hub
import pytest
import torch
import yaml
from conftest import REPOSITORY
from test_packages import FILE, wheel

from snakesteer.__main__ import main
from snakesteer.core.errors import StudyError
from snakesteer.hub.manifest import blob_id
from snakesteer.hub.reachable import check_judge
from snakesteer.plan import machine
from snakesteer.plan.activations import documents, questions
from snakesteer.plan.doctor import examine
from snakesteer.plan.graph import Graph
from snakesteer.plan.models import gguf_model
from snakesteer.plan.sources import sources
from snakesteer.study import study_file

SCRIPTS = REPOSITORY / "workflow" / "scripts"
MODEL = REPOSITORY / "resources" / "models" / "miniature"
COMMIT = "a" * 40
QUESTION = {
    "question": "Is it?",
    "answer_matching_behavior": " (A)",
    "answer_not_matching_behavior": " (B)",
}
NOBODY = "http://127.0.0.1:9"  # the port of a service that throws away what it gets


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and three judges: `/v1` wants a key, `/other` has no list, `/busy` is."""

    def do_GET(self) -> None:
        if self.path == "/v1/models" and self.headers["Authorization"] != "Bearer right":
            self.send_error(401)
        elif self.path == "/busy/models":
            self.send_error(503)
        elif self.path == "/v1/models":
            self.send_response(200)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Elsewhere:
    """A hub, and an `address` with a commit's files and judges; a `clone` of it, pip's `index`."""

    hub: hub.StandIn
    address: str
    clone: Path
    commit: str
    index: Path
    sha256: str

    def environment(self, home: Path) -> dict[str, str]:
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index)}
        return {**self.hub.environment(home), **pip, "HF_TOKEN": "hf_right", "JUDGE_KEY": "right"}


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    root = tmp_path_factory.mktemp("elsewhere")
    files = {
        "evals.jsonl": json.dumps(QUESTION) + "\n",
        "texts.jsonl": json.dumps({"text": "A text."}) + "\n",
    }
    clone, served = root / "clone", root / "served"
    clone.mkdir()
    git(clone, "init", "-q")
    for name, text in files.items():
        (clone / name).write_text(text)
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "All")
    commit = git(clone, "rev-parse", "HEAD")
    (served / commit).mkdir(parents=True)
    for name, text in files.items():
        (served / commit / name).write_text(text)
    tree = [{"path": name, "sha": blob_id(text.encode())} for name, text in files.items()]
    (served / "tree").write_text(json.dumps({"tree": tree}))
    pickled, ggufs, texts = root / "pickled", root / "ggufs", root / "texts"
    shutil.copytree(MODEL, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    ggufs.mkdir()
    (ggufs / "small.gguf").write_bytes(b"GGUF")
    texts.mkdir()
    (texts / "train.jsonl").write_text(files["texts.jsonl"])
    sha256 = wheel(root / "index")
    handler = functools.partial(Handler, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    model = hub.Served(COMMIT, MODEL)
    with hub.StandIn(
        {
            "o/model": model,
            "o/gated": model,
            "o/pickled": hub.Served(COMMIT, pickled),
            "o/ggufs": hub.Served(COMMIT, ggufs),
            "datasets/o/texts": hub.Served(COMMIT, texts),
            "datasets/o/gated": hub.Served(COMMIT, texts),
        },
        gated={"o/gated", "datasets/o/gated"},
    ) as stand_in:
        yield Elsewhere(stand_in, address, clone, commit, root / "index", sha256)
    server.shutdown()
    server.server_close()


def on_the_hub(source: str, **changes: Any) -> dict[str, Any]:
    return {"source": source, "revision": COMMIT, "layers": 6, **changes}


def corpus(source: str, place: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    splits = {"train": {**place}, "validation": {**place, "skip": 1}}
    return {
        "source": source,
        "train": 1,
        "validation": 1,
        "shuffle": False,
        "splits": splits,
        **changes,
    }


def judge(address: str, **changes: Any) -> dict[str, Any]:
    return {
        "scorer": "judge",
        "address": address,
        "model": "the-judge",
        "prompt": "{text}",
        "rating": {"least": 0, "most": 9},
        **changes,
    }


def study(judges: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """A study of these sections, whose texts have these judges."""
    written = {"measure": "continuation", "prompts": ["Say"], "tokens": 5, "scores": {**judges}}
    return {
        "name": "examined",
        **sections,
        "vectors": {"theirs": {"method": "file", "model": "folder", **sections["vectors"]}},
        "sweeps": {
            "written": {
                "model": "folder",
                "inject": {"vector": "theirs", "layers": [1]},
                "coefficients": [0, 1],
                "measures": {"texts": written},
            }
        },
    }


def there(at: Elsewhere) -> dict[str, Any]:
    """A study of which all is there."""
    packaged = {"package": "small-model", "version": "1.0", "sha256": at.sha256, "file": FILE}
    hub_texts = {"repository": "o/gated", "revision": COMMIT, "files": ["*.jsonl"]}
    served = f"{at.address}/{at.commit}"
    evals = {"train": 0, "validation": 0, "questions": 3}
    return study(
        {
            "first": judge(f"{at.address}/v1", key="JUDGE_KEY"),
            "other": judge(f"{at.address}/other"),
        },
        models={
            "folder": {"source": str(MODEL)},
            "hub": on_the_hub("o/model"),
            "gated": on_the_hub("o/gated"),
            "gguf": on_the_hub("o/ggufs", file="small.gguf"),
            "packaged": {"source": packaged, "layers": 2},
        },
        repositories={
            "address": {
                "source": served,
                "commit": at.commit,
                "listing": f"{at.address}/tree",
            },
            "clone": {"source": str(at.clone), "commit": at.commit},
        },
        corpora={
            "hub": corpus("hub", hub_texts),
            "files": corpus("files", {"files": [str(at.clone / "texts.jsonl")]}),
            "repository": corpus("repository", {"files": ["texts.jsonl"]}, repository="address"),
        },
        behaviours={
            "made": {"source": "generated", "trait": "myopia"},
            "address": {
                "source": "model-written-evals",
                "file": f"{served}/evals.jsonl",
                **evals,
            },
            "clone": {
                "source": "model-written-evals",
                "repository": "clone",
                "file": "evals.jsonl",
                **evals,
            },
        },
        vectors={"file": str(MODEL / "model.safetensors")},
    )


def wrong(at: Elsewhere) -> dict[str, Any]:
    """A study of which nothing is there."""
    packaged = {"package": "small-model", "version": "2.0", "sha256": "0" * 64, "file": FILE}
    hub_texts = {"repository": "o/texts", "revision": COMMIT, "files": ["*.parquet"]}
    served = f"{at.address}/{at.commit}"
    evals = {"source": "model-written-evals", "train": 0, "validation": 0, "questions": 3}
    return study(
        {
            "unset": judge(f"{at.address}/v1", key="NO_KEY"),
            "refused": judge(f"{at.address}/v1"),
            "busy": judge(f"{at.address}/busy"),
            "away": judge(NOBODY),
        },
        models={
            "folder": {"source": "no-model"},
            "none": on_the_hub("o/none"),
            "revision": on_the_hub("o/model", revision="b" * 40),
            "gated": on_the_hub("o/gated"),
            "pickled": on_the_hub("o/pickled"),
            "gguf": on_the_hub("o/ggufs", file="large.gguf"),
            "packaged": {"source": packaged, "layers": 2},
            "unheard": {"source": {**packaged, "package": "unheard-of"}, "layers": 2},
        },
        repositories={
            "address": {
                "source": served,
                "commit": at.commit,
                "listing": f"{at.address}/tree",
            },
            "unlisted": {"source": served, "commit": at.commit, "listing": f"{at.address}/no"},
            "odd": {
                "source": served,
                "commit": at.commit,
                "listing": f"{served}/texts.jsonl",
            },
            "clone": {"source": str(at.clone), "commit": "c" * 40},
            "folder": {"source": "no-clone", "commit": COMMIT},
        },
        corpora={
            "pattern": corpus("hub", hub_texts),
            "gated": corpus("hub", {**hub_texts, "repository": "o/gated", "files": ["*.jsonl"]}),
            "files": corpus("files", {"files": ["no.jsonl"]}),
            "repository": corpus("repository", {"files": ["no.jsonl"]}, repository="address"),
        },
        behaviours={
            "address": {**evals, "file": f"{served}/no.jsonl"},
            "away": {**evals, "file": f"{NOBODY}/{COMMIT}/no.jsonl"},
            "file": {**evals, "file": "no.jsonl"},
        },
        vectors={"file": "no.safetensors"},
        published={"source": "no-folder", "commit": COMMIT},
    )


def sentences_of_the_wrong(at: Elsewhere) -> list[str]:
    """What is told of each, in the order of the study."""
    hub_address, served = at.hub.address, f"{at.address}/{at.commit}"
    refused = "ConnectionRefusedError: [Errno 111] Connection refused"
    judges = "sweeps.written.measures.texts.scores"
    return [
        "models.folder.source: there is no folder no-model; check the path.",
        "models.none: the hub has no model o/none, or it is private; check its page "
        f"{hub_address}/o/none, or set HF_TOKEN to an access token of an account that can read "
        "it.",
        f"models.revision: o/model has no revision {'b' * 40}; `git ls-remote "
        f"{hub_address}/o/model HEAD` prints the current one.",
        f"models.gated: o/gated is gated: accept its licence at {hub_address}/o/gated and set "
        f"HF_TOKEN to an access token of that account ({hub_address}/settings/tokens), then run "
        "again.",
        f"models.pickled: o/pickled at {COMMIT} has no safetensors weights; name a revision or a "
        "model that has them, or set `file` to one of its .gguf files.",
        f"models.gguf: o/ggufs at {COMMIT} has no file large.gguf; correct its name.",
        "models.packaged: the index has no wheel of small-model 2.0 for this machine, but has "
        "1.0; name one of these with its sha256.",
        "models.unheard: pip finds no wheel of unheard-of for this machine; check the name, and "
        "the index that pip uses (`pip config list`).",
        f"repositories.address: no.jsonl is not in the commit at {served}; check the path.",
        f"repositories.unlisted: {at.address}/no returns nothing (the server answers 404); check "
        "the address.",
        f"repositories.odd: {served}/texts.jsonl does not return a tree in the format of "
        "GitHub's API; correct listing, or name a local clone as source.",
        f"repositories.clone: the clone {at.clone} does not give commit {'c' * 40} (git: fatal: "
        f"not a tree object); fetch it there, for example with `git fetch origin {'c' * 40}`.",
        "repositories.folder: there is no folder no-clone; check the path.",
        f"corpora.pattern.splits.train: o/texts at {COMMIT} has no file *.parquet; correct it.",
        f"corpora.gated.splits.train: o/gated is gated: accept its licence at {hub_address}"
        f"/datasets/o/gated and set HF_TOKEN to an access token of that account ({hub_address}"
        "/settings/tokens), then run again.",
        "corpora.files: splits.train.files names no.jsonl, but there is no such file; check the "
        "path.",
        f"behaviours.address: {served}/no.jsonl returns nothing (the server answers 404); check "
        "the address.",
        f"behaviours.away: {NOBODY}/{COMMIT}/no.jsonl cannot be reached ({refused}); connect to "
        "the network, or name a copy on this machine.",
        "behaviours.file.file: there is no file no.jsonl; check the path.",
        "vectors.theirs.file: there is no file no.safetensors; check the path.",
        "published.source names no-folder, which is not a folder; name a folder, an address, or "
        "`shipped`.",
        f"{judges}.unset: the-judge at {at.address}/v1 needs a key, but the environment variable "
        "NO_KEY is not set; set it before the run.",
        f"{judges}.refused: the-judge at {at.address}/v1 rejects the key (HTTP 401); set `key` "
        "to the environment variable that holds one.",
        f"{judges}.busy: the-judge at {at.address}/busy is busy (HTTP 503); run again later.",
        f"{judges}.away: the-judge at {NOBODY} cannot be reached ({refused}); start it, or correct "
        "its address.",
    ]


def doctor(
    folder: Path,
    environment: Mapping[str, str],
    *arguments: str,
    program: tuple[str, ...] = (sys.executable,),
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as the hub's address is read at its start."""
    return subprocess.run(
        [*program, "-m", "snakesteer", "doctor", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def problems(printed: str) -> list[str]:
    """The sentences on what is wrong, where each line is a finding but the last, which counts."""
    *lines, last = printed.splitlines()
    assert all(line.startswith(("ok: ", "problem: ")) for line in lines), printed
    found = [line.removeprefix("problem: ") for line in lines if line.startswith("problem: ")]
    told = f"{len(found)} problem{'s' if len(found) > 1 else ''} found"
    counted = f"Error: {told}; each line marked `problem` says what to do."
    assert last == (counted if found else "No problem was found.")
    return found


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, errors at the end."""
    out, err = capsys.readouterr()
    return out + err


def write(folder: Path, content: Mapping[str, Any]) -> str:
    (folder / "study.yaml").write_text(yaml.safe_dump({**content}, sort_keys=False))
    return "study.yaml"


def test_all_that_is_there(elsewhere: Elsewhere, tmp_path: Path) -> None:
    path = write(tmp_path, there(elsewhere))
    done = doctor(tmp_path, elsewhere.environment(tmp_path / "home"), path)
    assert problems(done.stdout) == [] and done.returncode == 0
    told = done.stdout.splitlines()
    served = f"{elsewhere.address}/{elsewhere.commit}"
    assert told[told.index(f"ok: models.folder: {MODEL} exists") : -1] == [
        f"ok: models.folder: {MODEL} exists",
        "ok: models.hub: the hub has the files of o/model",
        "ok: models.gated: the hub has the files of o/gated",
        "ok: models.gguf: the hub has small.gguf of o/ggufs",
        "ok: models.packaged: pip's index has small-model 1.0",
        f"ok: repositories.address: {served} answers",
        f"ok: repositories.clone: {elsewhere.clone} exists",
        "ok: corpora.hub: the hub has its files",
        "ok: corpora.files: its inputs exist",
        "ok: corpora.repository: in repositories.address",
        "ok: behaviours.made: its questions are generated",
        f"ok: behaviours.address: {served}/evals.jsonl can be read",
        "ok: behaviours.clone: in repositories.clone",
        f"ok: vectors.theirs.file: {MODEL / 'model.safetensors'} exists",
        "ok: sweeps.written.measures.texts.scores.first: the-judge at "
        f"{elsewhere.address}/v1 answers",
        "ok: sweeps.written.measures.texts.scores.other: the-judge at "
        f"{elsewhere.address}/other answers",
    ]
    assert not (tmp_path / "results").exists() and not list((tmp_path / "home").rglob("*.safe*"))


def test_all_that_is_wrong_is_a_sentence_each(elsewhere: Elsewhere, tmp_path: Path) -> None:
    environment = elsewhere.environment(tmp_path / "home") | {"HF_TOKEN": "", "JUDGE_KEY": ""}
    done = doctor(tmp_path, environment, write(tmp_path, wrong(elsewhere)))
    assert problems(done.stdout) == sentences_of_the_wrong(elsewhere)
    assert done.returncode == 1


def test_offline_what_is_in_the_cache_is_enough(elsewhere: Elsewhere, tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = elsewhere.environment(home) | {"HF_HUB_OFFLINE": "1"}
    for name in ("model", "gated"):
        shutil.copytree(MODEL, home / "hub" / f"models--o--{name}" / "snapshots" / COMMIT)
    (home / "hub" / "models--o--gated" / "snapshots" / COMMIT / "model.safetensors").unlink()
    models = {
        "folder": {"source": str(MODEL)},
        "cached": on_the_hub("o/model"),
        "cut": on_the_hub("o/gated"),
    }
    content = study({}, models=models, vectors={"file": str(MODEL / "model.safetensors")})
    done = doctor(tmp_path, environment, write(tmp_path, content))
    assert "ok: models.cached: o/model is in the hub's cache\n" in done.stdout
    assert "hub's cache (with an access token, HF_HUB_OFFLINE is set): " in done.stdout
    assert problems(done.stdout) == [
        f"models.cut: o/gated at {COMMIT} could not be fetched from {elsewhere.hub.address} "
        "(HF_HUB_OFFLINE is set); unset it and run again; downloaded files are kept."
    ]


def found(content: Mapping[str, Any]) -> dict[str, str]:
    """What is found of the sources of a study, by their entries."""
    said = {}
    for source in sources(Graph(study_file.parse(content), REPOSITORY)):
        try:
            said[source.entry] = source.find()
        except StudyError as error:
            said[source.entry] = str(error)
    return said


def test_what_is_made_already_is_not_asked_for(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = there(elsewhere)
    graph = Graph(study_file.parse(content), REPOSITORY)
    made = [documents(graph, name) for name in graph.study.corpora]
    made += [questions(graph, name) for name in graph.study.behaviours]
    made += [gguf_model(graph, name) for name in ("gguf", "packaged")]
    made += [each for each in graph.made.values() if each.stage == "repository_file"]
    for artefact in made:
        for path in map(Path, artefact.paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    monkeypatch.setattr(socket, "getaddrinfo", None)  # whatever asks the network fails
    del content["models"]["hub"], content["models"]["gated"]
    content["sweeps"]["written"]["measures"]["texts"]["scores"] = {"length": {}}
    assert found(content) == {
        "models.folder": f"{MODEL} exists",
        "models.gguf": "small.gguf is already converted",
        "models.packaged": f"{FILE} of small-model 1.0 is already converted",
        "repositories.address": "its files are in the cache",
        "repositories.clone": "its files are in the cache",
        **{f"corpora.{name}": "its documents are in the cache" for name in content["corpora"]},
        **{
            f"behaviours.{name}": "its questions are in the cache"
            for name in graph.study.behaviours
        },
        "vectors.theirs.file": f"{MODEL / 'model.safetensors'} exists",
    }


def test_published_results_at_an_address_and_in_a_folder(elsewhere: Elsewhere) -> None:
    def published(source: str, file: str) -> str:
        entry = {
            "kind": "candidate-log-odds",
            "score": "refusal_score",
            "file": file,
            "vector": "theirs",
            "corpus": "harmful",
            "positions": 1,
            "layers": 1,
        }
        section = {
            "source": source,
            "commit": elsewhere.commit,
            "corpora": {"harmful": {"key": "harmful"}},
            "sweeps": {"scores": entry},
        } | ({"listing": f"{elsewhere.address}/tree"} if source.startswith("http") else {})
        return found({"name": "examined", "published": section})["published"]

    served = f"{elsewhere.address}/{elsewhere.commit}"
    assert published(served, "evals.jsonl") == f"{served} answers"
    assert published(served, "no.jsonl") == (
        f"published.source: no.jsonl is not in the commit at {served}; check the path."
    )
    clone = str(elsewhere.clone)
    assert published(clone, "evals.jsonl") == f"{clone} exists"
    assert published(clone, "no.jsonl") == (
        "published.source: no.jsonl is missing from the folder of published files; get it, or "
        "the results that need it are skipped."
    )


@pytest.fixture(scope="module")
def without_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of this environment but those that run a model."""
    libraries = Path(pytest.__file__).parent.parent
    folder = tmp_path_factory.mktemp("without")
    without = ("torch", "functorch", "transformers", "tokenizers", "accelerate", "gguf", "hugging")
    for path in libraries.iterdir():
        if not path.name.startswith(without):
            (folder / path.name).symlink_to(path)
    return folder


def test_without_torch_it_says_so_and_goes_on(without_models: Path, tmp_path: Path) -> None:
    path = {"PYTHONPATH": f"{SCRIPTS}{os.pathsep}{without_models}"}
    program = (sys.executable, "-S")
    published = str(REPOSITORY / "config" / "papers" / "caa-published.yaml")
    done = doctor(tmp_path, path, published, program=program)
    assert problems(done.stdout) == [] and done.returncode == 0
    assert "ok: torch is not installed: models cannot be run\n" in done.stdout
    assert "ok: device: unknown, as torch is not installed\n" in done.stdout
    models = {"folder": {"source": str(MODEL)}, "hub": on_the_hub("o/model")}
    content = study({}, models=models, vectors={"file": str(MODEL / "model.safetensors")})
    done = doctor(tmp_path, path, write(tmp_path, content), program=program)
    assert problems(done.stdout) == [
        "packages that run models are not installed here (torch, transformers, tokenizers, "
        "accelerate, gguf); install them, or let jobs use their own environment "
        "(--software-deployment-method conda).",
        "models.hub cannot be checked, as huggingface_hub is not installed; install it.",
    ]
    assert f"ok: models.folder: {MODEL} exists\n" in done.stdout


def test_without_any_package_it_names_them(tmp_path: Path) -> None:
    study = str(REPOSITORY / "config" / "miniature.yaml")
    done = doctor(tmp_path, {}, study, program=(sys.executable, "-S"))
    found = problems(done.stdout)
    pins = machine._pins(REPOSITORY / machine.PINS)
    needed = [name for name, undone in machine.PACKAGES.items() if not undone]
    assert found[: len(needed)] == [
        f"{name} is not installed; run `pip install {name}=={pins[name]}`." for name in needed
    ]
    assert found[-1] == (
        f"{study} cannot be read here (ModuleNotFoundError: No module named 'pydantic'); install "
        "the missing package."
    )
    assert done.returncode == 1


def test_all_packages_that_it_names_are_pinned() -> None:
    beside = machine._pins(REPOSITORY / "envs" / "requirements-test.txt")
    assert set(machine.PACKAGES) <= {*machine._pins(REPOSITORY / machine.PINS), *beside}


def test_without_a_study_nothing_is_asked_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network is used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = [str(finding) for finding in examine(REPOSITORY)]
    assert found[0].startswith("ok: Python 3.")
    assert f"ok: profile default: {REPOSITORY / 'profiles' / 'default'}" in found
    assert any(line.startswith("ok: device c") and ", float32" in line for line in found)


def test_it_starts_without_what_only_a_study_needs(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom snakesteer.plan import doctor\nfrom snakesteer.__main__ import main\n"
        "heavy = {'torch', 'transformers', 'pandas', 'pydantic', 'matplotlib', 'huggingface_hub'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=False).returncode == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_cannot_be_used_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for number, finding in enumerate(machine.device()):
        assert finding.problem and finding.said.startswith(f"device cuda:{number} cannot be used (")
        assert finding.said.endswith("); free it, or select others with CUDA_VISIBLE_DEVICES.")
    assert number == 1


def test_folders_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").write_text("a file")
    (found, _) = machine.folders()
    assert str(found) == (
        f"problem: results: {tmp_path / 'results'} cannot be written (Not a directory); change "
        "its permissions, or choose another folder with --directory."
    )
    monkeypatch.setattr(machine, "LEAST_FREE", 1e18)
    (_, cache) = machine.folders()
    assert cache.problem and cache.said.endswith("GB free; make room, or set HF_HOME to another.")


def test_versions_are_compared_with_the_pins(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    numpy = machine.installed("numpy")
    (tmp_path / "envs" / "requirements.txt").write_text(f"# Pins.\nnumpy=={numpy}\npandas==0.1\n")
    told = [str(finding) for finding in machine.versions(tmp_path)]
    assert f"ok: numpy {numpy}, as pinned" in told
    assert f"ok: pandas {machine.installed('pandas')} (pinned: 0.1)" in told
    assert f"ok: torch {machine.installed('torch')}" in told


def test_profiles_and_the_commands_of_slurm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "site")
    assert [str(finding) for finding in machine.profiles(tmp_path)] == [
        f"problem: profile default: {tmp_path}/profiles/default/config.yaml is missing; restore "
        "it with `git checkout -- profiles/default`.",
        f"problem: profile slurm: {tmp_path}/slurm/config.yaml is missing; restore it with `git "
        "checkout -- slurm`.",
        "ok: profile site, set by SNAKEMAKE_PROFILE",
    ]
    (none,) = machine.slurm()
    assert str(none) == "ok: Slurm: not found; `--profile slurm` works on a cluster's login node"
    for command in ("sbatch", "squeue"):
        (tmp_path / command).write_text("#!/bin/sh\n")
        (tmp_path / command).chmod(0o755)
    (some,) = machine.slurm()
    assert str(some) == (
        "problem: Slurm: sbatch and squeue found, but not scancel; load its module, or add its "
        "commands to PATH."
    )
    shutil.copy(tmp_path / "sbatch", tmp_path / "scancel")
    assert [str(finding) for finding in machine.slurm()] == [
        "ok: Slurm: sbatch, squeue, scancel found"
    ]


def test_a_study_that_is_wrong_or_has_no_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text("name: a\nname: b\n")
    assert main(["doctor", "study.yaml"]) == 1
    (told,) = problems(printed(capsys))
    assert told.startswith("study.yaml") and "name" in told
    assert main(["doctor", "none.yaml"]) == 1
    (told,) = problems(printed(capsys))
    assert "none.yaml" in told
    study = str(REPOSITORY / "config" / "miniature.yaml")
    assert main(["doctor", study, "--repository", "."]) == 1
    assert problems(printed(capsys)) == [
        f"{tmp_path} is not a clone of snakesteer, which a run of a study needs; name one with "
        "--repository."
    ]
    assert main(["doctor", "--repository", "."]) == 0
    assert problems(printed(capsys)) == []


def test_a_key_that_cannot_be_sent_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("sk-secret\nabc", "sk-secret abc", "sk-secret\u2026"):
        monkeypatch.setenv("JUDGE_KEY", key)
        with pytest.raises(StudyError) as error:
            check_judge(f"{NOBODY}/v1", "the-judge", "JUDGE_KEY")
        assert "secret" not in str(error.value)
        assert "JUDGE_KEY does not hold a key" in str(error.value)
