"""What jobs ask of a cluster, and the profile that passes it on."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
import yte
from conftest import REPOSITORY
from snakemake_executor_plugin_slurm import validation

from snakesteer.core.errors import StudyError
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.plan import Plan
from snakesteer.plan.resources import MANAGED, RUNS_A_MODEL, Site, Size, request, tokens
from snakesteer.study import study_file

PROFILE = REPOSITORY / "slurm" / "config.yaml"
SMALL = Size(9e6, 8, 192)
LARGE = Size(13.5e9, 32, 4096)
OTHERS = {"skip_tokens", "mean", "vector"}
CUT = {"train": 500, "validation": 200}


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The default study, with a selection from one of its corpora."""
    asked = {"of": "text", "model": "miniature", "tokens": [40], "above": 0, "max_tokens": 128}
    selection = {
        "extends": "miniature.yaml",
        "corpora": {"kept": {"source": "selected", **asked}},
        "activations": {"kept": {"model": "miniature", "corpus": "kept", "max_tokens": 128}},
    }
    data = study_file.resolve(selection, REPOSITORY / "config")
    return Plan(study_file.parse(data), REPOSITORY)


def changed(artefact: Artefact, **settings: Any) -> Artefact:
    return replace(artefact, settings={**artefact.settings, **settings})


def asked(sweep: Artefact, **settings: Any) -> Artefact:
    """The sweep with other settings of its measure."""
    (measure,) = sweep.settings["measures"]
    return changed(sweep, measures=[{**measure, **settings}])


def skill(plan: Plan) -> Artefact:
    """A job of a sweep of two corpora, at one layer."""
    (job,) = plan.sweeps["code-permuted"]
    return job


@pytest.mark.parametrize("stage", sorted(RUNS_A_MODEL | OTHERS))
def test_larger_models_and_later_attempts_ask_for_more(plan: Plan, stage: str) -> None:
    artefact = plan.artefacts(stage)[0]
    small, large, again = (
        request(artefact, model, Site(), attempt)
        for model, attempt in ((SMALL, 1), (LARGE, 1), (LARGE, 2))
    )
    assert small.gpu == large.gpu == (stage in RUNS_A_MODEL)
    assert (again.mem_mb, again.runtime) == (2 * large.mem_mb, 2 * large.runtime)
    assert small.mem_mb <= large.mem_mb
    if stage in RUNS_A_MODEL:
        assert large.mem_mb > small.mem_mb + 13.5e3
        assert large.runtime > small.runtime >= 10
    slow = request(artefact, LARGE, Site(runtime_factor=3), 1)
    assert 2 * large.runtime < slow.runtime <= 3 * large.runtime


def test_each_resample_is_work_of_its_own(plan: Plan) -> None:
    for sweep in (skill(plan), plan.sweeps["grid"][0]):
        assert tokens(changed(sweep, resamples=5)) == 5 * tokens(sweep)


def test_questions_of_a_prepared_file_are_taken_for_as_many_as_the_authors_drew(plan: Plan) -> None:
    sweep = next(one for one in plan.artefacts("sweep") if one.name.startswith("simul"))
    drawn, prepared = (
        replace(
            sweep,
            inputs={
                **sweep.inputs,
                "questions": tuple(
                    (replace(made, settings={**CUT, **known}), file)
                    for made, file in sweep.inputs["questions"]
                ),
            },
        )
        for known in ({"questions": 1000}, {})
    )
    assert tokens(prepared) == tokens(drawn) > 0


def test_more_work_takes_longer(plan: Plan) -> None:
    """A curve of the paper's size: hours on one GPU, not minutes and not weeks."""
    (injected,) = skill(plan).settings["injections"]
    injections = [{**injected, "coefficients": [0.0] * 37}]
    sweep = changed(asked(skill(plan), tokens=None, max_tokens=4096), injections=injections)
    assert tokens(sweep) == 37 * 2 * 48 * 4096
    assert tokens(asked(sweep, tokens=1000)) == 37 * 2 * 1000
    few = request(asked(sweep, tokens=1000), LARGE, Site(), 1)
    assert 60 < request(sweep, LARGE, Site(), 1).runtime - few.runtime < 24 * 60


def test_tokens_of_the_other_stages(plan: Plan) -> None:
    made = {artefact.name: artefact for artefact in plan.artefacts()}
    documents, of_kept, questions = (
        next(made for made in plan.artefacts("activations") if made.name == name)
        for name in ("text", "kept", "myopia")
    )
    assert tokens(documents) == 400 * 128
    assert tokens(changed(documents, documents=10)) == 10 * 128
    (selection,) = plan.artefacts("selected_documents")
    assert tokens(selection) == (400 + 48) * 128
    assert tokens(of_kept) == 400 * 128
    assert tokens(questions) == 2 * 500 * 256
    assert tokens(made["grid.layer-3"]) == 200 * 5 * 11 * 256
    assert tokens(made["single.layer-3"]) == 300 * 5 * 3 * 256
    with pytest.raises(ValueError, match="vector runs no model"):
        tokens(plan.artefacts("vector")[0])


