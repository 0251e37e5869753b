"""Which texts say nearly the same: TF-IDF over hashed character n-grams (3 to 5, inside words) and whole
words, in numpy alone.

Surface likeness only: a paraphrase in other words is not found, and two questions that differ in one telling
word can look alike. Everything is deterministic. Knows nothing of prompts, principles or files.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from iteralign.text.words import comparable, normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BUCKETS: Final = 1 << 22
_PRIME: Final = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_WORD_WEIGHT: Final = 2.0  # a word is one feature beside about three n-grams per letter
_TOLERANCE: Final = 1e-5  # float32 sums of equal vectors differ from 1 by less
_BREAK: Final = 10
_SPACE: Final = 32
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


class _Vectors(NamedTuple):
    """Sparse unit vectors.

    Row r has the features ``columns[start[r]:start[r + 1]]``, ascending, with ``values`` (float32).
    """

    start: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float32]


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

    result = np.zeros((len(queries), len(texts)), dtype=np.float32)
    if not queries or not texts:
        return result
    count = len(queries)
    vectors = _vectors([*queries, *texts])
    split = int(vectors.start[count])
    rows = np.repeat(np.arange(len(texts)), np.diff(vectors.start[count:]))
    order = np.argsort(vectors.columns[split:], kind="stable")
    by_column = vectors.columns[split:][order]
    postings = rows[order]
    weights = vectors.values[split:][order]
    for query in range(count):
        span = slice(int(vectors.start[query]), int(vectors.start[query + 1]))
        low = np.searchsorted(by_column, vectors.columns[span], side="left")
        high = np.searchsorted(by_column, vectors.columns[span], side="right")
        hits = _ranges(low, high)
        scaled = weights[hits] * np.repeat(vectors.values[span], high - low)
        result[query] = np.bincount(postings[hits], weights=scaled, minlength=len(texts))
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
    on average. ``seed`` matters only above 1,500 texts, where the set is halved around seeded centres first.
    Raises ``ValueError`` for ``max_size`` below 1.
    """
    if max_size < 1:
        raise ValueError(f"max_size = {max_size!r}: must be at least 1")
    clusters: list[list[int]] = []
    waiting = [list(range(len(texts)))] if texts else []
    while waiting:
        part = waiting.pop()
        if len(part) > _AGGLOMERATE:
            waiting.extend(_halve([texts[i] for i in part], part, seed))
        else:
            clusters.extend(
                [part[i] for i in members] for members in _agglomerate([texts[i] for i in part], max_size)
            )
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


def _ranges(low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.int64]:
    """The integers of all half-open ranges [low, high), one after the other."""
    import numpy as np

    lengths = high - low
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    result: NDArray[np.int64] = np.arange(total, dtype=np.int64) + np.repeat(low - (ends - lengths), lengths)
    return result


