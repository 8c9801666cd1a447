"""A changed setting, or an edit of the code, re-runs exactly what depends on it: from dry runs."""

from __future__ import annotations

import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY
from safetensors.numpy import save_file

from checkout import SMALL, Checkout, copy_of_repository
from snakesteer.core import plugins
from snakesteer.plan.artefacts import STAGES
from snakesteer.plan.code_digest import INERT
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.study.entries import Entry

SCRIPTS = REPOSITORY / "workflow" / "scripts"

SMALL_STUDY = study_file.load(SMALL)


def entries_in(given: Any) -> Iterator[Entry]:
    """An entry, or those in a mapping, and all that are inside of them."""
    if isinstance(given, dict):
        for item in given.values():
            yield from entries_in(item)
    if isinstance(given, Entry):
        yield given
        for field in type(given).model_fields:
            yield from entries_in(getattr(given, field))


ENTRIES = {type(entry).__name__: set(type(entry).model_fields) for entry in entries_in(SMALL_STUDY)}
del ENTRIES["Study"]

_FIGURE = "figure study"
_EFFECTS = "slopes figure study"
_SAMPLES = "samples samples_page catalogue usage study"
_TABLE = "table catalogue usage study"
_ONE_SKILL = f"sweep figure {_TABLE}"
_CODE_SWEEP = f"{_ONE_SKILL} scorecard"
_CODE_VECTORS = (
    "activations mean vector*2 study_vector*2 sweep*2 table*2 figure*2 scorecard catalogue "
    "usage study"
)
_BASE_MODEL = (
    "activations*4 mean*4 vector*3 study_vector*3 sweep*3 table*3 figure*3 scorecard "
    "catalogue usage study"
)
_SWEEPS_OF_MODEL = "sweep*3 table*3 figure*2 scorecard catalogue usage study"
_CHAT_MODEL = (
    "activations*2 vector*2 study_vector*2 sweep*5 choice samples "
    "samples_page table*5 slopes figure*6 catalogue usage study"
)
_QUESTIONS = (
    "questions activations vector study_vector sweep*5 choice table*5 slopes "
    "figure*6 catalogue usage study"
)
_GRID = "sweep*3 choice table*3 slopes figure*4 catalogue usage study"
_SINGLE = f"sweep figure*2 {_TABLE}"
_BEHAVIOUR = f"sweep figure {_TABLE}"

