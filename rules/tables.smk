rule table:
    """Accuracies and matching scores of a sweep, with their intervals."""
    input:
        unpack(lambda wildcards: PLAN.tables[wildcards.name].inputs),
    output:
        PLAN.path("tables", "{name}.parquet"),
    log:
        f"results/logs/table/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.tables),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: PLAN.tables[wildcards.name].settings,
        code=lambda wildcards: PLAN.tables[wildcards.name].code,
    message:
        "results: table {wildcards.name}"
    script:
        "../workflow/scripts/table.py"


rule samples_page:
    """The continuations as a table and as a page of the report."""
    input:
        lambda wildcards: PLAN.samples[wildcards.name].paths,
    output:
        table=PLAN.path("tables", "{name}.parquet"),
        page=report(
            PLAN.path("samples", "{name}.html"),
            caption="../docs/report/samples.rst",
            category="Samples",
            labels=lambda wildcards: {"samples": wildcards.name},
        ),
    log:
        f"results/logs/samples_page/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.samples),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        title=lambda wildcards: PLAN.study.samples[wildcards.name].title,
        said=lambda wildcards: PLAN.study.samples[wildcards.name].said,
        code=PLAN.script_code("samples_page"),
    message:
        "results: samples {wildcards.name}"
    script:
        "../workflow/scripts/samples_page.py"
