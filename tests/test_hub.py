"""What is fetched from the hub, and what its refusals read like, against a stand-in."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hub
import llama
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY

from snakesteer.behaviours.drawing import table
from snakesteer.core.errors import StudyError
from snakesteer.corpora import drawing
from snakesteer.corpora.hub import PassedOver
from snakesteer.hub.fetch import fetch_model
from snakesteer.hub.manifest import manifest, verify

COMMIT = "a" * 40
Ask = Callable[..., Any]
PART = "model-00002-of-00004.safetensors"

# The hub's address and cache are read when its library is imported: so a process of its own.
CLIENT = """
import json, os, sys, time
from pathlib import Path
from snakesteer.corpora import drawing
from snakesteer.core.errors import StudyError
from snakesteer.hub.fetch import fetch_model
from snakesteer.hub.model_folder import model_folder
from snakesteer.storage.points import Points

time.sleep = lambda seconds: None  # between attempts
for line in sys.stdin:
    what, arguments, token = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    os.environ.update({"HF_TOKEN": token} if token else {})
    try:
        if what == "model":
            answer = fetch_model(*arguments)
        elif what == "folder":
            answer = str(model_folder(*arguments))
        else:
            points = Points.of({}, Path(os.environ["HF_HOME"])) if what == "resumed" else Points()
            tables = drawing.splits(arguments, points)
            answer = {split: table.to_pylist() for split, table in tables.items()}
    except StudyError as error:
        answer = str(error)
    print(json.dumps(answer), flush=True)
