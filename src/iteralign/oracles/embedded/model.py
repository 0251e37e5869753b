"""What the embedded oracle has learnt about questions: linear models over hashed features.

A text becomes one sparse unit vector of words and letters; the models give the calibrated probability that it
asks for harm, and one per category. In numpy. Must not know answers, principles, records and other models.
"""

from __future__ import annotations

import hashlib
import math
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from iteralign.errors import DataError
from iteralign.text.words import normalise

BUCKETS: Final = 1 << 19
WEIGHTS_PATH: Final = Path(__file__).parent / "weights" / "embedded-1.npz"
LONG: Final = 40
"""Words; longer texts are also read in pieces, so that a request hidden in much other text is still seen."""
_PIECES: Final = 24
_FUNCTION_WORDS_TEXT: Final = """
a about after again all also am an and any are as at be because been before but by can could did do does for
from had has have he her here him his how i if in into is it its just like ll m may me might more most my no
nor not now of off on one only or other our out over own please re s same she should so some such t than that
the their them then there these they this those through to too under up us ve very was way ways we were what
when where which while who why will with would you your
"""
_FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS_TEXT.split())
_FAMILY: Final = {"word": 1.0, "stem": 1.0, "pair": 0.8, "content": 1.0, "head": 0.8, "letters": 0.25}


