rule slopes:
    """Slopes of single questions over the coefficient, and what they are on the whole."""
    input:
        unpack(lambda wildcards: PLAN.slopes[wildcards.name].inputs),
    output:
        of_items=PLAN.path("effects", "{name}.items.parquet"),
        of_slopes=PLAN.path("effects", "{name}.slopes.parquet"),
    log:
        f"results/logs/slopes/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.slopes),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=lambda wildcards: PLAN.slopes[wildcards.name].settings,
        code=PLAN.script_code("slopes"),
    message:
        "results: slopes of {wildcards.name}"
    script:
        "../workflow/scripts/slopes.py"


rule control:
    """Effects against those of the draws of a control."""
    input:
        unpack(lambda wildcards: PLAN.controls[wildcards.name].inputs),
    output:
        PLAN.path("effects", "{name}.control.parquet"),
    log:
        f"results/logs/control/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.controls),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=lambda wildcards: PLAN.controls[wildcards.name].settings,
        code=PLAN.script_code("control"),
    message:
        "results: {wildcards.name} against controls"
    script:
        "../workflow/scripts/control.py"
