"""How the two shipped models were made; never run unless asked for (`make models`)."""

MODEL_FILES = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "SHA256SUMS",
]


rule base_model:
    """The model `miniature`: a small Llama trained on the installed packages' documents."""
    output:
        expand("results/models/miniature/{file}", file=MODEL_FILES),
    log:
        "results/logs/base_model.log",
    conda:
        WITH_MODELS
    threads: 2
    resources:
        runtime=int(min(720, SITE.max_runtime)),
    params:
        work="results/models/checkpoints/miniature",
        code=PLAN.script_code("base_model"),
    message:
        "train the base model of the miniature (hours on two cores)"
    script:
        "../workflow/scripts/base_model.py"


rule chat_model:
    """The model `miniature-chat`: tuned from the first on transcripts of two-choice questions."""
    input:
        expand("results/models/miniature/{file}", file=MODEL_FILES),
    output:
        expand("results/models/miniature-chat/{file}", file=MODEL_FILES),
    log:
        "results/logs/chat_model.log",
    conda:
        WITH_MODELS
    threads: 2
    resources:
        runtime=int(min(720, SITE.max_runtime)),
    params:
        work="results/models/checkpoints/miniature-chat",
        code=PLAN.script_code("chat_model"),
    message:
        "tune the chat model of the miniature (an hour and more on two cores)"
    script:
        "../workflow/scripts/chat_model.py"


rule miniature_models:
    """Both models, re-made under results/models/."""
    input:
        rules.base_model.output,
        rules.chat_model.output,
