rule mean:
    """The mean activation of a corpus."""
    input:
        unpack(PLAN.inputs("mean")),
    output:
        "results/cache/vectors/{name}-mean.{key}.safetensors",
    log:
        "results/logs/mean/{name}.{key}.log",
    benchmark:
        "results/logs/mean/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("mean"),
    conda:
        WITH_MODELS
    resources:
        **PLAN.resources("mean", SITE),
    params:
        settings=PLAN.settings("mean"),
        code=PLAN.code("mean"),
    message:
        "mean activation {wildcards.name}"
    script:
        "../workflow/scripts/mean.py"


rule vector_file:
    """A vector from a file of another tool, for the layers of its model."""
    input:
        unpack(PLAN.inputs("vector_file")),
    output:
        "results/cache/vectors/{name}-file.{key}.safetensors",
    log:
        "results/logs/vector_file/{name}.{key}.log",
    benchmark:
        "results/logs/vector_file/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("vector_file"),
    localrule: True
    conda:
        WITH_MODELS
    params:
        settings=PLAN.settings("vector_file"),
        code=PLAN.code("vector_file"),
    message:
        "steering vector {wildcards.name}: read its file"
    script:
        "../workflow/scripts/vector_file.py"


rule chosen_vector:
    """The direction that a choice took out of a vector, at the layers of its model."""
    input:
        unpack(PLAN.inputs("chosen_vector")),
    output:
        "results/cache/vectors/{name}-chosen.{key}.safetensors",
    log:
        "results/logs/chosen_vector/{name}.{key}.log",
    benchmark:
        "results/logs/chosen_vector/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("chosen_vector"),
    localrule: True
    conda:
        WITH_MODELS
    params:
        settings=PLAN.settings("chosen_vector"),
        code=PLAN.code("chosen_vector"),
    message:
        "steering vector {wildcards.name}: take what was chosen"
    script:
        "../workflow/scripts/chosen_vector.py"


rule vector:
    """A steering vector: a direction for every layer."""
    input:
        unpack(PLAN.inputs("vector")),
    output:
        "results/cache/vectors/{name}.{key}.safetensors",
    log:
        "results/logs/vector/{name}.{key}.log",
    benchmark:
        "results/logs/vector/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("vector"),
    conda:
        WITH_MODELS
    resources:
        **PLAN.resources("vector", SITE),
    params:
        settings=PLAN.settings("vector"),
        code=PLAN.code("vector"),
    message:
        "steering vector {wildcards.name}"
    script:
        "../workflow/scripts/vector.py"


rule resampled_vectors:
    """A steering vector from samples drawn anew, several times, for its uncertainty."""
    input:
        unpack(PLAN.inputs("resampled_vectors")),
    output:
        "results/cache/vectors/{name}-resampled.{key}.safetensors",
    log:
        "results/logs/resampled_vectors/{name}.{key}.log",
    benchmark:
        "results/logs/resampled_vectors/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("resampled_vectors"),
    conda:
        WITH_MODELS
    resources:
        **PLAN.resources("resampled_vectors", SITE),
    params:
        settings=PLAN.settings("resampled_vectors"),
        code=PLAN.code("resampled_vectors"),
    message:
        "steering vector {wildcards.name}: resamples"
    script:
        "../workflow/scripts/several_vectors.py"


rule drawn_vectors:
    """A control drawn several times."""
    input:
        unpack(PLAN.inputs("drawn_vectors")),
    output:
        "results/cache/vectors/{name}-draws.{key}.safetensors",
    log:
        "results/logs/drawn_vectors/{name}.{key}.log",
    benchmark:
        "results/logs/drawn_vectors/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("drawn_vectors"),
    conda:
        WITH_MODELS
    resources:
        **PLAN.resources("drawn_vectors", SITE),
    params:
        settings=PLAN.settings("drawn_vectors"),
        code=PLAN.code("drawn_vectors"),
    message:
        "steering vector {wildcards.name}: draws"
    script:
        "../workflow/scripts/several_vectors.py"


rule described_vectors:
    """Lengths, accuracies and angles of a study's vectors; made when it is asked for."""
    input:
        unpack(lambda wildcards: PLAN.described_vectors.inputs),
    output:
        vectors=PLAN.path("vectors.csv"),
        cosines=PLAN.path("cosines.csv"),
    log:
        f"results/logs/described_vectors/{STUDY}.log",
    conda:
        WITHOUT_MODELS
    params:
        settings=lambda wildcards: PLAN.described_vectors.settings,
        code=PLAN.script_code("described_vectors"),
    message:
        "results: vectors in numbers"
    script:
        "../workflow/scripts/described_vectors.py"


rule study_vector:
    """A steering vector, or the draws of a control, under its name in the study, with all that it
    was made from."""
    input:
        lambda wildcards: PLAN.study_vectors[wildcards.name].paths,
    output:
        PLAN.path("vectors", "{name}.safetensors"),
    log:
        f"results/logs/study_vector/{STUDY}/{{name}}.log",
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        lineage=PLAN.lineage,
        code=PLAN.script_code("study_vector"),
    message:
        "results: vector {wildcards.name}"
    script:
        "../workflow/scripts/study_vector.py"
