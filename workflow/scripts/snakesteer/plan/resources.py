"""What a job asks of a cluster: GPUs, memory and time.

Upper bounds from the model's size and the work that the study's settings allow, before any early
stopping. Another attempt asks for more memory and time, so a job that was cut short by its limits
is not cut short by the same ones again.
"""

from __future__ import annotations

import ast
import contextlib
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakesteer.core.dtypes import ITEM_BYTES
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.corpora.drawing import SPLITS
from snakesteer.hub.manifest import layers_and_width
from snakesteer.plan.artefacts import STAGES, Artefact
from snakesteer.storage.files import ROWS_AT_ONCE
from snakesteer.sweeps.job import Measured, SweepJob

RUNS_A_MODEL = frozenset({"selected_documents", "activations", "sweep", "samples"})

FLOPS = 4e13  # what one current data-centre GPU was seen to do in such runs, on the safe side
CPU_FLOPS = 1e10  # of a core in double precision, on the safe side
READ_BYTES = 2e8  # weights off a network file system, in bytes a second
PROCESS_MB = 4000  # Python, torch and a GPU's context
UNKNOWN_PARAMETERS = 8e9
QUESTION_TOKENS = 256
PROMPT_TOKENS = 4096  # of an instruction, at most
CONTINUATION = "continuation"  # the measure that writes texts
UNSTEERED_AND_CHOSEN = 2  # coefficients, where a choice says them
# What it takes to write a token, in tokens that are read many at a time.
WRITING = 20
PREPARED_QUESTIONS = 1000  # in a file of which the study does not say how many it holds
STARTING_MINUTES = 10
# Methods that solve equations at each layer -> operations, over samples × dimensions they span².
SOLVING = {"pca": 15, "lda": 5, "logistic": 40}

_GPUS = "set gpu_model to the kind of GPU and remove it"
_DEFAULT = "write it under default-resources, as {}: \"'NAME'\""
_REMOVE = "remove it"
# Flags of sbatch that Snakemake's plugin for Slurm refuses, and what sets them instead.
MANAGED = {
    **dict.fromkeys(("--gres", "--gpus"), _GPUS),
    **dict.fromkeys(("--account", "-A"), "set account and remove it"),
    **dict.fromkeys(("--partition", "-p"), "set partition or gpu_partition and remove it"),
    **dict.fromkeys(("--time", "-t"), "set max_runtime or runtime_factor and remove it"),
    **dict.fromkeys(("--cpus-per-task", "-c", "--cpus-per-gpu"), "set threads and remove it"),
    "--qos": _DEFAULT.format("qos"),
    **dict.fromkeys(("--constraint", "-C"), _DEFAULT.format("constraint")),
    "--clusters": _DEFAULT.format("clusters"),
    **dict.fromkeys(("--mem", "--mem-per-cpu"), "set mem_mb with --set-resources and remove it"),
    **dict.fromkeys(
        (
            *("--job-name", "-J", "--output", "-o", "--error", "-e", "--parsable", "--export"),
            *("--comment", "--workdir", "-D", "--ntasks", "-n", "--ntasks-per-gpu"),
            *("--nodes", "-N"),
        ),
        _REMOVE,
    ),
}


@dataclass(frozen=True)
class Site:
    """How a cluster differs from what is assumed here; set in the profile.

    `runtime_factor` multiplies every run time, and none is above `max_runtime`, in minutes, at any
    attempt; `gpu_gb` is one GPU's memory, by which a model with a `device_map` gets its number of
    GPUs. `slurm_extra` are further flags of sbatch, `gpu_extra` those of jobs that run a model, if
    they have others. `gpu_name` is a kind of GPU whose name Snakemake's plugin for Slurm refuses.
    """

    runtime_factor: float = 1.0
    max_runtime: float = math.inf
    gpu_gb: float = 80.0
    slurm_extra: str = ""
    gpu_extra: str = ""
    gpu_name: str = ""

    @classmethod
    def of(cls, defaults: list[str]) -> Site:
        """The site that Snakemake's default resources (`name=value`) describe.

        Raises StudyError with one sentence for a value that is none, and for a flag of sbatch that
        Snakemake sets itself.
        """
        given = dict(default.split("=", 1) for default in defaults)
        settings = {
            name: _READERS[name](name, _unquoted(given[name]))
            for name in cls.__dataclass_fields__.keys() & given.keys()
        }
        return cls(**settings)

    def flags(self, gpus: int) -> str:
        """Further flags of sbatch for a job that runs a model on so many GPUs."""
        named = f"-G {self.gpu_name}:{gpus}" if self.gpu_name else ""
        return " ".join(filter(None, [self.gpu_extra or self.slurm_extra, named]))


