"""Data files from elsewhere: what is no file, and texts that a store, a terminal or a reader cannot take."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iteralign.build.lines import write_lines
from iteralign.cli.main import app
from iteralign.data.labels import load_labelled, load_refusals
from iteralign.data.load import load_set
from iteralign.errors import DataError
from iteralign.report.export import write_jsonl
from iteralign.store.run import Run

HALF = "x\ud800"
ROWS: dict[str, Any] = {
    "text": HALF,
    "category in the row": {"text": "a?", "category": HALF},
    "topic": {"text": "a?", "topic": HALF},
    "subcategory": {"text": "a?", "category": "b", "subcategory": HALF},
    "context": {"text": "a?", "context": HALF},
    "a turn": {"messages": [{"role": "user", "content": HALF}]},
    "a part": {"messages": [{"role": "user", "content": [{"type": "text", "text": HALF}]}]},
}


@pytest.mark.parametrize("where", ROWS)
def test_half_a_surrogate_pair_names_its_line(tmp_path: Path, where: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps("fine?") + "\n" + json.dumps(ROWS[where]) + "\n")
    with pytest.raises(DataError, match=r"line 2.*surrogate"):
        load_set(path)


@pytest.mark.parametrize("place", [{HALF: ["a?"]}, {"b": {HALF: ["a?"]}}], ids=["category", "topic"])
def test_half_a_surrogate_pair_in_a_name_of_a_nested_set(tmp_path: Path, place: dict[str, Any]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(place))
    with pytest.raises(DataError, match="surrogate"):
        load_set(path)


@pytest.mark.parametrize("field", ["prompt", "response", "category"])
@pytest.mark.parametrize("read", [load_labelled, load_refusals])
def test_half_a_surrogate_pair_among_labels(tmp_path: Path, read: Any, field: str) -> None:
    label = {"is_safe": True} if read is load_labelled else {"response_refusal_label": "refusal"}
    row = {"prompt": "a?", "response": "No.", "category": "b", **label}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {field: HALF}) + "\n")
    with pytest.raises(DataError, match="surrogate"):
        read(path)


COMMANDS = {
    "red-team": ["red-team", "--red-team", "{}", "--out", "o.jsonl"],
    "run": ["run", "smoke", "--red-team", "{}", "--out", "r"],
    "benign": ["run", "smoke", "--set", "benign.source={}", "--out", "r"],
    "constitution": ["run", "smoke", "--set", "constitution={}", "--out", "r"],
    "judge": ["judge", "{}", "--out", "o.jsonl"],
    "propose": ["propose", "{}", "--out", "o.jsonl"],
    "finetune": ["finetune", "{}", "--out", "m"],
    "labels": ["oracle", "check", "--labels", "{}"],
    "recipe": ["recipe", "check", "{}"],
}


@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_file_is_named_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    place = Path("given.jsonl" if command not in ("constitution", "recipe") else "given.yaml")
    if what == "pipe":
        os.mkfifo(place)
    elif what == "device":
        place.symlink_to("/dev/zero")
    else:
        place.mkdir()
    asked = [part.format(place) for part in COMMANDS[command]]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code in (2, 3), result.output
    assert "Traceback" not in result.output
    assert place.name in result.output
    assert not Path("r").exists()


def as_it_is(text: str) -> dict[str, Any]:
    return {"text": text}


STRANGE = "\x1b[2J\x9b1m \u202e \u2028 \u2029 \x85 \x0b \x0c \x7f \u200b \ufeff"


def test_no_export_holds_what_a_terminal_obeys_or_a_reader_takes_for_a_line_end(tmp_path: Path) -> None:
    row = {"text": STRANGE, STRANGE: [STRANGE]}
    write_jsonl([row], tmp_path / "a.jsonl")
    write_lines(tmp_path / "b.jsonl", [row])
    with Run.create(tmp_path / "run", {}, "") as run:
        run.scope("x").once("one", dict[str, Any], as_it_is, STRANGE)
        (c,) = run.export()
    for path in (tmp_path / "a.jsonl", tmp_path / "b.jsonl", c):
        content = path.read_bytes().decode()
        assert len(content.splitlines()) == 1
        assert content.rstrip("\n").isprintable()
        assert STRANGE in json.loads(content).values()