def _features(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Keys (row * buckets + bucket, ascending, distinct) and weighted counts of all features of all texts."""
    import numpy as np

    joined = "".join(f"\n {comparable(t)} " for t in texts)
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    is_break = points == _BREAK
    is_space = points == _SPACE
    rows = np.cumsum(is_break) - 1
    prime = np.uint64(_PRIME)
    keys = []
    weights = []

    def add(positions: NDArray[Any], hashes: NDArray[Any], salt: int, weight: float) -> None:
        mixed = (hashes ^ np.uint64(salt)) * prime
        mixed = (mixed ^ (mixed >> np.uint64(29))) * prime
        buckets = (mixed >> np.uint64(42)).astype(np.int64)
        keys.append(rows[positions] * _BUCKETS + buckets)
        weights.append(np.full(len(positions), weight, dtype=np.float32))

    for n in (3, 4, 5):
        count = len(points) - n + 1
        if count <= 0:
            continue
        good = ~is_break[:count] & ~is_break[n - 1 :]
        for k in range(1, n - 1):
            good &= ~is_break[k : count + k] & ~is_space[k : count + k]
        positions = np.flatnonzero(good)
        hashes = points[positions]
        for k in range(1, n):
            hashes = hashes * prime + points[positions + k]
        add(positions, hashes, n, 1.0)
    # A word's polynomial hash is a difference of prefix sums, shifted to the word's start by the inverse
    # power: all words of all texts cost a few passes over one array, and no loop.
    powers = np.cumprod(np.full(len(points), prime, dtype=np.uint64))
    inverse = np.cumprod(np.full(len(points), pow(_PRIME, -1, 1 << 64), dtype=np.uint64))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(points * powers, dtype=np.uint64)])
    letter = ~(is_break | is_space)
    edges = np.diff(letter.astype(np.int8), prepend=0, append=0)
    starts = np.flatnonzero(edges == 1)
    ends = np.flatnonzero(edges == -1)
    if len(starts):
        add(starts, (sums[ends] - sums[starts]) * inverse[starts], 1, _WORD_WEIGHT)
    if not keys:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    distinct, place = np.unique(np.concatenate(keys), return_inverse=True)
    return distinct, np.bincount(place, weights=np.concatenate(weights)).astype(np.float32)


def _vectors(texts: Sequence[str]) -> _Vectors:
    """TF-IDF unit vectors; columns are numbered from the rarest feature to the most frequent one."""
    import numpy as np

    keys = []
    values = []
    for first in range(0, len(texts), 4000):
        chunk, weights = _features(texts[first : first + 4000])
        keys.append(chunk + first * _BUCKETS)
        values.append(weights)
    key = np.concatenate(keys)
    tf = np.concatenate(values)
    buckets = key % _BUCKETS
    _, place, frequency = np.unique(buckets, return_inverse=True, return_counts=True)
    rank = np.empty(len(frequency), dtype=np.int64)
    rank[np.argsort(frequency, kind="stable")] = np.arange(len(frequency))
    idf = (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)
    tf *= idf[place]
    key += rank[place] - buckets
    order = np.argsort(key, kind="stable")
    key = key[order]
    tf = tf[order]
    rows = key // _BUCKETS
    start = np.searchsorted(rows, np.arange(len(texts) + 1))
    norms = np.sqrt(np.bincount(rows, weights=tf.astype(np.float64) ** 2, minlength=len(texts)))
    tf /= np.maximum(norms, 1e-12)[rows].astype(np.float32)
    return _Vectors(start, key % _BUCKETS, tf)


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

    start, columns, values = _vectors(texts)
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
        candidates = np.unique(posting[_ranges(first_of_feature[mine], mine)])  # earlier texts only
        if not len(candidates):
            continue
        low = start[candidates]
        high = start[candidates + 1]
        span = slice(int(start[i]), int(start[i + 1]))
        dense[columns[span]] = values[span]
        entries = _ranges(low, high)
        ends = np.cumsum(high - low)
        cosines = np.add.reduceat(dense[columns[entries]] * values[entries], ends - (high - low))
        dense[columns[span]] = 0.0
        for j in candidates[cosines >= threshold]:
            a = find(i)
            b = find(int(j))
            parent[max(a, b)] = min(a, b)
    return [find(i) for i in range(len(texts))]


def _agglomerate(texts: list[str], max_size: int) -> list[list[int]]:
    """Average linkage under a size limit, down to the mean likeness of the set."""
    import numpy as np

    n = len(texts)
    clusters: list[list[int]] = [[i] for i in range(n)]
    if n < 2 or max_size == 1:
        return clusters
    alike = similarity(texts, texts).astype(np.float64)
    alike = (alike + alike.T) / 2
    floor = float((alike.sum() - np.trace(alike)) / (n * (n - 1)))
    np.fill_diagonal(alike, -1.0)
    sizes = np.ones(n, dtype=np.int64)
    while True:
        flat = int(np.argmax(alike))
        a, b = sorted(divmod(flat, n))
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
        clusters[a] += clusters[b]
        clusters[b] = []


def _halve(texts: list[str], indices: list[int], seed: int) -> list[list[int]]:
    """Two halves of equal size.

    One holds the texts that are more like one of two unlike texts, one those more like the other.
    """
    import random

    import numpy as np

    first = random.Random(seed).randrange(len(texts))
    second = int(np.argmin(similarity([texts[first]], texts)[0]))
    lean = similarity([texts[first], texts[second]], texts)
    order = np.argsort(lean[1] - lean[0], kind="stable")
    middle = len(texts) // 2
    return [sorted(indices[i] for i in order[middle:]), sorted(indices[i] for i in order[:middle])]
