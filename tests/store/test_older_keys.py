"""A run that an older version began: its keys hold records whole, its iterations constitution and reports.

What it stored is kept, and what comes after it refers to records by their ids.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from iteralign.build.run import resume
from iteralign.canonical import canonical
from iteralign.records.constitution import Constitution
from iteralign.records.iteralign import IterationRecord
from iteralign.report.stored import constitution_of, rounds_of
from iteralign.store import create
from iteralign.store.keys import key_of
from iteralign.store.run import Run
from iteralign.store.steps import given


@pytest.fixture
def begun_before(monkeypatch: pytest.MonkeyPatch, interrupted: Callable[[str], Path]) -> Path:
    """The directory of a run as an older version left it, killed in its second iteration."""
    monkeypatch.setattr(create, "KEYS", "arguments")
    directory = interrupted("iteration-0002")
    with Run.open(directory, readonly=True) as run:
        ((record, reports),) = rounds_of(run)
        (rules,) = run.read(Constitution, "iteration-0001", "consolidate")
    older = dataclasses.replace(
        record, id="", constitution=rules, reports=reports, constitution_id=None, report_ids=None
    )
    with sqlite3.connect(directory / "run.sqlite") as db:
        db.execute(
            "UPDATE steps SET value = ?, key = ? WHERE scope = 'iteration-0001' AND name = 'iteration'",
            (canonical(older), key_of(given, (older,), {}, whole=True)),
        )
        db.execute("UPDATE meta SET value = '3' WHERE key = 'schema'")
    db.close()
    return directory


def test_what_it_stored_stands_when_it_goes_on(begun_before: Path) -> None:
    resume(begun_before)
    with Run.open(begun_before, readonly=True) as run:
        assert run.events("superseded") == []
        first, second, third = (
            run.read(IterationRecord, f"iteration-{i:04d}", "iteration")[0] for i in (1, 2, 3)
        )
        assert first.constitution is not None
        assert second.constitution is None
        assert third.report_ids
        assert [len(reports) for _, reports in rounds_of(run)] == [3, 3, 3]
        assert len(constitution_of(run).principles) == 3
    with sqlite3.connect(begun_before / "run.sqlite") as db:
        facts = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('schema', 'keys')"))
        (result,) = db.execute("SELECT value FROM steps WHERE name = 'result'").fetchone()
    db.close()
    assert facts == {"schema": "4", "keys": "arguments"}
    assert all("constitution" not in i for i in json.loads(result)["iterations"])
    with Run.open(begun_before, readonly=True) as run:
        digest = run.digest()
    resume(begun_before)
    with Run.open(begun_before, readonly=True) as run:
        assert run.digest() == digest
