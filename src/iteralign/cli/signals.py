"""SIGTERM ends a command as Ctrl-C does: everything that was finished is kept, and the run can be resumed.

Schedulers, ``docker stop`` and shutdowns send it some seconds before they kill. Knows no command.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from iteralign.errors import Interrupted, Terminated

_asked: list[int] = []


def heed_sigterm() -> None:
    """Treat SIGTERM as Ctrl-C from now on. A process that is set to ignore it goes on ignoring it."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, _stop)


def interruption() -> type[Interrupted]:
    """The error that an interrupted command ends with."""
    return Terminated if _asked else Interrupted


def _stop(number: int, frame: FrameType | None) -> None:
    _asked.append(number)
    # whoever handles Ctrl-C at the moment (an event loop, say) handles this alike
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)
    else:  # Ctrl-C is ignored in the background of a script; this is not
        raise KeyboardInterrupt
