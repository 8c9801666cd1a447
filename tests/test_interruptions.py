"""Jobs that end before they are done: what is finished stays, and the outcome is the same."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny
import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine import extraction, models, texts
from snakesteer.hub.manifest import manifest
from snakesteer.jobs.job import job
from snakesteer.jobs.model import job_points
from snakesteer.jobs.specified import ActivationsJob
from snakesteer.measures import next_token, two_choice
from snakesteer.measures.next_token_settings import Stopping as SkillStopping
from snakesteer.measures.two_choice_settings import Stopping as GridStopping
from snakesteer.storage.files import read_tensors, write_table, write_tensors
from snakesteer.storage.points import Points
from snakesteer.sweeps import chunks, runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.job import Precision
from snakesteer.sweeps.runner import Asked

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(size=32)


@functools.cache
def spoken(model: models.LanguageModel, count: int) -> next_token.Corpus:
    """Documents that the model predicts, of different lengths: its own continuations."""
    starts = torch.tensor([[0, 5 + place] for place in range(count)])
    ids = model.network.generate(starts, do_sample=False, max_new_tokens=22, eos_token_id=None)
    sequences = [row[: 3 + 5 * place % 20] for place, row in enumerate(ids.tolist())]
    return next_token.Corpus([f"d{place}" for place in range(count)], sequences, ())


def skill(
    model: models.LanguageModel,
    folder: Path,
    coefficients: tuple = (0, 0.5, 1, 2),
    stopping: SkillStopping | None = None,
    precision: Precision | None = None,
) -> None:
    corpora = {"many": spoken(model, 12), "few": spoken(model, 5)}
    (table,) = runner.run(
        model,
        [Asked("tokens", next_token, corpora, stopping, precision=precision)],
        [Steering("noise", (part(1, noise(), "add"),), coefficients, {"tokens": ("many", "few")})],
        batch_tokens=64,
        kept_bytes=20_000,
        points=Points(folder / "points"),
    )
    write_table(folder / "out.parquet", table, {})


def behaviours(
    model: models.LanguageModel,
    folder: Path,
    coefficients: tuple = (0.0, 1.0, 2.0),
    stopping: GridStopping | None = None,
) -> None:
    prompts = {
        name: two_choice.read_prompts(model.tokenizer, name, tiny.questions(count))
        for name, count in (("bold", 10), ("shy", 4))
    }
    steerings = [
        Steering("a", (part(1, noise(), "add"),), coefficients, {"answers": ("bold", "shy")}),
        Steering("b", (part(2, noise(), "add"),), (1.0, -1.0, -2.0), {"answers": ("shy",)}),
    ]
    tables = runner.run(
        model,
        [Asked("answers", two_choice, prompts, stopping)],
        steerings,
        batch_tokens=99,
        kept_bytes=20_000,
        points=Points(folder / "points"),
    )
    write_table(folder / "out.parquet", pa.concat_tables(tables), {})


def extracted(model: models.LanguageModel, folder: Path) -> None:
    documents = texts.read_documents(model.tokenizer, tiny.documents(), 30)
    extraction.extract(
        folder / "out.safetensors",
        model,
        documents,
        {},
        batch_tokens=64,
        points=Points(folder / "points"),
    )


KINDS = ("point", "pass")


def point_of(_model, injection, coefficient, source, samples, *_) -> str:
    return f"{coefficient:g} {injection.digest()} {source} {' '.join(samples.names)}"


@dataclass(frozen=True)
class Tally:
    """The points (or shards) and the shared passes that were begun, in any process."""

    path: Path

    def of(self, kind: str, function: Callable, describe: Callable[..., str]) -> Callable:
        def told(*given, **named):
            with self.path.open("a") as file:
                file.write(f"{kind} {describe(*given)}\n")
            return function(*given, **named)

        return told

    def read(self) -> tuple[list[str], list[str]]:
        """Points and passes begun since the last time this was asked."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.path.unlink(missing_ok=True)
        return tuple([line for line in lines if line.startswith(kind)] for kind in KINDS)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tally:
    tally = Tally(tmp_path / "tally")
    point, shared_pass = KINDS
    for module, name, kind, describe in (
        (next_token, "rows", point, point_of),
        (two_choice, "rows", point, point_of),
        (extraction, "of_documents", point, lambda _model, documents: documents.names),
        (chunks, "batches_of", shared_pass, lambda *_: ""),
    ):
        monkeypatch.setattr(module, name, tally.of(kind, getattr(module, name), describe))
    monkeypatch.setattr(extraction, "SHARD_BYTES", 2 * 4 * 32 * 4)
    return tally


