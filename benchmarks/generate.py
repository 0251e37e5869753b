"""Our engine beside transformers' own ``generate`` on a GPU, as shares of what the memory's bandwidth allows.

    python benchmarks/generate.py [--batches 20 64 256] [--new-tokens 256] [--repeats 3] [--out FILE.json]

A model of the shape of Llama-2-7B with random bfloat16 weights and prompts of 62 to 102 tokens, none of which
ends early. Both go in turns within one run. ``first`` is the first call of a batch size, plans and recorded
steps included; the model's own first call of all, which loads libraries, is made before with another size.

The floor of a step: the bytes of the weights (without the embedding's table, of which a row is read), and
of the keys and values of every row's tokens, by the bandwidth (4.8 TB/s; ``--bandwidth``). The floor of a
call is that of its steps alone; it has no pass over the prompts.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iteralign.engines.hf.model import Loaded
from iteralign.organism import ORGANISM_PATH
from iteralign.records.chat import Chat, Message, SamplingParams

SHAPE = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
}
SMALL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 512,
    "max_position_embeddings": 4096,
}
WAYS = {
    "greedy": SamplingParams(temperature=0.0),
    "sampled": SamplingParams(temperature=1.0, top_p=1.0, seed=1),
    "top-p": SamplingParams(temperature=0.7, top_p=0.9, seed=1),
}


def made(device: str, small: bool) -> Loaded:
    """The engine over random weights; no token ends an answer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32 if small else torch.bfloat16)
    with torch.device(device):
        model = LlamaForCausalLM(LlamaConfig(**(SMALL if small else SHAPE))).eval()
    torch.set_default_dtype(torch.float32)
    model.generation_config.eos_token_id = None
    # prompts are token ids here, and what the answers say is of no interest
    tokenizer = AutoTokenizer.from_pretrained(ORGANISM_PATH)
    loaded = Loaded(model, tokenizer, device, warn=print, streams="counters", recorded=True)
    loaded.ends = {-1}
    return loaded


def floor(model: Any, prompts: list[list[int]], new: int, bandwidth: float) -> float:
    """Seconds that the steps of a call take at least."""
    config = model.config
    width = next(model.parameters()).element_size()
    weights = sum(p.numel() for p in model.parameters()) - config.vocab_size * config.hidden_size
    row = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    tokens = sum(len(p) + n for p in prompts for n in range(1, new + 1))
    return width * (new * weights + row * tokens) / bandwidth


def theirs(loaded: Loaded, prompts: list[list[int]], params: SamplingParams, new: int) -> int:
    """transformers' own loop and sampling on one padded batch."""
    import torch

    ids, mask = loaded._padded(prompts)
    sampled = params.temperature > 0
    own = {"temperature": params.temperature, "top_p": params.top_p, "top_k": 0} if sampled else {}
    with torch.inference_mode():
        out = loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=sampled,
            max_new_tokens=new,
            min_new_tokens=new,
            pad_token_id=0,
            **own,
        )
    return int(out.shape[0] * (out.shape[1] - ids.shape[1]))


def ours(loaded: Loaded, prompts: list[list[int]], params: SamplingParams, new: int) -> int:
    """Our engine's batch."""
    import dataclasses

    chats: list[Chat] = [(Message("user", str(i)),) for i in range(len(prompts))]
    params = dataclasses.replace(params, max_new_tokens=new)
    found = loaded.generate(chats, prompts, list(range(len(prompts))), params)
    return sum(c.completion_tokens for c in found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[20, 64, 256])
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--bandwidth", type=float, default=4.8e12, help="bytes per second")
    parser.add_argument("--small", action="store_true", help="a tiny model, to try this script on a CPU")
    parser.add_argument("--alone", action="store_true", help="without transformers' own loop")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    import torch
    import transformers

    def waited() -> float:
        if options.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()

    def timed(call: Callable[..., int], *args: Any) -> tuple[float, int]:
        start = waited()
        tokens = call(*args)
        return waited() - start, tokens

    loaded = made(options.device, options.small)
    rng = random.Random(0)
    vocabulary = loaded.model.config.vocab_size
    new = options.new_tokens

    def drawn(rows: int) -> list[list[int]]:
        """As the engine orders them: the longest first."""
        lengths = [62 + 40 * i // max(1, rows - 1) for i in range(rows)]
        return [[rng.randrange(5, vocabulary) for _ in range(n)] for n in reversed(lengths)]

    record: dict[str, Any] = {
        "card": torch.cuda.get_device_name() if options.device.startswith("cuda") else "cpu",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "new_tokens": new,
        "bandwidth": options.bandwidth,
        "rows": [],
    }
    warm = timed(ours, loaded, drawn(4), WAYS["sampled"], 16)
    print(f"{record['card']}, torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"libraries loaded in {warm[0]:.1f} s; recorded steps: {loaded.decoder is not None}")
    for rows in options.batches:
        prompts = drawn(rows)
        least = floor(loaded.model, prompts, new, options.bandwidth)
        for n, name in enumerate(options.ways):  # transformers' loop beside the first alone: it takes long
            first, tokens = timed(ours, loaded, prompts, WAYS[name], new)
            seen: dict[str, list[float]] = {"ours": [], "theirs": []}
            for _ in range(options.repeats):
                seen["ours"].append(timed(ours, loaded, prompts, WAYS[name], new)[0])
                if n == 0 and not options.alone:
                    if not seen["theirs"]:
                        timed(theirs, loaded, prompts, WAYS[name], new)
                    seen["theirs"].append(timed(theirs, loaded, prompts, WAYS[name], new)[0])
            own = statistics.median(seen["ours"])
            row = {"batch": rows, "way": name, "floor": least, "first": first, "tokens": tokens, **seen}
            record["rows"].append(row)
            line = (
                f"batch {rows:>3} {name:<8} ours {tokens / own:8,.0f} tokens/s  {least / own:5.1%} of floor"
            )
            if n == 0:
                line += f"  first call {first / seen['ours'][0]:.2f} times the second"
            if seen["theirs"]:
                other = statistics.median(seen["theirs"])
                line += f"  generate {tokens / other:8,.0f}  ratio {other / own:.2f}"
            print(line, flush=True)
            if options.out:
                options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
