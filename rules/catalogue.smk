rule catalogue:
    """What every file of the cache is: stage, name, key, path, settings and size."""
    input:
        [path for made in PLAN.artefacts() for path in made.paths],
    output:
        PLAN.path("artefacts.csv"),
    log:
        f"results/logs/catalogue/{STUDY}.log",
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        rows=PLAN.catalogue(),
        code=PLAN.code("catalogue"),
    script:
        "../workflow/scripts/catalogue.py"


rule study:
    """The study as it was resolved, every default written out."""
    output:
        PLAN.path("study.yaml"),
    log:
        f"results/logs/study/{STUDY}.log",
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        study=PLAN.study.model_dump(mode="json"),
        code=PLAN.code("resolved_study"),
    script:
        "../workflow/scripts/resolved_study.py"
