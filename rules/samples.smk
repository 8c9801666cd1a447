rule samples:
    """Greedy continuations of a few prompts under steering."""
    input:
        unpack(PLAN.inputs("samples")),
    output:
        "results/cache/samples/{name}.{key}.parquet",
    log:
        "results/logs/samples/{name}.{key}.log",
    benchmark:
        "results/logs/samples/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("samples"),
    conda:
        WITH_MODELS
    resources:
        **PLAN.resources("samples", SITE),
    params:
        settings=PLAN.settings("samples"),
        code=PLAN.code("samples"),
    message:
        "samples {wildcards.name}: continue prompts"
    script:
        "../workflow/scripts/samples.py"
