"""Which texts say nearly the same: TF-IDF over hashed character n-grams (3 to 5, inside words) and whole
words, in numpy alone.

Surface likeness only: a paraphrase in other words is not found, and two questions that differ in one telling
word can look alike. Everything is deterministic. Knows nothing of prompts, principles or files.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from iteralign.text.vectors import Vectors, ranges, vectors_of
from iteralign.text.words import comparable, normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOLERANCE: Final = 1e-5  # float32 sums of equal vectors differ from 1 by less
_COMPARED: Final = 4_000  # texts; the cosines of a block are one matrix
_AGGLOMERATE: Final = 1500  # texts; average linkage is quadratic in them, larger sets are halved first

_FUNCTION_WORDS: Final = """
a about after again all also am an and any are as at be because been before being but by can cannot could
did do does doing don down for from get give had has have having he help her here hers him his how i if in
into is it its just know let like ll make me might more most my need no nor not now of off on one only or
other our out over own please re s same she should so some such t tell than that the their them then there
these they thing things this those through to too under up us ve very want was way ways we were what when
where which while who why will with without would you your
"""
_STOP_WORDS: Final = frozenset(_FUNCTION_WORDS.split())


def near_duplicates(texts: Sequence[str], threshold: float = 0.8) -> list[list[int]]:
    """Groups of indices that are linked by a cosine of at least ``threshold``.

    Directly, or by others in between. Singletons are groups too; groups and members are in order of their
    first appearance. Exact: candidate pairs come from an inverted index over each text's rarest features,
    which no pair above the threshold can miss. 40,000 questions take seconds. Raises ``ValueError`` for a
    threshold outside (0, 1].
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold = {threshold!r}: must lie in (0, 1]")
    plain = [comparable(t) for t in texts]
    distinct: dict[str, int] = {}
    for text in plain:
        distinct.setdefault(text, len(distinct))
    roots = _link(list(distinct), threshold - _TOLERANCE)
    groups: dict[int, list[int]] = {}
    for index, text in enumerate(plain):
        groups.setdefault(roots[distinct[text]], []).append(index)
    return list(groups.values())


