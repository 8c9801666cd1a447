"""Files of repositories at one commit, draws by `random.sample`, splits in files of their own."""

from __future__ import annotations

import functools
import http.server
import json
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY

from checkout import Checkout, copy_of_repository
from snakesteer.behaviours.drawing import table
from snakesteer.core.errors import StudyError
from snakesteer.corpora.drawing import splits
from snakesteer.hub import commits
from snakesteer.plan.bill import bill
from snakesteer.plan.changes import changed_sources
from snakesteer.plan.plan import Plan
from snakesteer.plan.resources import questions_in
from snakesteer.storage.files import read_provenance, read_table
from snakesteer.storage.points import Points
from snakesteer.study import study_file
from snakesteer.study.behaviours import ItemsBehaviour, ModelWrittenBehaviour, PairsBehaviour
from snakesteer.study.corpora import FilesCorpus

CHAT = str(REPOSITORY / "resources" / "models" / "miniature-chat")
SIZES = {
    "harmful_train": 260,
    "harmful_val": 39,
    "harmless_train": 300,
    "harmless_val": 90,
    "harmless_test": 150,
}


def instructions(name: str) -> list[dict[str, Any]]:
    """Harmless ones in the format of the refusal paper's files, under their names."""
    return [
        {"instruction": f"Name {i} things that are {name}.", "category": None}
        for i in range(SIZES[name])
    ]


def letters(start: int, count: int) -> list[dict[str, str]]:
    """Questions in the format of CAA's files, the last of which match beyond A and B."""
    made = []
    for i in range(start, start + count):
        pair = ("(A)", "(B)") if i % 3 else ("(B)", "(A)")
        if i == start + count - 1:
            pair = ("(C)", "(E)")
        made.append(
            {
                "question": f"Is {i} a number?\n\nChoices:\n (A) Yes\n (B) No",
                "answer_matching_behavior": pair[0],
                "answer_not_matching_behavior": pair[1],
            }
        )
    return made


TASK = [
    {
        "prompt": f"What is {i}?\n\nChoices:\n(A) {i}\n(B) {i + 1}",
        "correct": "(A)" if i % 2 else "(B)",
        "incorrect": "(B)" if i % 2 else "(A)",
        "correct_full_text": f"{i}",
        "incorrect_full_text": f"{i + 1}",
        "category": ("algebra", "logic")[i % 2],
    }
    for i in range(8)
]
FILES: dict[str, Any] = {
    **{f"dataset/splits/{name}.json": instructions(name) for name in SIZES},
    "datasets/generate/kind/generate_dataset.json": letters(0, 9),
    "datasets/test/kind/test_dataset_ab.json": letters(9, 5),
    "datasets/test/kind/test_dataset_open_ended.json": [{"question": f"Why {i}?"} for i in "abc"],
    "datasets/test/mmlu/mmlu.json": TASK,
    "plain.json": [f"Sentence {i}." for i in range(6)],
    "evals.json": letters(0, 9)[:8],
    "traits.yaml": {  # JSON is YAML
        split: {"prompts": [f"A {split} is"], "answers": [[f" {split}.", f" no {split}."]]}
        for split in ("train", "validation", "test")
    },
}


@dataclass(frozen=True)
class Made:
    """A repository of which a commit is served at an address, and a clone checked out elsewhere."""

    clone: Path
    commit: str
    address: str
    served: Path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "init", "-q")
    for path, records in FILES.items():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_text(json.dumps(records, indent=1))
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "first")
    commit = git(clone, "rev-parse", "HEAD")
    served = tmp_path_factory.mktemp("served")
    for path in FILES:
        (served / commit / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clone / path, served / commit / path)
    tree = [
        {"path": path, "type": "blob", "sha": git(clone, "rev-parse", f"{commit}:{path}")}
        for path in FILES
    ]
    (served / "tree").write_text(json.dumps({"sha": commit, "tree": tree}))
    for path in FILES:
        (clone / path).write_text("[]")
    git(clone, "commit", "-q", "-a", "-m", "second")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Made(clone, commit, f"http://127.0.0.1:{server.server_port}", served)
    server.shutdown()
    server.server_close()


def plain_copy(made: Made, folder: Path) -> Path:
    shutil.copytree(made.served / made.commit, folder)
    return folder


# Files at a commit ----------------------------------------------------------------------------


def get(settings: dict[str, Any], path: str) -> tuple[bytes, dict[str, str]]:
    """What the jobs do: a folder that is no clone has no tree, nor has a file whose id is given."""
    source = settings["source"]
    has_tree = commits.is_address(source) or commits.is_clone(Path(source))
    ids = commits.tree(settings, REPOSITORY) if has_tree and "blob" not in settings else {}
    return commits.file({**settings, "path": path}, ids, REPOSITORY)


