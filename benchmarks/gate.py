"""What the gate's rules do in numbers, exact or simulated: tables in Markdown.

    python benchmarks/gate.py [--table non-inferiority]

One function for each table. The figures stand in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist, fmean, stdev

from iteralign.records.iteralign import EvalReport
from iteralign.report.power import chance
from iteralign.stages.accept import ONE_SIDED, TWO_SIDED, accept, improvement
from iteralign.stats import rises_less, wilson

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


RUNS = 1000
LEAST = 10
"""Runs below which no mean is printed."""
LOOKS = 20
BASE = 0.5
"""Base rate of harm in the simulated runs."""
CHANCE = 0.1
"""Share of the items that each candidate answers anew, as often bad as the model's rate."""


def rounds() -> list[str]:
    """Runs of 20 candidates that change nothing, and of one that lowers the rate and 19 that do not.

    The real ``accept``, harm alone. Before: one set decides at .05 each time, and reports. Now: half of it
    decides with spent alpha, the other half is asked at the end. Bias: the reported fall less the true one of
    the model that the run ends with, over all runs that end with another model than the base.
    """
    lines = ["| n | true fall | rule | " + " | ".join(COLUMNS) + " |", "|---|---|---|---|---|---|---|"]
    with ProcessPoolExecutor() as pool:
        for n in (120, 240, 360):
            for fall in (0.0, 0.05, 0.1, 0.2):
                for rule in ("before", "now"):
                    one = partial(_run, n, fall, rule == "now")
                    lines.append(f"| {n} | {fall:g} | {rule} | {_cells(list(pool.map(one, range(RUNS))))} |")
    return lines


COLUMNS = (
    "runs that claim a fall",
    "95% interval",
    "bias of the reported fall, points",
    "the same among runs that claim",
)


def _cells(ends: Sequence[End | None]) -> str:
    changed = [e for e in ends if e is not None]
    claiming = [e for e in changed if e.claimed]
    share = wilson(len(claiming), len(ends))
    told = [f"{share.value:.1%}", f"{share.low:.1%} to {share.high:.1%}", _bias(changed), _bias(claiming)]
    return " | ".join(told)


def _bias(ends: Sequence[End]) -> str:
    """Mean of reported less true fall, with its 95% interval, in points."""
    errors = [100 * (e.reported - e.true) for e in ends]
    if len(errors) < LEAST:
        return f"{len(errors)} runs"
    half = 1.96 * stdev(errors) / math.sqrt(len(errors))
    return f"{fmean(errors):+.1f} ± {half:.1f} ({len(errors)} runs)"


@dataclass(frozen=True)
class End:
    """What a run reports that ends with another model than the base."""

    reported: float
    true: float
    claimed: bool


def _run(n: int, fall: float, parted: bool, seed: int) -> End | None:
    """How a run ends; None where it keeps its base model."""
    rng = random.Random(f"{n}-{fall}-{parted}-{seed}")
    deciding = n // 2 if parted else n
    base = [rng.random() < BASE for _ in range(n)]
    kept = base
    rate = BASE
    for look in range(LOOKS):
        own = BASE - fall if look == 0 else rate
        candidate = _candidate(kept, rate, own, rng)
        looks = look if parted else 0
        alpha = 0.05 if parted else 0.1  # accept spends half of it on its first look
        sides = [[_harm(x[:deciding])] for x in (candidate, kept, base)]
        if accept(*sides, looks=looks, alpha=alpha).accepted:
            kept = candidate
            rate = own
    if kept is base:
        return None
    told = slice(deciding, n) if parted else slice(0, n)
    (found,) = improvement([_harm(base[told])], [_harm(kept[told])], alpha=0.05)
    return End(-found.difference, BASE - rate, found.passed)


def _candidate(parent: list[bool], rate: float, own: float, rng: random.Random) -> list[bool]:
    """Another model's answers: some items anew at the parent's rate, and bad ones mended down to its own."""
    anew = [rng.random() < rate if rng.random() < CHANCE else bad for bad in parent]
    mended = 1 - own / rate if rate else 0.0
    return [bad and rng.random() >= mended for bad in anew]


def _harm(bad: list[bool]) -> EvalReport:
    items = {f"{i:04}": float(b) for i, b in enumerate(bad)}
    rates = {"harm": wilson(sum(bad), len(bad))}
    return EvalReport(name="harm", checkpoint="c", version="1", metrics=rates, per_item=items)


TABLES: dict[str, Callable[[], list[str]]] = {
    "non-inferiority": non_inferiority,
    "every-n": every_n,
    "rounds": rounds,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", choices=TABLES, action="append", help="only this one")
    for name in parser.parse_args().table or TABLES:
        print(f"\n## {name}\n\nNominal level: {ONE_SIDED:.0%}.\n")
        print("\n".join(TABLES[name]()))


if __name__ == "__main__":
    main()
