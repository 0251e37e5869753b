"""Tokens per second through our engines, and their share of what the memory's bandwidth allows.

    python benchmarks/engines.py --model FOLDER [--engine vllm hf] [--batch 20 64 256] [--tokens 256]
        [--python PYTHON_OF_VLLM] [--bandwidth 4.8e12] [--out FILE.json]

Each engine answers the same chats (``generation.make_chats``) at each batch size, twice: the first call of a
size, which may plan or compile, and a second one. Sampled at temperature 1; tokens that came back are
counted. The floor of a step is the time to read all weights and half of the final cache once.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from generation import make_chats

from iteralign.engines.hf.host import HFHost
from iteralign.engines.limits import config_of
from iteralign.engines.vllm.host import VLLMHost
from iteralign.engines.vllm.settings import Settings
from iteralign.records.chat import Completion, SamplingParams
from iteralign.records.iteralign import Checkpoint


def made(engine: str, given: argparse.Namespace, batch: int) -> Any:
    def locate(checkpoint: Checkpoint) -> str:
        return checkpoint.path

    if engine == "hf":
        return HFHost(batch_size=batch, locate=locate, warn=print)
    return VLLMHost(Settings(python=given.python, rows=batch), locate=locate, warn=print)


def floor(folder: Path, batch: int, tokens: float, bandwidth: float) -> float:
    """Tokens per second of a batch if reads were all. ``tokens``: of a row, on average."""
    config = config_of(folder)
    heads = config.get("num_key_value_heads") or config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    cache = 2 * config["num_hidden_layers"] * heads * width * 2
    weights = sum(f.stat().st_size for f in folder.glob("*.safetensors"))
    return batch * bandwidth / (weights + batch * tokens * cache)


def measure(engine: str, given: argparse.Namespace, batch: int) -> dict[str, Any]:
    chats = make_chats(batch)
    params = SamplingParams(max_new_tokens=given.tokens, temperature=1.0, seed=1)
    row: dict[str, Any] = {"engine": engine, "batch": batch}
    host = made(engine, given, batch)
    with host.serve(Checkpoint(path=str(given.model))) as policy:
        began = time.perf_counter()
        policy.attempt(chats[:1], SamplingParams(max_new_tokens=1, temperature=1.0, seed=1))
        row["start_s"] = round(time.perf_counter() - began, 1)
        for call in ("first", "second"):
            began = time.perf_counter()
            found = [c for c in policy.attempt(chats, params) if isinstance(c, Completion)]
            seconds = time.perf_counter() - began
            row[f"{call}_tokens_s"] = round(sum(c.completion_tokens for c in found) / seconds)
        if given.bandwidth:
            read = sum(c.prompt_tokens for c in found) / len(found)
            best = floor(given.model, batch, read + given.tokens / 2, given.bandwidth)
            row["share_of_floor"] = round(row["second_tokens_s"] / best, 3)
    host.free()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--engine", nargs="+", default=["vllm", "hf"], choices=["vllm", "hf"])
    parser.add_argument("--batch", nargs="+", type=int, default=[20, 64, 256])
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--python", default=None)
    parser.add_argument("--bandwidth", type=float, default=None)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    rows = []
    for engine in given.engine:
        for batch in given.batch:
            rows.append(measure(engine, given, batch))
            print(json.dumps(rows[-1]), flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