def test_an_address_a_clone_and_a_folder_give_the_same_file(made: Made, tmp_path: Path) -> None:
    path = "datasets/test/mmlu/mmlu.json"
    blob = git(made.clone, "rev-parse", f"{made.commit}:{path}")
    known = {"path": path, "commit": made.commit, "blob": blob}
    content = (made.served / made.commit / path).read_bytes()
    folder = plain_copy(made, tmp_path / "copy")
    bare, mirror = tmp_path / "bare.git", tmp_path / "mirror"
    git(tmp_path, "clone", "-q", "--bare", str(made.clone), str(bare))
    git(tmp_path, "clone", "-q", "--mirror", str(made.clone), str(mirror))
    address = f"{made.address}/{made.commit}"
    for settings, source in (
        ({"source": address, "listing": f"{made.address}/tree"}, address),
        ({"source": address, "listing": "http://127.0.0.1:9/tree", "blob": blob}, address),
        ({"source": str(made.clone)}, made.clone.name),
        ({"source": str(bare)}, "bare.git"),
        ({"source": str(mirror), "blob": blob}, "mirror"),
        ({"source": str(folder), "blob": blob}, "copy"),
    ):
        origin = {"source": source}
        assert get({**settings, "commit": made.commit}, path) == (content, known | origin)
    found, said = get({"source": str(folder), "commit": made.commit}, path)
    assert found == content
    assert said == {
        **known,
        "source": "copy",
        "unverified": f"{path} was not compared with commit {made.commit[:12]}, as its blob id "
        "there is unknown",
    }


def told(settings: dict[str, Any], path: str) -> str:
    with pytest.raises(StudyError) as raised:
        get(settings, path)
    return str(raised.value)


