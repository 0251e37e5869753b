"""What attack questions want, by category: wide in words, an intent and nothing more.

The patterns are in ``patterns/acts-*.txt``; ``{field}`` stands for a field of study. They do not say how
anything is done. Used only to train the embedded oracle.
"""

from __future__ import annotations

from typing import Final

from iteralign.oracles.embedded.making.written import by_category

BAD_ACTS: Final = by_category("acts")
