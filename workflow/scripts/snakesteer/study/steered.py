"""Whether the texts of a measure have the tokens that a sweep steers, and those that it counts.

What only the texts themselves can say, as whether each has a marker, is told when they are read.
"""

from __future__ import annotations

from snakesteer.core.errors import StudyError
from snakesteer.prompts.formats import CHAT, template_parts
from snakesteer.prompts.which_tokens import AFTER, COMPLETION, PROMPT
from snakesteer.study.measures import FirstToken, MeasureEntry
from snakesteer.study.schema import Study
from snakesteer.study.sweeps import SweepEntry


def check(study: Study, entry: str, name: str, sweep: SweepEntry) -> None:
    """Raise StudyError with one sentence if a source of a measure, by its name, has none."""
    measure = sweep.measures[name]
    place = f"{entry}.measures.{name}"
    for source in study.sources_of(sweep, measure):
        given = _has_completions(study, measure, source)
        completed = measure.reads_behind_prompts(given)
        read = f"{measure.section}.{source}"
        if getattr(measure, "counted", None) == COMPLETION and not completed:
            raise StudyError(
                f"{place}.counted is completion, but {read} has no completions; set its "
                "`completion` to the field that holds them, or count all."
            )
        for design in study.designs_of(sweep):
            for positions in design.all_positions:
                problem = _lacking(study, measure, positions, given, completed)
                if problem:
                    raise StudyError(
                        f"{entry}.inject.positions is {positions}, but {place} reads {read}, "
                        f"{problem}, or name other positions."
                    )


def _has_completions(study: Study, measure: MeasureEntry, source: str) -> bool:
    """Whether the source itself says what follows its prompts."""
    if measure.section != "corpora":
        return False
    return getattr(study.origin_of(source), "completion", None) is not None


def _lacking(
    study: Study, measure: MeasureEntry, positions: object, given: bool, completed: bool
) -> str | None:
    """Why texts have no token at these positions, and what to do; None if they may have some."""
    form = study.format_of(measure)
    if positions == COMPLETION and not completed:
        if measure.section == "corpora" and not given:
            return "which has no completions; set its `completion` to the field that holds them"
        if measure.section == "corpora" or isinstance(measure, FirstToken):
            return "of which it reads only the prompts; use another measure"
        return "whose answers have no beginning to steer; give the measure an `answer_prefix`"
    if positions == PROMPT and measure.section == "corpora" and not (form or given):
        return "whose documents have no prompt; give the measure a `format`"
    if positions == AFTER and not completed:
        ended = form and (form.template == CHAT or template_parts(form.template, "")[1])
        if not ended:
            return (
                "where nothing follows the instruction; give the measure a `format` with "
                "text after it"
            )
    return None
