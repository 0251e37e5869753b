"""How often the members of a jury agree, pair by pair, with n, interval and Cohen's kappa.

Knows verdicts, not oracles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

from iteralign.records.iteralign import Verdict
from iteralign.stats import kappa, wilson


def agreement(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Per pair of jurors, their agreement over the answers that both judged, as plain data.

    Rows are ``{"pair", "agree": {value, low, high, n}, "kappa"}``. ``kappa`` is None where it is not defined
    (both gave one and the same label throughout). Empty for verdicts without votes.
    """
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for verdict in verdicts:
        for (a, x), (b, y) in combinations(verdict.votes, 2):
            if "unjudged" not in (x, y):
                pairs[a, b].append((x, y))
    return [_of_pair(list(pair), said) for pair, said in pairs.items()]


def _of_pair(pair: list[str], said: Sequence[tuple[str, str]]) -> dict[str, Any]:
    same = sum(x == y for x, y in said)
    return {
        "pair": pair,
        "agree": asdict(wilson(same, len(said))),
        "kappa": kappa([x for x, _ in said], [y for _, y in said]),
    }
