rule choice:
    """Multipliers picked from a grid search on the validation split."""
    input:
        unpack(PLAN.inputs("choice")),
    output:
        "results/cache/choices/{name}.{key}.json",
    log:
        "results/logs/choice/{name}.{key}.log",
    benchmark:
        "results/logs/choice/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("choice"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=PLAN.settings("choice"),
        code=PLAN.code("choice"),
    message:
        "choice {wildcards.name}: pick multipliers on validation"
    script:
        "../workflow/scripts/choice.py"
