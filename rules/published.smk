rule published_source:
    """The published files: found in a folder, or downloaded, each with its git blob id."""
    output:
        "results/cache/published/{name}.{key}.json",
    log:
        "results/logs/published_source/{name}.{key}.log",
    benchmark:
        "results/logs/published_source/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("published_source"),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=PLAN.settings("published_source"),
        code=PLAN.code("published_source"),
        folder=verbatim(PLAN.published_folder()),
    message:
        "published results: find their files"
    script:
        "../workflow/scripts/published_source.py"


rule published_table:
    """Published results as a table like those of the study's own sweeps."""
    input:
        unpack(PLAN.inputs("published_table")),
    output:
        "results/cache/published/{name}.{key}.parquet",
    log:
        "results/logs/published_table/{name}.{key}.log",
    benchmark:
        "results/logs/published_table/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("published_table"),
    localrule: True
    conda:
        WITH_MODELS
    params:
        settings=PLAN.settings("published_table"),
        code=PLAN.code("published_table"),
        licence=verbatim(PLAN.published_licence()),
        folder=verbatim(PLAN.published_folder()),
    message:
        "published {wildcards.name}: make its table"
    script:
        "../workflow/scripts/published_table.py"


rule published_vector:
    """A published mean activation or contrast vector, read without running its pickle."""
    input:
        unpack(PLAN.inputs("published_vector")),
    output:
        "results/cache/vectors/{name}-published.{key}.safetensors",
    log:
        "results/logs/published_vector/{name}.{key}.log",
    benchmark:
        "results/logs/published_vector/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("published_vector"),
    localrule: True
    conda:
        WITH_MODELS
    params:
        settings=PLAN.settings("published_vector"),
        code=PLAN.code("published_vector"),
        folder=verbatim(PLAN.published_folder()),
    message:
        "published {wildcards.name}: read its activations"
    script:
        "../workflow/scripts/published_vector.py"


rule published_histogram:
    """How a published mean or vector is distributed over the hidden dimensions."""
    input:
        unpack(PLAN.inputs("published_histogram")),
    output:
        "results/cache/published/{name}-histogram.{key}.parquet",
    log:
        "results/logs/published_histogram/{name}.{key}.log",
    benchmark:
        "results/logs/published_histogram/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("published_histogram"),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=PLAN.settings("published_histogram"),
        code=PLAN.code("published_histogram"),
        licence=verbatim(PLAN.published_licence()),
    message:
        "published {wildcards.name}: histogram"
    script:
        "../workflow/scripts/published_histogram.py"


rule study_published:
    """A table of the published results under its name in the study."""
    input:
        table=lambda wildcards: PLAN.published[wildcards.name].inputs["table"],
    output:
        PLAN.path("tables", "{name}.parquet"),
    log:
        f"results/logs/study_published/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.published),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=lambda wildcards: PLAN.published[wildcards.name].settings,
        code=PLAN.script_code("study_published"),
    message:
        "results: published table {wildcards.name}"
    script:
        "../workflow/scripts/study_published.py"


rule published_page:
    """What of the published results there is, and what is left out and why."""
    input:
        expand(PLAN.path("tables", "{name}.parquet"), name=PLAN.published),
    output:
        report(
            PLAN.path("published.html"),
            caption="../docs/report/published.rst",
            category="Published results",
        ),
    log:
        f"results/logs/published_page/{STUDY}.log",
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        source=verbatim(PLAN.study.published.source if PLAN.study.published else ""),
        commit=PLAN.study.published.commit if PLAN.study.published else "",
        code=PLAN.script_code("published_page"),
    message:
        "results: what of the published results there is"
    script:
        "../workflow/scripts/published_page.py"
