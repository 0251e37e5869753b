"""Random texts for every reader: nothing but our own errors comes out.

``ITERALIGN_FUZZ=100000`` asks for more examples than the suite has.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from typer.testing import CliRunner

from confined import shows_little
from iteralign.cli.main import app
from iteralign.constitution.export import from_file
from iteralign.data.labels import load_labelled
from iteralign.data.load import load_prompts
from iteralign.errors import DataError, RecipeError
from iteralign.oracles.chat.frame import Unusable, read
from iteralign.oracles.chat.replies import Judgement, Proposal
from iteralign.recipe.load import load_recipe, shipped
from iteralign.recipe.yaml import override

EXAMPLES = int(os.environ.get("ITERALIGN_FUZZ", "60"))
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

NUMBERS = ["9" * 5000, "1e999", ".inf", ".nan", "NaN", "-0", "010", "0x" + "f" * 5000, "1:30", "2026-13-45"]
TAGS = ["!!int", "!!float", "!!timestamp", "!!binary", "!!set", "!!python/name:os.system", "!x", "!!bool"]
MARKS = [*"{}[],'\"%#\n ", "&a", "*a", "<<:", "- ", ": ", "? ", "|\n", ">\n", "---"]
WORDS = [
    "model",
    "stop.iterations",
    "principles",
    "text",
    "id",
    "evidence",
    "born",
    "version",
    "prompt",
    "label",
]
ODD = ["\ud800", "\\ud800", *"\x00\x1b\u2028\u202e\ufeff\t\r\x85", "<!-- principle {", "} -->"]
PIECES = st.sampled_from([*NUMBERS, *TAGS, *MARKS, *WORDS, *ODD])
SOUP = st.lists(PIECES | st.text(max_size=5), max_size=30).map("".join)
KEYS = st.sampled_from(WORDS) | st.text(max_size=4)
JSON: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | PIECES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SPELLED = JSON.map(json.dumps)
LINES = st.lists(JSON, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows)))


def written(name: str, text: str, reader: Callable[[Path], object]) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return reader(path)


@contextmanager
def only(kind: type[Exception], named: str, text: str) -> Iterator[None]:
    """Nothing is raised but this, it names that, and repeats no page of the text."""
    try:
        yield
    except kind as error:
        said = str(error)
    else:
        return
    assert named in said
    assert shows_little(said, text)


def changed(text: str) -> SearchStrategy[str]:
    """A sound text with a piece put in, or a part taken out, at some places."""
    places = st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, 6), PIECES), min_size=1, max_size=4)

    def at(changes: list[tuple[int, int, str]]) -> str:
        found = text
        for place, out, piece in changes:
            found = found[:place] + piece + found[place + out :]
        return found

    return places.map(at)


RECIPES = st.sampled_from(sorted(shipped().values())).flatmap(changed)
CONSTITUTION = "version: 1\nprinciples:\n- text: Be kind.\n  evidence: [x]\n  born: 1\n- Be fair.\n"
LIST = '# Rules\n\n- Be kind.\n  <!-- principle {"id": "x", "born": 0} -->\n1. Be fair.\n'
CONSTITUTIONS = changed(CONSTITUTION) | changed(LIST) | JSON.map(lambda p: json.dumps({"principles": p}))
SAID = ["label", "compliance", "categories", "aspect", "severity", "rationale", "principles"]
REPLIES = st.dictionaries(st.sampled_from(SAID), JSON).map(
    lambda fields: "so: " + json.dumps({"mark": "xmark", **fields})
)


@fuzz
@given(SOUP | RECIPES | SPELLED)
def test_recipes(text: str) -> None:
    with only(RecipeError, "r.yaml", text):
        written("r.yaml", text, load_recipe)


@fuzz
@given(st.sampled_from(WORDS), SOUP)
def test_overrides(key: str, value: str) -> None:
    with only(RecipeError, key, value):
        load_recipe("embedded", [override(f"{key}={value}")])


@fuzz
@given(
    st.sampled_from([".yaml", ".md", ".json", ".txt"]),
    SOUP | SPELLED | CONSTITUTIONS,
)
def test_constitutions(kind: str, text: str) -> None:
    with only(DataError, "/c", text):
        written(f"c{kind}", text, from_file)


@pytest.mark.parametrize("reader", [lambda p: load_prompts(str(p)), load_labelled])
@fuzz
@given(
    kind=st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".txt"]),
    text=SOUP | SPELLED | LINES,
)
def test_rows(reader: Callable[[Path], object], kind: str, text: str) -> None:
    with only(DataError, "p.", text):
        written(f"p{kind}", text, reader)


@fuzz
@given(
    st.sampled_from([Judgement, Proposal]),
    SOUP | SPELLED | REPLIES,
)
def test_replies(shape: Any, text: str) -> None:
    with only(Unusable, "", text):
        read(text, "xmark", shape)


COMMANDS = (["status"], ["show", "failures"], ["show", "scores"], ["export", "records"])
CELLS = {
    "meta": ("key", "value"),
    "steps": ("scope", "name", "key", "item", "place", "current", "kind", "value"),
    "events": ("time", "kind", "fields"),
    "files": ("checkpoint", "file", "bytes", "sha256"),
    "calls": ("time", "scope", "step", "key", "model", "outcome", "input_tokens", "reply"),
}


def opened(directory: Path) -> None:
    """Every command that reads a run ends as it should, whatever the run holds."""
    for words in COMMANDS:
        done = CliRunner().invoke(app, [words[0], str(directory), *words[1:]])
        assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exc_info)
        assert done.exit_code in (0, 4, 6), (words, done.output)


@contextmanager
def copied(finished: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(finished, Path(folder) / "run"))


few = settings(fuzz, max_examples=max(1, EXAMPLES // 12))


@few
@given(st.lists(st.tuples(st.floats(0, 0.9999), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6))
def test_bytes_of_a_run(finished: Path, changes: list[tuple[float, bytes]]) -> None:
    with copied(finished) as run:
        file = run / "run.sqlite"
        content = bytearray(file.read_bytes())
        for place, piece in changes:
            at = int(place * len(content))
            content[at : at + len(piece)] = piece
        file.write_bytes(content)
        opened(run)


@few
@given(st.data())
def test_cells_of_a_run(finished: Path, data: st.DataObject) -> None:
    with copied(finished) as run:
        db = sqlite3.connect(run / "run.sqlite")
        for _ in range(data.draw(st.integers(1, 3))):
            table = data.draw(st.sampled_from(sorted(CELLS)))
            column = data.draw(st.sampled_from(CELLS[table]))
            rows = db.execute(f"SELECT rowid, {column} FROM {table} ORDER BY rowid").fetchall()
            if not rows:
                continue
            row, old = data.draw(st.sampled_from(rows))
            new = data.draw(
                changed(str(old)) | SPELLED | SOUP | st.none() | st.integers(-5, 5) | st.binary(max_size=5)
            )
            if isinstance(new, str):
                new = new.encode("utf-8", "replace").decode()
            with suppress(sqlite3.IntegrityError):
                db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, row))
        db.commit()
        db.close()
        opened(run)
