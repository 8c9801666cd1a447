rule front_page:
    """The first page of a study: what was asked and found, with figures, texts and cost."""
    input:
        **front_page.inputs(PLAN),
    output:
        PLAN.path("index.html"),
    log:
        f"results/logs/front_page/{STUDY}.log",
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        listed=listed_file,
        digest=listed.digest(PLAN.listed()["front_page"]),
        code=PLAN.script_code("front_page"),
        # Params that depend on inputs make no page anew.
        captions=lambda wildcards, input: {
            name: caption(PLAN.study, name, PLAN.figures[name].inputs.get("tables", []))
            for name in PLAN.figures
        },
        notes=lambda wildcards, input: notes(PLAN),
    message:
        "results: first page"
    script:
        "../workflow/scripts/front_page.py"
