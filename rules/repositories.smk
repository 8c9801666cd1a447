rule repository:
    """The files of a repository's commit with their git blob ids."""
    output:
        "results/cache/repositories/{name}.{key}.json",
    log:
        "results/logs/repository/{name}.{key}.log",
    benchmark:
        "results/logs/repository/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("repository"),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=PLAN.settings("repository"),
        code=PLAN.code("repository"),
        origin=PLAN.origin,
    message:
        "repository {wildcards.name}: list its commit's files"
    script:
        "../workflow/scripts/repository.py"


rule repository_file:
    """A file of a repository at its commit: downloaded, or taken from a folder, and verified."""
    input:
        unpack(PLAN.inputs("repository_file")),
    output:
        file="results/cache/repository_files/{name}.{key}.file",
        known="results/cache/repository_files/{name}.{key}.json",
    log:
        "results/logs/repository_file/{name}.{key}.log",
    benchmark:
        "results/logs/repository_file/{name}.{key}.tsv"
    wildcard_constraints:
        key=PLAN.keys("repository_file"),
    localrule: True
    conda:
        WITHOUT_MODELS
    params:
        settings=PLAN.settings("repository_file"),
        code=PLAN.code("repository_file"),
        origin=PLAN.origin,
    message:
        "repository {wildcards.name}: get a file"
    script:
        "../workflow/scripts/repository_file.py"
