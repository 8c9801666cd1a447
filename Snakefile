"""A steering study from documents and questions to figures and a report."""

from snakemake.utils import min_version

min_version("9.0")


include: "rules/common.smk"
include: "rules/models.smk"
include: "rules/repositories.smk"
include: "rules/documents.smk"
include: "rules/questions.smk"
include: "rules/activations.smk"
include: "rules/vectors.smk"
include: "rules/sweeps.smk"
include: "rules/choices.smk"
include: "rules/samples.smk"
include: "rules/exports.smk"
include: "rules/published.smk"
include: "rules/tables.smk"
include: "rules/effects.smk"
include: "rules/rankings.smk"
include: "rules/figures.smk"
include: "rules/scorecards.smk"
include: "rules/catalogue.smk"
include: "rules/usage.smk"
include: "rules/front_page.smk"
include: "rules/miniature.smk"


report: "docs/report/workflow.rst"


rule all:
    default_target: True
    input:
        PLAN.path("index.html"),
        PLAN.path("artefacts.csv"),
        PLAN.path("study.yaml"),
        PLAN.path("usage.csv"),
        expand(
            PLAN.path("figures", "{name}.{ending}"),
            name=PLAN.figures,
            ending=["pdf", "png", "csv"],
        ),
        TABLES,
        expand(PLAN.path("samples", "{name}.html"), name=PLAN.texts),
        [PLAN.path("published.html")] if PLAN.published else [],
        expand(
            PLAN.path("scorecards", "{name}.{ending}"),
            name=PLAN.scorecards,
            ending=["parquet", "html", "pdf", "png", "csv"],
        ),
        expand(PLAN.path("vectors", "{name}.safetensors"), name=PLAN.study_vectors),
        [exported_to(*of) for of in [*PLAN.exported_files, *PLAN.exported_folders]],
        expand(PLAN.path("choices", "{name}.json"), name=PLAN.candidates),
        expand(PLAN.path("choices", "{name}.parquet"), name=PLAN.candidates),