# Setting of the small study -> another value, and how many jobs of which rule that takes.
SETTINGS: dict[str, tuple[Any, str]] = {
    "models.miniature.source": ("tests/another-model", f"model skip_tokens*3 {_BASE_MODEL}"),
    "models.miniature.adapter": ("tests/an-adapter", f"model skip_tokens*3 {_BASE_MODEL}"),
    "models.miniature.dtype": ("bfloat16", _BASE_MODEL),
    "models.miniature.attention": ("eager", _BASE_MODEL),
    "models.miniature.device_map": ("auto", _BASE_MODEL),
    "models.miniature.bos": ("never", f"skip_tokens*3 {_BASE_MODEL}"),
    "models.miniature.special_tokens": ("text", f"skip_tokens*3 {_BASE_MODEL}"),
    "models.miniature-chat.bos": ("always", f"skip_tokens {_CHAT_MODEL}"),
    "models.miniature.batch_tokens": (1024, _BASE_MODEL),
    "models.miniature.compile": (True, _SWEEPS_OF_MODEL),
    "models.miniature.kept_gb": (0.5, _SWEEPS_OF_MODEL),
    "models.miniature.job_tokens": (1, "study"),
    "models.miniature-chat.job_tokens": (
        1,
        "sweep*4 choice table*3 slopes figure*4 catalogue usage study",
    ),
    "models.miniature.layers": (8, "study"),
    "models.miniature.context": (512, "study"),
    "models.miniature.parameters": (1, "study"),
    "models.miniature-chat.dtype": ("bfloat16", _CHAT_MODEL),
    "corpora.text.generate": (False, "study"),
    "corpora.text.kind": (
        "all",
        "documents skip_tokens activations mean vector*3 study_vector*3 sweep*3 table*3 "
        "figure*3 scorecard catalogue usage study",
    ),
    "corpora.python.train": (
        25,
        f"documents skip_tokens activations mean vector study_vector {_ONE_SKILL}",
    ),
    "corpora.all.validation": (7, f"documents skip_tokens activations mean {_ONE_SKILL}"),
    "corpora.python.title": ("Snakes", _FIGURE),
    "behaviours.myopia.trait": ("sycophancy", _QUESTIONS),
    "behaviours.myopia.questions": (61, _QUESTIONS),
    "behaviours.myopia.train": (21, _QUESTIONS),
    "behaviours.myopia.validation": (21, _QUESTIONS),
    "behaviours.myopia.seed": (14, _QUESTIONS),
    "behaviours.myopia.answers": ("texts", _QUESTIONS),
    "behaviours.myopia.title": ("Short sight", "figure*6 study"),
    "activations.code.corpus": ("python", _CODE_VECTORS),
    "activations.code.documents": (23, _CODE_VECTORS),
    "activations.code.max_tokens": (64, _CODE_VECTORS),
    "activations.code.format": ({"template": "Text: {prompt}"}, _CODE_VECTORS),
    "activations.code.site": ("input", _CODE_VECTORS),
    "activations.code.positions": (-2, _CODE_VECTORS),
    "vectors.python.add": (["all"], f"vector study_vector {_ONE_SKILL}"),
    "vectors.python.subtract": (["code"], f"vector study_vector {_ONE_SKILL}"),
    "vectors.code-permuted.how": ("permuted", f"vector study_vector {_CODE_SWEEP}"),
    "vectors.code-permuted.of": ("python", f"vector study_vector {_CODE_SWEEP}"),
    "vectors.code-permuted.seed": (14, f"vector study_vector {_CODE_SWEEP}"),
    "vectors.code-permuted.scale": ({"norm_of": "code"}, f"vector study_vector {_CODE_SWEEP}"),
    "vectors.code-permuted.draws": (2, f"drawn_vectors study_vector {_CODE_SWEEP}"),
    "vectors.python.scale": (2, f"vector study_vector {_ONE_SKILL}"),
    "vectors.myopia.scale": (
        "unit",
        "vector study_vector sweep*5 choice table*5 slopes figure*6 catalogue usage study",
    ),
    "vectors.code.seed": (14, "study"),
    "vectors.myopia.seed": (14, "study"),
    "vectors.code.dtype": (
        "bfloat16",
        "vector*2 study_vector*2 sweep*2 table*2 figure scorecard catalogue usage study",
    ),
    "vectors.python.dtype": ("bfloat16", f"vector study_vector {_ONE_SKILL}"),
    "sweeps.code.title": ("Code", "study"),
    "sweeps.code-permuted.title": ("Control", _FIGURE),
    "sweeps.code.path": ("plain", _CODE_SWEEP),
    "sweeps.code.inject.vector": ("python", _CODE_SWEEP),
    "sweeps.code.inject.layers": ([3, 4], _CODE_SWEEP),
    "sweeps.code.inject.operator": ("ablate", _CODE_SWEEP),
    "sweeps.code.inject.sites": (["mlp"], _CODE_SWEEP),
    "sweeps.code.inject.source_layers": ([2], _CODE_SWEEP),
    "sweeps.code.inject.positions": (-2, _CODE_SWEEP),
    "sweeps.code.coefficients": ([0, 1], _CODE_SWEEP),
    "sweeps.code.transfer": (True, "study"),
    "sweeps.grid.transfer": (True, "study"),
    "sweeps.single.transfer": (True, "study"),
    "sweeps.combined.transfer": (True, "study"),
    "sweeps.simultaneous.transfer": (True, "study"),
    "samples.chat.transfer": (True, "study"),
    "sweeps.alignment-tax.measures.next_token.corpora": (["text"], f"skip_tokens {_ONE_SKILL}"),
    "sweeps.code.measures.next_token.tokens": (700, _CODE_SWEEP),
    "sweeps.code.measures.next_token.paired": (False, _CODE_SWEEP),
    "sweeps.code-permuted.measures.next_token.precision": (0.1, _CODE_SWEEP),
    "sweeps.code-permuted.measures.next_token.precision_by": ("curve", _CODE_SWEEP),
    "sweeps.code-permuted.measures.next_token.pilot": (3, _CODE_SWEEP),
    "sweeps.code.measures.next_token.max_tokens": (64, f"skip_tokens*2 {_CODE_SWEEP}"),
    "sweeps.code.measures.next_token.skip": (10, f"skip_tokens*2 {_CODE_SWEEP}"),
    "sweeps.code.measures.next_token.skip_tokens": ("authors", f"skip_tokens*2 {_CODE_SWEEP}"),
    "sweeps.code.measures.next_token.format": (
        {"template": "Text: {prompt}"},
        f"skip_tokens*2 {_CODE_SWEEP}",
    ),
    "sweeps.code.dtype": ("bfloat16", _CODE_SWEEP),
    "sweeps.code.vector_dtype": ("float16", _CODE_SWEEP),
    "sweeps.code.resamples": (2, f"resampled_vectors {_CODE_SWEEP}"),
    "sweeps.code.measures.next_token.stopping": (False, _CODE_SWEEP),
    "sweeps.code.measures.next_token.stopping.stop": (0.1, _CODE_SWEEP),
    "sweeps.code.measures.next_token.stopping.leap_below": (0.2, _CODE_SWEEP),
    "sweeps.code.measures.next_token.stopping.leap": (4, _CODE_SWEEP),
    "sweeps.grid.path": ("plain", _GRID),
    "sweeps.grid.dtype": ("bfloat16", _GRID),
    "sweeps.grid.vector_dtype": ("float16", _GRID),
    "sweeps.grid.resamples": (2, f"resampled_vectors*2 sweep figure {_TABLE}"),
    "sweeps.grid.inject.vectors": (["wealth-seeking", "myopia"], _GRID),
    "sweeps.grid.inject.layers": (
        [3, 4, 5],
        "sweep*3 choice table*3 slopes figure*4 catalogue usage study",
    ),
    "sweeps.grid.coefficients.magnitudes": ([0.5, 2], _GRID),
    "sweeps.grid.measures.two_choice.stopping.collapse": (0.9, _GRID),
    "sweeps.grid.measures.two_choice.stopping.faulty": (5, _GRID),
    "sweeps.single.inject.layers": ([3], _SINGLE),
    "sweeps.single.measures.two_choice.split": ("validation", _SINGLE),
    "sweeps.single.path": ("plain", _SINGLE),
    "sweeps.single.dtype": ("bfloat16", _SINGLE),
    "sweeps.single.vector_dtype": ("float16", _SINGLE),
    "sweeps.single.resamples": (2, f"resampled_vectors*2 {_SINGLE}"),
    "sweeps.combined.inject.layers": ([3], _BEHAVIOUR),
    "sweeps.combined.inject.sites": (["input"], _BEHAVIOUR),
    "sweeps.combined.inject.positions": ("last", _BEHAVIOUR),
    "sweeps.combined.measures.two_choice.behaviours": (["myopia"], _BEHAVIOUR),
    "sweeps.combined.measures.two_choice.format": ({"template": "Asked: {prompt}"}, _BEHAVIOUR),
    "sweeps.combined.measures.two_choice.answer_prefix": ("(", _BEHAVIOUR),
    "sweeps.combined.measures.two_choice.letters": (["A", "B"], _BEHAVIOUR),
    "sweeps.combined.measures.two_choice.by_category": (True, "table figure study"),
    "sweeps.combined.inject.combine": (["mean"], _BEHAVIOUR),
    "sweeps.combined.inject.weighted": ([True], _BEHAVIOUR),
    "sweeps.combined.measures.two_choice.split": ("validation", _BEHAVIOUR),
    "sweeps.combined.path": ("plain", _BEHAVIOUR),
    "sweeps.combined.dtype": ("bfloat16", _BEHAVIOUR),
    "sweeps.combined.vector_dtype": ("float16", _BEHAVIOUR),
    "sweeps.combined.resamples": (2, f"resampled_vectors*2 {_BEHAVIOUR}"),
    "sweeps.simultaneous.measures.two_choice.split": ("validation", _BEHAVIOUR),
    "sweeps.simultaneous.path": ("plain", _BEHAVIOUR),
    "sweeps.simultaneous.dtype": ("bfloat16", _BEHAVIOUR),
    "sweeps.simultaneous.vector_dtype": ("float16", _BEHAVIOUR),
    "sweeps.simultaneous.resamples": (2, f"resampled_vectors*2 {_BEHAVIOUR}"),
    "choices.multipliers.by": (
        "propensity",
        "choice sweep*2 table*2 figure*2 catalogue usage study",
    ),
    "choices.multipliers.max_faulty": (
        0.1,
        "choice sweep*2 table*2 figure*2 catalogue usage study",
    ),
    "samples.chat.vector": ("myopia", _SAMPLES),
    "samples.chat.layer": (4, _SAMPLES),
    "samples.chat.sites": (["mlp"], _SAMPLES),
    "samples.chat.positions": ("completion", _SAMPLES),
    "samples.chat.format": ({"template": "Text: {prompt}"}, _SAMPLES),
    "samples.chat.coefficients": ([0, 1], _SAMPLES),
    "samples.chat.prompts": (['print(f"{name}")'], _SAMPLES),
    "samples.chat.tokens": (6, _SAMPLES),
    "samples.chat.title": ("Wealth {x}", "samples_page study"),
    "effects.grid.sweep": ("single", _EFFECTS),
    "effects.grid.column": ("probability", "study"),
    "effects.grid.balanced": (True, _EFFECTS),
    "effects.grid.seed": (1, _EFFECTS),
    "figures.steerability.layers": ([3], _FIGURE),
    "figures.general-coding.title": ("Coding", _FIGURE),
    "figures.general-coding.caption": ("Coding at {L}.", "study"),
    "figures.general-coding.sweeps": (["code", "code-permuted"], _FIGURE),
    "figures.general-coding.controls": ([], _FIGURE),
    "figures.general-coding.layers": ([3], _FIGURE),
    "figures.general-coding.measure": ("top10", _FIGURE),
    "figures.general-coding.limits": ([70, 110], _FIGURE),
    "figures.grid-search.behaviour": ("myopia", _FIGURE),
    "figures.grid-search.direction": ("add", _FIGURE),
    "figures.grid-search.layers": ([3], _FIGURE),
    "figures.single-steering.layers": ([4], _FIGURE),
    "figures.combined-steering.layers": ([4], _FIGURE),
    "figures.combined-steering.max_faulty": (5, _FIGURE),
    "figures.simultaneous-steering.max_faulty": (6, _FIGURE),
    "figures.simultaneous-steering.tax": (None, _FIGURE),
    "figures.activation-distributions.activations": (["code"], _FIGURE),
    "figures.vector-distributions.vectors": (["myopia"], _FIGURE),
    "figures.activation-distributions.layers": ([2], _FIGURE),
    "figures.activation-distributions.bins": (20, _FIGURE),
    "figures.activation-distributions.log": (False, _FIGURE),
    "scorecards.control.title": ("Control", "scorecard study"),
    "scorecards.control.caption": ("Code and control.", "scorecard study"),
    "scorecards.control.column": ("perplexity", "scorecard study"),
    "scorecards.control.sweeps": (["python"], "scorecard study"),
    "scorecards.control.against": (["code"], "scorecard study"),
    "question": ("What does it do?", "study"),
    "statistics.resamples": (500, "table*4 figure*3 scorecard study"),
    "statistics.seed": (14, "table*4 figure*3 scorecard study"),
}

