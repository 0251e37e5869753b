"""Held-out prompts that training never saw in other words: no topic and no near-duplicate crosses the split.

What is linked by a topic or by likeness stays together; whole groups are drawn, so that the asked share is
met within each category and intent as well as the groups allow. Knows nothing of files or models.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from iteralign.errors import DataError
from iteralign.records.iteralign import Intent, RedTeamPrompt
from iteralign.text.printable import count_of
from iteralign.text.similarity import near_duplicates

_DRAWS: Final = 8
_PASSES: Final = 6
_WHOLE: Final = 4.0  # what the share of all prompts weighs against those within the strata
_Stratum = tuple[str | None, Intent]


def split_prompts(
    prompts: Sequence[RedTeamPrompt], *, held_out: float, seed: int, near: float = 0.8
) -> list[RedTeamPrompt]:
    """The same prompts in the same order, each with its side of the split.

    A topic means the same only within its category and set; prompts without a topic are held together by
    likeness alone (cosine of at least ``near``, as ``similarity.near_duplicates`` measures it over all user
    turns). The same seed gives the same split.

    Raises ``DataError`` for a share outside [0, 1], and where a share strictly between cannot be held out
    since everything is linked.
    """
    if not 0.0 <= held_out <= 1.0:
        raise DataError(f"held_out = {held_out!r}: must lie between 0 and 1")
    if held_out in (0.0, 1.0) or not prompts:
        return [replace(p, split="held_out" if held_out else "train") for p in prompts]
    groups = linked_groups(prompts, near)
    if len(groups) < 2:
        raise DataError(
            f"{count_of(len(prompts), 'prompt')} cannot be split: topics and near-duplicates (cosine of "
            f"{near} or more) link them all, so that each side would know the other. Give prompts of several "
            "topics, or raise the threshold."
        )
    chosen = {
        i for g in _draw(groups, [(p.category, p.intent) for p in prompts], held_out, seed) for i in groups[g]
    }
    return [replace(p, split="held_out" if i in chosen else "train") for i, p in enumerate(prompts)]


def linked_groups(prompts: Sequence[RedTeamPrompt], near: float = 0.8) -> list[list[int]]:
    """Groups of indices that must stay on one side, in order of their first member.

    They are linked by topic or by likeness, directly or through others.
    """
    parent = list(range(len(prompts)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def link(i: int, j: int) -> None:
        a = find(i)
        b = find(j)
        parent[max(a, b)] = min(a, b)

    texts = ["\n".join(m.text for m in p.messages if m.role == "user") for p in prompts]
    for group in _alike(tuple(texts), near):
        for other in group[1:]:
            link(group[0], other)
    first: dict[tuple[str, str | None, str], int] = {}
    for i, prompt in enumerate(prompts):
        if prompt.topic is not None:
            link(first.setdefault((prompt.source, prompt.category, prompt.topic), i), i)
    groups: dict[int, list[int]] = {}
    for i in range(len(prompts)):
        groups.setdefault(find(i), []).append(i)
    return list(groups.values())


@lru_cache(maxsize=8)
def _alike(texts: tuple[str, ...], near: float) -> tuple[tuple[int, ...], ...]:
    """Near-duplicates, found once: a run's prompts are split for its plan, for its checks, and for itself."""
    return tuple(map(tuple, near_duplicates(texts, near)))


class _Share:
    """How far a choice of groups is from the share, within each stratum and in all.

    A weighted sum of squares, in prompts.
    """

    def __init__(self, sizes: Sequence[Counter[_Stratum]], totals: Counter[_Stratum], share: float) -> None:
        self._sizes = sizes
        self._totals = totals
        self._total = totals.total()
        self._missing = {s: share * n for s, n in self._totals.items()}
        self._left = share * self._total

    def gain(self, group: int, add: bool, whole: float) -> float:
        """By how much the cost falls when the group is added (or taken out).

        ``whole``: the weight of the share of all prompts.
        """
        sign = 1 if add else -1
        size = sign * self._sizes[group].total()
        result = whole * (self._left**2 - (self._left - size) ** 2) / self._total
        for stratum, n in self._sizes[group].items():
            missing = self._missing[stratum]
            result += (missing**2 - (missing - sign * n) ** 2) / self._totals[stratum]
        return result

    def move(self, group: int, add: bool) -> None:
        """Add the group, or take it out."""
        for stratum, n in self._sizes[group].items():
            self._missing[stratum] -= n if add else -n
            self._left -= n if add else -n

    def cost(self) -> float:
        """The weighted sum of squares."""
        strata = sum(m**2 / self._totals[s] for s, m in self._missing.items())
        return strata + _WHOLE * self._left**2 / self._total


def _draw(groups: Sequence[Sequence[int]], strata: Sequence[_Stratum], share: float, seed: int) -> list[int]:
    """Indices of groups whose sizes come near the share, in all and in each stratum.

    The best of several random draws.

    Some group is drawn and some is left, however small the share.
    """
    sizes = [Counter(strata[i] for i in g) for g in groups]
    totals = Counter(strata)
    best: tuple[float, list[int]] | None = None
    for draw in range(_DRAWS):
        order = list(range(len(groups)))
        random.Random(f"{seed}-{draw}").shuffle(order)
        state = _Share(sizes, totals, share)
        chosen: set[int] = set()
        # first each stratum's own share; then single groups move as long as that helps, now with the share of
        # all in view
        for whole in (0.0, *[_WHOLE] * _PASSES):
            moved = False
            for g in order:
                add = g not in chosen
                if (
                    (add and len(chosen) == len(groups) - 1)
                    or (not add and len(chosen) == 1)
                    or state.gain(g, add, whole) <= 1e-9
                ):
                    continue
                state.move(g, add)
                chosen ^= {g}
                moved = True
            if whole and not moved:
                break
        if not chosen:
            smallest = min(order, key=lambda g: len(groups[g]))
            state.move(smallest, True)
            chosen = {smallest}
        cost = state.cost()
        if best is None or cost < best[0] - 1e-9:
            best = (cost, sorted(chosen))
    return best[1] if best else []
