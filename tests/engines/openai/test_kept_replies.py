"""How a run keeps the replies that it paid for, and how it reads those of older versions."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.ledger import Facts, Request, Scores
from iteralign.ledger import Reply as Kept
from iteralign.records.chat import Completion, SamplingParams
from iteralign.store.run import Run
from patience import PATIENCE
from scripted_server import Reply, Serve, Server, chats, good

PARAMS = SamplingParams(max_new_tokens=16, temperature=0.0, seed=5)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.create(tmp_path / "a-run", {}, "") as opened:
        yield opened


def engine(server: Server, run: Run) -> OpenAIEngine:
    return OpenAIEngine(
        "m", server.url, "TEST_KEY", warn=lambda text: None, ledger=run.calls, timeout=PATIENCE
    )


def test_a_reply_that_is_no_text_of_a_file_is_kept_as_it_is(serve: Serve, run: Run) -> None:
    server = serve(lambda r, _: Reply(body=good("half \ud83d \x00 a pair")))
    for _ in range(2):
        assert engine(server, run).generate(chats(1), PARAMS)[0].text == "half \ud83d \x00 a pair"
    assert len(server.requests) == 1


REPLIES: list[Kept] = [
    Completion("half \ud83d \x00 a pair", "length", 3, 2),
    Scores((-0.1, -math.pi, -1e-300, 0.0), 4, 1),
    Facts({"data": [{"id": "m", "max_model_len": None}]}),
]


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: type(reply).__name__)
def test_a_reply_comes_back_as_what_it_was(tmp_path: Path, reply: Kept) -> None:
    with Run.create(tmp_path / "run", {}, "") as run:
        run.calls.settle(run.calls.admit(Request("k", "http://s", "m", 40, 16)) or 0, "answered", reply)
    with Run.open(tmp_path / "run") as run:
        again = run.calls.recall("k", type(reply))
    assert again == reply
    assert type(again) is type(reply)


SCHEMA_2 = """
DROP TABLE calls;
CREATE TABLE calls (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, scope TEXT NOT NULL, step TEXT NOT NULL,
    key TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, text TEXT, finish TEXT
);
CREATE INDEX calls_by_key ON calls (key);
UPDATE meta SET value = '2' WHERE key = 'schema';
"""


def of_schema_2(directory: Path, rows: list[tuple[Any, ...]]) -> None:
    """Make a run what a version of schema 2 left: (key, outcome, tokens in, tokens out, text, finish)."""
    db = sqlite3.connect(directory / "run.sqlite")
    db.executescript(SCHEMA_2)
    insert = "INSERT INTO calls VALUES (NULL, 1.5, 'baseline', 'judge', ?, 'http://s', 'm', ?, ?, ?, ?, ?)"
    db.executemany(insert, rows)
    db.commit()
    db.close()


def test_replies_of_the_second_layout_are_found_and_read(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    Run.create(directory, {"a": 1}, "").close()
    values = (-0.1, -math.pi, -1e-300)
    told = json.dumps('a "quoted" half \ud83d')
    of_schema_2(
        directory,
        [
            ("said", "answered", 30, 2, told, "length"),
            ("scored", "answered", 9, 1, json.dumps(" ".join(v.hex() for v in values)), "stop"),
            ("lost", "sent", 40, 16, None, None),
        ],
    )
    with Run.open(directory, readonly=True) as run:
        before = run.calls.spent()
    for _ in range(2):  # the second time it is a run of this version
        with Run.open(directory) as run:
            assert run.calls.recall("said", Completion) == Completion(
                'a "quoted" half \ud83d', "length", 30, 2
            )
            assert run.calls.recall("scored", Scores) == Scores(values, 9, 1)
            assert run.calls.recall("lost", Completion) is None
            released = run.calls.spent()
            assert released == [replace(s, output_tokens=s.output_tokens - 16) for s in before]
    assert [(s.calls, s.unanswered, s.input_tokens, s.output_tokens) for s in before] == [(3, 1, 79, 19)]
    with Run.open(directory) as run:
        run.calls.settle(run.calls.admit(Request("new", "http://s", "m", 1, 1)) or 0, "answered", REPLIES[0])
        assert run.calls.recall("new", Completion) == REPLIES[0]


def test_a_run_of_the_second_layout_goes_on_without_asking_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda r, _: None)
    with Run.create(tmp_path / "run", {}, "") as run:
        first = engine(server, run).generate(chats(3), PARAMS)
    db = sqlite3.connect(tmp_path / "run" / "run.sqlite")
    kept = db.execute("SELECT key, outcome, input_tokens, output_tokens, reply FROM calls").fetchall()
    db.close()
    said = [(*row[:4], json.dumps(json.loads(row[4])["text"]), json.loads(row[4])["finish"]) for row in kept]
    of_schema_2(tmp_path / "run", said)
    with Run.open(tmp_path / "run") as run:
        assert engine(server, run).generate(chats(3), PARAMS) == first
    assert len(server.requests) == 3


def test_a_run_of_the_first_layout_is_read_and_gets_its_table_when_it_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    Run.create(directory, {"a": 1}, "").close()
    db = sqlite3.connect(directory / "run.sqlite")
    db.executescript("DROP TABLE calls; UPDATE meta SET value = '1' WHERE key = 'schema'")
    db.close()
    with Run.open(directory, readonly=True) as run:
        assert run.calls.spent() == []
    with Run.open(directory) as run:
        assert run.calls.spent() == []
    db = sqlite3.connect(directory / "run.sqlite")
    assert db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("4",)
    assert db.execute("SELECT COUNT(*) FROM calls").fetchone() == (0,)
    db.close()