# What cannot have another value alone: a check ties it to other settings, or it says which settings
# the entry has; and what there is but one value of.
TIED = {
    "Activations": {"model", "behaviour"},
    "Model": {"revision", "file"},
    "InstalledCorpus": {"source"},
    "GeneratedBehaviour": {"source"},
    "DifferenceVector": {"method"},
    "ContrastVector": {"method", "of"},
    "ControlVector": {"method"},
    "SweepEntry": {"model"},
    "AloneDesign": {"design", "source_positions"},
    "TogetherDesign": {"design", "operator", "positions", "sites", "together"},
    "CombinedDesign": {"design", "operator"},
    "Chosen": {"choice"},
    "NextToken": {"measure", "counted"},
    "TwoChoice": {"measure"},
    "Choice": {"grid", "limit", "multipliers"},
    "Effects": {"controls"},
    "EffectsFigure": {"effects", "kind"},
    "Samples": {"choice", "model", "operator"},
    "TradeoffFigure": {"intervals", "kind"},
    "HeatmapFigure": {"kind", "sweep"},
    "SingleFigure": {"intervals", "kind", "sweep"},
    "CombinedFigure": {"intervals", "kind", "sweep", "single"},
    "SimultaneousFigure": {"intervals", "kind", "sweep"},
    "DistributionsFigure": {"kind"},
    "Scorecard": {"along", "by_category", "choices"},
}