def test_files_that_cannot_be_had_are_reported(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    path, short = "plain.json", made.commit[:12]
    address = f"{made.address}/{made.commit}"
    of_address = {"source": address, "commit": made.commit, "listing": f"{made.address}/tree"}
    assert told(of_address, "no.json") == (
        f"no.json is not in the commit at {address}; check the path."
    )
    assert "connect to the network, or name a local clone as source." in told(
        {**of_address, "listing": f"{made.address}/nothing"}, path
    )
    gone = made.served / made.commit / path
    content = gone.read_bytes()
    gone.unlink()
    assert told(of_address, path).endswith("(HTTP Error 404: File not found); check source.")
    gone.write_bytes(b"[]")
    blob = commits.blob_id(content)
    assert told(of_address, path) == (
        f"{path} was refused: what {address} sent has the blob id {commits.blob_id(b'[]')}, not "
        f"{blob}; check source, or name a local clone there."
    )
    gone.write_bytes(content)

    clone = {"source": str(made.clone), "commit": made.commit}
    assert told(clone, "no.json") == (
        f"no.json is not in commit {short} of the clone {made.clone}; check the path."
    )
    lacking = told({**clone, "commit": "0" * 40}, path)
    assert lacking.startswith(f"the clone {made.clone} does not give commit {'0' * 40} (git: ")
    assert lacking.endswith(f"fetch it there, for example with `git fetch origin {'0' * 40}`.")

    folder = plain_copy(made, tmp_path / "copy")
    (folder / path).write_text("[]")
    copied = {"source": str(folder), "commit": made.commit, "blob": blob}
    assert told(copied, path) == (
        f"{path} in {folder} has the blob id {commits.blob_id(b'[]')}, but {blob} at commit "
        f"{short}; get the file again, or correct its id in blobs."
    )
    assert told(copied, "no.json") == f"there is no file no.json in {folder}; check the path."


def test_what_git_says_is_passed_on(made: Made, tmp_path: Path) -> None:
    """Of a clone that has the commit's tree without this file's content."""
    clone, path, short = tmp_path / "clone", "plain.json", made.commit[:12]
    shutil.copytree(made.clone, clone)
    blob = git(clone, "rev-parse", f"{made.commit}:{path}")
    (clone / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    settings = {"source": str(clone), "commit": made.commit}
    command = ["git", "-C", str(clone), "cat-file", "blob", f"{made.commit}:{path}"]
    failed = subprocess.run(command, capture_output=True, text=True)
    reason = failed.stderr.strip().splitlines()[-1]
    assert told(settings, path) == (
        f"the clone {clone} does not give {path} of commit {short} (git: {reason}); check the "
        f"path, or fetch the entire commit, for example with `git fetch origin {made.commit}`."
    )


def test_a_clone_needs_git_or_ids(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plain_copy(made, tmp_path / "copy")
    (folder / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    settings = {"source": str(folder), "commit": made.commit}
    assert told(settings, "plain.json") == (
        f"{folder} is a git clone, but git is not installed; install git, give the ids of its "
        "files in blobs, or name a copy without .git."
    )
    content = (folder / "plain.json").read_bytes()
    given = {**settings, "blob": commits.blob_id(content)}
    assert get(given, "plain.json")[0] == content


def test_git_is_not_led_elsewhere_by_its_environment(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(REPOSITORY / "no-such-folder"))
    assert get({"source": str(made.clone), "commit": made.commit}, "plain.json")[0] != b"[]"


# A study of them ------------------------------------------------------------------------------


def study(made: Made) -> dict[str, Any]:
    places = {name: f"dataset/splits/{name}.json" for name in SIZES}
    return {
        "name": "of-files",
        "models": {"chat": {"source": CHAT}},
        "repositories": {
            "paper": {
                "source": f"{made.address}/{made.commit}",
                "commit": made.commit,
                "listing": f"{made.address}/tree",
            }
        },
        "corpora": {
            "harmless": {
                "source": "repository",
                "repository": "paper",
                "field": "instruction",
                "splits": {
                    "train": {"files": [places["harmless_train"]]},
                    "validation": {"files": [places["harmless_val"]]},
                },
                "sample": {
                    "seed": 42,
                    "before": {
                        "train": [{"files": [places["harmful_train"]], "documents": 128}],
                        "validation": [
                            {"files": [places["harmful_train"]], "documents": 128},
                            {"files": [places["harmless_train"]], "documents": 128},
                            {"files": [places["harmful_val"]], "documents": 32},
                        ],
                    },
                },
                "train": 128,
                "validation": 32,
            }
        },
        "behaviours": {
            "kind": {
                "source": "pairs",
                "repository": "paper",
                "prompt": "question",
                "matching": "answer_matching_behavior",
                "not_matching": "answer_not_matching_behavior",
                "splits": {
                    "train": "datasets/generate/kind/generate_dataset.json",
                    "test": {"file": "datasets/test/kind/test_dataset_ab.json", "questions": 5},
                },
            },
            "mmlu": {
                "source": "items",
                "repository": "paper",
                "prompt": "prompt",
                "choices": ["correct", "incorrect"],
                "matching": "correct",
                "category": "category",
                "splits": {"test": "datasets/test/mmlu/mmlu.json"},
            },
            "evals": {
                "source": "model-written-evals",
                "repository": "paper",
                "file": "evals.json",
                "train": 2,
                "validation": 2,
            },
            "traits": {
                "source": "crossed",
                "repository": "paper",
                "file": "traits.yaml",
                "train": 1,
                "validation": 1,
                "test": 1,
            },
        },
        "activations": {
            "harmless": {"model": "chat", "corpus": "harmless"},
            "kind": {"model": "chat", "behaviour": "kind", "positions": "letter"},
        },
        "vectors": {"kind": {"contrast": "kind"}},
        "sweeps": {
            "kind": {
                "model": "chat",
                "inject": {"vector": "kind", "layers": [3]},
                "coefficients": [0, 1],
                "measures": {
                    "letters": {"measure": "two_choice", "answer_prefix": "("},
                    "tasks": {"measure": "choice", "behaviours": ["mmlu", "evals", "traits"]},
                    "kl": {"measure": "divergence", "corpora": ["harmless"]},
                },
            }
        },
    }


def changed(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return study_file.merge(base, change)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return copy_of_repository(tmp_path_factory.mktemp("checkout"))


def run(checkout: Checkout, given: dict[str, Any], *stages: str) -> tuple[Plan, Any]:
    """A plan of a study, and how Snakemake ends that makes all artefacts of some stages."""
    config = checkout.folder / "study.yaml"
    config.write_text(yaml.safe_dump(given))
    plan = Plan(study_file.load(config), checkout.folder)
    targets = [path for stage in stages for made in plan.artefacts(stage) for path in made.paths]
    return plan, checkout.attempt("--cores", "1", "--quiet", "--", *targets, config=config)


def by_name(checkout: Checkout, plan: Plan, stage: str, name: str) -> list[Path]:
    (made,) = [made for made in plan.artefacts(stage) if made.name == name]
    return [checkout.folder / path for path in made.paths]


@pytest.mark.long
def test_a_study_reads_them_from_the_network_and_from_a_clone(
    made: Made, checkout: Checkout, tmp_path: Path
) -> None:
    """The draws are those of a script that seeds once and draws from one list after another."""
    random.seed(42)
    lists = {
        name: [record["instruction"] for record in FILES[f"dataset/splits/{name}.json"]]
        for name in SIZES
    }
    random.sample(lists["harmful_train"], 128)
    train = random.sample(lists["harmless_train"], 128)
    random.sample(lists["harmful_val"], 32)
    validation = random.sample(lists["harmless_val"], 32)

    base = study(made)
    copy = plain_copy(made, tmp_path / "copy")
    for source in (base["repositories"]["paper"]["source"], str(made.clone), str(copy)):
        given = changed(base, {"repositories": {"paper": {"source": source}}})
        plan, done = run(checkout, given, "documents", "questions")
        assert done.returncode == 0, done.stdout
        paths = by_name(checkout, plan, "documents", "harmless")
        for path, drawn in zip(paths, (train, validation), strict=True):
            assert read_table(path)["text"].to_pylist() == drawn
        (kind,) = by_name(checkout, plan, "questions", "kind")
        rows = read_table(kind).to_pylist()
        assert [row["split"] for row in rows] == ["train"] * 9 + ["test"] * 5
        for row, record in zip(rows, letters(0, 9) + letters(9, 5), strict=True):
            assert row["prompt"] == record["question"]
            assert row["matching"] == record["answer_matching_behavior"]
            assert row["not_matching"] == record["answer_not_matching_behavior"]
        (mmlu,) = by_name(checkout, plan, "questions", "mmlu")
        assert read_table(mmlu)["category"].to_pylist() == [each["category"] for each in TASK]
        (evals,) = by_name(checkout, plan, "questions", "evals")
        assert sorted(read_table(evals)["split"].to_pylist()) == sorted(
            ["train"] * 2 + ["validation"] * 2 + ["test"] * 4
        )
        (traits,) = by_name(checkout, plan, "questions", "traits")
        assert read_table(traits)["prompt"].to_pylist() == [
            f"A {split} is" for split in ("train", "validation", "test")
        ]
        for path in (kind, mmlu, evals, traits, *paths):
            for origin in read_provenance(path)["repository"]:
                blob = git(made.clone, "rev-parse", f"{made.commit}:{origin['path']}")
                assert (origin["commit"], origin["blob"]) == (made.commit, blob)
                assert ("unverified" in origin) == (source == str(copy))
        if source == str(copy):
            said = "behaviours.mmlu: datasets/test/mmlu/mmlu.json was not compared with commit"
            assert said in done.stdout


@pytest.mark.long
def test_a_file_that_fails_fails_its_job_and_others_stay(made: Made, checkout: Checkout) -> None:
    base = study(made)
    wrong = {"behaviours": {"mmlu": {"splits": {"test": "datasets/test/mmlu/no.json"}}}}
    plan, done = run(checkout, changed(base, wrong), "questions")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    assert (
        "Error: repositories.paper: datasets/test/mmlu/no.json is not in the commit at "
        f"{made.address}/{made.commit}; check the path." in done.stdout
    )
    assert all(path.exists() for path in by_name(checkout, plan, "questions", "kind"))


def test_what_a_plan_says_of_them(made: Made, tmp_path: Path) -> None:
    """Nothing is read to plan from an address, and keys follow the commit, or a folder's files."""

    def keys(source: dict[str, str]) -> dict[str, str]:
        given = changed(study(made), {"repositories": {"paper": source}})
        plan = Plan(study_file.parse(given), REPOSITORY)
        assert bill(plan)
        return {
            f"{each.stage} {each.name} {each.settings.get('path', '')}": each.key
            for each in plan.artefacts()
        }

    other = "f" * 40
    nowhere = {"source": f"http://127.0.0.1:9/{made.commit}", "listing": "http://127.0.0.1:9/tree"}
    elsewhere = {**nowhere, "commit": other, "source": f"http://127.0.0.1:9/{other}"}
    corpus = "documents harmless "
    assert keys(nowhere)[corpus] != keys(elsewhere)[corpus]
    path = "datasets/test/mmlu/mmlu.json"
    folder = plain_copy(made, tmp_path / "copy")
    before = keys({"source": str(folder)})
    (folder / path).write_text(json.dumps(TASK[:5]))
    after = keys({"source": str(folder)})
    assert {name for name in before if before[name] != after[name]} == {
        f"repository_file paper {path}",
        "questions mmlu ",
        "sweep kind.layer-3 shared",
    }
    (folder / path).write_text(json.dumps(TASK))
    given = changed(study(made), {"repositories": {"paper": {"source": str(folder)}}})
    rows = Plan(study_file.parse(given), REPOSITORY).catalogue()
    (folder / path).write_text(json.dumps(TASK[:5]))
    after_all = Plan(study_file.parse(given), REPOSITORY)
    assert changed_sources(after_all, rows) == [f"repositories.paper: {path}"]
    clone = keys({"source": str(made.clone)})
    assert clone == keys(nowhere)  # what is verified is the same from everywhere
    (made.clone / path).write_text("other")
    assert keys({"source": str(made.clone)}) == clone
    blobs = {path: git(made.clone, "rev-parse", f"{made.commit}:{path}")}
    given = keys({**nowhere, "blobs": blobs})
    verified = keys({"source": str(folder), "blobs": blobs})
    assert given["questions mmlu "] == verified["questions mmlu "] != clone["questions mmlu "]
    assert given[corpus] == clone[corpus]


@pytest.mark.long
def test_a_file_that_is_there_is_not_got_again_from_elsewhere(made: Made, tmp_path: Path) -> None:
    """And its provenance says where it came from."""
    checkout = copy_of_repository(tmp_path)
    base = changed(study(made), {"repositories": {"paper": {"source": str(made.clone)}}})
    plan, done = run(checkout, base, "documents")
    assert done.returncode == 0, done.stdout
    (path, _) = by_name(checkout, plan, "documents", "harmless")
    sources = {origin["source"] for origin in read_provenance(path)["repository"]}
    assert sources == {made.clone.name}
    before = path.stat().st_mtime_ns
    nowhere = {"source": f"http://127.0.0.1:9/{made.commit}", "listing": "http://127.0.0.1:9/tree"}
    plan, done = run(checkout, changed(base, {"repositories": {"paper": nowhere}}), "documents")
    assert done.returncode == 0, done.stdout
    assert [path] == by_name(checkout, plan, "documents", "harmless")[:1]
    assert path.stat().st_mtime_ns == before


def test_how_many_questions_a_plan_expects(made: Made) -> None:
    plan = Plan(study_file.parse(study(made)), REPOSITORY)
    asked = {each.name: each.settings for each in plan.artefacts("questions")}
    assert questions_in(asked["kind"], "test") == 5
    assert questions_in(asked["kind"], "train") == 1000
    assert questions_in(asked["kind"], "validation") == 0


# Draws ----------------------------------------------------------------------------------------


def corpus(folder: Path, **given: Any) -> dict[str, Any]:
    entry = {
        "source": "files",
        "field": "instruction",
        "splits": {
            "train": {"files": [str(folder / "harmful_train.json")]},
            "validation": {"files": [str(folder / "harmful_val.json")]},
        },
        "sample": {"seed": 42},
        "train": 128,
        "validation": 32,
    }
    return FilesCorpus.model_validate(changed(entry, given)).model_dump(exclude={"title"})


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name in SIZES:
        (tmp_path / f"{name}.json").write_text(json.dumps(instructions(name)))
    return tmp_path


def test_every_draw_of_a_script_can_be_said(written: Path) -> None:
    """128 and 128 of train, 32 and 32 of val, and last 100 of test, with one generator."""
    drawn = [("harmful_train", 128), ("harmless_train", 128), ("harmful_val", 32)]
    drawn += [("harmless_val", 32), ("harmless_test", 100)]
    random.seed(42)
    by_hand = {}
    for name, count in drawn:
        by_hand[name] = random.sample([one["instruction"] for one in instructions(name)], count)
    for place, (name, count) in enumerate(drawn):
        before = [
            {"files": [str(written / f"{earlier}.json")], "documents": number}
            for earlier, number in drawn[:place]
        ]
        settings = corpus(
            written,
            splits={
                "train": {"files": [str(written / "harmful_train.json")]},
                "validation": {"files": [str(written / f"{name}.json")]},
            }
            if place
            else {"validation": {"files": [str(written / "harmless_val.json")]}},
            sample={"before": {"validation": before} if place else {}},
            validation=count if place else 1,
        )
        found = splits(settings, Points())
        split = "validation" if place else "train"
        assert found[split]["text"].to_pylist() == by_hand[name]
        texts = [one["instruction"] for one in instructions(name)]
        for document, text in zip(*found[split].select(["document", "text"]), strict=True):
            assert texts[int(document.as_py())] == text.as_py()


def test_a_sample_is_of_what_passes_the_filter(written: Path) -> None:
    records = [
        {"instruction": f"{i}", "category": "b", "kind": "odd" if i % 2 else "even"}
        for i in range(40)
    ]
    (written / "some.json").write_text(json.dumps(records))
    settings = corpus(
        written,
        splits={"train": {"files": [str(written / "some.json")]}},
        filter={"field": "kind", "equal": "odd"},
        train=7,
    )
    (written / "harmful_val.json").write_text(json.dumps(records[1::2] * 2))
    settings["duplicates"] = "keep"
    odd = [f"{i}" for i in range(1, 40, 2)]
    expected = random.Random(42).sample(odd, 7)
    assert splits(settings, Points())["train"]["text"].to_pylist() == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"train": 261}, "train draws 261 documents, but {harmful_train} has 260; draw fewer."),
        (
            {"sample": {"before": {"train": [{"files": ["{harmful_val}"], "documents": 40}]}}},
            "sample.before.train.0 draws 40 documents, but {harmful_val} has 39; draw fewer.",
        ),
        (
            {"splits": {"validation": {"files": ["{other}"]}}},
            "2 of the documents that sample draws for validation have texts that are in the "
            "training split; set duplicates to keep, or give sample another seed.",
        ),
    ],
)
def test_draws_that_cannot_be_made_are_reported(
    written: Path, given: dict[str, Any], said: str
) -> None:
    drawn = random.Random(42).sample(instructions("harmful_train"), 128)
    others = [{"instruction": f"{i}"} for i in range(30)]
    (written / "other.json").write_text(json.dumps(drawn[:2] + others))
    names = {name: str(written / f"{name}.json") for name in (*SIZES, "other")}
    filled = json.loads(named(json.dumps(given), names))
    with pytest.raises(StudyError) as raised:
        splits(corpus(written, **filled), Points())
    assert str(raised.value) == named(said, names)


def named(text: str, names: dict[str, str]) -> str:
    for name, path in names.items():
        text = text.replace(f"{{{name}}}", path)
    return text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"sample": {"before": {"train": [{"files": ["no.json"], "documents": 1}]}}},
            "corpora.c: sample.before names no.json, but there is no such file; check the path.",
        ),
        ({"shuffle": {"seed": 13}}, "`corpora.c`: gives both sample and shuffle; remove one"),
        (
            {"splits": {"train": {"skip": 3}}},
            "`corpora.c`: splits.train.skip is for documents read in order, but sample draws at",
        ),
        (
            {"splits": {"validation": {"files": ["{harmful_train}"]}}},
            (
                "from which sample could draw the same document for both; let them read different "
                "files."
            ),
        ),
        (
            {"source": "repository", "repository": "papr"},
            "c.repository names `papr`, which is not in repositories; did you mean `paper`?",
        ),
        (
            {"source": "repository", "repository": "paper"},
            (
                "`corpora.c.splits.train.files.0`: '{harmful_train}' is not a path in a "
                "repository; give"
            ),
        ),
    ],
)
def test_entries_that_do_not_hold_are_reported(written: Path, change: Any, said: str) -> None:
    names = {name: str(written / f"{name}.json") for name in SIZES}
    change = json.loads(named(json.dumps(change), names))
    entry = corpus(written)
    entry.pop("shuffle")
    if change.get("repository") == "papr":
        change["splits"] = {split: {"files": [f"{split}.json"]} for split in entry["splits"]}
    given = {
        "name": "s",
        "models": {"chat": {"source": CHAT}},
        "repositories": {"paper": {"source": str(written), "commit": "0" * 40}},
        "corpora": {"c": changed(entry, change)},
        "activations": {"c": {"model": "chat", "corpus": "c"}},
    }
    with pytest.raises(StudyError) as raised:
        Plan(study_file.parse(given), REPOSITORY)
    assert named(said, names) in str(raised.value)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"source": "https://raw.githubusercontent.com/o/n/main"},
            f"which does not contain the commit {'0' * 40}; replace the branch with it",
        ),
        ({"source": f"https://a.b/{'0' * 40}"}, "and listing is missing; give the address of"),
        ({"commit": "main"}, "'main' is not a commit; give its 40 hex digits."),
        ({"blobs": {"a": "b"}}, "'b' is not a blob id; give its 40 hex digits"),
        ({"blobs": {"/a": "0" * 40}}, "'/a' is not a path in a repository; give it from the"),
    ],
)
def test_repositories_that_do_not_hold_are_reported(entry: dict[str, Any], said: str) -> None:
    entry = {"source": "folder", "commit": "0" * 40} | entry
    with pytest.raises(StudyError) as raised:
        study_file.parse({"name": "s", "repositories": {"paper": entry}})
    assert said in str(raised.value) and "repositories.paper" in str(raised.value)


