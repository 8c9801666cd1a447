"""Texts under eight coefficients: in one batch, a batch for each, and by model.generate for each.

    PYTHONPATH=workflow/scripts python benchmarks/generation.py --threads 2

`together` writes the texts of all coefficients as rows of one batch, `apart` a batch for each of
them. `generate` is transformers' own with a hook, once for each, on all prompts at once, which are
padded on the left. They take turns, and ratios are those of the medians, of seconds and of
processor seconds, which count where other jobs run beside. The model has random weights in the
shape of SmolLM2-135M, unless `--folder` names another; texts end at `--tokens` tokens only. `same`
are texts that are those of `generate`. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import measure
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
)

from snakesteer.engine.generation import Begun, Rules, write
from snakesteer.engine.models import LanguageModel, wrap
from snakesteer.engine.steering import Injection, Part, injection
from snakesteer.prompts.marks import Marked

TOKENIZER = Path(__file__).parent.parent / "resources" / "models" / "miniature-chat"
SMOLLM2 = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
COEFFICIENTS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
PROMPTS = (
    "The history of the",
    "My favourite thing about",
    "In the morning she",
    "The best way to learn is",
    "He opened the letter and",
    "When the war ended the",
    "A good friend is someone",
    "Scientists have found that",
)


def model_of(folder: Path | None, device: str) -> LanguageModel:
    """The model in a folder, or one of random weights, without end tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder or TOKENIZER)
    if folder:
        network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    else:
        torch.manual_seed(0)
        network = AutoModelForCausalLM.from_config(LlamaConfig(**SMOLLM2))
    network.generation_config.eos_token_id = None
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.eos_token = None
    return wrap(network.to(device), tokenizer, "none")


def by_generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    steered: Injection,
    coefficient: float,
    tokens: int,
) -> list[list[int]]:
    """The ids that transformers writes of all prompts under one coefficient."""
    (part,) = steered.parts
    longest = max(map(len, prompts))
    ids = torch.zeros((len(prompts), longest), dtype=torch.long, device=model.device)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    added = coefficient * part.vector
    hook = model.blocks[part.layer].register_forward_hook(
        lambda _module, _args, states: states + added
    )
    try:
        with torch.inference_mode():
            found = model.network.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=tokens,
                pad_token_id=0,
            )
    finally:
        hook.remove()
    return found[:, longest:].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = model_of(asked.folder, asked.device)
    prompts = [model.tokenizer(prompt)["input_ids"] for prompt in PROMPTS]
    noise = torch.randn(model.hidden, generator=torch.Generator().manual_seed(0))
    steered = injection(model, [Part(model.n_layers // 2, 2 * noise / noise.norm())])
    rules = Rules(asked.tokens)

    def written(coefficients: Sequence[float]) -> list[list[int]]:
        begun = [Begun(Marked(ids), (steered, value)) for value in coefficients for ids in prompts]
        return [text.ids for text in write(model, begun, rules)]

    def apart() -> list[list[int]]:
        return [ids for value in COEFFICIENTS for ids in written([value])]

    def generated() -> list[list[int]]:
        found = []
        for value in COEFFICIENTS:
            found += by_generate(model, prompts, steered, value, asked.tokens)
        return found

    ways: dict[str, Callable[[], list[list[int]]]] = {
        "together": lambda: written(COEFFICIENTS),
        "apart": apart,
        "generate": generated,
    }
    texts = {way: act() for way, act in ways.items()}
    walls: dict[str, list[float]] = {way: [] for way in ways}
    works: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(asked.repeats):
        for way, act in ways.items():
            before = time.process_time()
            wall, _ = measure.timed(model.device, act)
            walls[way].append(wall)
            works[way].append(time.process_time() - before)
    wall = {way: statistics.median(each) for way, each in walls.items()}
    work = {way: statistics.median(each) for way, each in works.items()}
    for way in ways:
        same = sum(map(list.__eq__, texts[way], texts["generate"]))
        print(
            f"{way:<10}{wall[way]:8.2f} s, {wall[way] / wall['together']:5.2f} times together; "
            f"{work[way]:8.2f} processor seconds, {work[way] / work['together']:5.2f} times; "
            f"{same} of {len(texts[way])} texts the same"
        )


if __name__ == "__main__":
    main()