def some(names: Sequence[str], nth: int) -> list[Any]:
    """Every nth name; the others are long."""
    return [
        name if place % nth == 0 else pytest.param(name, marks=pytest.mark.long)
        for place, name in enumerate(names)
    ]


def test_every_setting_is_tried() -> None:
    """Of every kind of entry that the small study has; a title or caption once for all figures."""
    tried: dict[str, set[str]] = defaultdict(set)
    for setting in SETTINGS:
        place: Any = SMALL_STUDY
        for name in setting.split("."):
            if isinstance(place, Entry):
                tried[type(place).__name__].add(name)
                place = getattr(place, name)
            elif isinstance(place, dict):
                place = place[name]
    for kind, fields in ENTRIES.items():
        missing = fields - tried[kind] - TIED.get(kind, set())
        if kind.endswith("Figure") and kind != "TradeoffFigure":
            missing -= {"title", "caption"}
        assert not missing, f"{kind}: no other value is tried of {', '.join(sorted(missing))}"


@pytest.fixture(scope="module", autouse=True)
def another_model(finished: Checkout) -> None:
    shipped = finished.folder / "resources" / "models" / "miniature-chat"
    shutil.copytree(shipped, finished.folder / "tests" / "another-model")
    adapter = finished.folder / "tests" / "an-adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    save_file({"lora_A.weight": np.zeros((1, 1))}, adapter / "adapter_model.safetensors")