def _unquoted(given: str) -> str:
    """A resource's value; texts have quotes, being Python."""
    try:
        return str(ast.literal_eval(given))
    except (ValueError, SyntaxError):
        return given


def _number(name: str, given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise StudyError(f"{name} is {given} in the profile; give a number above 0.")
    return value


def _minutes(name: str, given: str) -> float:
    """A time limit as Slurm writes it, or in minutes.

    Refused is what YAML makes of such a time without quotes: seconds, which nobody can tell from
    minutes.
    """
    if given.lower() in ("infinite", "unlimited"):
        return math.inf
    if re.fullmatch(r"\d+", given) and int(given) >= 3600 and int(given) % 900 == 0:
        hours, days = int(given) / 3600, int(given) / 1440
        raise StudyError(
            f"{name} is {given} in the profile, which is {days:g} days in minutes, but also "
            f"{hours:g} hours without quotes; write days as D-HH:MM:SS, hours as 'HH:MM:SS'."
        )
    with_days = re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?", given)
    without = re.fullmatch(r"()(?:(\d+):)?(\d+):(\d+)", given)
    if found := with_days or without:
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        value = 1440 * days + 60 * hours + minutes + seconds / 60
        if value >= 1:
            return value
    with contextlib.suppress(StudyError):
        return _number(name, given)
    raise StudyError(
        f"{name} is {given} in the profile; give minutes, or D-HH:MM:SS or 'HH:MM:SS' in quotes."
    )


def _flags(name: str, given: str) -> str:
    setting = name.removeprefix("slurm_")
    try:
        words = shlex.split(given)
    except ValueError:
        raise StudyError(f"{setting} is {given} in the profile; close its quotes.") from None
    for word in words:
        flag = word.split("=")[0] if word.startswith("--") else word[:2]
        if flag in MANAGED:
            raise StudyError(
                f"{setting} has {word} in the profile, which Snakemake sets by itself; "
                f"{MANAGED[flag]}."
            )
    return given


def _gpu(name: str, given: str) -> str:
    if re.fullmatch(r"[\w.-]+", given):
        return given
    listed = re.match(r"(?:gpu|gres/gpu):([\w.-]+)", given)
    hint = f"give the name alone ({listed[1]})" if listed else "give the name that sinfo prints"
    raise StudyError(f"gpu_model is {given} in the profile; {hint}.")


_READERS: dict[str, Callable[[str, str], Any]] = {
    "runtime_factor": _number,
    "max_runtime": _minutes,
    "gpu_gb": _number,
    "slurm_extra": _flags,
    "gpu_extra": _flags,
    "gpu_name": _gpu,
}


@dataclass(frozen=True)
class Request:
    """GPUs, memory in MB, run time in minutes and further flags that a job asks for."""

    gpu: int
    mem_mb: int
    runtime: int
    slurm_extra: str = ""


@dataclass(frozen=True)
class Size:
    """How large a model is: bytes of its weight files, decoder blocks, hidden size."""

    weights: float
    layers: int
    hidden: int

    @property
    def parameters(self) -> float:
        """About how many parameters, as if the weights were stored in two bytes each."""
        return self.weights / 2

    @classmethod
    def of(cls, folder: Path) -> Size:
        """The size of the model in `folder`."""
        weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        return cls(weights, *layers_and_width(folder))

    @classmethod
    def planned(cls, billions: float | None, layers: int) -> Size:
        """The size of a model that is not there yet, about: a block has 12 hidden² parameters."""
        parameters = UNKNOWN_PARAMETERS if billions is None else billions * 1e9
        return cls(2 * parameters, layers, round(math.sqrt(parameters / (12 * layers))))


def request(artefact: Artefact, model: Size, site: Site, attempt: int) -> Request:
    """What the job that makes `artefact` asks for at an attempt (1 is the first)."""
    if artefact.stage in RUNS_A_MODEL:
        gpu, memory, minutes = _of_model_job(artefact, model, site)
    else:
        gpu, (memory, minutes) = 0, _of_vectors_job(artefact, model)
    runtime = math.ceil((STARTING_MINUTES + minutes) * site.runtime_factor) * attempt
    return Request(
        0 if site.gpu_name else gpu,  # in the flags then
        math.ceil(PROCESS_MB + memory / 1e6) * attempt,
        math.floor(min(runtime, site.max_runtime)),
        site.flags(gpu) if gpu else site.slurm_extra,
    )


def tokens(artefact: Artefact) -> int:
    """Tokens that a job which runs a model reads at most, with every coefficient and resample."""
    settings = artefact.settings
    match artefact.stage:
        case "selected_documents":
            number = sum(documents_in(artefact, split) for split in SPLITS)
            return number * int(settings["max_tokens"])
        case "activations":
            longest = settings["max_tokens"] if "documents" in artefact.inputs else QUESTION_TOKENS
            return samples(artefact) * longest
        case "sweep":
            return most_tokens(read(SweepJob, settings), artefact.inputs)
        case "samples":
            points = len(settings["coefficients"]) or UNSTEERED_AND_CHOSEN
            prompts = len(settings["prompts"]) * points
            return prompts * (WRITING * settings["tokens"] + QUESTION_TOKENS)
    raise ValueError(f"{artefact.stage} runs no model")


def most_tokens(job: SweepJob, inputs: Mapping[str, Sequence[Any]]) -> int:
    """Tokens that the job of a sweep reads at most; `inputs` are its artefacts by role."""
    total = 0
    for measured in job.measures:
        most = dict(zip(measured.sources, _most_by_source(measured, inputs), strict=True))
        for injected in job.counted:
            read_here = sum(most[source] for source in job.sources(injected, measured))
            total += injected.points * read_here
    return total * (job.resamples or 1)


def _most_by_source(measured: Measured, inputs: Mapping[str, Sequence[Any]]) -> list[int]:
    """Tokens of each source of a measure, at most, at one coefficient."""
    if measured.measure == CONTINUATION:
        return _most_written(measured, inputs)
    most = []
    for place in measured.files.get("questions", ()):
        behaviour, _ = inputs["questions"][place]
        number = measured.readings * questions_in(behaviour.settings, measured.split)
        most.append(QUESTION_TOKENS * number)
    for place in measured.files.get("documents", ()):
        corpus, _ = inputs["documents"][place]
        assert measured.max_tokens
        held = measured.max_tokens * documents_in(corpus, measured.split)
        most.append(min(measured.tokens or measured.read_on or held, held))
    return most


def _most_written(measured: Measured, inputs: Mapping[str, Sequence[Any]]) -> list[int]:
    """Tokens of the texts of each source at one coefficient, as if they were read at once."""
    asked = measured.asked
    written = asked["n"] * (QUESTION_TOKENS + WRITING * asked["tokens"])
    if asked["prompts"]:
        return [len(asked["prompts"]) * written]
    return [prompts_in(made, measured) * written for made, _ in prompts_of(inputs, measured)]


def prompts_of(
    inputs: Mapping[str, Sequence[Any]], measured: Measured
) -> list[tuple[Artefact, int]]:
    """The artefacts that the prompts of a measure are in, each with the number of its file."""
    ((role, places),) = measured.files.items()
    return [inputs[role][place] for place in places]


def prompts_in(made: Artefact, measured: Measured) -> int:
    """How many prompts of a source a measure goes on from, by its settings."""
    if made.stage == "questions":
        number = questions_in(made.settings, measured.split)
    else:
        number = documents_in(made, measured.split)
    return min(measured.asked["items"] or number, number)


def _of_model_job(artefact: Artefact, model: Size, site: Site) -> tuple[int, float, float]:
    settings = artefact.settings
    loaded = model.weights * ITEM_BYTES[settings["dtype"]] / 2
    kept = settings.get("kept_gb", 1) * 1e9
    gpus = math.ceil(1.2 * (loaded + 2 * kept) / (site.gpu_gb * 1e9))
    operations = 2 * model.parameters * tokens(artefact)
    seconds = model.weights / READ_BYTES + operations / FLOPS
    memory = 1.2 * max(model.weights, loaded) + 3 * kept
    return gpus if settings["device_map"] else 1, memory, seconds / 60


def _of_vectors_job(artefact: Artefact, model: Size) -> tuple[float, float]:
    """Bytes and minutes for vectors made of activations.

    Most methods read some at a time and keep means; of others, all samples of a layer are held, or
    all there are at one position.
    """
    made = [made for inputs in artefact.inputs.values() for made, _ in inputs]
    activations = [each for each in made if each.stage == "activations"]
    draws = artefact.settings.get("resamples", artefact.settings.get("draws", 1))
    several = positions(artefact)
    held = 2 * ROWS_AT_ONCE + 4 * 2 * len(activations) * draws * several if activations else 0
    rows = sum(map(samples, activations))
    named = {name for _, name in STAGES[artefact.stage].plugins_of(artefact.settings)}
    if "shuffled-labels" in named:
        held += rows
    numbers, operations = held * model.layers * model.hidden, 0
    if solving := SOLVING.keys() & named:
        inside = min(rows, model.hidden)
        numbers += 4 * rows * model.hidden + 3 * inside**2
        steps = sum(SOLVING[name] for name in solving)
        operations = steps * model.layers * draws * several * rows * inside**2
    return 8.0 * numbers, operations / CPU_FLOPS / 60


def samples(activations: Artefact) -> int:
    """How many samples an extraction captures; a question is two, one for each answer."""
    if "documents" not in activations.inputs:
        return 2 * questions_in(_sources(activations, "questions")[0], "train")
    made = documents_in(activations.inputs["documents"][0][0], "train")
    return min(activations.settings["documents"] or made, made)


def documents_in(corpus: Artefact, split: str) -> int:
    """How many documents a corpus's split has, by its settings; a selection is taken for all that
    it is of."""
    while corpus.stage == "selected_documents":
        corpus = corpus.inputs["documents"][0][0]
    return int(corpus.settings[split])


def positions(artefact: Artefact) -> int:
    """At how many positions activations are read, or vectors are made; of those after the
    instruction, whose number is not known before, one."""
    several = artefact.settings.get("positions")
    if artefact.stage == "activations":
        return len(several) if isinstance(several, list) else 1
    made = [made for inputs in artefact.inputs.values() for made, _ in inputs]
    return max([positions(each) for each in made if each.stage == "activations"], default=1)


def _sources(artefact: Artefact, role: str) -> list[Mapping[str, Any]]:
    return [made.settings for made, _ in artefact.inputs[role]]


def questions_in(behaviour: Mapping[str, Any], split: str) -> int:
    """How many questions a behaviour's split has, by its settings."""
    if "splits" in behaviour:
        of_file = behaviour["splits"].get(split)
        return int(of_file["questions"] or PREPARED_QUESTIONS) if of_file else 0
    if split in behaviour:
        return int(behaviour[split])
    questions = behaviour.get("questions", PREPARED_QUESTIONS)
    return max(int(questions - behaviour["train"] - behaviour["validation"]), 0)
