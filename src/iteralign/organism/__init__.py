"""The embedded base models: tiny models of ours with planted weaknesses.

They are reached by their names: IterAlign is tried on ``organism``; ``organism-rules`` follows rules in its
context, which is what Self-Align needs. See CARD.md beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ORGANISM: Final = "organism"
RULES: Final = "organism-rules"
PATHS: Final = {ORGANISM: Path(__file__).parent / "weights", RULES: Path(__file__).parent / "weights_rules"}
"""Where the weights lie, by name."""
ORGANISM_PATH: Final = PATHS[ORGANISM]


def fingerprint(name: str = ORGANISM) -> str:
    """A hash of the shipped weights."""
    import hashlib

    return hashlib.sha256((PATHS[name] / "model.safetensors").read_bytes()).hexdigest()[:20]
