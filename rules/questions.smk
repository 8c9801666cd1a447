rule questions:
    """A behaviour: two-choice questions, split into train, validation and test."""
    input:
        unpack(PLAN.inputs("questions")),
    output:
        "results/cache/questions/{name}.{key}.parquet",
    log:
        "results/logs/questions/{name}.{key}.log",
    benchmark:
        "results/logs/questions/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("questions"),
    localrule: True
    conda:
        WITH_MODELS
    params:
        settings=PLAN.settings("questions"),
        code=PLAN.code("questions"),
    message:
        "behaviour {wildcards.name}: make its questions"
    script:
        "../workflow/scripts/questions.py"