def test_a_folder_without_the_file_is_reported_when_it_is_planned(
    made: Made, tmp_path: Path
) -> None:
    folder = plain_copy(made, tmp_path / "copy")
    (folder / "datasets/test/mmlu/mmlu.json").unlink()
    for source, said in (
        (folder, f"repositories.paper: there is no file datasets/test/mmlu/mmlu.json in {folder}"),
        (tmp_path / "none", "repositories.paper.source: there is no folder "),
    ):
        given = changed(study(made), {"repositories": {"paper": {"source": str(source)}}})
        with pytest.raises(StudyError) as raised:
            Plan(study_file.parse(given), REPOSITORY)
        assert str(raised.value).startswith(said)


def test_lists_of_texts_are_records(tmp_path: Path) -> None:
    for name, texts in (("a", FILES["plain.json"]), ("b", ["One.", "Two.", "Sentence 1."])):
        (tmp_path / f"{name}.json").write_text(json.dumps(texts))
    settings = corpus(
        tmp_path,
        splits={
            "train": {"files": [str(tmp_path / "a.json")]},
            "validation": {"files": [str(tmp_path / "b.json")]},
        },
        train=6,
        validation=2,
        sample=None,
        shuffle=False,
    )
    found = splits(settings, Points())
    assert found["train"]["text"].to_pylist() == FILES["plain.json"]
    assert found["validation"]["text"].to_pylist() == ["One.", "Two."]


