"""Records what llama.cpp makes of the texts beside it: token ids, and likely next tokens.

    export PYTHONPATH=tests:workflow/scripts
    python tests/llama_cpp/record.py SmolLM2-135M-Instruct.Q4_1.gguf

from the repository's folder, in an environment with `xllamacpp`, which is llama.cpp with its
server. `texts.json` is read; `ids.json` and `next_tokens.json` are written, of that file, and of
the first model of the miniature in each of the ways to split texts.
"""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gguf_files
import xllamacpp

HERE = Path(__file__).parent
MINIATURE = HERE.parent.parent / "resources" / "models" / "miniature"
SPLITS = ("smollm", "gpt-2", "llama-bpe", "qwen2")
PROMPTS = (
    "The capital of France is",
    "def add(a, b):\n    return",
    "1 2 3 4 5",
    "Once upon a time",
)
LIKELY = 20


def main() -> None:
    texts = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
    recorder = f"xllamacpp {version('xllamacpp')}"
    ids: dict[str, Any] = {"recorded_with": recorder}
    prompts: dict[str, list[int]] = {}  # of a first one, with what stands before or behind a text
    likely: dict[str, Any] = {"recorded_with": recorder, "prompts": PROMPTS}
    with tempfile.TemporaryDirectory() as folder:
        files = {"smollm2": Path(sys.argv[1])}
        for pre in SPLITS:
            path = Path(folder) / f"{pre}.gguf"
            files[f"miniature {pre}"] = gguf_files.write(path, MINIATURE, pre=pre)
        for name, file in files.items():
            server = served(file)
            ids[name] = [
                ask(server, "tokenize", content=text, parse_special=True)["tokens"]
                for text in texts
            ]
            prompts[name] = ask(server, "tokenize", content=PROMPTS[0], add_special=True)["tokens"]
            if name in ("smollm2", "miniature smollm"):
                likely[name] = [next_tokens(server, prompt) for prompt in PROMPTS]
    for name, recorded in (("ids", ids | {"prompts": prompts}), ("next_tokens", likely)):
        written = json.dumps(recorded, separators=(",", ":")).replace(',"', ',\n"')
        (HERE / f"{name}.json").write_text(f"{written}\n", encoding="utf-8")


def served(file: Path) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx = 512
    params.cpuparams.n_threads = 2
    params.warmup = False
    return xllamacpp.Server(params)


def ask(server: xllamacpp.Server, what: str, **content: Any) -> Any:
    request = urllib.request.Request(
        f"{server.listening_address}/{what}",
        json.dumps(content).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def next_tokens(server: xllamacpp.Server, prompt: str) -> list[tuple[int, float]]:
    """Ids of the most likely next tokens, with their log-probabilities in nats."""
    asked = ask(server, "completion", prompt=prompt, n_predict=1, n_probs=LIKELY, temperature=0)
    likely = asked["completion_probabilities"][0]["top_logprobs"]
    return [(each["id"], round(each["logprob"], 4)) for each in likely]


if __name__ == "__main__":
    main()
