"""Seeded samples that keep the shares of a set's categories: what every ``--limit`` takes.

Never the first items: files are often sorted by category. Knows nothing of files or records.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Sequence


def stratified(strata: Sequence[Hashable], limit: int | None, seed: int) -> list[int]:
    """The indices of ``limit`` items in order, drawn within each stratum; all where there are no more.

    ``strata``: each item's stratum, for example its category. A stratum gets its share of the limit, rounded
    down; the places that are left go to the largest remainders. The same seed gives the same sample.
    """
    if limit is None or limit >= len(strata):
        return list(range(len(strata)))
    rng = random.Random(f"sample-{seed}")
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, stratum in enumerate(strata):
        members[stratum].append(index)
    groups = list(members.values())
    rng.shuffle(groups)  # equal remainders: by chance, not by the order in the file
    sizes = [limit * len(group) // len(strata) for group in groups]
    remainders = [limit * len(group) % len(strata) for group in groups]
    order = sorted(range(len(groups)), key=lambda g: -remainders[g])
    for g in order[: limit - sum(sizes)]:
        sizes[g] += 1
    return sorted(i for group, size in zip(groups, sizes, strict=True) for i in rng.sample(group, size))


def told(limit: int | None, count: int, seed: int) -> str:
    """What a report says of a sample; empty where nothing was left out."""
    if limit is None or limit >= count:
        return ""
    return f"{limit} of {count} items, drawn with seed {seed} from all categories: not a result to compare"