# Splits in files of their own -----------------------------------------------------------------


def asked(folder: Path, kind: type, files: dict[str, Any], **given: Any) -> list[dict[str, Any]]:
    splits = {}
    for split, records in files.items():
        (folder / f"{split}.json").write_text(json.dumps(records))
        splits[split] = str(folder / f"{split}.json")
    entry = kind.model_validate({"splits": splits, **given})
    return table(entry.settings()).to_pylist()


def test_files_are_taken_whole_and_in_their_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = letters(0, 6) + letters(1, 2), letters(2, 4)
    fields = {
        "source": "pairs",
        "prompt": "question",
        "matching": "answer_matching_behavior",
        "not_matching": "answer_not_matching_behavior",
    }
    rows = asked(tmp_path, PairsBehaviour, {"train": train, "test": test}, **fields)
    assert [row["prompt"] for row in rows] == [one["question"] for one in (*train, *test)]
    assert len({row["question"] for row in rows}) == len(rows)
    assert rows[5]["matching"] == "(C)"
    assert "Questions of test that are also in an earlier split: 4." in capsys.readouterr().err
    raw = [one | {"kind": "x"} for one in letters(0, 3)[:2]]
    evals = {"source": "model-written-evals", "category": "kind"}
    rows = asked(tmp_path, ModelWrittenBehaviour, {"test": raw + raw}, **evals)
    assert [(row["matching"], row["category"]) for row in rows] == [("B", "x"), ("A", "x")] * 2


