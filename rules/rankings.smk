rule ranking:
    """Arms ranked by how far they move answers, and which are ties."""
    input:
        unpack(lambda wildcards: PLAN.rankings[wildcards.name].inputs),
    output:
        arms=PLAN.path("rankings", "{name}.arms.parquet"),
        pairs=PLAN.path("rankings", "{name}.pairs.parquet"),
        vectors=PLAN.path("rankings", "{name}.vectors.parquet"),
    log:
        f"results/logs/ranking/{STUDY}/{{name}}.log",
    wildcard_constraints:
        name=one_of(PLAN.rankings),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=lambda wildcards: PLAN.rankings[wildcards.name].settings,
        code=PLAN.script_code("ranking"),
    message:
        "results: ranking {wildcards.name}"
    script:
        "../workflow/scripts/ranking.py"
