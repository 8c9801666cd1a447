rule figure:
    """A figure as PDF and PNG, with the numbers behind it."""
    input:
        unpack(lambda wildcards: PLAN.figures[wildcards.name].inputs),
    output:
        pdf=PLAN.path("figures", "{name}.pdf"),
        png=report(
            PLAN.path("figures", "{name}.png"),
            caption="../docs/report/figure.rst",
            category="Figures",
            labels=lambda wildcards: {
                "figure": wildcards.name,
                "kind": PLAN.figures[wildcards.name].settings["kind"],
            },
        ),
        csv=PLAN.path("figures", "{name}.csv"),
    log:
        f"results/logs/figure/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.figures),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=lambda wildcards: PLAN.figures[wildcards.name].settings,
        code=lambda wildcards: PLAN.figures[wildcards.name].code,
        # A param that depends on inputs makes no figure anew.
        caption=lambda wildcards, input: caption(
            PLAN.study, wildcards.name, input.get("tables", [])
        ),
    message:
        "results: figure {wildcards.name}"
    script:
        "../workflow/scripts/figure.py"