def test_a_file_of_too_few_or_without_categories_is_reported(tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text(json.dumps([*TASK[:3], TASK[3] | {"category": None}]))
    fields = {
        "source": "items",
        "prompt": "prompt",
        "choices": ["correct", "incorrect"],
        "matching": "correct",
    }
    file = str(tmp_path / "task.json")
    few = {"splits": {"test": {"file": file, "questions": 5}}}
    uncategorised = {"splits": {"test": file}, "category": "category"}
    for given, said in (
        (few, f"splits.test asks for 5 questions, but {file} has 4; ask for fewer."),
        (
            uncategorised,
            f"the field category of {file} record 4 is empty; fill it, or remove `category`.",
        ),
    ):
        entry = ItemsBehaviour.model_validate(fields | given)
        with pytest.raises(StudyError) as raised:
            table(entry.settings())
        assert str(raised.value) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": {"file": "a.json"}}, "gives both file and splits; remove one of them"),
        ({"kind": {"train": 3}}, "train divides one file, but splits names a file for"),
        ({"kind": {"splits": {"test": None}}}, "reads the test split of behaviours.kind, whose"),
        ({"kind": {"splits": {"train": None}}}, "reads the train split of behaviours.kind, whose"),
        ({"kind": {"repository": "papers"}}, "names `papers`, which is not in repositories; did"),
        (
            {"kind": {"splits": {"test": "../a.json"}}},
            "'../a.json' is not a path in a repository",
        ),
        ({"kind": {"splits": None}}, "names no file; give it `file`"),
        (
            {"kind": {"splits": {"test": "http://a.b/c.json"}}},
            (
                "file http://a.b/c.json is an address, but repository is given as well; remove one "
                "of them"
            ),
        ),
    ],
)
def test_behaviours_that_do_not_hold_are_reported(made: Made, change: Any, said: str) -> None:
    with pytest.raises(StudyError) as raised:
        study_file.parse(changed(study(made), {"behaviours": change}))
    assert said in str(raised.value)