def test_a_spread_model_gets_as_many_gpus_as_it_needs(plan: Plan) -> None:
    sweep = changed(skill(plan), dtype="bfloat16", device_map="auto")
    seventy = Size(140e9, 80, 8192)
    assert request(sweep, LARGE, Site(), 1).gpu == 1
    assert request(sweep, seventy, Site(gpu_gb=80), 1).gpu == 3
    assert request(sweep, seventy, Site(gpu_gb=40), 1).gpu == 5
    assert request(changed(sweep, device_map=None), seventy, Site(), 1).gpu == 1


def test_kept_states_take_memory(plan: Plan) -> None:
    sweep = skill(plan)
    less, more = (
        request(changed(sweep, kept_gb=kept), LARGE, Site(), 1).mem_mb for kept in (1, 10)
    )
    assert more >= less + 9000


def test_no_attempt_asks_for_more_time_than_the_site_allows(plan: Plan) -> None:
    sweep = asked(skill(plan), tokens=None, max_tokens=4096)
    free, limit = request(sweep, LARGE, Site(), 1).runtime, Site(max_runtime=60)
    assert 30 < free < 60
    minutes = [request(sweep, LARGE, limit, attempt).runtime for attempt in (1, 2, 3)]
    assert minutes == [free, 60, 60]


def test_a_site_is_read_from_the_default_resources() -> None:
    assert Site.of([]) == Site()
    assert Site.of(["tmpdir=system_tmpdir", "runtime_factor=1.5"]) == Site(runtime_factor=1.5)
    for wrong in ("0", "-1", "fast", "nan"):
        with pytest.raises(StudyError, match=f"runtime_factor is {wrong} in the profile"):
            Site.of([f"runtime_factor={wrong}"])


def profile(**settings: Any) -> dict[str, Any]:
    """The profile as Snakemake reads it, with some of the site's settings changed."""
    given = yaml.safe_load(PROFILE.read_text())
    assert settings.keys() <= given["__variables__"].keys()
    given["__variables__"] |= settings
    return yte.process_yaml(StringIO(yaml.safe_dump(given, sort_keys=False)), require_use_yte=True)


def site(**settings: Any) -> Site:
    """The site that a profile with these settings describes."""
    defaults = profile(**settings)["default-resources"]
    return Site.of([f"{name}={value}" for name, value in defaults.items()])


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        ("1-12:00:00", 2160),
        ("2-0", 2880),
        ("1-06:30", 1830),
        ("12:00:00", 720),
        ("90:30", 90.5),
        ("600", 600),
        (2880, 2880),
        (10080, 10080),
        ("infinite", math.inf),
        ("UNLIMITED", math.inf),
    ],
)
def test_a_time_limit_is_taken_as_slurm_writes_it(written: Any, minutes: float) -> None:
    assert site(max_runtime=written) == Site(max_runtime=minutes)


def test_a_method_that_solves_equations_asks_for_what_that_takes() -> None:
    """500 pairs at 32 layers of 4,096: some minutes on a core, 100 resamples some hours."""
    pairs = {"train": 500, "validation": 200, "questions": 1000}
    data = study_file.merge(
        study_file.read(REPOSITORY / "config" / "miniature.yaml"),
        {
            "behaviours": {"myopia": pairs},
            "vectors": {
                "probe": {"method": "logistic", "of": "myopia", "scale": "unit"},
                "unlabelled": {"method": "control", "how": "labels", "of": "myopia"},
            },
        },
    )
    plan = Plan(study_file.parse(data), REPOSITORY)
    contrast, probe, unlabelled = (
        request(plan.vectors[name], LARGE, Site(), 1) for name in ("myopia", "probe", "unlabelled")
    )
    drawn = request(changed(plan.vectors["probe"], resamples=100), LARGE, Site(), 1)
    assert contrast.runtime == 10 < probe.runtime < 20 < drawn.runtime < 8 * 60
    assert contrast.mem_mb < probe.mem_mb < contrast.mem_mb + 300
    # All activations in float32, and what the method makes of them.
    assert 2 * 500 * 32 * 4096 * 8 / 1e6 <= unlabelled.mem_mb - contrast.mem_mb < 1200


def test_a_time_limit_without_quotes_is_not_taken_for_minutes() -> None:
    given = yaml.safe_load("max_runtime: 12:00:00")
    with pytest.raises(StudyError) as raised:
        site(**given)
    assert str(raised.value) == (
        "max_runtime is 43200 in the profile, which is 30 days in minutes, but also 12 hours "
        "without quotes; write days as D-HH:MM:SS, hours as 'HH:MM:SS'."
    )


