"""The chat templates of guard models' tokenizers, as far as their format goes, and a tokenizer with one.

Each writes what the published one writes for a question with its answer, and brings no more than that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_model import make_tokenizer

_FOLDER = Path(__file__).parent / "templates"
TEMPLATES = {file.stem: file.read_text(encoding="utf-8") for file in sorted(_FOLDER.glob("*.jinja"))}
"""By family; WildGuard's tokenizer brings none of its own."""


def tokenizer_of(family: str) -> Any:
    """A byte-level tokenizer with the family's chat template."""
    return make_tokenizer(TEMPLATES.get(family))