@pytest.mark.parametrize("setting", some([*SETTINGS], 6))
def test_a_changed_setting_re_runs_exactly_its_dependants(finished: Checkout, setting: str) -> None:
    value, expected = SETTINGS[setting]
    change: Any = value
    for name in reversed(setting.split(".")):
        change = {name: change}
    variant = finished.variant(change)
    planned = jobs(finished, variant)
    assert planned == counted(expected)
    assert {stage: planned[stage] for stage in STAGES} == absent(finished, variant)


def absent(checkout: Checkout, config: Path) -> dict[str, int]:
    """Cached artefacts of a study that are not there, by stage.

    If just these are made, a change overwrites nothing, and changing it back finds everything.
    """
    plan = Plan(study_file.load(config), checkout.folder)
    return {
        stage: sum(
            not all((checkout.folder / path).exists() for path in made.paths)
            for made in plan.artefacts(stage)
        )
        for stage in STAGES
    }


def jobs(checkout: Checkout, config: Path | None = None) -> Counter[str]:
    """Jobs of a dry run by rule, without the target's."""
    planned = Counter(checkout.planned(config))
    del planned["all"], planned["total"]
    return planned


def counted(jobs: str) -> Counter[str]:
    """`figure*2 study` as numbers by rule; whatever changes the study changes its first page."""
    found = {rule: int(count or 1) for rule, count in re.findall(r"(\w+)(?:\*(\d+))?", jobs)}
    return Counter(found | ({"front_page": 1} if "study" in found else {}))


class Imports(ModuleFinder):
    """Finds imports, without those of the package's own names, which wait until they are asked for.

    So its `__init__` has them for type checkers alone.
    """

    def scan_code(self, co: Any, m: Any) -> None:
        if m.__name__ != "snakesteer":
            super().scan_code(co, m)


def modules_of(file: Path) -> set[str]:
    """Modules of the package that a file imports, and itself, found by the standard library."""
    finder = Imports(path=[str(SCRIPTS)])
    finder.run_script(str(file))
    files = (module.__file__ for module in finder.modules.values())
    return {str(Path(file).relative_to(SCRIPTS)) for file in files if file}


def of_scripts() -> dict[str, set[str]]:
    """Rule -> modules that its script imports."""
    found = {}
    for rules in (REPOSITORY / "rules").glob("*.smk"):
        text = rules.read_text()
        for rule, script in re.findall(r'^rule (\w+):.*?scripts/(\w+)\.py"', text, re.M | re.S):
            found[rule] = modules_of(SCRIPTS / f"{script}.py")
    return found


def of_plugins() -> dict[str, set[str]]:
    """Rule -> modules of the plugins that its jobs load in the small study."""
    plan = Plan(SMALL_STUDY, REPOSITORY)
    loaded = {
        (made.stage, plugin)
        for made in plan.artefacts()
        for plugin in STAGES[made.stage].plugins_of(made.settings)
    }
    loaded |= {("table", ("tables", made.settings["measure"])) for made in plan.tables.values()}
    loaded |= {("figure", ("figures", made.settings["kind"])) for made in plan.figures.values()}
    found: dict[str, set[str]] = defaultdict(set)
    for stage, plugin in loaded:
        found[stage] |= modules_of(plugins.file_of(*plugin))
    return found


