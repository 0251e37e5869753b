"""A run.sqlite from others: foreign schemas, values of the wrong kind, journals. Each is a ``StoreError``."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from confined import SHOWN, confined, is_one_message, shows_little
from iteralign.cli.main import app
from iteralign.errors import StoreError
from iteralign.recipe.iteralign import Recipe
from iteralign.store.run import Run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def change(run: Path, script: str, *values: object) -> None:
    db = sqlite3.connect(run / "run.sqlite")
    try:
        db.executescript(script) if not values else db.execute(script, values)
        db.commit()
    finally:
        db.close()


def setting(value: object) -> tuple[str, object]:
    return "UPDATE meta SET value = ? WHERE key = 'settings'", value


NEVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"
SCHEMAS = {
    "a view": "CREATE VIEW extra AS SELECT * FROM meta",
    "a view for a table": "ALTER TABLE discarded RENAME TO d; "
    "CREATE VIEW discarded AS SELECT 'x' AS checkpoint",
    "a view that never ends": "ALTER TABLE events RENAME TO e; CREATE VIEW events AS "
    f"{NEVER} x AS seq, 1.0 AS time, 'step' AS kind, '{{}}' AS fields FROM n",
    "settings that never end": "DROP TABLE meta; CREATE VIEW meta AS "
    f"{NEVER} 'schema' AS key, x AS value FROM n",
    "a view of itself": "DROP TABLE discarded; CREATE VIEW discarded AS SELECT * FROM discarded",
    "a huge value": "DROP TABLE discarded; CREATE VIEW discarded AS "
    "SELECT hex(zeroblob(400000000)) AS checkpoint",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM steps; END",
    "a trigger that raises": "CREATE TRIGGER t BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'x'); END",
    "a table of others": "CREATE TABLE songs (title TEXT)",
    "a virtual table": "CREATE VIRTUAL TABLE songs USING fts5(title)",
    "an rtree": "CREATE VIRTUAL TABLE places USING rtree(id, a, b)",
    "a computed column": "ALTER TABLE events ADD COLUMN x TEXT AS (hex(zeroblob(400000000)))",
    "a default": "ALTER TABLE events ADD COLUMN x TEXT DEFAULT (1)",
    "a check": "DROP TABLE discarded; CREATE TABLE discarded (checkpoint TEXT CHECK (length(checkpoint)))",
    "an index of an expression": "CREATE INDEX i ON steps (hex(value))",
    "an index with our name": "DROP INDEX calls_by_key; "
    "CREATE INDEX calls_by_key ON calls (key) WHERE key > 'a'",
    "a foreign index": "CREATE INDEX i ON steps (value)",
    "a name with an escape": 'CREATE TABLE "\x1b[31m" (a)',
    "a long name": f'CREATE TABLE "{"x" * 5000}" (a)',
    "no meta": "DROP TABLE meta",
    "meta without values": "DROP TABLE meta; CREATE TABLE meta (key TEXT)",
    "nothing": "DROP TABLE meta; DROP TABLE steps; DROP TABLE events; DROP TABLE files; DROP TABLE calls",
    "a schema that is none": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE TABLE' "
    "WHERE name = 'meta'",
    "a schema in a circle": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 1",
}
VALUES: dict[str, tuple[str, object]] = {
    "settings of bytes": setting(b"{}"),
    "settings of bad UTF-8": ("UPDATE meta SET value = CAST(? AS TEXT) WHERE key = 'settings'", b"\xff\xfe"),
    "settings that are a list": setting("[]"),
    "settings that are pairs": setting('[["a", 1]]'),
    "settings that are a number": setting("7"),
    "settings that are null": setting("null"),
    "settings that are a text": setting('"x"'),
    "settings that are no JSON": setting("{"),
    "settings of nothing": setting(""),
    "deep settings": setting('{"a":' * 5000),
    "deep settings that are closed": setting('{"a":' * 500 + "1" + "}" * 500),
    "settings with a number of 5,000 digits": setting('{"a": ' + "9" * 5000 + "}"),
    "settings of another kind": setting('{"model": 3}'),
    "settings of a method of nobody": setting('{"method": "x"}'),
    "settings whose method is a list": setting('{"method": []}'),
    "settings of nothing in it": setting("{}"),
    "a schema of letters": ("UPDATE meta SET value = ? WHERE key = 'schema'", "four"),
    "a schema of zero": ("UPDATE meta SET value = ? WHERE key = 'schema'", "0"),
    "a schema below zero": ("UPDATE meta SET value = ? WHERE key = 'schema'", "-1"),
    "a schema of 5,000 digits": ("UPDATE meta SET value = ? WHERE key = 'schema'", "9" * 5000),
    "a schema of other digits": ("UPDATE meta SET value = ? WHERE key = 'schema'", "\u0664"),
    "a schema to come": ("UPDATE meta SET value = ? WHERE key = 'schema'", "99"),
    "a schema of bytes": ("UPDATE meta SET value = ? WHERE key = 'schema'", b"4"),
    "no settings": ("DELETE FROM meta WHERE key = ?", "settings"),
    "no schema": ("DELETE FROM meta WHERE key = ?", "schema"),
    "events of bytes": ("UPDATE events SET fields = ?", b"{}"),
    "events that are a list": ("UPDATE events SET fields = ?", "[]"),
    "events that are no JSON": ("UPDATE events SET fields = ?", "{"),
    "events without fields": ("UPDATE events SET fields = ?", "{}"),
    "deep events": ("UPDATE events SET fields = ?", '{"a":' * 5000),
    "events at no time": ("UPDATE events SET time = ?", "now"),
    "events at the end of time": ("UPDATE events SET time = ?", 1e300),
    "events of a kind of bytes": ("UPDATE events SET kind = ?", b"step"),
    "files of bytes": ("UPDATE files SET file = ?", b"x"),
    "files of no size": ("UPDATE files SET bytes = ?", "many"),
    "steps of bytes": ("UPDATE steps SET value = ?", b"{}"),
    "steps of bad UTF-8": ("UPDATE steps SET value = CAST(? AS TEXT)", b"\xff"),
    "steps of scopes of bytes": ("UPDATE steps SET scope = ?", b"run"),
    "steps that are no JSON": ("UPDATE steps SET value = ?", "{"),
    "steps that are null": ("UPDATE steps SET value = ?", "null"),
    "steps that are numbers": ("UPDATE steps SET value = ?", "7"),
    "deep steps": ("UPDATE steps SET value = ?", "[" * 5000),
    "steps with a number of 5,000 digits": ("UPDATE steps SET value = ?", "9" * 5000),
    "steps with more than JSON": ("UPDATE steps SET value = ?", "[], []"),
    "steps that are not finite": ("UPDATE steps SET value = ?", "NaN"),
    "notes that are a list": ("INSERT OR REPLACE INTO meta VALUES ('note:libraries', ?)", "[1]"),
}
READ = (["status"], ["show", "failures"], ["export", "records"])


def call(run: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [words[0], str(run), *words[1:]])
    assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exception)
    return done.exit_code, done.stderr


@pytest.mark.parametrize("script", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_a_foreign_schema_is_refused_before_it_is_read(script: str, run: Path) -> None:
    change(run, script)
    for words in (*READ, ["resume"]):
        code, said = call(run, *words)
        assert code == 4, (words, said)
        assert is_one_message(said, run), said


@pytest.mark.parametrize(("script", "value"), VALUES.values(), ids=VALUES.keys())
def test_a_value_of_the_wrong_kind_ends_no_command_in_a_traceback(
    script: str, value: object, run: Path, scripted: Recipe
) -> None:
    change(run, script, value)
    codes = {}
    for words in (*READ, ["resume"]):
        code, said = call(run, *words)
        codes[" ".join(words)] = code
        assert code in (0, 4, 6), (words, said)
        assert code == 0 or "run" in said.splitlines()[0], said
        assert shows_little(said, str(value)), said
        assert len(said) - said.count(str(run)) * len(str(run)) < SHOWN + 200, said
    assert 4 in codes.values() or "events" in script or "note" in script or value == "NaN", codes


@pytest.mark.parametrize("name", ["a view that never ends", "settings that never end", "a huge value"])
def test_a_bomb_takes_neither_time_nor_memory(name: str, run: Path) -> None:
    change(run, SCHEMAS[name])
    done = confined("status", run)
    assert (done.code, done.megabytes < 500) == (4, True), done
    assert is_one_message(done.said, run)


FILES: dict[str, Callable[[Path], object]] = {
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("hello" * 1000),
    "a header alone": lambda p: p.write_bytes(p.read_bytes()[:100]),
    "half of it": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "a page size of nobody": lambda p: p.write_bytes(p.read_bytes()[:16] + b"\x00\x03" + p.read_bytes()[18:]),
    "pages of noise": lambda p: p.write_bytes(p.read_bytes()[:4096] + b"\xa5" * (p.stat().st_size - 4096)),
    "a terabyte of nothing": lambda p: (p.unlink(), p.touch(), __import__("os").truncate(p, 1 << 40)),
}


@pytest.mark.parametrize("spoil", FILES.values(), ids=FILES.keys())
def test_a_file_that_is_no_database_is_said_to_be_none(spoil: Callable[[Path], object], run: Path) -> None:
    spoil(run / "run.sqlite")
    for words in (["status"], ["resume"]):
        code, said = call(run, *words)
        assert code == 4, said
        assert is_one_message(said, run), said


def test_a_journal_that_names_another_file_deletes_nothing(run: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    magic = bytes.fromhex("d9d505f920a163d7")
    name = str(precious).encode()
    pages = (run / "run.sqlite").stat().st_size // 4096
    head = (magic + struct.pack(">IIIII", 0, 1, pages, 512, 4096)).ljust(512, b"\0")
    tail = struct.pack(">I", (1 << 30) // 4096 + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    (run / "run.sqlite-journal").write_bytes(head + tail)
    for words in (["status"], ["show", "scores"], ["resume"]):
        code, said = call(run, *words)
        assert code == 4
        assert "names another file" in said
    assert precious.read_text() == "mine"


def test_a_trusted_schema_is_not_trusted(run: Path) -> None:
    with Run.open(run, readonly=True) as opened:
        assert opened._database.rows("PRAGMA trusted_schema") == [(0,)]
        assert opened._database.rows("PRAGMA cell_size_check") == [(1,)]
    with pytest.raises(StoreError, match="holds no run"):
        Run.open(run / "exports", readonly=True)


def test_statistics_of_a_users_own_are_no_harm(run: Path) -> None:
    change(run, "ANALYZE")
    assert call(run, "status")[0] == 0
