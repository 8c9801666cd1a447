rule sweep:
    """The measures of a sweep under some of its injections, at all coefficients."""
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
        WITH_MODELS
    resources:
        **PLAN.resources("sweep", SITE),
    params:
        settings=PLAN.settings("sweep"),
        code=PLAN.code("sweep"),
        codes=PLAN.codes("sweep"),
    message:
        "sweep {wildcards.name}"
    script:
        "../workflow/scripts/sweep.py"