def similarity(queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
    """Cosines in [0, 1], shape (len(queries), len(texts)).

    Document frequencies are taken from both together.
    """
    import numpy as np

    if not queries or not texts:
        return np.zeros((len(queries), len(texts)), dtype=np.float32)
    vectors = vectors_of([*queries, *texts])
    count = len(queries)
    return _cosines(vectors.some(np.arange(count)), vectors.some(np.arange(count, count + len(texts))))


def _cosines(queries: Vectors, texts: Vectors) -> NDArray[np.float32]:
    """Cosines in [0, 1], shape (queries, texts)."""
    import numpy as np

    count = len(texts.start) - 1
    result = np.zeros((len(queries.start) - 1, count), dtype=np.float32)
    rows = np.repeat(np.arange(count), np.diff(texts.start))
    order = np.argsort(texts.columns, kind="stable")
    by_column = texts.columns[order]
    postings = rows[order]
    weights = texts.values[order]
    for query in range(len(result)):
        span = slice(int(queries.start[query]), int(queries.start[query + 1]))
        low = np.searchsorted(by_column, queries.columns[span], side="left")
        high = np.searchsorted(by_column, queries.columns[span], side="right")
        hits = ranges(low, high)
        scaled = weights[hits] * np.repeat(queries.values[span], high - low)
        result[query] = np.bincount(postings[hits], weights=scaled, minlength=count)
    return np.clip(result, 0.0, 1.0)


def near_any(texts: Sequence[str], known: Sequence[str], threshold: float = 0.8) -> list[bool]:
    """For each text whether one of ``known`` is alike: a cosine of at least ``threshold``.

    Texts are compared in blocks; document frequencies are a block's and the known texts' together.
    """
    if not known:
        return [False] * len(texts)
    found: list[bool] = []
    for first in range(0, len(texts), _COMPARED):
        alike = similarity(texts[first : first + _COMPARED], known)
        found += (alike.max(axis=1) >= threshold - _TOLERANCE).tolist()
    return found


def cluster(texts: Sequence[str], max_size: int, seed: int = 0) -> list[list[int]]:
    """Clusters of similar texts (ascending indices), none larger than ``max_size``.

    The biggest comes first; among equals, the one with the first member.

    Average linkage: the two most alike clusters merge while they are more alike than two texts of the set are
    on average. ``seed`` matters only above 1,500 texts, where the set is halved around seeded centres first,
    so that the time grows hardly faster than the set: 19,000 questions take a dozen seconds. Raises
    ``ValueError`` for ``max_size`` below 1.
    """
    if max_size < 1:
        raise ValueError(f"max_size = {max_size!r}: must be at least 1")
    if not texts:
        return []
    clusters: list[list[int]] = []
    vectors = vectors_of(texts, times=2)  # each text is a query, too
    waiting = [list(range(len(texts)))]
    while waiting:
        part = waiting.pop()
        own = vectors.some(part)
        if len(part) > _AGGLOMERATE:
            waiting.extend([part[i] for i in half] for half in _halve(own, seed))
        else:
            clusters.extend([part[i] for i in members] for members in _agglomerate(own, max_size))
    return sorted((sorted(c) for c in clusters), key=lambda c: (-len(c), c[0]))


def distinctive_terms(texts: Sequence[str], background: Sequence[str], top: int = 5) -> list[str]:
    """Words and word pairs typical of ``texts`` against ``background``, most typical first; at most ``top``.

    Scored by the z-value of the log-odds ratio of document frequencies, with the background as prior (Monroe,
    Colaresi and Quinn 2008). Function words never count, nor do terms of a single text where there are three
    or more, nor terms that repeat one chosen.
    """
    inside = _document_frequencies(texts)
    outside = _document_frequencies(background)
    least = 2 if len(texts) >= 3 else 1
    total_in = len(texts) + 1.0
    total_out = len(background) + 1.0
    scored = []
    for term, found in inside.items():
        if found < least:
            continue
        prior = 0.5 * (found + outside[term]) / (len(texts) + len(background)) + 0.01
        a = found + prior
        b = outside[term] + prior
        odds = math.log(a / (total_in + 0.5 - a + 1.0)) - math.log(b / (total_out + 0.5 - b + 1.0))
        z = odds / math.sqrt(1 / a + 1 / b)
        scored.append((-z, -len(term.split()), term))
    chosen: list[str] = []
    for negative, _, term in sorted(scored):
        words = set(term.split())
        if len(chosen) == top or negative >= 0:
            break
        if not any(words & set(other.split()) for other in chosen):
            chosen.append(term)
    return chosen


def _document_frequencies(texts: Sequence[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        words = normalise(text).split()
        telling = [w not in _STOP_WORDS and len(w) > 1 and not w.isdigit() for w in words]
        terms = {w for w, good in zip(words, telling, strict=True) if good}
        terms |= {
            f"{words[i]} {words[i + 1]}" for i in range(len(words) - 1) if telling[i] and telling[i + 1]
        }
        counts.update(terms)
    return counts


def _link(texts: list[str], threshold: float) -> list[int]:
    """For each of the distinct texts the smallest index of its connected component."""
    import numpy as np

    parent = list(range(len(texts)))
    if len(texts) < 2:
        return parent

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    start, columns, values = vectors_of(texts)
    # Prefix filter (Bayardo, Ma and Srikant 2007): two vectors whose cosine reaches the threshold share a
    # feature among those that come, rarest first, before the rest of either vector is shorter than the
    # threshold. By then the rest can add no cosine that large, for the other vector has length 1.
    squares = np.concatenate([np.zeros(1), np.cumsum(values.astype(np.float64) ** 2)])
    rows = np.repeat(np.arange(len(texts)), np.diff(start))
    rest = squares[start[1:]][rows] - squares[:-1]
    kept = np.flatnonzero(rest >= max(threshold, 0.0) ** 2 - 1e-9)
    order = kept[np.argsort(columns[kept], kind="stable")]  # by feature, then by text
    feature = columns[order]
    posting = rows[order]
    place = np.empty(len(columns), dtype=np.int64)
    place[order] = np.arange(len(order))
    first_of_feature = np.searchsorted(feature, feature, side="left")
    counts = np.bincount(rows[kept], minlength=len(texts))
    prefix_start = np.concatenate([[0], np.cumsum(counts)])
    # The vector at hand, spread over all features: the dot products with its candidates are then one gather
    # and a sum by candidate. It is wiped after each text, entry by entry, for it is long.
    dense = np.zeros(int(columns.max(initial=0)) + 1, dtype=np.float32)
    for i in range(1, len(texts)):
        mine = place[kept[prefix_start[i] : prefix_start[i + 1]]]
        candidates = np.unique(posting[ranges(first_of_feature[mine], mine)])  # earlier texts only
        if not len(candidates):
            continue
        low = start[candidates]
        high = start[candidates + 1]
        span = slice(int(start[i]), int(start[i + 1]))
        dense[columns[span]] = values[span]
        entries = ranges(low, high)
        ends = np.cumsum(high - low)
        cosines = np.add.reduceat(dense[columns[entries]] * values[entries], ends - (high - low))
        dense[columns[span]] = 0.0
        for j in candidates[cosines >= threshold]:
            a = find(i)
            b = find(int(j))
            parent[max(a, b)] = min(a, b)
    return [find(i) for i in range(len(texts))]


def _agglomerate(vectors: Vectors, max_size: int) -> list[list[int]]:
    """Average linkage under a size limit, down to the mean likeness of the set."""
    import numpy as np

    n = len(vectors.start) - 1
    clusters: list[list[int]] = [[i] for i in range(n)]
    if n < 2 or max_size == 1:
        return clusters
    alike = _cosines(vectors, vectors).astype(np.float64)
    alike = (alike + alike.T) / 2
    floor = float((alike.sum() - np.trace(alike)) / (n * (n - 1)))
    np.fill_diagonal(alike, -1.0)
    sizes = np.ones(n, dtype=np.int64)
    # the best partner of each row, the first one among equals; a merge changes few of them
    partner = alike.argmax(axis=1)
    best = alike[np.arange(n), partner]
    while True:
        row = int(np.argmax(best))
        a, b = sorted((row, int(partner[row])))
        if alike[a, b] <= floor and not alike[a, b] > 1 - _TOLERANCE:
            return [c for c in clusters if c]
        merged = (sizes[a] * alike[a] + sizes[b] * alike[b]) / (sizes[a] + sizes[b])
        merged[(alike[a] < 0) | (alike[b] < 0)] = -1.0  # too large together with either, or gone
        sizes[a] += sizes[b]
        merged[sizes + sizes[a] > max_size] = -1.0
        merged[a] = -1.0
        alike[a] = merged
        alike[:, a] = merged
        alike[b] = -1.0
        alike[:, b] = -1.0
        better = (merged > best) | ((merged == best) & (a < partner))
        partner[better] = a
        best[better] = merged[better]
        changed = (partner == b) | ((partner == a) & (best != merged))
        changed[[a, b]] = True
        lost = np.flatnonzero(changed)
        partner[lost] = alike[lost].argmax(axis=1)
        best[lost] = alike[lost, partner[lost]]
        clusters[a] += clusters[b]
        clusters[b] = []


def _halve(vectors: Vectors, seed: int) -> list[list[int]]:
    """Two halves of equal size.

    One holds the texts that are more like one of two unlike texts, one those more like the other.
    """
    import random

    import numpy as np

    count = len(vectors.start) - 1
    first = random.Random(seed).randrange(count)
    one = _like(vectors, first)
    order = np.argsort(_like(vectors, int(np.argmin(one))) - one, kind="stable")
    middle = count // 2
    return [sorted(order[middle:].tolist()), sorted(order[:middle].tolist())]


def _like(vectors: Vectors, row: int) -> NDArray[np.float32]:
    """Cosines of one row with all, shape (rows,)."""
    import numpy as np

    start = vectors.start
    own = slice(int(start[row]), int(start[row + 1]))
    dense = np.zeros(int(vectors.columns.max(initial=0)) + 1, dtype=np.float32)
    dense[vectors.columns[own]] = vectors.values[own]
    sums = np.concatenate([np.zeros(1), np.cumsum(dense[vectors.columns] * vectors.values, dtype=np.float64)])
    cosines: NDArray[np.float32] = (sums[start[1:]] - sums[start[:-1]]).astype(np.float32)
    return cosines
