"""Which new texts are too near to one that is kept: ROUGE-L above a threshold, decided exactly as by a scan
of all that are kept, but fast.

ROUGE-L is the F-measure of the longest common subsequence of words, as rouge-score 0.1.2 computes it without
stemming, to the last bit. An index over each text's rarest words names the few kept texts that share enough
of them to come above the threshold; only these are compared. Knows nothing of prompts, instructions or files,
nor why a text is kept.
"""

from __future__ import annotations

import hashlib
import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from iteralign.text.words import ascii_words

_SPARE: Final = 3
"""Words that the index holds beyond what it must: more of them to visit, fewer texts to compare."""
_SLACK: Final = 1e-6  # more than floating-point arithmetic can be off in a bound, less than one word
_FIRST_ORDER: Final = 64  # kept texts


class Match(NamedTuple):
    """A kept text that is too near.

    Its place among the kept ones, the text, and its ROUGE-L with the new text.
    """

    position: int
    text: str
    score: float


class NearDuplicates:
    """Kept texts, and which of them is the first that a new text comes too near to.

    A word's second occurrence in a text counts as a word of its own, so that a text is a set of words; two
    texts have at most as many words in a common subsequence as in common. All sets are ordered alike, rarest
    word first, and only their fronts are indexed and looked up: what two fronts do not share can add no more
    than what one of them leaves out (see ``_Shared``). Any order will do that stays as it is while the index
    stands: a new word comes before all others, and order and index are made anew each time that twice as many
    are kept.
    """

    def __init__(self, threshold: float = 0.7) -> None:
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold = {threshold!r}: must lie in [0, 1]")
        self.threshold = threshold
        self._texts: list[str] = []
        self._history = hashlib.sha256()
        self._words: list[tuple[str, ...]] = []
        self._lengths: list[int] = []
        self._frequencies: Counter[str] = Counter()  # in how many kept texts
        self._ranks: dict[str, int] = {}
        self._index: dict[str, array[int]] = {}  # positions of the kept texts that have a word in front
        self._next_order = _FIRST_ORDER

    @property
    def fingerprint(self) -> list[object]:
        """What its decisions depend on: the threshold, and a hash of all texts given, in order."""
        return [self.threshold, self._history.hexdigest()]

    def __len__(self) -> int:
        return len(self._texts)

    def admit(self, text: str) -> Match | None:
        """The match of a text that is too near to a kept one; a text without one is kept."""
        words = _words(text)
        found = self._match(words)
        if found is None:
            self._keep(text, words)
        return found

    def match(self, text: str) -> Match | None:
        """The first kept text whose ROUGE-L with this one is above the threshold.

        The text itself is not kept.
        """
        return self._match(_words(text))

    def keep(self, text: str) -> None:
        """Keeps a text whatever it is near to."""
        self._keep(text, _words(text))

    def _match(self, words: tuple[str, ...]) -> Match | None:
        import numpy as np

        length = len(words)
        lengths = self._lengths
        threshold = self.threshold
        known = sorted((e for e in _elements(words) if e in self._ranks), key=self._ranks.__getitem__)
        # In the order, words that no kept text has come before all others: the front begins with them, and of
        # the known words it holds so many fewer.
        front = len(known) - _left_out(length, threshold)
        enough = _Shared.of(length, threshold)
        hits = np.sort(
            np.frombuffer(b"".join(self._index.get(e, b"") for e in known[: max(0, front)]), dtype=np.intc)
        )
        again = hits[enough.least - 1 :]
        # Each position as often as it was hit, less those that the least asks for: in sorted hits, a position
        # is hit ``least`` times where the entry ``least - 1`` further on is the same.
        again = again[again == hits[: len(again)]]
        shared = Counter(again.tolist())
        near = [at for at, count in shared.items() if count + enough.least - 1 >= enough[lengths[at]]]
        if not near:
            return None
        places: dict[str, int] = {}  # of each word, as bits
        for place, word in enumerate(words):
            places[word] = places.get(word, 0) | 1 << place
        for position in near:  # ascending, as the hits are
            other = self._words[position]
            if sum(map(places.__contains__, other)) < _least_common(length, len(other), threshold):
                continue
            score = _score(_longest_common(places, length, other), length, len(other))
            if score > threshold:
                return Match(position, self._texts[position], score)
        return None

    def _keep(self, text: str, words: tuple[str, ...]) -> None:
        position = len(self._texts)
        self._texts.append(text)
        self._history.update(f"{len(text)}:{text}".encode(errors="surrogatepass"))
        self._words.append(words)
        self._lengths.append(len(words))
        self._frequencies.update(_elements(words))
        if position + 1 == self._next_order:
            self._next_order *= 2
            self._ranks = {
                element: rank
                for rank, (element, _) in enumerate(
                    sorted(self._frequencies.items(), key=lambda x: (x[1], x[0]))
                )
            }
            self._index = {}
            for earlier, its in enumerate(self._words):
                self._enter(earlier, its)
        else:
            self._enter(position, words)

    def _enter(self, position: int, words: tuple[str, ...]) -> None:
        elements = _elements(words)
        for element in elements:
            self._ranks.setdefault(element, -len(self._ranks))
        front = len(words) - _left_out(len(words), self.threshold)
        for element in sorted(elements, key=self._ranks.__getitem__)[:front]:
            self._index.setdefault(element, array("i")).append(position)