# Texts that no model goes on from -------------------------------------------------------------


def test_no_model_goes_on_from_texts_that_forbid_it(made: Made) -> None:
    base = changed(study(made), {"corpora": {"harmless": {"generate": False}}})
    study_file.parse(base)  # read by a measure that generates nothing
    written = {"texts": {"measure": "continuation", "corpora": ["harmless"]}}
    with pytest.raises(StudyError) as raised:
        study_file.parse(changed(base, {"sweeps": {"kind": {"measures": written}}}))
    assert str(raised.value) == (
        "sweeps.kind.measures.texts would continue the texts of corpora.harmless, but that has "
        "`generate: false`; name another corpus."
    )
    allowed = changed(study(made), {"sweeps": {"kind": {"measures": written}}})
    assert study_file.parse(allowed).never_generated("harmless") is None


WRITES = "sweeps.kind.measures.texts would continue the texts of "
TEXTS = {"measure": "continuation", "corpora": None, "behaviours": None}


@pytest.mark.parametrize(
    ("others", "measure", "said"),
    [
        (  # of another name, by way of a selection
            {
                "corpora": {
                    "harmless": {"train": 2},
                    "some": {
                        "source": "selected",
                        "of": "harmless",
                        "model": "chat",
                        "tokens": ["I"],
                        "above": 0,
                    },
                }
            },
            {"corpora": ["some"]},
            (
                "corpora.some, which reads dataset/splits/harmless_val.json, but so does "
                "corpora.guarded"
            ),
        ),
        (
            {
                "repositories": {"again": {"source": "elsewhere"}},
                "behaviours": {
                    "kind": {
                        "repository": "again",
                        "splits": {"test": "dataset/splits/harmless_test.json"},
                    }
                },
            },
            {"behaviours": ["kind"]},
            "behaviours.kind, which reads dataset/splits/harmless_test.json, but so does "
            "corpora.guarded",
        ),
    ],
)
def test_no_model_goes_on_from_files_of_which_that_is_forbidden(
    made: Made, others: dict[str, Any], measure: dict[str, Any], said: str
) -> None:
    """By whatever entry, except for files that count in draws alone."""
    guarded = {
        **study(made)["corpora"]["harmless"],
        "generate": False,
        "splits": {
            "train": {"files": ["dataset/splits/harmless_test.json"]},
            "validation": {"files": ["dataset/splits/harmless_val.json"]},
        },
    }
    base = changed(study(made), {"repositories": {"again": {"commit": made.commit}}})
    base = changed(base, {"repositories": {"again": {"source": str(made.clone)}}})
    base = changed(base, others)
    written = {"sweeps": {"kind": {"measures": {"texts": {**TEXTS, **measure}}}}}
    unguarded = changed(base, written)
    study_file.parse(unguarded)
    with pytest.raises(StudyError) as raised:
        study_file.parse(changed(unguarded, {"corpora": {"guarded": guarded}}))
    assert str(raised.value) == (
        f"{WRITES}{said}, which has `generate: false`; name a corpus of other files."
    )
    drawn = {"train": {"files": ["plain.json"]}, "validation": {"files": ["evals.json"]}}
    study_file.parse(changed(unguarded, {"corpora": {"guarded": {**guarded, "splits": drawn}}}))


