rule scorecard:
    """Two sets of tables compared, curve by curve: as tables, as a page and as a figure."""
    input:
        unpack(lambda wildcards: PLAN.scorecards[wildcards.name].inputs),
    output:
        pairs=PLAN.path("scorecards", "{name}-pairs.parquet"),
        curves=PLAN.path("scorecards", "{name}.parquet"),
        page=report(
            PLAN.path("scorecards", "{name}.html"),
            caption="../docs/report/scorecard.rst",
            category="Scorecards",
            labels=lambda wildcards: {"scorecard": wildcards.name, "kind": "page"},
        ),
        pdf=PLAN.path("scorecards", "{name}.pdf"),
        png=report(
            PLAN.path("scorecards", "{name}.png"),
            caption="../docs/report/scorecard.rst",
            category="Scorecards",
            labels=lambda wildcards: {"scorecard": wildcards.name, "kind": "overlay"},
        ),
        csv=PLAN.path("scorecards", "{name}.csv"),
    log:
        f"results/logs/scorecard/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.scorecards),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=lambda wildcards: PLAN.scorecards[wildcards.name].settings,
        code=PLAN.script_code("scorecard"),
        caption=lambda wildcards: PLAN.study.scorecards[wildcards.name].caption or "",
    message:
        "results: scorecard {wildcards.name}"
    script:
        "../workflow/scripts/scorecard.py"
