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


class Index:
    """Texts by their features. ``add`` more at the end; ``scores`` of a query are ``similarity``'s."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        import numpy as np

        self.texts: list[str] = []
        # bucket -> its column from 1, in order of appearance; pages that are never touched take no memory
        self._column = np.zeros(BUCKETS, dtype=np.int32)
        self._frequency = np.zeros(0, dtype=np.int64)  # by column: texts that have it
        self._parts: list[_Postings] = []  # older texts first, each more than twice as long as the next
        self._squares: NDArray[np.float64] | None = None
        self.add(texts)

    def add(self, texts: Sequence[str]) -> None:
        """More texts at the end."""
        import numpy as np

        if not texts:
            return
        keys, counts = features(texts)
        buckets = keys % BUCKETS
        new = np.unique(buckets[self._column[buckets] == 0])
        known = len(self._frequency)
        self._column[new] = np.arange(known + 1, known + len(new) + 1)
        columns = self._column[buckets] - 1
        self._frequency = np.concatenate([self._frequency, np.zeros(len(new), dtype=np.int64)])
        self._frequency += np.bincount(columns, minlength=len(self._frequency))
        rows = keys // BUCKETS + len(self.texts)
        self._parts.append(_sorted(_Postings(columns, rows, counts)))
        while len(self._parts) > 1 and len(self._parts[-2].rows) <= 2 * len(self._parts[-1].rows):
            last = self._parts.pop()
            self._parts.append(_sorted(_joined(self._parts.pop(), last)))
        self.texts += texts
        self._squares = None

    def scores(self, query: str) -> NDArray[np.float32]:
        """Cosines in [0, 1] with each text, shape (texts,). The query's own features count as a text's."""
        import numpy as np

        keys, counts = features([query])
        columns = self._column[keys % BUCKETS] - 1
        found = columns >= 0
        mine = np.where(found, columns, 0)
        if not len(self._frequency):
            return np.zeros(len(self.texts), dtype=np.float32)
        weights = self._weights(np.where(found, self._frequency[mine], 0) + 1)
        own = counts * weights
        own /= np.float32(max(float(np.sqrt((own.astype(np.float64) ** 2).sum())), 1e-12))
        plain = self._weights(self._frequency[mine])
        # the query makes its features a little less rare, and so shortens the vectors that have them
        hits = [self._hits(part, mine[found]) for part in self._parts]
        rows = np.concatenate([r for r, _, _ in hits])
        tf = np.concatenate([c for _, c, _ in hits])
        which = np.flatnonzero(found)[np.concatenate([w for _, _, w in hits])]
        here = tf * weights[which]
        change = here.astype(np.float64) ** 2 - (tf * plain[which]).astype(np.float64) ** 2
        squares = self._base() + np.bincount(rows, weights=change, minlength=len(self.texts))
        norms = np.maximum(np.sqrt(np.maximum(squares, 0.0)), 1e-12).astype(np.float32)
        products = here / norms[rows] * own[which]
        scores = np.bincount(rows, weights=products, minlength=len(self.texts))
        return np.clip(scores.astype(np.float32), 0.0, 1.0)

    def _hits(
        self, part: _Postings, columns: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Texts of a part that have one of the columns, the weighted count, and which column it is."""
        import numpy as np

        low = np.searchsorted(part.columns, columns, side="left")
        high = np.searchsorted(part.columns, columns, side="right")
        hits = ranges(low, high)
        return part.rows[hits], part.counts[hits], np.repeat(np.arange(len(columns)), high - low)

    def _weights(self, frequency: NDArray[np.int64]) -> NDArray[np.float32]:
        """Inverse document frequencies among the texts and one query."""
        import numpy as np

        return (np.log((2 + len(self.texts)) / (1 + frequency)) + 1).astype(np.float32)

    def _base(self) -> NDArray[np.float64]:
        """The squared lengths of the texts' vectors, as if the query had no feature of theirs."""
        import numpy as np

        if self._squares is None:
            weights = self._weights(self._frequency)
            self._squares = np.zeros(len(self.texts))
            for columns, rows, counts in self._parts:
                values = (counts * weights[columns]).astype(np.float64)
                self._squares += np.bincount(rows, weights=values * values, minlength=len(self.texts))
        return self._squares


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


def likeness(query: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """``similarity`` of one query with each of the texts, shape (texts,).

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
        return _LAST.scores(query)