def test_a_kind_of_gpu_with_a_hyphen_is_a_flag_of_every_job_that_runs_a_model(plan: Plan) -> None:
    name = "nvidia_a100-sxm4-40gb"
    assert "set-resources" not in profile(gpu_model=name)
    hyphens = site(gpu_model=name, extra="--mail-type=FAIL", gpu_gb=40)
    sweep = changed(skill(plan), dtype="bfloat16", device_map="auto")
    wildcards = SimpleNamespace(name=sweep.name, key=skill(plan).key)
    resources = plan.resources("sweep", hyphens)
    assert resources["gpu"](wildcards, 1) == 0
    assert resources["slurm_extra"](wildcards, 1) == f"--mail-type=FAIL -G {name}:1"
    assert request(sweep, Size(140e9, 80, 8192), hyphens, 1).slurm_extra.endswith(f"{name}:5")
    assert "slurm_extra" not in plan.resources("mean", hyphens)
    assert "slurm_extra" not in plan.resources("sweep", site(gpu_model="a100"))
    assert site(gpu_model=name, gpus=False).flags(1) == ""
    assert site(extra="--mail-type=FAIL", gpu_extra="--exclusive").flags(1) == "--exclusive"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"gpu_extra": "--gres=gpu:nvidia_a100-sxm4-40gb:1"},
            "gpu_extra has --gres=gpu:nvidia_a100-sxm4-40gb:1 in the profile, which Snakemake "
            "sets by itself; set gpu_model to the kind of GPU and remove it.",
        ),
        (
            {"extra": "--mail-type=FAIL -p long"},
            "extra has -p in the profile, which Snakemake sets by itself; set partition or "
            "gpu_partition and remove it.",
        ),
        (
            {"extra": "--qos=high"},
            "extra has --qos=high in the profile, which Snakemake sets by itself; write it "
            "under default-resources, as qos: \"'NAME'\".",
        ),
        ({"extra": "--comment='a"}, "extra is --comment='a in the profile; close its quotes."),
        (
            {"gpu_model": "gpu:a100-sxm:4(S:0-1)"},
            "gpu_model is gpu:a100-sxm:4(S:0-1) in the profile; give the name alone (a100-sxm).",
        ),
        (
            {"gpu_model": "A100 80GB"},
            "gpu_model is A100 80GB in the profile; give the name that sinfo prints.",
        ),
        (
            {"max_runtime": "two days"},
            "max_runtime is two days in the profile; give minutes, or D-HH:MM:SS or 'HH:MM:SS' in "
            "quotes.",
        ),
        ({"gpu_gb": "many"}, "gpu_gb is many in the profile; give a number above 0."),
    ],
)
def test_what_a_site_cannot_set_is_refused_at_the_start(
    settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StudyError) as raised:
        site(**settings)
    assert str(raised.value) == sentence


def test_the_plugin_refuses_no_flag_that_is_not_refused_here() -> None:
    for pattern in validation.get_forbidden_slurm_options():
        for flag in re.findall(r"--?[\w-]*\w", pattern.replace(r"\s", " ")):
            assert flag in MANAGED


def test_a_profile_with_nothing_set_leaves_everything_to_slurm() -> None:
    plain = profile()
    assert "set-resources" not in plain
    assert plain["default-resources"].keys() == {"runtime_factor", "gpu_gb", "mem_mb"}


def test_what_a_site_sets_reaches_its_jobs() -> None:
    set_up = profile(account="me", partition="cpu", gpu_partition="gpu", gpu_model="a100")
    assert set_up["default-resources"]["slurm_account"] == "'me'"
    assert set_up["default-resources"]["slurm_partition"] == "'cpu'"
    assert set_up["set-resources"] == {
        rule: {"gpu_model": "'a100'", "slurm_partition": "'gpu'"} for rule in RUNS_A_MODEL
    }


def test_a_site_bounds_run_times_and_gives_processors() -> None:
    set_up = profile(max_runtime=600, threads=8)
    assert site(max_runtime=600) == Site(max_runtime=600)
    assert set_up["set-threads"] == dict.fromkeys(RUNS_A_MODEL, 8)
    assert "set-threads" not in profile()


def test_without_gpus_no_job_asks_for_one() -> None:
    none = profile(gpus=False, gpu_model="a100")
    assert none["set-resources"] == {rule: {"gpu": 0} for rule in RUNS_A_MODEL}


def test_the_profiles_share_no_key() -> None:
    default = yaml.safe_load((REPOSITORY / "profiles" / "default" / "config.yaml").read_text())
    assert not default.keys() & profile().keys()
    assert profile()["configfile"] == "config/papers/broad-skills.yaml"
