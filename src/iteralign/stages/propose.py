"""Stage 3, constitution proposal: the oracle derives principles from clusters of failures (IterAlign, section
3.3).

The clusters are made here, so that every oracle sees few and similar failures, with the prompts that
triggered them. Knows nothing of how an oracle writes; whether a proposal enters the constitution is decided
by ``consolidate``.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from iteralign.protocols import Oracle
from iteralign.records.iteralign import Constitution, Failure, Principle
from iteralign.text.similarity import cluster


def clusters_of(
    failures: Sequence[Failure], *, min_evidence: int, cluster_size: int, seed: int
) -> list[list[Failure]]:
    """Clusters of similar failures of one category, each of ``min_evidence`` to ``cluster_size``.

    The biggest cluster of every category comes first (biggest category first), then the second ones, and so
    on: a limited number of proposals covers as many weaknesses as it can.
    """
    by_category: dict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        by_category[failure.category].append(failure)
    ranked: list[tuple[int, int, str, list[Failure]]] = []
    for category, members in by_category.items():
        for rank, group in enumerate(_packed(members, min_evidence, cluster_size, seed)):
            if len(group) >= min_evidence:
                ranked.append((rank, -len(members), category, group))
    return [group for _, _, _, group in sorted(ranked, key=lambda r: r[:3])]


def _packed(members: list[Failure], min_evidence: int, cluster_size: int, seed: int) -> list[list[Failure]]:
    """One category's failures in groups that fit the oracle, biggest first.

    Similar ones together, the odd ones packed at the end.
    """
    if len(members) <= cluster_size:
        return [members]
    groups = [
        [members[i] for i in group] for group in cluster([f.prompt.text for f in members], cluster_size, seed)
    ]
    odd = [f for group in groups if len(group) < min_evidence for f in group]
    packs = [odd[i : i + cluster_size] for i in range(0, len(odd), cluster_size)]
    return sorted([*(g for g in groups if len(g) >= min_evidence), *packs], key=len, reverse=True)


def propose(
    oracle: Oracle,
    failures: Sequence[Failure],
    constitution: Constitution,
    *,
    iteration: int,
    max_principles: int,
    min_evidence: int,
    cluster_size: int,
    seed: int,
) -> list[Principle]:
    """Up to ``max_principles`` proposals from improper answers, and as many from refused safe prompts.

    The best one of each cluster: the oracle is asked until there are enough or no cluster is left.

    A proposal with evidence of fewer than ``min_evidence`` failures is not taken. Each later cluster's oracle
    sees what was proposed before it, so that it extends rather than repeats.
    """
    found: list[Principle] = []
    for over_refusal in (False, True):
        side = [f for f in failures if f.over_refusal is over_refusal]
        most = len(found) + max_principles
        for group in clusters_of(side, min_evidence=min_evidence, cluster_size=cluster_size, seed=seed):
            if len(found) >= most:
                break
            known = dataclasses.replace(constitution, id="", principles=(*constitution.principles, *found))
            found += [
                dataclasses.replace(p, born=iteration)
                for p in _borne(oracle.propose(group, known), min_evidence)[:1]
            ]
    return found


def _borne(proposals: Sequence[Principle], min_evidence: int) -> list[Principle]:
    return [p for p in proposals if len(set(p.evidence)) >= min_evidence]
