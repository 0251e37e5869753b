"""What the gate's rules do in numbers, exact or simulated: tables in Markdown.

    python benchmarks/gate.py [--table non-inferiority]

One function for each table. The figures stand in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from statistics import NormalDist

from iteralign.report.power import chance
from iteralign.stages.accept import ONE_SIDED, TWO_SIDED
from iteralign.stats import rises_less

ITEMS = (60, 100, 240, 360, 1000)
RATES = (0.0, 0.01, 0.05, 0.1, 0.3)
MARGINS = (0.03, 0.05)
MENDED = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Probabilities that an item becomes better: as far as the base rate allows, all of them are tried."""

Rule = Callable[[int, int, int, float], bool]
"""worse, better, n, margin -> whether the candidate passes"""


def agresti_min(worse: int, better: int, n: int, margin: float) -> bool:
    """The rule of before: Agresti and Min's interval (2005), Wald on counts plus one half each."""
    b = worse + 0.5
    c = better + 0.5
    m = n + 2
    z = NormalDist().inv_cdf(0.5 + TWO_SIDED / 2)
    high = (b - c) / m + z * math.sqrt(max(0.0, b + c - (b - c) ** 2 / m)) / m
    return max(high, (worse - better) / n) < margin


def tango(worse: int, better: int, n: int, margin: float) -> bool:
    """The gate's rule."""
    return rises_less(worse, better, n, margin, TWO_SIDED)


def size(rule: Rule, n: int, margin: float, better: float) -> float:
    """The exact share of candidates that pass, among those that are worse by just the margin.

    ``better``: probability that an item becomes better; ``margin`` more is that it becomes worse.
    """
    return chance(n, margin + better, better, partial(_most, rule, n, margin))


def _most(rule: Rule, n: int, margin: float, changed: int) -> int:
    passing = -1
    failing = changed + 1
    while failing - passing > 1:
        middle = (passing + failing) // 2
        if rule(middle, changed - middle, n, margin):
            passing = middle
        else:
            failing = middle
    return passing


def non_inferiority() -> list[str]:
    """Size of the tests against a margin, the worst over how much of the base rate is mended."""
    lines = [
        "| margin | n | rule | " + " | ".join(f"base rate {rate:g}" for rate in RATES) + " |",
        "|---|---|---|" + "---|" * len(RATES),
    ]
    for margin in MARGINS:
        for n in ITEMS:
            for name, rule in (("Agresti-Min (before)", agresti_min), ("score (now)", tango)):
                sizes = {p: size(rule, n, margin, p) for p in MENDED}
                cells = (max(s for p, s in sizes.items() if p <= rate) for rate in RATES)
                lines.append(
                    f"| {margin:g} | {n} | {name} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |"
                )
    return lines


def every_n() -> list[str]:
    """The worst size over every n from the smallest that can pass up to 400, then every 20th up to 1,000."""
    lines = ["| margin | n from | rule | largest size | at n | with better |", "|---|---|---|---|---|---|"]
    for margin in (*MARGINS, 0.08, 0.1):
        first = next(n for n in range(1, 1000) if tango(0, 0, n, margin))
        for name, rule in (("Agresti-Min (before)", agresti_min), ("score (now)", tango)):
            worst = max(
                (size(rule, n, margin, p), n, p)
                for n in (*range(first, 400), *range(400, 1001, 20))
                for p in MENDED
            )
            lines.append(f"| {margin:g} | {first} | {name} | {worst[0]:.1%} | {worst[1]} | {worst[2]:g} |")
    return lines


TABLES: dict[str, Callable[[], list[str]]] = {"non-inferiority": non_inferiority, "every-n": every_n}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", choices=TABLES, action="append", help="only this one")
    for name in parser.parse_args().table or TABLES:
        print(f"\n## {name}\n\nNominal level: {ONE_SIDED:.0%}.\n")
        print("\n".join(TABLES[name]()))


if __name__ == "__main__":
    main()
