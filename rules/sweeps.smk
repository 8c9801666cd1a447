rule skill_sweep:
    """Next-token accuracy on corpora, one injection, all coefficients."""
    input:
        unpack(PLAN.inputs("skill_sweep")),
    output:
        "results/cache/sweeps/{name}.{key}.parquet",
    log:
        "results/logs/skill_sweep/{name}.{key}.log",
    benchmark:
        "results/logs/skill_sweep/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("skill_sweep"),
    conda:
        ENVIRONMENT
    resources:
        **PLAN.resources("skill_sweep", SITE),
    params:
        settings=PLAN.settings("skill_sweep"),
        code=PLAN.code("skill_sweep"),
    message:
        "skill sweep {wildcards.name}"
    script:
        "../workflow/scripts/skill_sweep.py"


rule behaviour_sweep:
    """Answers to two-choice questions, the injections of one layer, all coefficients."""
    input:
        unpack(PLAN.inputs("behaviour_sweep")),
    output:
        "results/cache/sweeps/{name}.{key}.parquet",
    log:
        "results/logs/behaviour_sweep/{name}.{key}.log",
    benchmark:
        "results/logs/behaviour_sweep/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("behaviour_sweep"),
    conda:
        ENVIRONMENT
    resources:
        **PLAN.resources("behaviour_sweep", SITE),
    params:
        settings=PLAN.settings("behaviour_sweep"),
        code=PLAN.code("behaviour_sweep"),
    message:
        "behaviour sweep {wildcards.name}"
    script:
        "../workflow/scripts/behaviour_sweep.py"
