"""What batching and sorting are worth: our engine beside one by one, and beside the caller's order.

    python benchmarks/generation.py [--model FOLDER_OR_NAME] [--chats 128] [--repeats 5] [--device auto]

The three ways take turns within one run, on the same prompts of uneven length and the same number of new
tokens, so that a busy machine slows all alike. Prints new tokens per second and the ratios with their spread
over the repeats.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from iteralign.engines.hf.host import HFHost, HFPolicy
from iteralign.organism import ORGANISM_PATH
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint

WORDS = [
    "the",
    "river",
    "bends",
    "where",
    "an",
    "old",
    "road",
    "meets",
    "two",
    "small",
    "houses",
    "and",
    "a",
    "garden",
    "full",
    "of",
    "early",
    "light",
]


def make_chats(count: int, seed: int = 0) -> list[Chat]:
    """Questions of 4 to 40 words, a third of them under a system turn of 60 to 120 words."""
    rng = random.Random(seed)

    def text(low: int, high: int) -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))

    found: list[Chat] = []
    for i in range(count):
        system = (Message("system", text(60, 120)),) if i % 3 == 0 else ()
        found.append((*system, Message("user", f"What is {text(4, 40)}?")))
    rng.shuffle(found)
    return found


def one_by_one(loaded: Any, chats: list[Chat], params: SamplingParams) -> int:
    """What a first script does: transformers' own ``generate`` and sampling, a chat at a time."""
    import torch

    made = 0
    for chat in chats:
        turns = [{"role": m.role, "content": m.text} for m in chat]
        inputs = loaded.tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(loaded.device)
        with torch.inference_mode():
            out = loaded.model.generate(
                **inputs,
                do_sample=True,
                temperature=params.temperature,
                top_p=params.top_p,
                max_new_tokens=params.max_new_tokens,
                eos_token_id=sorted(loaded.ends),
                pad_token_id=loaded.tokenizer.pad_token_id,
            )
        made += out.shape[1] - inputs["input_ids"].shape[1]
    return made


def in_order(policy: HFPolicy, chats: list[Chat], params: SamplingParams, batch: int) -> int:
    """Our engine on batches in the caller's order: a batch is as wide as its longest prompt."""
    return sum(
        sum(c.completion_tokens for c in policy.generate(chats[i : i + batch], params))
        for i in range(0, len(chats), batch)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=str(ORGANISM_PATH))
    parser.add_argument("--chats", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    chats = make_chats(options.chats)
    params = SamplingParams(max_new_tokens=options.new_tokens, temperature=0.7, top_p=0.9)
    host = HFHost(
        locate=lambda c: c.path,
        warn=lambda text: print(text, file=sys.stderr),
        device=options.device,
        batch_size=options.batch,
    )
    checkpoint = Checkpoint(path=options.model)
    with host.serve(checkpoint) as policy:
        loaded = host.load(checkpoint)
        ways: dict[str, Callable[[], int]] = {
            "sorted batches": lambda: sum(c.completion_tokens for c in policy.generate(chats, params)),
            "unsorted batches": lambda: in_order(policy, chats, params, options.batch),
            "one by one": lambda: one_by_one(loaded, chats, params),
        }
        for way in ways.values():
            way()  # warm-up
        speeds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.repeats):
            for name, way in ways.items():
                began = time.perf_counter()
                tokens = way()
                speeds[name].append(tokens / (time.perf_counter() - began))
    print(
        f"{options.chats} chats, batches of {options.batch}, up to {options.new_tokens} new tokens, "
        f"{loaded.device}, {torch.get_num_threads()} threads"
    )
    for name, seen in speeds.items():
        print(
            f"{name:<18} {statistics.median(seen):9,.0f} tokens/s   "
            f"[{min(seen):,.0f}, {max(seen):,.0f}]   n={options.repeats}"
        )
    for name in ("unsorted batches", "one by one"):
        ratios = [a / b for a, b in zip(speeds["sorted batches"], speeds[name], strict=True)]
        print(
            f"sorted batches / {name:<18} {statistics.median(ratios):6.2f}   "
            f"[{min(ratios):.2f}, {max(ratios):.2f}]"
        )


if __name__ == "__main__":
    main()
