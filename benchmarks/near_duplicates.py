"""Near-duplicates of instructions: the plain scan with rouge-score beside ours, then ours alone.

    python benchmarks/near_duplicates.py [--scan 500 1000] [--alone 12500 25000 50000] [--seed 0] [--json]

The instructions are made up: 5 to 25 words of a Zipf vocabulary, and a share of them are others with a few
words changed. Both sides read the same ones in one run, each keeps what is not too near to what it kept. Peak
memory is the whole process's, above what it was before the first text.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import resource
import time
from collections.abc import Iterator

from iteralign.text.near_duplicates import NearDuplicates

THRESHOLD = 0.7
VOCABULARY = 6000
EDITED = 0.3  # share of instructions that are another one with some words changed
RECENT = 5000


def instructions(seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    words = list(
        dict.fromkeys(
            "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(VOCABULARY)
        )
    )
    # Zipf and Mandelbrot
    weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    recent: list[list[str]] = []

    def some(count: int) -> list[str]:
        return rng.choices(words, cum_weights=weights, k=count)

    while True:
        if recent and rng.random() < EDITED:
            text = list(rng.choice(recent))
            for _ in range(rng.randint(0, len(text) // 2)):
                place = rng.randrange(len(text))
                text[place : place + rng.randint(0, 1)] = some(rng.randint(0, 1))
                text = text or some(1)
        else:
            text = some(rng.randint(5, 25))
        recent.append(text)
        if len(recent) > RECENT:
            recent[rng.randrange(RECENT)] = recent.pop()
        yield " ".join(text).capitalize() + "."


def scan(texts: list[str]) -> tuple[float, list[float | None]]:
    """Seconds, and for each text the score of the first kept one above the threshold."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    started = time.perf_counter()
    kept: list[str] = []
    decisions: list[float | None] = []
    for text in texts:
        scores = (scorer.score(other, text)["rougeL"].fmeasure for other in kept)
        found = next((s for s in scores if s > THRESHOLD), None)
        decisions.append(found)
        if found is None:
            kept.append(text)
    return time.perf_counter() - started, decisions


def ours(texts: list[str]) -> tuple[float, list[float | None]]:
    started = time.perf_counter()
    near = NearDuplicates(THRESHOLD)
    found = [near.admit(text) for text in texts]
    return time.perf_counter() - started, [m.score if m else None for m in found]


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scan", type=int, nargs="*", default=[500, 1000, 2000])
    parser.add_argument("--alone", type=int, nargs="*", default=[12_500, 25_000, 50_000, 100_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--json", action="store_true", help="one line of JSON for each row in place of the tables"
    )
    given = parser.parse_args()

    def row(fields: dict[str, float | int | str]) -> None:
        print(
            json.dumps(fields) if given.json else "| " + " | ".join(str(v) for v in fields.values()) + " |",
            flush=True,
        )

    def heading(*names: str) -> None:
        if not given.json:
            print("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")

    base = peak()
    if given.alone:  # first, so that nothing else has raised the peak
        heading("texts", "kept", "seconds", "ms a text", "growth exponent", "peak memory, MiB")
    before: tuple[int, float] | None = None
    for count in sorted(given.alone):
        texts = list(itertools.islice(instructions(given.seed), count))
        seconds, decisions = ours(texts)
        growth = f"{math.log(seconds / before[1]) / math.log(count / before[0]):.2f}" if before else "-"
        kept = decisions.count(None)
        row(
            {
                "texts": count,
                "kept": kept,
                "seconds": round(seconds, 2),
                "ms": round(1000 * seconds / count, 3),
                "growth": growth,
                "mib": round(peak() - base),
            }
        )
        before = count, seconds
    if given.scan:
        heading("texts", "kept", "rouge-score scan, s", "ours, s", "ratio", "decisions and scores")
    for count in sorted(given.scan):
        texts = list(itertools.islice(instructions(given.seed), count))
        plain, expected = scan(texts)
        seconds, decisions = ours(texts)
        assert decisions == expected, f"{count} texts: not the plain scan's decisions"
        kept = decisions.count(None)
        row(
            {
                "texts": count,
                "kept": kept,
                "scan": round(plain, 2),
                "ours": round(seconds, 4),
                "ratio": round(plain / seconds),
                "decisions": "equal",
            }
        )


if __name__ == "__main__":
    main()
