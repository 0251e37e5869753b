"""Texts as sparse TF-IDF vectors: hashed character n-grams (3 to 5, inside words) and whole words.

In numpy alone, and deterministic. Knows nothing of what the vectors are compared for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from iteralign.text.words import comparable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUCKETS: Final = 1 << 22
_PRIME: Final = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_WORD_WEIGHT: Final = 2.0  # a word is one feature beside about three n-grams per letter
_BREAK: Final = 10
_SPACE: Final = 32


class Vectors(NamedTuple):
    """Sparse unit vectors.

    Row r has the features ``columns[start[r]:start[r + 1]]``, ascending, with ``values`` (float32).
    """

    start: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float32]

    def some(self, rows: Sequence[int] | NDArray[Any]) -> Vectors:
        """The vectors of these rows, in their order."""
        import numpy as np

        low = self.start[rows]
        high = self.start[np.asarray(rows) + 1]
        entries = ranges(low, high)
        start = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(high - low)])
        return Vectors(start, self.columns[entries], self.values[entries])


def ranges(low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.int64]:
    """The integers of all half-open ranges [low, high), one after the other."""
    import numpy as np

    lengths = high - low
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    result: NDArray[np.int64] = np.arange(total, dtype=np.int64) + np.repeat(low - (ends - lengths), lengths)
    return result


def features(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Keys (row * buckets + bucket, ascending, distinct) and weighted counts of all features of all texts."""
    import numpy as np

    # where nothing but signs is left of a text, it may still hold line breaks
    joined = "".join(f"\n {comparable(t).replace(chr(_BREAK), ' ')} " for t in texts)
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
        keys.append(rows[positions] * BUCKETS + buckets)
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


def vectors_of(texts: Sequence[str], times: int = 1) -> Vectors:
    """TF-IDF unit vectors; columns are numbered from the rarest feature to the most frequent one.

    ``times``: as often each text counts for how frequent a feature is.
    """
    import numpy as np

    keys = []
    values = []
    for first in range(0, len(texts), 4000):
        chunk, weights = features(texts[first : first + 4000])
        keys.append(chunk + first * BUCKETS)
        values.append(weights)
    key = np.concatenate(keys)
    tf = np.concatenate(values)
    buckets = key % BUCKETS
    _, place, frequency = np.unique(buckets, return_inverse=True, return_counts=True)
    rank = np.empty(len(frequency), dtype=np.int64)
    rank[np.argsort(frequency, kind="stable")] = np.arange(len(frequency))
    idf = (np.log((1 + times * len(texts)) / (1 + times * frequency)) + 1).astype(np.float32)
    tf *= idf[place]
    key += rank[place] - buckets
    order = np.argsort(key, kind="stable")
    key = key[order]
    tf = tf[order]
    rows = key // BUCKETS
    start = np.searchsorted(rows, np.arange(len(texts) + 1))
    norms = np.sqrt(np.bincount(rows, weights=tf.astype(np.float64) ** 2, minlength=len(texts)))
    tf /= np.maximum(norms, 1e-12)[rows].astype(np.float32)
    return Vectors(start, key % BUCKETS, tf)
