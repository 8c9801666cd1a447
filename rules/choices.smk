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
        WITHOUT_MODELS
    params:
        settings=PLAN.settings("choice"),
        code=PLAN.code("choice"),
    message:
        "choice {wildcards.name}: pick multipliers on validation"
    script:
        "../workflow/scripts/choice.py"


rule candidate:
    """One candidate of many, by a rule on validation data, and how certain that is."""
    input:
        unpack(PLAN.inputs("candidate")),
    output:
        "results/cache/choices/{name}.{key}.json",
        "results/cache/choices/{name}.{key}.parquet",
    log:
        "results/logs/candidate/{name}.{key}.log",
    benchmark:
        "results/logs/candidate/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("candidate"),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=PLAN.settings("candidate"),
        code=PLAN.code("candidate"),
    message:
        "choice {wildcards.name}: choose a candidate on validation"
    script:
        "../workflow/scripts/candidate.py"


rule study_choice:
    """The candidate that was chosen, and all of them, under the choice's name in the study."""
    input:
        choice=lambda wildcards: PLAN.candidates[wildcards.name].paths[0],
        candidates=lambda wildcards: PLAN.candidates[wildcards.name].paths[1],
    output:
        choice=PLAN.path("choices", "{name}.json"),
        candidates=PLAN.path("choices", "{name}.parquet"),
    log:
        f"results/logs/study_choice/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.candidates),
    localrule: True
    conda:
        WITHOUT_MODELS
    message:
        "results: choice {wildcards.name}"
    shell:
        "(cp {input.choice} {output.choice} && cp {input.candidates} {output.candidates}) 2> {log}"