def in_a_process(work: Callable[[], None]) -> int:
    """Do the work in a process of its own; returns how that ended."""
    process = os.fork()
    if process == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed_at(moment: int, work: Callable[[], None]) -> Callable[[], None]:
    """The work, killed when it calls its `moment`th function."""

    def doomed() -> None:
        calls = itertools.count()

        def call(_frame, event, _argument):
            if event == "call" and next(calls) == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(call)
        work()

    return doomed


def calls_of(work: Callable[[], None], note: Path) -> int:
    """How many functions the work calls, once it is warm."""

    def counted() -> None:
        calls = 0

        def call(_frame, event, _argument):
            nonlocal calls
            calls += event == "call"

        sys.setprofile(call)
        work()
        sys.setprofile(None)
        note.write_text(str(calls))

    assert in_a_process(counted) == 0
    return int(note.read_text())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [skill, behaviours, extracted])
def test_killed_at_random_moments_a_job_repeats_a_pass_and_a_point(
    model: models.LanguageModel, begun: Tally, tmp_path: Path, kind: Callable, seed: int
) -> None:
    kind(model, tmp_path / "warm")
    begun.read()
    undisturbed, folder = tmp_path / "undisturbed", tmp_path / "killed"
    calls = calls_of(lambda: kind(model, undisturbed), tmp_path / "calls")
    every_point, every_pass = begun.read()
    moments = random.Random(seed)
    kills = 2
    for _ in range(kills):
        doomed = killed_at(moments.randrange(calls // kills), lambda: kind(model, folder))
        assert in_a_process(doomed) == -signal.SIGKILL
    kind(model, folder)
    begun_points, begun_passes = begun.read()
    assert set(begun_points) == set(every_point)
    assert len(begun_points) <= len(every_point) + kills
    assert len(begun_passes) <= len(every_pass) + kills
    (out,) = undisturbed.glob("out.*")
    assert (folder / out.name).read_bytes() == out.read_bytes()


@pytest.mark.parametrize("kind", [skill, behaviours, extracted])
def test_a_write_that_fails_half_way_costs_that_file_only(
    model: models.LanguageModel,
    begun: Tally,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Callable,
) -> None:
    kind(model, tmp_path / "undisturbed")
    (out,) = (tmp_path / "undisturbed").glob("out.*")
    every = begun.read()
    folder = tmp_path / "full"

    def cramped() -> None:
        """Half of the last file does not fit."""

        def limited(write: Callable) -> Callable:
            def writing(*given):
                resource.setrlimit(resource.RLIMIT_FSIZE, (out.stat().st_size // 2,) * 2)
                return write(*given)

            return writing

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        monkeypatch.setattr(sys.modules[__name__], "write_table", limited(write_table))
        monkeypatch.setattr(extraction, "stack_tensors", limited(extraction.stack_tensors))
        with pytest.raises(StudyError, match=f"{out.name} could not be written"):
            kind(model, folder)

    assert in_a_process(cramped) == 0
    assert begun.read() == every
    assert not list(folder.rglob("*out.*"))
    kind(model, folder)
    assert begun.read() == ([], [])
    assert (folder / out.name).read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("kind", "settings", "others"),
    [
        (skill, {}, False),
        (skill, {"stopping": SkillStopping()}, False),
        (skill, {"precision": Precision(0.9, 4)}, True),
        (skill, {"precision": Precision(0.9, 4, "coefficient")}, True),
        (behaviours, {}, False),
    ],
)
def test_a_coefficient_costs_its_own_points_only(
    model: models.LanguageModel,
    begun: Tally,
    tmp_path: Path,
    kind: Callable,
    settings: dict,
    others: bool,
) -> None:
    """With a precision it may ask for more documents, and so for other points, too."""
    kind(model, tmp_path, (0.0, 1.0), **settings)
    first, _ = begun.read()
    out = (tmp_path / "out.parquet").read_bytes()
    kind(model, tmp_path, (0.0, 0.5, 1.0), **settings)
    added, _ = begun.read()
    assert added
    assert not set(added) & set(first)
    assert others or {point.split()[1] for point in added} == {"0.5"}
    kind(model, tmp_path, (0.0, 1.0), **settings)
    assert begun.read() == ([], [])
    assert (tmp_path / "out.parquet").read_bytes() == out


def points_of(
    tmp_path: Path, model: models.LanguageModel, code: str = "a", batch_tokens: int = 512
) -> Path | None:
    """The folder of the points of a job that runs this model."""
    given = {
        "rule": "sweep",
        "threads": 1,
        "output": [str(tmp_path / "sweeps" / "a.parquet")],
    }
    job = ActivationsJob("float32", "auto", None, "auto", "tokenizer")
    return job_points(SimpleNamespace(**given), model, job, batch_tokens, code).folder


def test_other_code_batches_or_devices_find_no_points(
    model: models.LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(device: str = "cpu", **given: Any) -> Path | None:
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: device)
        where = torch.device("cpu" if device == "cpu" else "cuda")
        return points_of(tmp_path, dataclasses.replace(model, device=where), **given)

    assert folder() == folder()
    others = [
        folder(code="b"),
        folder(batch_tokens=1024),
        folder(device="NVIDIA A100"),
        folder(device="NVIDIA H100"),
    ]
    assert len({folder(), *others}) == 5


def test_a_model_of_other_files_finds_no_points(tmp_path: Path) -> None:
    """Nor one that has the same weights: its configurations and its tokenizer count, too."""
    source = tiny.folder(tmp_path / "model")

    def folder() -> Path | None:
        return points_of(tmp_path, models.load(source, manifest(source), device="cpu"))

    found = [folder(), folder()]
    for name, change in (
        ("config.json", {"rms_norm_eps": 0.1}),
        ("tokenizer_config.json", {"bos_token": None}),
        ("generation_config.json", {"eos_token_id": [1, 2]}),
    ):
        content = json.loads((source / name).read_text())
        (source / name).write_text(json.dumps(content | change))
        found.append(folder())
    assert found[0] == found[1] and len(set(found)) == 4


def whole(model: models.LanguageModel, tmp_path: Path) -> np.ndarray:
    extracted(model, tmp_path / "alone")
    return read_tensors(tmp_path / "alone" / "out.safetensors")["activations"]


def test_an_extraction_survives_another_that_clears_its_shards_away(
    model: models.LanguageModel, begun: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two writers of one file, the slower finds its shards gone when it would join them."""
    expected = whole(model, tmp_path)
    shards, _ = begun.read()
    right = extraction.stack_tensors

    def slower(*given: object) -> None:
        monkeypatch.setattr(extraction, "stack_tensors", right)
        extracted(model, tmp_path)
        right(*given)

    monkeypatch.setattr(extraction, "stack_tensors", slower)
    extracted(model, tmp_path)
    assert begun.read() == (shards, [])
    assert (read_tensors(tmp_path / "out.safetensors")["activations"] == expected).all()


def test_shards_that_another_extraction_took_are_captured_again(
    model: models.LanguageModel, begun: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two extractions of other files share a shard, and the first removes it."""
    expected = whole(model, tmp_path)
    shards, _ = begun.read()
    right = extraction.stack_tensors

    def robbed(path: Path, files: list[Path], provenance: dict) -> None:
        monkeypatch.setattr(extraction, "stack_tensors", right)
        files[0].unlink()
        right(path, files, provenance)

    monkeypatch.setattr(extraction, "stack_tensors", robbed)
    extracted(model, tmp_path)
    assert begun.read() == (shards + shards[:1], [])
    assert (read_tensors(tmp_path / "out.safetensors")["activations"] == expected).all()


def test_a_damaged_file_of_the_results_is_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("results/cache/vectors/code.0.safetensors")
    write_tensors(path, {"vector": np.ones((8, 8), np.float32)}, {})
    path.write_bytes(path.read_bytes()[:-7])

    def read() -> None:
        with job(SimpleNamespace(log=["log"])):
            read_tensors(path)

    assert in_a_process(read) == 1
    assert [left.name for left in path.parent.iterdir()] == ["code.0.safetensors.damaged"]
    log = Path("log").read_text()
    assert "Traceback" not in log
    assert f"{path} is damaged" in log
    assert "running again rebuilds it" in log
