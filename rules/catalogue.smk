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
        WITHOUT_MODELS
    params:
        listed=listed_file,
        digest=listed.digest(PLAN.listed()["catalogue"]),
        code=PLAN.script_code("catalogue"),
    message:
        "results: catalogue of the cache"
    script:
        "../workflow/scripts/catalogue.py"


rule study:
    """The study as it was resolved, every default written out: what the tables are of."""
    input:
        PLAN.path("artefacts.csv"),
        TABLES,
    output:
        PLAN.path("study.yaml"),
    log:
        f"results/logs/study/{STUDY}.log",
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        listed=listed_file,
        digest=listed.digest(PLAN.listed()["study"]),
        code=PLAN.script_code("resolved_study"),
    message:
        "results: the study as resolved"
    script:
        "../workflow/scripts/resolved_study.py"
