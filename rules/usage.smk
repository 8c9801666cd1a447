rule usage:
    """Wall time, memory and tokens a second of the jobs that filled the cache."""
    input:
        [path for made in PLAN.artefacts() for path in made.paths],
    output:
        table=PLAN.path("usage.csv"),
        page=report(
            PLAN.path("usage.html"),
            caption="../docs/report/usage.rst",
            category="Jobs",
        ),
    log:
        f"results/logs/usage/{STUDY}.log",
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        listed=listed_file,
        digest=listed.digest(PLAN.listed()["usage"]),
        code=PLAN.script_code("usage"),
    message:
        "results: what the jobs took"
    script:
        "../workflow/scripts/usage.py"