OWN, LOADED = of_scripts(), of_plugins()
CLOSURES = {rule: modules | LOADED[rule] for rule, modules in OWN.items()}
MODULES = sorted(str(path.relative_to(SCRIPTS)) for path in (SCRIPTS / "snakesteer").rglob("*.py"))
PLUGINS = {plugins.file_of(kind, name) for kind in plugins.KINDS for name in plugins.names(kind)}
# What a rule's plugins alone import is in the keys of what names them, and not of all that the rule
# makes (`test_keys`).
PARTLY = set[str]().union(*(LOADED[rule] - modules for rule, modules in OWN.items()))
EVERYWHERE = set[str]().union(*OWN.values(), *map(modules_of, PLUGINS))
IMPORTED = [
    module
    for module in MODULES
    if module in set[str]().union(*OWN.values()) - PARTLY - INERT
    and not module.endswith("__init__.py")
]


@pytest.fixture(scope="module")
def downstream(finished: Checkout) -> dict[str, set[str]]:
    """Rule of the small study -> rules that take what it makes, directly or not, and itself."""
    dot = finished.printed("--dag", "dot")
    rules = dict(re.findall(r'(\d+)\[label = "(\w+)', dot))
    reached = {job: {rule} - {"all"} for job, rule in rules.items()}
    edges = re.findall(r"(\d+) -> (\d+)", dot)
    for _ in rules:
        for above, below in edges:
            reached[above] |= reached[below]
    return {
        rule: set().union(*(reached[job] for job in rules if rules[job] == rule))
        for rule in rules.values()
    }


def test_reasons_to_list_the_study_again_hold_no_rows(finished: Checkout) -> None:
    variant = finished.variant({"corpora": {"text": {"kind": "all"}}})
    targets = [f"results/small/{name}" for name in ("artefacts.csv", "usage.csv", "study.yaml")]
    text = finished.dry_run("--rerun-triggers", "params", "--", *targets, config=variant)
    reasons = re.findall(r"Reason: .*Params have changed since last execution.*", text)
    assert len(reasons) == 2 and max(map(len, reasons)) < 1000
    assert '{"' not in text


def test_the_settings_are_written_after_all_that_is_made_with_them(
    downstream: dict[str, set[str]],
) -> None:
    """A run that is cut short leaves the settings of the last one beside its tables."""
    for rule in ("activations", "sweep", "table", "samples_page"):
        assert "study" in downstream[rule]


@pytest.mark.parametrize("module", some(IMPORTED, 12))
def test_an_edit_of_a_module_re_runs_its_dependants(
    finished: Checkout,
    edited: Callable[[str, str, str], None],
    downstream: dict[str, set[str]],
    module: str,
) -> None:
    append(finished, edited, module, "\nEDITED = True\n")
    direct = {rule for rule, modules in CLOSURES.items() if module in modules}
    expected = set().union(*(downstream[rule] for rule in direct & downstream.keys()))
    assert set(jobs(finished)) == expected


def test_an_edit_of_what_no_script_imports_re_runs_nothing(
    finished: Checkout, edited: Callable[[str, str, str], None]
) -> None:
    others = {module for module in MODULES if module not in EVERYWHERE} | INERT
    assert "snakesteer/plan/plan.py" in others
    for module in others:
        append(finished, edited, module, "\nEDITED = True\n")
    assert not jobs(finished)


def test_exports_take_the_vectors_that_are_there(finished: Checkout) -> None:
    variant = finished.variant({"exports": ["gguf", "caa"]})
    assert jobs(finished, variant) == counted("export*5 export_folder*5 study")


def test_comments_and_docstrings_re_run_nothing(
    finished: Checkout, edited: Callable[[str, str, str], None]
) -> None:
    for module in MODULES:
        append(finished, edited, module, "\n# A comment.\n")
        edited(f"workflow/scripts/{module}", '"""', '"""Re-worded. ')
    assert not jobs(finished)


def test_a_clone_with_kept_results_re_runs_nothing(finished: Checkout, tmp_path: Path) -> None:
    clone = copy_of_repository(tmp_path)
    for kept in ("results", ".snakemake/metadata"):
        shutil.copytree(finished.folder / kept, clone.folder / kept)
    assert not jobs(clone)


def append(
    checkout: Checkout, edited: Callable[[str, str, str], None], module: str, text: str
) -> None:
    path = f"workflow/scripts/{module}"
    content = (checkout.folder / path).read_text()
    edited(path, content, content + text)
