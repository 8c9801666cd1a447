rule sweep:
    """A measure under one injection, or the injections of one layer, at all coefficients."""
    input:
        unpack(PLAN.inputs("sweep")),
    output:
        "results/cache/sweeps/{name}.{key}.parquet",
    log:
        "results/logs/sweep/{name}.{key}.log",
    benchmark:
        "results/logs/sweep/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("sweep"),
    conda:
        ENVIRONMENT
    resources:
        **PLAN.resources("sweep", SITE),
    params:
        settings=PLAN.settings("sweep"),
        code=PLAN.code("sweep"),
    message:
        "sweep {wildcards.name}"
    script:
        "../workflow/scripts/sweep.py"
