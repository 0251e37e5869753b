"""A growing list of texts, and how like each of them a query is: ``similarity`` without starting anew.

A text's features are counted once. What depends on all texts (how frequent a feature is, how long a vector)
is made once after each growth. Knows nothing of what the texts are.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from iteralign.text.vectors import BUCKETS, features, ranges

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class _Postings(NamedTuple):
    """Entries sorted by feature: which text has it, and its weighted count there."""

    columns: NDArray[np.int32]
    rows: NDArray[np.int64]
    counts: NDArray[np.float32]


EXACT = 1024
"""Texts up to which the frequencies of features are those among all of them."""


class Index:
    """Texts by their features. ``add`` more at the end; ``scores`` of a query are ``similarity``'s.

    From ``EXACT`` texts on, how rare a feature is changes with every sixteenth to eighth text alone: it is
    that among the first so many. What the scores are does not depend on how the index grew.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        import numpy as np

        self.texts: list[str] = []
        # bucket -> its column from 1, in order of appearance; pages that are never touched take no memory
        self._column = np.zeros(BUCKETS, dtype=np.int32)
        self._counted = np.zeros(0, dtype=np.int64)  # by column: texts that have it
        self._frequency = self._counted  # the same among the first texts
        self._among = 0  # so many of them
        self._parts: list[_Postings] = []  # older texts first, each more than twice as long as the next
        self._squares: NDArray[np.float64] = np.zeros(0)  # of the vectors' lengths, without a query
        self.add(texts)

    def add(self, texts: Sequence[str]) -> None:
        """More texts at the end."""
        total = len(self.texts) + len(texts)
        among = total if total < EXACT else total >> (total.bit_length() - 4) << (total.bit_length() - 4)
        first = max(0, among - len(self.texts))
        self._extend(texts[:first])
        if among > self._among:
            self._among = among
            self._frequency = self._counted
            self._squares = self._squared(self._parts)
        self._extend(texts[first:])

    def _extend(self, texts: Sequence[str]) -> None:
        import numpy as np

        if not texts:
            return
        keys, counts = features(texts)
        buckets = keys % BUCKETS
        distinct, place = np.unique(buckets, return_index=True)
        new = buckets[np.sort(place[self._column[distinct] == 0])]
        known = len(self._counted)
        self._column[new] = np.arange(known + 1, known + len(new) + 1)
        columns = self._column[buckets] - 1
        self._counted = np.concatenate([self._counted, np.zeros(len(new), dtype=np.int64)])
        self._counted += np.bincount(columns, minlength=len(self._counted))
        fresh = _sorted(_Postings(columns, keys // BUCKETS + len(self.texts), counts))
        self.texts += texts
        squares = self._squared([fresh])
        squares[: len(self._squares)] = self._squares
        self._squares = squares
        self._parts.append(fresh)
        while len(self._parts) > 1 and len(self._parts[-2].rows) <= 2 * len(self._parts[-1].rows):
            last = self._parts.pop()
            self._parts.append(_sorted(_joined(self._parts.pop(), last)))

    def scores(self, query: str, among: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Cosines in [0, 1] with each text, shape (texts,). The query's own features count as a text's.

        ``among``: only these texts are compared, shape (texts,); the others have 0.
        """
        import numpy as np

        keys, counts = features([query])
        columns = self._column[keys % BUCKETS] - 1
        frequency = self._frequency_of(columns)
        weights = self._weights(frequency + 1)
        plain = self._weights(frequency)
        own = counts * weights
        own /= np.float32(max(float(np.sqrt((own.astype(np.float64) ** 2).sum())), 1e-12))
        # the query makes its features a little less rare, and so shortens the vectors that have them
        hits = [_hits(part, columns, among) for part in self._parts]
        if not hits:
            return np.zeros(len(self.texts), dtype=np.float32)
        rows, tf, which = (np.concatenate(arrays) for arrays in zip(*hits, strict=True))
        here = tf * weights[which]
        change = here.astype(np.float64) ** 2 - (tf * plain[which]).astype(np.float64) ** 2
        squares = self._squares + np.bincount(rows, weights=change, minlength=len(self.texts))
        norms = np.maximum(np.sqrt(np.maximum(squares, 0.0)), 1e-12).astype(np.float32)
        products = here / norms[rows] * own[which]
        scores = np.bincount(rows, weights=products, minlength=len(self.texts))
        return np.clip(scores.astype(np.float32), 0.0, 1.0)

    def _frequency_of(self, columns: NDArray[np.int32]) -> NDArray[np.int64]:
        """Of features by column; 0 of those that came after the first texts, or that no text has."""
        import numpy as np

        known = (columns >= 0) & (columns < len(self._frequency))
        found = np.zeros(len(columns), dtype=np.int64)
        found[known] = self._frequency[columns[known]]
        return found

    def _weights(self, frequency: NDArray[np.int64]) -> NDArray[np.float32]:
        """Inverse document frequencies among the first texts and one query."""
        import numpy as np

        return (np.log((2 + self._among) / (1 + frequency)) + 1).astype(np.float32)

    def _squared(self, parts: Sequence[_Postings]) -> NDArray[np.float64]:
        """The squared lengths of these parts' vectors, shape (texts,)."""
        import numpy as np

        squares = np.zeros(len(self.texts))
        for columns, rows, counts in parts:
            values = (counts * self._weights(self._frequency_of(columns))).astype(np.float64)
            squares += np.bincount(rows, weights=values * values, minlength=len(self.texts))
        return squares


def _hits(
    part: _Postings, columns: NDArray[np.int32], among: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Texts of a part that have one of the columns, the weighted count, and which of the columns it is."""
    import numpy as np

    low = np.searchsorted(part.columns, columns, side="left")
    high = np.searchsorted(part.columns, columns, side="right")
    hits = ranges(low, high)
    which = np.repeat(np.arange(len(columns)), high - low)
    if among is not None:
        kept = among[part.rows[hits]]
        hits = hits[kept]
        which = which[kept]
    return part.rows[hits], part.counts[hits], which


def _joined(first: _Postings, second: _Postings) -> _Postings:
    import numpy as np

    return _Postings(
        np.concatenate([first.columns, second.columns]),
        np.concatenate([first.rows, second.rows]),
        np.concatenate([first.counts, second.counts]),
    )


def _sorted(postings: _Postings) -> _Postings:
    import numpy as np

    order = np.argsort(postings.columns, kind="stable")
    return _Postings(postings.columns[order], postings.rows[order], postings.counts[order])


_LAST = Index()
_LOCK = threading.Lock()


def likeness(query: str, texts: Sequence[str], among: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """``similarity`` of one query with each of the texts, shape (texts,); ``among``: with these alone.

    The index of the texts that were asked for last is kept: the same ones, and the same ones with more at the
    end, cost no second look. Any thread may ask.
    """
    global _LAST
    with _LOCK:
        known = len(_LAST.texts)
        if _LAST.texts != texts[:known]:
            _LAST = Index()
            known = 0
        _LAST.add(texts[known:])
        return _LAST.scores(query, among)