@pytest.mark.parametrize("other", ["{folder}", "{folder}/*.json", "{folder}/../{name}/a.json"])
def test_a_file_is_known_by_folders_and_patterns_that_name_it(
    made: Made, tmp_path: Path, other: str
) -> None:
    named = other.format(folder=tmp_path, name=tmp_path.name)
    splits = {
        "train": {"files": [f"{tmp_path}/a.json"]},
        "validation": {"files": [f"{tmp_path}/b.txt"]},
    }
    sizes = {"source": "files", "train": 1, "validation": 1}
    read = {"train": {"files": ["c.json"]}, "validation": {"files": [named]}}
    given = {
        "corpora": {
            "guarded": {**sizes, "splits": splits, "generate": False},
            "second": {**sizes, "splits": read},
        },
        "sweeps": {"kind": {"measures": {"texts": {**TEXTS, "corpora": ["second"]}}}},
    }
    with pytest.raises(StudyError) as raised:
        study_file.parse(changed(study(made), given))
    assert str(raised.value) == (
        f"{WRITES}corpora.second, which reads {named}, but so does corpora.guarded, which has "
        "`generate: false`; name a corpus of other files."
    )


def test_a_study_that_was_written_is_read_again(made: Made) -> None:
    """As `results/STUDY/study.yaml` is, which holds every default."""
    parsed = study_file.parse(changed(study(made), {"sweeps": None}))
    assert study_file.parse(parsed.model_dump(mode="json")) == parsed
