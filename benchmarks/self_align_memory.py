"""Stages 1 to 3 of Self-Align on many synthetic instructions: seconds and peak memory of all but the model.

    python benchmarks/self_align_memory.py --out DIR [--prompts 100000] [--json FILE]

The model is a function that writes made-up instructions and answers of realistic lengths, so that what is
measured is ours: the store, the near-duplicates, the filters, the shards, and the training data set (token
ids of a byte tokenizer stand for a model's).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import sys
import time
from pathlib import Path

from iteralign.algorithms.self_align_steps import Parts, Steps, Words
from iteralign.engines.scripted import ScriptedHost, ScriptedTrainer
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.chat import Chat
from iteralign.records.iteralign import Checkpoint
from iteralign.records.self_align import Instruction
from iteralign.stages.align import Guide
from iteralign.store.run import Run

_RNG = random.Random(0)
VOCABULARY = [
    "".join(_RNG.choice("bcdfglmnprstvz") + _RNG.choice("aeiou") for _ in range(_RNG.randint(1, 4)))
    for _ in range(6000)
]
WEIGHTS = [1 / (rank + 10) for rank in range(len(VOCABULARY))]


def some(rng: random.Random, low: int, high: int) -> str:
    return " ".join(rng.choices(VOCABULARY, WEIGHTS, k=rng.randint(low, high)))


def model(chat: Chat, memory: dict[str, str]) -> str:
    rng = random.Random(str(chat[-1]))
    if chat[-1].text.startswith("Here are requests"):
        wanted = int(re.search(r"Write (\d+) more", chat[-1].text)[1])  # type: ignore[index]
        return "\n".join(f"- Tell {some(rng, 6, 22)}." for _ in range(wanted))
    return (
        f"Thoughts of Iris: This asks for {some(rng, 5, 15)}. Rules that apply: candor.\n"
        f"Answer of Iris: {some(rng, 30, 120).capitalize()}."
    )


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    recipe = SelfAlignRecipe.model_validate(
        {
            "self_instruct": {"prompts": given.prompts, "round": 512, "wanted": 10, "rounds": 100_000},
            "topics": {"rounds": 0},
            "model": {"name": "base"},
        }
    )
    words = Words(
        seeds=tuple(f"Explain {w} to a friend." for w in VOCABULARY[:175]),
        topics=(Instruction(text="Who knows what?", type="Facts", topic="Facts"),),
        guide=Guide("Iris", (("candor", "Say what you do not know."),), ()),
        prompts=("You are Iris.",),
        identity=(),
    )
    rows = []
    with Run.create(given.out, recipe.model_dump(mode="json"), recipe.to_yaml()) as run:
        trainer = ScriptedTrainer(run.locate)
        base = Checkpoint(path="base", weights_hash="w")
        steps = Steps(
            run,
            recipe,
            Parts(
                base=base,
                host=ScriptedHost(model, run.locate),
                engraver=trainer,
                cloner=trainer,
                evals=(),
                words=words,
            ),
        )

        def told(stage: str, started: float, count: int) -> None:
            rows.append(
                {
                    "stage": stage,
                    "count": count,
                    "seconds": round(time.perf_counter() - started, 1),
                    "peak_mib": round(megabytes()),
                }
            )
            print(rows[-1], flush=True)

        told("before", time.perf_counter(), 0)
        started = time.perf_counter()
        instructions = steps.self_instruct()
        told("1 self-instruct", started, len(instructions))
        started = time.perf_counter()
        answers = steps.align(instructions)
        told("2 answers, stored and sifted", started, answers.tally.kept)
        started = time.perf_counter()
        seen = sum(1 for instructions, said in answers for _ in zip(instructions, said, strict=True))
        told("2 answers, walked through again", started, seen)
    print("\n| stage | instructions | seconds | peak memory, MiB |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['stage']} | {row['count']} | {row['seconds']} | {row['peak_mib']} |")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if rows[-1]["peak_mib"] < 2048 else 1)


if __name__ == "__main__":
    main()
