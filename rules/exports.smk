rule export:
    """A vector as a file of another tool, and beside it what that cannot say."""
    input:
        unpack(lambda wildcards: PLAN.exported_files[wildcards.name, wildcards.vector].inputs),
    output:
        file=exported_to("{name}", "{vector}"),
        about=exported_to("{name}", "{vector}.json"),
    log:
        f"results/logs/export/{STUDY}/{{name}}/{{vector}}.log",
    wildcard_constraints:
        name=one_of(name for name, _ in PLAN.exported_files),
        vector=one_of(vector for _, vector in PLAN.exported_files),
    localrule: True
    conda:
        WITH_MODELS
    params:
        settings=lambda wildcards: PLAN.exported_files[wildcards.name, wildcards.vector].settings,
        code=lambda wildcards: PLAN.exported_files[wildcards.name, wildcards.vector].code,
    message:
        "results: export {wildcards.name} of {wildcards.vector}"
    script:
        "../workflow/scripts/export.py"


rule export_folder:
    """A vector as a folder of files of another tool, and beside it what these cannot say."""
    input:
        unpack(lambda wildcards: PLAN.exported_folders[wildcards.name, wildcards.vector].inputs),
    output:
        file=directory(exported_to("{name}", "{vector}")),
        about=exported_to("{name}", "{vector}.json"),
    log:
        f"results/logs/export_folder/{STUDY}/{{name}}/{{vector}}.log",
    wildcard_constraints:
        name=one_of(name for name, _ in PLAN.exported_folders),
        vector=one_of(vector for _, vector in PLAN.exported_folders),
    localrule: True
    conda:
        WITH_MODELS
    params:
        settings=lambda wildcards: PLAN.exported_folders[wildcards.name, wildcards.vector].settings,
        code=lambda wildcards: PLAN.exported_folders[wildcards.name, wildcards.vector].code,
    message:
        "results: export {wildcards.name} of {wildcards.vector}"
    script:
        "../workflow/scripts/export.py"
