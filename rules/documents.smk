rule documents:
    """A corpus: documents of the training and the validation split."""
    input:
        unpack(PLAN.inputs("documents")),
    output:
        train="results/cache/documents/{name}-train.{key}.parquet",
        validation="results/cache/documents/{name}-validation.{key}.parquet",
    log:
        "results/logs/documents/{name}.{key}.log",
    benchmark:
        "results/logs/documents/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("documents"),
    localrule: True
    conda:
        WITH_MODELS
    threads: 2
    params:
        settings=PLAN.settings("documents"),
        code=PLAN.code("documents"),
    message:
        "corpus {wildcards.name}: gather documents"
    script:
        "../workflow/scripts/documents.py"


rule selected_documents:
    """Documents of another corpus that the unsteered model's answers select, of both splits."""
    input:
        unpack(PLAN.inputs("selected_documents")),
    output:
        train="results/cache/documents/{name}-train.{key}.parquet",
        validation="results/cache/documents/{name}-validation.{key}.parquet",
    log:
        "results/logs/selected_documents/{name}.{key}.log",
    benchmark:
        "results/logs/selected_documents/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("selected_documents"),
    conda:
        WITH_MODELS
    resources:
        **PLAN.resources("selected_documents", SITE),
    params:
        settings=PLAN.settings("selected_documents"),
        code=PLAN.code("selected_documents"),
    message:
        "corpus {wildcards.name}: run the model, keep documents by its answers"
    script:
        "../workflow/scripts/selected_documents.py"


rule skip_tokens:
    """The most frequent tokens of a corpus, left out of the `kept` measures."""
    input:
        unpack(PLAN.inputs("skip_tokens")),
    output:
        "results/cache/skip_tokens/{name}.{key}.json",
    log:
        "results/logs/skip_tokens/{name}.{key}.log",
    benchmark:
        "results/logs/skip_tokens/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("skip_tokens"),
    conda:
        WITH_MODELS
    resources:
        **PLAN.resources("skip_tokens", SITE),
    params:
        settings=PLAN.settings("skip_tokens"),
        code=PLAN.code("skip_tokens"),
    message:
        "corpus {wildcards.name}: count its tokens"
    script:
        "../workflow/scripts/skip_tokens.py"
