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
    """One candidate of many, by a rule on validation data."""
    input:
        unpack(PLAN.inputs("candidate")),
    output:
        "results/cache/choices/{name}.{key}.json",
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
    """The candidate that was chosen, under the choice's name in the study."""
    input:
        lambda wildcards: PLAN.candidates[wildcards.name].paths,
    output:
        PLAN.path("choices", "{name}.json"),
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
        "cp {input} {output} 2> {log}"
