rule activations:
    """States of all layers at the places that the study names, for every text or answer."""
    input:
        unpack(PLAN.inputs("activations")),
    output:
        "results/cache/activations/{name}.{key}.safetensors",
    log:
        "results/logs/activations/{name}.{key}.log",
    benchmark:
        "results/logs/activations/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("activations"),
    conda:
        WITH_MODELS
    resources:
        **PLAN.resources("activations", SITE),
    params:
        settings=PLAN.settings("activations"),
        code=PLAN.code("activations"),
    message:
        "activations {wildcards.name}: run the model"
    script:
        "../workflow/scripts/activations.py"
