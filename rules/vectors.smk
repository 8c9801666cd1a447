rule mean:
    """The mean activation of a corpus."""
    input:
        unpack(PLAN.inputs("mean")),
    output:
        "results/cache/vectors/{name}-mean.{key}.safetensors",
    log:
        "results/logs/mean/{name}.{key}.log",
    benchmark:
        "results/logs/mean/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("mean"),
    conda:
        "../envs/environment.yaml"
    resources:
        **PLAN.resources("mean", SITE),
    params:
        settings=PLAN.settings("mean"),
        code=PLAN.code("mean"),
    message:
        "mean activation {wildcards.name}"
    script:
        "../workflow/scripts/mean.py"


rule vector:
    """A steering vector: a direction for every layer."""
    input:
        unpack(PLAN.inputs("vector")),
    output:
        "results/cache/vectors/{name}.{key}.safetensors",
    log:
        "results/logs/vector/{name}.{key}.log",
    benchmark:
        "results/logs/vector/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("vector"),
    conda:
        "../envs/environment.yaml"
    resources:
        **PLAN.resources("vector", SITE),
    params:
        settings=PLAN.settings("vector"),
        code=PLAN.code("vector"),
    message:
        "steering vector {wildcards.name}"
    script:
        "../workflow/scripts/vector.py"


rule study_vector:
    """A steering vector under its name in the study."""
    input:
        lambda wildcards: PLAN.vector(wildcards.name).paths,
    output:
        PLAN.path("vectors", "{name}.safetensors"),
    log:
        f"results/logs/study_vector/{STUDY}/{{name}}.log",
    localrule: True
    conda:
        "../envs/environment.yaml"
    message:
        "results: vector {wildcards.name}"
    shell:
        "cp {input} {output} 2> {log}"
