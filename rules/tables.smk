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
        WITHOUT_MODELS
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
        WITHOUT_MODELS
    params:
        title=lambda wildcards: PLAN.study.samples[wildcards.name].title,
        said=lambda wildcards: PLAN.study.samples[wildcards.name].said,
        code=PLAN.script_code("samples_page"),
    message:
        "results: samples {wildcards.name}"
    script:
        "../workflow/scripts/samples_page.py"


rule texts_page:
    """The texts of a sweep, coefficients side by side, as a page of the report."""
    input:
        lambda wildcards: PLAN.tables[wildcards.name].inputs["sweeps"],
    output:
        report(
            PLAN.path("samples", "{name}.html"),
            caption="../docs/report/samples.rst",
            category="Samples",
            labels=lambda wildcards: {"samples": wildcards.name},
        ),
    log:
        f"results/logs/texts_page/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.texts),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=lambda wildcards: PLAN.tables[wildcards.name].settings,
        title=lambda wildcards: PLAN.texts[wildcards.name].title,
        said=lambda wildcards: PLAN.said_of_texts(wildcards.name),
        code=PLAN.script_code("texts_page"),
    message:
        "results: texts of {wildcards.name}"
    script:
        "../workflow/scripts/texts_page.py"
