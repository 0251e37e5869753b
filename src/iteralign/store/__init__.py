"""The run directory: steps, checkpoints, ledger, lock.

The names below are for users; our own code imports from the files.
"""

from iteralign.store.events import Event
from iteralign.store.run import Run
from iteralign.store.steps import Scope

__all__ = ["Event", "Run", "Scope"]
