"""The words of a text without case and punctuation: every rule that decides whether two texts say the same.

``normalise`` is the rule to take. Each of the others says beside it where it differs. They stay as they are,
because what they decided is stored: in records, splits, constitutions and reports. Knows nothing of prompts,
principles or files.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_WORD: Final = re.compile(r"\w+(?:'\w+)*")
_RUN: Final = re.compile(r"\w+")
_ASCII: Final = re.compile("[a-z0-9]+")
_CLOSING: Final = r"['\")\]\u2019\u201d\u00bb\u300d\u300f\uff09]*"
_END: Final = re.compile(
    rf"(?<![\s\d])(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\betc)"
    rf"[.!?\u0964]{_CLOSING}(?=\s|$)|[\u3002\uff01\uff1f]{_CLOSING}"
)
"""The end of a sentence: not that of a list's number."""
_BLANKED: Final = {c: None if c == ord("'") else " " for c in range(128) if not chr(c).isalnum()}


def normalise(text: str) -> str:
    """The text without case, punctuation and doubled space: equal for texts that differ in nothing else.

    Apostrophes vanish ("don't" is "dont"), compatibility forms are one (NFKC: full width, ligatures), and
    combining marks stay, so that the vowels of Hindi or Thai tell words apart.
    """
    if text.isascii():  # nearly all of it, and twenty times as fast
        return " ".join(text.lower().translate(_BLANKED).split())
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("\u2019", "")
    return " ".join(
        "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded).split()
    )


def comparable(text: str) -> str:
    """The normalised text, or the text itself where nothing would be left of it ("?!")."""
    return normalise(text) or text.strip()


def words(text: str) -> list[str]:
    """The words, of which an apostrophe inside one is a part: "don't" is one word.

    Self-Align counts words with it and cuts at repeated ones; "don't" as two words would change its lengths.
    """
    return _WORD.findall(text.casefold())


def runs(text: str) -> tuple[str, ...]:
    """The runs of letters, digits and underscores: "don't" is two, and so is "don\u2019t".

    Which benign prompts a run leaves out as red-team prompts, and which proposed principles are known, was
    decided so. Combining marks are lost: texts that differ in them alone are one.
    """
    return tuple(_RUN.findall(text.casefold()))


def lowered_runs(text: str) -> tuple[str, ...]:
    """``runs``, lower-cased and not case-folded.

    Folding takes Greek letters such as "\u0390" apart into a letter and marks, and so breaks the word. The
    figures of ``fluency`` count these runs.
    """
    return tuple(_RUN.findall(text.lower()))


def ascii_words(text: str) -> list[str]:
    """The runs of a to z and 0 to 9 after lower-casing: how rouge-score 0.1.2 reads a text without stemming.

    A letter with an accent ends a word. ROUGE-L stays comparable with published thresholds only so.
    """
    return _ASCII.findall(text.lower())


def first_sentences(text: str, count: int) -> str | None:
    """The text up to the end of its sentence number ``count``; None where it has fewer."""
    ends = [m.end() for m in _END.finditer(text)]
    return text[: ends[count - 1]].rstrip() if len(ends) >= count else None


def whole_sentences(text: str) -> str:
    """The text without a last sentence that was cut off; empty where not one is whole."""
    ends = [m.end() for m in _END.finditer(text)]
    return text[: ends[-1]].rstrip() if ends else ""
