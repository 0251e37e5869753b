"""JSON from others: constitutions, records, prompts, labels and logs. Depth, digits and kinds have limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from confined import is_one_message, shows_little
from iteralign.cli.main import app
from iteralign.constitution.export import from_file
from iteralign.data.labels import load_labelled
from iteralign.data.load import load_prompts
from iteralign.errors import DataError
from iteralign.foreign.errors import DEPTH, DIGITS, Unreadable
from iteralign.foreign.json import parse, parse_object

BOMBS = {
    "deep lists": "[" * 50_000,
    "deep closed lists": "[" * 900 + "]" * 900,
    "deep objects": '{"prompt":' * 50_000,
    "deep closed objects": '{"prompt":' * 500 + "1" + "}" * 500,
    "deep in a field": '{"prompt": ' + "[" * 500 + "]" * 500 + "}",
    "5,000 digits": '{"prompt": ' + "9" * 5000 + "}",
    "a million digits": '{"prompt": ' + "9" * 10**6 + "}",
    "5,000 digits below zero": '{"prompt": -' + "9" * 5000 + "}",
    "half an object": '{"prompt": ',
    "half a text": '{"prompt": "' + "x" * 5000,
    "a word": "x" * 5000,
    "null": "null",
    "true": "true",
    "NaN": "NaN",
    "infinity": "-Infinity",
    "a prompt that is no number": '{"prompt": NaN}',
    "a prompt of null": '{"prompt": null}',
    "a key twice": '{"prompt": "a", "prompt": "b"}',
    "a broken escape": '{"prompt": "\\q"}',
    "an escape sequence": '{"prompt": "\x1b[31m"}',
    "half a surrogate pair": '{"prompt": "\\ud800"}',
    "two values": "{} {}",
    "a comment": '{"prompt": "a"} // b',
    "single quotes": "{'prompt': 'a'}",
    "a trailing comma": '{"prompt": "a",}',
    "a zero byte": '{"prompt": "a\0"}',
}
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a constitution": ("c.json", from_file),
    "prompts, one a line": ("p.jsonl", lambda p: load_prompts(str(p))),
    "prompts as a list": ("p.json", lambda p: load_prompts(str(p))),
    "labels": ("l.jsonl", load_labelled),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize(("name", "read"), READERS.values(), ids=READERS.keys())
def test_a_file_is_refused_with_its_name(
    name: str, read: Callable[[Path], object], text: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError) as told:
        read(path)
    lines = str(told.value).splitlines()
    assert str(path) in lines[0]
    assert shows_little(str(told.value), text)


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("command", ["judge", "propose"])
def test_a_command_alone_names_file_and_line(command: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(text)
    done = CliRunner().invoke(app, [command, str(path), "--out", str(tmp_path / "out.jsonl")])
    assert done.exit_code == 3, (done.stderr, done.exception)
    assert f"{path}, line 1" in done.stderr or f"{path}, value 1" in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


COMMENTS = {
    "a list": "[1]",
    "deep": '{"id":' * 50_000 + "}",
    "5,000 digits": '{"born": ' + "9" * 5000 + "}",
    "a number for an id": '{"id": 5}',
    "a field of nobody": '{"x": 1}',
    "a version below zero": '{"born": -1}',
    "a version that is no number": '{"born": NaN}',
    "a version without end": '{"born": 1e999}',
    "evidence that is deep": '{"evidence": [[[[1]]]]}',
    "a status of nobody": '{"status": "x"}',
    "half a surrogate pair": '{"category": "\\ud800"}',
}


LONG = "k" * 500


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.jsonl", "NaN" + "9" * 5000),
        ("p.jsonl", '{"prompt": "a"} ' + "9" * 5000),
        ("p.json", '{"prompt": "a"}\n' + "9" * 5000),
        ("p.csv", ", ".join(["name", "a" * 150] * 2)),
        ("p.jsonl", f'{{"{LONG}": 1, "{LONG}": 2}}'),
    ],
    ids=["a number behind one", "two values in a line", "values in lines", "columns", "a long key"],
)
def test_what_fuzzing_found_in_data_files(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError) as told:
        load_prompts(str(path))
    assert is_one_message(str(told.value), path)
    assert shows_little(str(told.value), text)


@pytest.mark.parametrize("text", COMMENTS.values(), ids=COMMENTS.keys())
def test_a_comment_in_a_constitution_is_refused_with_its_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.md"
    path.write_text(f"- Be kind. \n  <!-- principle {text} -->\n")
    if text == "[1]":  # no comment of ours: passed over
        assert len(from_file(path).principles) == 1
        return
    with pytest.raises(DataError) as told:
        from_file(path)
    assert is_one_message(str(told.value), path)


def test_what_is_within_the_limits_is_read() -> None:
    deep = "[" * DEPTH + "]" * DEPTH
    assert parse(deep) == json.loads(deep)
    assert parse("9" * DIGITS) == int("9" * DIGITS)
    with pytest.raises(Unreadable, match=f"nested more than {DEPTH} deep"):
        parse(f"[{deep}]" + " ")
    with pytest.raises(Unreadable, match=f"a number of {DIGITS + 1} digits"):
        parse("9" * (DIGITS + 1))
    with pytest.raises(Unreadable, match="found a list"):
        parse_object("[]")