"""


def client(environment: dict[str, str]) -> subprocess.Popen[str]:
    path = {"PYTHONPATH": str(REPOSITORY / "workflow" / "scripts")}
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT],
        env={**os.environ, **environment, **path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def asking(process: subprocess.Popen[str]) -> Ask:
    def ask(what: str, arguments: Any, token: str | None = None) -> Any:
        assert process.stdin and process.stdout
        print(json.dumps([what, arguments, token]), file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())

    return ask


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("repositories")
    model = llama.model(root / "model")
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    (model / "modeling_other.py").write_text("raise SystemExit")
    pickled = shutil.copytree(model, root / "pickled")
    for file in pickled.glob("*.safetensors*"):
        file.unlink()
    table = root / "table"
    table.mkdir()
    rows = {"text": [f"document {i}" for i in range(40)], "other": ["x" * 100] * 40}
    pq.write_table(pa.table(rows), table / "train-00000.parquet")
    llama.evals(root / "evals")
    return {
        "model": model,
        "pickled": pickled,
        "pile": llama.pile(root / "pile"),
        "table": table,
        "evals": root / "evals",
    }


@pytest.fixture(scope="module")
def stand_in(folders: dict[str, Path]) -> Iterator[hub.StandIn]:
    model = hub.Served(COMMIT, folders["model"])
    pile = hub.Served(COMMIT, folders["pile"])
    names = (
        *("whole", "gated", "gated-xet", "cut", "reset", "never", "spoilt", "mended", "moved"),
        *("failing", "shared", "xet"),
    )
    with hub.StandIn(
        {
            **{f"o/{name}": model for name in names},
            "o/pickled": hub.Served(COMMIT, folders["pickled"]),
            "datasets/o/pile": pile,
            "datasets/o/gated": pile,
            "datasets/o/failing": pile,
            "datasets/o/evals": hub.Served(COMMIT, folders["evals"]),
            "datasets/o/table": hub.Served(COMMIT, folders["table"]),
        },
        gated={"o/gated", "o/gated-xet", "datasets/o/gated"},
    ) as started:
        yield started


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ask(stand_in: hub.StandIn, home: Path) -> Iterator[Ask]:
    with client(stand_in.environment(home)) as process:
        yield asking(process)
        assert process.stdin
        process.stdin.close()


@pytest.fixture(scope="module")
def ask_with_xet(stand_in: hub.StandIn, home: Path) -> Iterator[Ask]:
    with client({**stand_in.environment(home), "HF_HUB_DISABLE_XET": "0"}) as process:
        yield asking(process)
        assert process.stdin
        process.stdin.close()


def cached(home: Path, name: str) -> Path:
    return home / "hub" / f"models--o--{name}" / "snapshots" / COMMIT


# Models ---------------------------------------------------------------------------------------


def test_a_model_is_fetched_without_pickles_and_code(ask, home, folders) -> None:
    made = ask("model", ["o/whole", COMMIT, 32])
    own = manifest(folders["model"], "o/whole", COMMIT)
    assert {**made, "large": {}} == own
    fetched = {file.name for file in cached(home, "whole").iterdir()}
    assert fetched == {*made["files"], "generation_config.json"}
    assert ask("folder", [made, "", "x.json"]) == str(cached(home, "whole"))
    verify(cached(home, "whole"), made)


def test_weights_that_have_gone_name_what_brings_them_back(ask, home) -> None:
    made = ask("model", ["o/moved", COMMIT, 32])
    (cached(home, "moved") / PART).resolve().unlink()
    told = ask("folder", [made, "", "results/cache/models/m.1.json"])
    assert f"{PART} is missing from {cached(home, 'moved')}" in told
    assert "`snakemake --cores 1 --force results/cache/models/m.1.json`" in told
    assert ask("model", ["o/moved", COMMIT, 32]) == made
    assert ask("folder", [made, "", "x.json"]) == str(cached(home, "moved"))


def test_a_gated_model_says_which_licence_to_accept_where(ask, stand_in) -> None:
    page = f"{stand_in.address}/o/gated"
    without = ask("model", ["o/gated", COMMIT, 32])
    assert without == (
        f"o/gated is gated: accept its licence at {page} and set HF_TOKEN to an access token of "
        f"that account ({stand_in.address}/settings/tokens), then run again."
    )
    other = ask("model", ["o/gated", COMMIT, 32], "hf_other")
    assert other == (
        f"o/gated is gated: accept its licence at {page} with the account of that token, then run "
        "again."
    )
    assert ask("model", ["o/gated", COMMIT, 32], stand_in.token)["n_layers"] == 32


def test_a_gated_model_is_distinguished_from_what_xet_refuses(
    ask, ask_with_xet, stand_in, home
) -> None:
    """An answer without the code of a gated repository, to the first that is asked for."""
    ask("model", ["o/gated-xet", COMMIT, 32], stand_in.token)
    (cached(home, "gated-xet") / PART).resolve().unlink()
    told = ask_with_xet("model", ["o/gated-xet", COMMIT, 32])
    assert told.startswith("o/gated-xet is gated: accept its licence at ")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["o/none", COMMIT, 32], "the hub has no model o/none, or it is private"),
        (["o/whole", "b" * 40, 32], f"o/whole has no revision {'b' * 40}; `git ls-remote "),
        (["o/whole", COMMIT, 30], "has 32 layers, but the study gives 30; set layers to 32."),
        (["o/pickled", COMMIT, 32], f"o/pickled at {COMMIT} has no safetensors weights"),
    ],
)
def test_what_the_hub_does_not_have(ask, arguments, sentence) -> None:
    told = ask("model", arguments)
    assert sentence in told and "\n" not in told


@pytest.mark.parametrize(
    "status, remedy",
    [(403, "check that the token in HF_TOKEN is valid and can read it"), (503, "wait")],
)
def test_what_the_hub_answers_instead(ask, stand_in, status, remedy) -> None:
    stand_in.failing |= {"o/failing": status, "datasets/o/failing": status}
    for told in (ask("model", ["o/failing", COMMIT, 32]), ask("corpus", corpus("o/failing"))):
        assert f"(the hub answers {status}); {remedy} and run again" in told and "\n" not in told


def test_a_connection_that_breaks_is_taken_up_where_it_broke(ask, stand_in, folders) -> None:
    stand_in.cuts[PART] = 2
    stand_in.asked.clear()
    made = ask("model", ["o/cut", COMMIT, 32])
    assert made["files"] == manifest(folders["model"])["files"]
    assert stand_in.asked.count(PART) == 3


def test_a_connection_that_is_reset_is_tried_again(ask, stand_in, folders) -> None:
    stand_in.resets[PART] = 2
    stand_in.asked.clear()
    made = ask("model", ["o/reset", COMMIT, 32])
    assert made["files"] == manifest(folders["model"])["files"]
    assert stand_in.asked.count(PART) == 3 and len(set(stand_in.asked)) + 2 == len(stand_in.asked)


def test_errors_of_xet_are_reported(ask_with_xet, stand_in) -> None:
    told = ask_with_xet("model", ["o/xet", COMMIT, 32])
    assert told.startswith(f"o/xet at {COMMIT} could not be fetched from {stand_in.address} (")
    assert "\n" not in told and told.endswith("downloaded files are kept.")


@pytest.mark.parametrize(
    "error, attempts, sentence",
    [
        (RuntimeError("Data integrity error: x"), 4, "(RuntimeError: Data integrity error: x); "),
        (ConnectionError("Network error: x"), 4, "(ConnectionError: Network error: x); check"),
        (OSError("Consistency check: x.\nAdvice."), 4, "(OSError: Consistency check: x); check"),
        (ValueError("Xet headers."), 1, "(ValueError: Xet headers); check the network"),
        (OSError(errno.ENOSPC, "No space left"), 1, "No space left); make room in "),
        (OSError("I/O error: No space left (os error 28)"), 1, "(os error 28)); make room in "),
        (RuntimeError("Task error: Denied (os error 13)"), 1, "(os error 13)); make room in "),
    ],
)
def test_what_can_pass_is_tried_again(monkeypatch, error, attempts, sentence) -> None:
    made = []

    def fail(*_: Any, **__: Any) -> None:
        made.append(1)
        raise error

    monkeypatch.setattr("snakesteer.hub.fetch.snapshot_download", fail)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(StudyError) as told:
        fetch_model("o/m", COMMIT, 32)
    assert len(made) == attempts
    assert sentence in str(told.value) and "\n" not in str(told.value)


def test_what_has_arrived_is_kept_when_a_file_never_does(ask, stand_in) -> None:
    stand_in.cuts[PART] = 10**6
    told = ask("model", ["o/never", COMMIT, 32])
    assert told.startswith(f"o/never at {COMMIT} could not be fetched from {stand_in.address} (")
    assert "run again; downloaded files are kept." in told
    stand_in.cuts.clear()
    stand_in.asked.clear()
    assert ask("model", ["o/never", COMMIT, 32])["n_layers"] == 32
    assert stand_in.asked == [PART]


def test_a_file_that_is_not_the_repositorys_is_fetched_again(ask, stand_in, home) -> None:
    stand_in.spoilt.add(PART)
    told = ask("model", ["o/spoilt", COMMIT, 32])
    assert told.startswith(f"{PART} of o/spoilt at {COMMIT} arrived damaged")
    stand_in.spoilt.clear()
    assert ask("model", ["o/mended", COMMIT, 32])["n_layers"] == 32
    kept = (cached(home, "mended") / PART).resolve()
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    stand_in.asked.clear()
    assert ask("model", ["o/mended", COMMIT, 32])["n_layers"] == 32
    assert stand_in.asked == [PART]


def share(home: Path, name: str) -> Path:
    """Puts a part of a model where huggingface_hub keeps what it fetches from Xet's storage: in one
    store for all repositories, by another hash of its content."""
    blob = (cached(home, name) / PART).resolve()
    other = blob.name[::-1]
    payload = home / "hub" / "blobs" / other[:2] / other
    payload.parent.mkdir(parents=True, exist_ok=True)
    blob.rename(payload)
    blob.symlink_to(os.path.relpath(payload, blob.parent))
    return payload


def test_a_file_in_the_store_that_repositories_share_is_known_by_its_own_hash(
    ask, stand_in, home
) -> None:
    made = ask("model", ["o/shared", COMMIT, 32])
    payload = share(home, "shared")
    stand_in.asked.clear()
    assert ask("model", ["o/shared", COMMIT, 32]) == made
    assert stand_in.asked == [] and payload.is_file()
    payload.write_bytes(payload.read_bytes()[:-1] + b"?")
    assert ask("model", ["o/shared", COMMIT, 32]) == made
    assert stand_in.asked == [PART] and not payload.exists()


# Corpora --------------------------------------------------------------------------------------


def corpus(repository: str = "o/pile", revision: str = COMMIT, **changes: Any) -> dict[str, Any]:
    place = {"repository": repository, "revision": revision, "skip": 0}
    return {
        "source": "hub",
        "splits": {
            "train": {**place, "files": ["train/*.jsonl.zst"]},
            "validation": {**place, "files": ["val.jsonl.zst"]},
        },
        "field": "text",
        "min_characters": 1,
        "final_newline": "strip",
        "duplicates": "drop",
        "filter": {"field": "meta.pile_set_name", "equal": "Github", "not_equal": None},
        "shuffle": {"seed": 13, "buffer": 10},
        "train": 20,
        "validation": 10,
        **changes,
    }


def test_a_streamed_corpus_is_that_of_its_files(ask, folders) -> None:
    places = {
        "train": {"files": [f"{folders['pile']}/train/*"], "skip": 0},
        "validation": {"files": [f"{folders['pile']}/val.jsonl.zst"], "skip": 0},
    }
    own = corpus(source="files", splits=places)
    assert ask("corpus", corpus()) == {
        split: drawing.documents(own, split).to_pylist() for split in drawing.SPLITS
    }


def test_only_what_is_needed_is_streamed(ask, stand_in, tmp_path) -> None:
    noise = random.Random(0)
    large = [{"text": noise.randbytes(30_000).hex()} for _ in range(800)]
    llama.write_lines(tmp_path / "data.jsonl.gz", large)
    stand_in.repositories["datasets/o/large"] = hub.Served(COMMIT, tmp_path)
    place = {"repository": "o/large", "revision": COMMIT, "files": ["*.gz"], "skip": 0}
    splits = {"train": place, "validation": {**place, "skip": 5}}
    stand_in.sent = 0
    made = ask(
        "corpus",
        corpus(splits=splits, filter=None, shuffle=False, train=5, validation=2),
    )
    assert made["train"][0]["text"] == large[0]["text"]
    assert made["validation"][0]["text"] == large[5]["text"]
    assert stand_in.sent < 0.6 * (tmp_path / "data.jsonl.gz").stat().st_size


def test_parquet_of_the_hub(ask) -> None:
    place = {"repository": "o/table", "revision": COMMIT, "files": ["train-*"], "skip": 0}
    splits = {"train": place, "validation": {**place, "skip": 20}}
    made = ask("corpus", corpus(splits=splits, filter=None))
    assert len({d["text"] for d in made["train"] + made["validation"]}) == 30


def test_a_gated_dataset_says_which_licence_to_accept_where(ask, stand_in) -> None:
    told = ask("corpus", corpus("o/gated"), "hf_other")
    assert told.startswith(
        f"o/gated is gated: accept its licence at {stand_in.address}/datasets/o/gated with "
    )
    assert ask("corpus", corpus("o/gated"), stand_in.token)["train"]


def test_a_stream_that_breaks_is_taken_up(ask, stand_in) -> None:
    whole = ask("corpus", corpus())
    for breaks in (stand_in.cuts, stand_in.resets):
        breaks["train/02.jsonl.zst"] = 2
        assert ask("corpus", corpus()) == whole
    stand_in.cuts["train/02.jsonl.zst"] = 10**6
    told = ask("corpus", corpus())
    stand_in.cuts.clear()
    assert told.startswith(f"o/pile at {COMMIT} could not be fetched from {stand_in.address} (")


def serve_lines(stand_in: hub.StandIn, folder: Path, lines: list[str]) -> dict[str, Any]:
    """Settings of a corpus of these lines, two documents and then one."""
    (folder / "data.jsonl").write_text("\n".join(lines))
    stand_in.repositories[f"datasets/o/{folder.name}"] = hub.Served(COMMIT, folder)
    place = {"repository": f"o/{folder.name}", "revision": COMMIT, "files": ["data.jsonl"]}
    splits = {"train": {**place, "skip": 0}, "validation": {**place, "skip": 2}}
    return corpus(splits=splits, filter=None, shuffle=False, train=2, validation=1)


def test_invalid_records_of_the_hub_are_skipped(ask, stand_in, tmp_path, capsys) -> None:
    good = [json.dumps({"text": text}) for text in "abc"]
    bad = ["{oops", "[1]", '{"text": "\\ud800"}']
    lines = [line for pair in zip(bad, good, strict=True) for line in pair]
    lines.insert(3, '{"text": null}')
    made = ask("corpus", serve_lines(stand_in, tmp_path, lines))
    assert [row["text"] for row in made["train"] + made["validation"]] == ["a", "b", "c"]
    (tmp_path / "many").mkdir()
    told = ask("corpus", serve_lines(stand_in, tmp_path / "many", ["{oops"] * 200))
    assert "data.jsonl line 101 is not JSON" in told and "100 records before it" in told
    PassedOver()("a line 1 is not JSON")
    assert capsys.readouterr().err == "Skipped (1): a line 1 is not JSON.\n"


def test_a_split_that_was_drawn_is_kept_while_the_other_fails(ask, stand_in) -> None:
    whole = ask("corpus", corpus())
    stand_in.cuts["val.jsonl.zst"] = 10**6
    assert "could not be fetched" in ask("resumed", corpus())
    stand_in.cuts.clear()
    too_many = corpus(validation=10**4)
    assert "validation asks for 10000 documents" in ask("resumed", too_many)
    stand_in.asked.clear()
    assert ask("resumed", corpus()) == whole
    assert set(stand_in.asked) == {"val.jsonl.zst"}


@pytest.mark.parametrize(
    "settings, sentence",
    [
        (corpus("o/none"), "the hub has no dataset o/none, or it is private"),
        (corpus(revision="b" * 40), f"o/pile has no revision {'b' * 40}; `git ls-remote "),
        (
            corpus(
                splits={
                    **corpus()["splits"],
                    "train": {**corpus()["splits"]["train"], "files": ["test.jsonl.zst"]},
                }
            ),
            f"splits.train.files names test.jsonl.zst, but o/pile at {COMMIT} has no such file (it "
            "has train/00.jsonl.zst,",
        ),
        (corpus(field="content"), "has no field content (it has text, meta); correct `field`."),
        (corpus(train=50), "train asks for 50 documents, but the source hub has 40"),
    ],
)
def test_corpora_that_the_hub_does_not_have(ask, settings, sentence) -> None:
    told = ask("corpus", settings)
    assert sentence in told and "\n" not in told


# Questions ------------------------------------------------------------------------------------


def questions(file: str) -> list[dict[str, str]]:
    settings = {"source": "model-written-evals", "file": file, "choices": ["Yes", "No"]}
    sizes = {"questions": 30, "train": 20, "validation": 5, "seed": 13, "duplicates": "drop"}
    return table({**settings, **sizes}).to_pylist()


def test_questions_at_an_address(stand_in, folders, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    path = llama.EVALS["agreeableness"]
    address = f"{stand_in.address}/datasets/o/evals/resolve/{COMMIT}"
    own = questions(str(folders["evals"] / path))
    assert questions(f"{address}/{path}") == own
    stand_in.cuts[path] = 2
    assert questions(f"{address}/{path}") == own
    stand_in.cuts[path] = 4
    with pytest.raises(StudyError, match="cannot be downloaded .IncompleteRead"):
        questions(f"{address}/{path}")
    with pytest.raises(StudyError, match="cannot be downloaded .the server answers 404.; check"):
        questions(f"{address}/none.jsonl")
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    with pytest.raises(StudyError, match="cannot be downloaded .*Connection refused.*; connect to"):
        questions(f"http://127.0.0.1:9/{COMMIT}/a.jsonl")
    assert waited == [1, 3, 9]


@pytest.mark.parametrize("status", [429, 503])
def test_questions_of_a_server_that_is_busy(stand_in, monkeypatch, status) -> None:
    name, path = "datasets/o/evals", llama.EVALS["agreeableness"]
    address = f"{stand_in.address}/{name}/resolve/{COMMIT}/{path}"
    monkeypatch.setattr("time.sleep", lambda seconds: stand_in.failing.pop(name, None))
    stand_in.failing[name] = status
    assert questions(address)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    stand_in.failing[name] = status
    with pytest.raises(StudyError, match=f"the server answers {status}.; wait and run again"):
        questions(address)
    del stand_in.failing[name]


# No network -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment, reason",
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "(ConnectError: "),
        ({"HF_HUB_OFFLINE": "1"}, "(HF_HUB_OFFLINE is set); unset it and run again"),
    ],
)
def test_no_network_and_an_empty_cache(tmp_path, environment, reason) -> None:
    with client({"HF_HOME": str(tmp_path), **environment}) as process:
        ask = asking(process)
        part = tmp_path / "hub" / "models--o--part" / "snapshots" / COMMIT
        part.mkdir(parents=True)
        (part / "config.json").write_text("{}")
        models = (ask("model", [f"o/{name}", COMMIT, 32]) for name in ("whole", "part"))
        for told in (*models, ask("corpus", corpus())):
            assert f" at {COMMIT} could not be fetched from http" in told
            assert reason in told and "\n" not in told
        assert process.stdin
        process.stdin.close()
