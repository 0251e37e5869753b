"""How long a test waits for what will surely come: a limit for what hangs, not for what is slow.

No test asserts how long something takes; speed is measured in ``benchmarks/``.
"""

from __future__ import annotations

from typing import Any

import pytest

PATIENCE = 900.0
"""Seconds: a subprocess or a reply that takes longer hangs. A machine with many busy processes takes ten
times as long as an idle one."""


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the HTTP engine makes, in seconds; nobody waits for them."""
    from iteralign.engines.openai.session import Session

    made: list[float] = []

    async def sleep(session: Any, seconds: float) -> None:
        made.append(seconds)
        session.not_before = 0.0  # as if the time had passed

    monkeypatch.setattr(Session, "sleep", sleep)
    return made