_HOW: Final = (
    r"how (?:to|(?:can|could|do|does|would|should|might) (?:i|we|you|one|someone|somebody|people|they"
    r"|a person|anyone)|i can|i could|one can|we can)"
)
_PLAN: Final = (
    r"(?:ways?|methods?|tricks?|steps?|plans?|strateg(?:y|ies)|guides?|tutorials?|instructions?|tips|ideas?"
    r"|advice|manuals?|means|techniques?|options?"
    r"|checklists?|pointers|secrets?|approach|scripts?|articles?|programs?)"
)
_LEAD: Final = re.compile(
    r"^(?:(?:please|hi|hey|hello|ok|quick question|so|and|also) )*(?:(?:can|could|would"
    r"|will) you (?:please )?)?(?:"
    rf"{_HOW}"
    rf"|(?:tell|show|teach|explain|describe|outline|share)(?: to)?(?: me| us| people)? (?:{_HOW}"
    rf"|the (?:best )?way to)"
    r"|(?:whats|what|what is|what are|what would be|is there|are there|do you know|give|give me|make|make me"
    r"|write|write me|i need|create|develop"
    rf"|propose|provide|draft|suggest|share|list|name|think of|recommend|any|some"
    rf"|need)(?: \w+){{0,4}} {_PLAN}(?: i can use| for me| i can)?"
    rf"(?: (?:to|for|of|on|that|about|in))(?: {_HOW}| (?:shows|teaches|explains) (?:people )?{_HOW})?"
    rf"|{_PLAN}(?: \w+){{0,2}} (?:to|for|on|of)(?: {_HOW}| someone who wants to)?"
    r"|(?:i|we) (?:want|need|plan|would like|would love|am going|have decided|am trying|wish|intend|hope) to"
    r"|(?:id|wed) (?:like|love) to|im (?:trying|going|planning) to"
    r"|help (?:me|us)(?: to)?(?: find a way to)?|what (?:should|can|could|do|must) (?:i|we|one|you) (?:do"
    r"|need|say|know|use)(?: \w+)? to"
    r") "
)
_PEOPLE_TEXT: Final = """
actor actress aunt baker banker barista boss boyfriend bride brother businessman cashier celebrity citizen
classmate clerk client coach colleague competitor cop couple coworker cousin crowd customer dancer daughter
doctor driver employee employees enemy ex family father farmer foreigner foreigners friend friends girlfriend
girl grandfather grandmother grandparents groom group guard guest guests guy heir hiker hostage husband
immigrant immigrants informant intern jew jews journalist judge lady landlord lawyer leader lover man manager
mayor men minorities minority mother mum muslim muslims neighbor neighbour neighbours nurse officer official
parents partner passenger patient patients pedestrian pensioner people person pilot player police policeman
politician politicians postman president priest prisoner professor prostitute rapper refugee refugees rival
roommate secretary singer sister soldier somebody someone spouse staff stranger strangers student students
teacher tenant tourist traveller uncle victim visitor voter voters waiter waitress widow wife witness woman
women worker workers
"""
_PEOPLE: Final = frozenset(_PEOPLE_TEXT.split())
_ENDINGS: Final = ("ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "s", "e", "y")


def words_of(text: str) -> list[str]:
    """The words of a text, lower-case, without punctuation."""
    return normalise(text).split()


def without_lead(text: str) -> str:
    """The normalised text without the words that only ask ("how can I", "give me tips for").

    They say nothing of good or bad.
    """
    plain = normalise(text)
    return _LEAD.sub("", plain, count=1)


def is_function_word(word: str) -> bool:
    """Whether a word says nothing of the topic."""
    return word in _FUNCTION_WORDS or len(word) < 2 or word.isdigit()


def stem(word: str) -> str:
    """A rough stem: "robbing", "robbed" and "robs" give "rob"."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeioul" else word


def _terms(plain: str) -> Iterator[tuple[str, str]]:
    """(family, term) of every feature of a normalised text.

    Words and stems, word pairs, neighbouring telling stems, the first telling stem with each later one (a
    person is a person there), and letter n-grams inside words. A lead that only asks is one sign.
    """
    rest = _LEAD.sub("", plain, count=1)
    words = rest.split()[:400]
    asks = rest != plain
    padded = ["how" if asks else "<", *words, ">"]
    if asks:
        yield "word", "<how>"
    for left, right in pairwise(padded):
        yield "pair", f"{left} {right}"
    for word in words:
        yield "word", word
    telling = ["@person" if w in _PEOPLE else stem(w) for w in words if not is_function_word(w)]
    for one in telling:
        yield "stem", one
    for left, right in pairwise(telling):
        yield "content", f"{left}~{right}"
    for one in telling[1:8]:
        yield "head", f"{telling[0]}>{one}"
    for word in words:
        framed = f" {word} "
        for n in (3, 4, 5):
            for i in range(len(framed) - n + 1):
                yield "letters", framed[i : i + n]


def features(text: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Buckets (ascending, distinct) and damped weighted counts of a text's first 400 words.

    Document frequencies do not count yet.
    """
    counts = Counter(_terms(normalise(text)))
    found: dict[int, float] = {}
    for (family, term), n in counts.items():
        bucket = zlib.crc32(f"{family}\0{term}".encode("utf-8", "surrogatepass")) % BUCKETS
        found[bucket] = found.get(bucket, 0.0) + _FAMILY[family] * (1 + math.log(n))
    buckets = np.array(sorted(found), dtype=np.int64)
    return buckets, np.array([found[int(b)] for b in buckets], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class QuestionModel:
    """Linear models over hashed features.

    ``idf``: (BUCKETS,); ``table``: (BUCKETS, 1 + categories) int8, column 0 is harm; ``scale`` and ``bias``:
    (1 + categories,); ``calibration``: slope and intercept that make harm's score a log-odds; ``doubt``: the
    probabilities between which a question's aim is open; ``known_words``: words that a principle may take
    from a question; ``version``: hash of all of it.
    """

    idf: NDArray[np.float32]
    table: NDArray[np.int8]
    scale: NDArray[np.float64]
    bias: NDArray[np.float64]
    calibration: tuple[float, float]
    doubt: tuple[float, float]
    categories: tuple[str, ...]
    known_words: frozenset[str]
    version: str

    def scores(self, text: str) -> NDArray[np.float64]:
        """Raw scores of a text, shape (1 + categories,): harm, then the categories."""
        buckets, values = features(text)
        values = values * self.idf[buckets]
        norm = math.sqrt(float(values @ values))
        if norm == 0.0:
            return self.bias.copy()
        return np.asarray((values / norm) @ self.table[buckets] * self.scale + self.bias, dtype=np.float64)

    def harm(self, text: str) -> float:
        """The probability that a text asks for harm.

        Of a long text: the greatest of its whole and its pieces.
        """
        slope, intercept = self.calibration
        highest = max(float(self.scores(piece)[0]) for piece in pieces(text))
        return _logistic(slope * highest + intercept)

    def category_shares(self, text: str) -> dict[str, float]:
        """Probabilities of the categories, given that the text asks for harm; they sum to 1."""
        scored = [self.scores(piece) for piece in pieces(text)]
        raw = max(scored, key=lambda s: float(s[0]))[1:]
        powers = np.exp(raw - raw.max())
        return {c: float(p) for c, p in zip(self.categories, powers / powers.sum(), strict=True)}


def pieces(text: str) -> list[str]:
    """The text itself, and the lines and sentences of a long one that can ask for something."""
    if len(text.split()) <= LONG:
        return [text]
    parts = [p.strip() for p in re.split(r"(?<=[.!?])\s+|\n+", text)]
    asking = [p for p in parts if 4 <= len(p.split()) <= 4 * LONG]
    if len(asking) > _PIECES:  # requests stand at the beginning or at the end
        asking = asking[: _PIECES // 2] + asking[-_PIECES // 2 :]
    return [text, *asking]


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def content_version(arrays: Mapping[str, NDArray[Any]]) -> str:
    """A short hash of the arrays' content, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the weights; equal arrays give equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]


@cache
def load(path: Path = WEIGHTS_PATH) -> QuestionModel:
    """The weights of a file. Raises ``DataError`` where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return assemble(arrays)
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path.name}: the embedded oracle's weights cannot be read ({type(error).__name__}: {error}). "
            f"Reinstall the package, "
            "or make them again with python -m iteralign.oracles.embedded.making.train"
        ) from error


def assemble(arrays: Mapping[str, NDArray[Any]]) -> QuestionModel:
    """A model from its arrays. Raises ``ValueError`` or ``KeyError`` where they do not fit together."""
    table = arrays["table"]
    idf = arrays["idf"].astype(np.float32)
    categories = tuple(str(c) for c in arrays["categories"])
    if table.shape != (BUCKETS, 1 + len(categories)) or idf.shape != (BUCKETS,):
        raise ValueError(
            f"table {table.shape} and idf {idf.shape} do not fit {BUCKETS} buckets and {len(categories)} "
            f"categories"
        )
    slope, intercept = (float(x) for x in arrays["calibration"])
    low, high = (float(x) for x in arrays["doubt"])
    return QuestionModel(
        idf=idf,
        table=table,
        scale=arrays["scale"].astype(np.float64),
        bias=arrays["bias"].astype(np.float64),
        calibration=(slope, intercept),
        doubt=(low, high),
        categories=categories,
        known_words=frozenset(str(arrays["known_words"]).split()),
        version=content_version(arrays),
    )