class _Shared(dict[int, int]):
    """How many words two fronts must share where their texts are too near.

    One text has ``length`` words; the key is the other's length.

    Of the two fronts take the one that ends first in the order: every common word up to there lies in both,
    and beyond there lie no more than that text leaves out. So all common words are at most the shared ones
    and the larger of the two numbers left out.
    """

    def __init__(self, length: int, threshold: float) -> None:
        self.least = min(_SPARE, _least_common_with_any(length, threshold))
        self._length = length
        self._threshold = threshold

    def __missing__(self, other: int) -> int:
        common = _least_common(self._length, other, self._threshold)
        out = max(_left_out(self._length, self._threshold), _left_out(other, self._threshold))
        self[other] = common - out if common <= min(self._length, other) else sys.maxsize
        return self[other]

    @staticmethod
    @lru_cache(maxsize=512)
    def of(length: int, threshold: float) -> _Shared:
        return _Shared(length, threshold)


def _words(text: str) -> tuple[str, ...]:
    return tuple(map(sys.intern, ascii_words(text)))


def _elements(words: Iterable[str]) -> list[str]:
    """The words, each later occurrence of one as a word of its own; no two are equal."""
    words = list(words)
    if len(set(words)) == len(words):
        return words
    seen: dict[str, int] = {}
    for place, word in enumerate(words):
        seen[word] = seen.get(word, 0) + 1
        if seen[word] > 1:
            words[place] = sys.intern(f"{word} {seen[word]}")
    return words


def _score(common: int, length: int, other: int) -> float:
    """The F-measure, in the floating-point operations of rouge-score.

    It is the same with the lengths exchanged.
    """
    if not common:
        return 0.0
    precision = common / other
    recall = common / length
    return 2 * precision * recall / (precision + recall)


@lru_cache(maxsize=1 << 16)
def _least_common(length: int, other: int, threshold: float) -> int:
    """The least number of common words whose F-measure is above the threshold.

    More than the shorter text has where no number is.
    """
    common = max(1, math.floor(threshold * (length + other) / 2) - 1)
    while common <= min(length, other) and not _score(common, length, other) > threshold:
        common += 1
    return common


def _least_common_with_any(length: int, threshold: float) -> int:
    """The least number of words that a text too near to one of this length has in common with it.

    Such a text has no fewer words itself, whatever its length.
    """
    return max(1, math.ceil(threshold * length / (2 - threshold) - _SLACK))


def _left_out(length: int, threshold: float) -> int:
    return max(0, _least_common_with_any(length, threshold) - _SPARE)


def _longest_common(places: dict[str, int], length: int, other: Iterable[str]) -> int:
    """The length of the longest common subsequence (bit-parallel, as in Hyyrö 2004).

    A row of the usual table is one integer. Bit i is zero where the row grows at word i of the text. A match
    takes the place of the next zero above it: the sum carries from one to the other, so that a whole row
    costs one addition.
    """
    full = (1 << length) - 1
    row = full
    for word in other:
        if at := places.get(word):
            grown = row & at
            row = (row + grown) | (row - grown)
    return length - (row & full).bit_count()
