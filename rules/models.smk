rule model:
    """A model's manifest: where it is, and the hashes of its files; of the hub, downloaded."""
    output:
        "results/cache/models/{name}.{key}.json",
    log:
        "results/logs/model/{name}.{key}.log",
    benchmark:
        "results/logs/model/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("model"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=PLAN.settings("model"),
        code=PLAN.code("model"),
    message:
        "model {wildcards.name}: get and check its files"
    script:
        "../workflow/scripts/model.py"
