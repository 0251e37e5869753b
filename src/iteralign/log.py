"""Where warnings go that belong to no run: Python's log, which the command line shows on standard error.
Imports nothing of ours.
"""

from __future__ import annotations

import logging


def log(text: str) -> None:
    """Warn of something that the caller has no listener for."""
    logging.getLogger("iteralign").warning(text)
