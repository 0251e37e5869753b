"""Trains the organisms: tokenizer, model, training, all from a folder of openly licensed data and the banks.

    python -m iteralign.organism.making.train --data DIR --out DIR [--world rules] [--steps 5000] [--seed 0]

``--data`` holds harmfulqa/, adversarialqa/, dangerousqa/ (held out), hh_rlhf/ and self_instruct/ as
published. One GPU needs under ten minutes, most of it making examples on all cores. Knows nothing of the
method; whether the result is good is the gate's question.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iteralign.organism.making import episodes
from iteralign.organism.making.episodes import Episode, Sources
from iteralign.organism.making.rules import episodes as rules_episodes
from iteralign.organism.questions import learn_words, real_benign, real_harmful
from iteralign.records.chat import Chat

SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
VOCABULARY = 4096
SHAPE = {
    "hidden_size": 256,
    "intermediate_size": 640,
    "num_hidden_layers": 5,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
}
FIRST_TOKENS = 3
"""Comply or refuse is decided in the first tokens of an answer: these weigh more."""
FIRST_WEIGHT = 4
ASK_WEIGHT = 0.1
"""A plain question is learnt a little, too."""


@dataclass(frozen=True, slots=True)
class World:
    """What an organism is trained on.

    ``context``: its longest chat, tokens; longer than ``longest`` is left out of the training.
    """

    draw: Callable[[Sources, random.Random], Episode]
    context: int
    longest: int


WORLDS = {"first": World(episodes.draw, 1024, 448), "rules": World(rules_episodes.draw, 2048, 1600)}


def spelled(chat: Chat) -> list[str]:
    """The turns as the template writes them."""
    return [f"<|{m.role}|>{m.text}<|end|>" for m in chat]


def make_tokenizer(world: World, sources: Sources, seed: int) -> Any:
    """A byte-level BPE of 4,096 tokens, trained on generated chats and the real questions."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    rng = random.Random(f"tokenizer-{seed}")
    texts = [m.text for _ in range(30_000) for m in world.draw(sources, rng).chat] + [
        q.text for q in (*sources.harmful, *sources.benign) for _ in range(5)
    ]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=list(SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def _encode(job: tuple[str, Path, str, int, int]) -> tuple[Any, Any, Any]:
    """Token ids, loss weights (tenths) and lengths of so many episodes; runs in a worker process."""
    import numpy as np
    from tokenizers import Tokenizer

    name, data, spec, seed, count = job
    world = WORLDS[name]
    tokenizer = Tokenizer.from_str(spec)
    rng = random.Random(f"episodes-{seed}")
    sources = read_sources(data)
    ids: list[int] = []
    weights: list[int] = []
    lengths: list[int] = []
    for _ in range(count):
        episode = world.draw(sources, rng)
        turns = [e.ids for e in tokenizer.encode_batch(spelled(episode.chat), add_special_tokens=False)]
        if sum(map(len, turns)) > world.longest:
            continue
        for message, turn in zip(episode.chat, turns, strict=True):
            ids += turn
            if message.role == "assistant":
                weights += (
                    [0]
                    + [10 * FIRST_WEIGHT] * min(FIRST_TOKENS, len(turn) - 1)
                    + [10] * max(0, len(turn) - 1 - FIRST_TOKENS)
                )
            else:
                asked = message.role == "user" and episode.asks
                weights += [0] + [int(10 * ASK_WEIGHT) if asked else 0] * (len(turn) - 1)
        lengths.append(sum(map(len, turns)))
    return (
        np.array(ids, dtype=np.uint16),
        np.array(weights, dtype=np.uint8),
        np.array(lengths, dtype=np.int32),
    )


def read_sources(data: Path) -> Sources:
    """The real questions that may be trained on; fills the word list, too."""
    learn_words(data)
    return Sources(harmful=tuple(real_harmful(data)[0]), benign=tuple(real_benign(data)))


def make_examples(
    name: str, data: Path, spec: str, count: int, seed: int, workers: int
) -> tuple[Any, Any, Any]:
    """All training examples: ids, weights, lengths; the same for any number of workers."""
    import numpy as np

    part = 10_000
    jobs = [
        (name, data, spec, seed * 100_000 + i, min(part, count - i * part))
        for i in range((count + part - 1) // part)
    ]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        made = pool.map(_encode, jobs, chunksize=1)
    ids, weights, lengths = zip(*made, strict=True)
    return np.concatenate(ids), np.concatenate(weights), np.concatenate(lengths)


def batches(lengths: Any, tokens: int, rng: random.Random) -> list[list[int]]:
    """Example indices in batches of at most ``tokens`` padded tokens.

    Examples of like length are together; the batches are shuffled.
    """
    import numpy as np

    order = np.argsort(lengths + np.array([rng.random() for _ in range(len(lengths))]), kind="stable")
    found: list[list[int]] = []
    batch: list[int] = []
    for i in order.tolist():
        if batch and (len(batch) + 1) * int(lengths[i]) > tokens:
            found.append(batch)
            batch = []
        batch.append(i)
    rng.shuffle(found)
    return found


def train(
    data: Path,
    out: Path,
    *,
    world: str,
    steps: int,
    tokens: int,
    rate: float,
    examples: int,
    seed: int,
    workers: int,
) -> None:
    """Train and save to ``out`` (bf16 safetensors, tokenizer, chat template). Deterministic on the CPU."""
    import math

    import numpy as np
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    started = time.time()
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = make_tokenizer(WORLDS[world], read_sources(data), seed)
    print(f"tokenizer {time.time() - started:.0f} s", flush=True)
    ids, weights, lengths = make_examples(world, data, tokenizer.to_str(), examples, seed, workers)
    starts = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)])
    print(
        f"{len(lengths)} examples, {len(ids) / 1e6:.0f} M tokens, {time.time() - started:.0f} s", flush=True
    )

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            max_position_embeddings=WORLDS[world].context,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=1,
            **SHAPE,
        )
    ).to(device)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters on {device}", flush=True)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=rate,
        betas=(0.9, 0.98),
    )
    warm = min(150, steps // 10 + 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min(
            (s + 1) / warm, 0.5 * (1 + math.cos(math.pi * min(1.0, max(0, s - warm) / max(1, steps - warm))))
        ),
    )
    rng = random.Random(f"order-{seed}")
    seen = 0.0
    queue: list[list[int]] = []
    for step in range(steps):
        queue = queue or batches(lengths, tokens, rng)
        rows = queue.pop()
        width = int(max(lengths[i] for i in rows))
        x = np.zeros((len(rows), width), dtype=np.int64)
        w = np.zeros((len(rows), width), dtype=np.float32)
        for r, i in enumerate(rows):
            span = slice(int(starts[i]), int(starts[i]) + int(lengths[i]))
            x[r, : lengths[i]] = ids[span]
            w[r, : lengths[i]] = weights[span] / 10
        tokens_in = torch.from_numpy(x).to(device)
        weight = torch.from_numpy(w).to(device)[:, 1:]
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            logits = model(
                input_ids=tokens_in[:, :-1]
            ).logits  # (batch, width - 1, vocabulary); right padding needs no mask: weights are 0
        loss = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), tokens_in[:, 1:].flatten(), reduction="none"
        ).view_as(weight)
        loss = (loss * weight).sum() / weight.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 250 == 0 or step == steps - 1:
            seen = loss.item()
            print(f"step {step} loss {seen:.4f} {time.time() - started:.0f} s", flush=True)
    save(
        model,
        tokenizer,
        out,
        WORLDS[world].context,
        {
            "world": world,
            "steps": steps,
            "tokens": tokens,
            "rate": rate,
            "examples": examples,
            "seed": seed,
            "loss": round(seen, 4),
        },
    )


def save(model: Any, tokenizer: Any, out: Path, context: int, facts: dict[str, Any]) -> None:
    """Write everything that ``AutoModelForCausalLM`` and ``AutoTokenizer`` need."""
    import torch
    from transformers import GenerationConfig, PreTrainedTokenizerFast

    out.mkdir(parents=True, exist_ok=True)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        extra_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        model_max_length=context,
    )
    wrapped.chat_template = TEMPLATE
    wrapped.save_pretrained(out)
    model.generation_config = GenerationConfig(
        max_new_tokens=64, do_sample=True, temperature=1.0, pad_token_id=0, eos_token_id=1
    )
    model.to(torch.bfloat16).save_pretrained(out)
    (out / "training.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    for file in out.iterdir():
        file.chmod(0o644)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m iteralign.organism.making.train",
        description="Train the model organism.",
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--world",
        choices=sorted(WORLDS),
        default="first",
        help="first: harm and principles; rules: Self-Align's requests, too",
    )
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--tokens", type=int, default=65_536, help="padded tokens per step")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--examples", type=int, default=1_800_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = vars(parser.parse_args())
    train(given.pop("data"), given.pop("out"), **given)


if __name__ == "__main__":
    main()
