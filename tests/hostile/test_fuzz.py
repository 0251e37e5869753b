"""Random texts for every reader: nothing but our own errors comes out.

``ITERALIGN_FUZZ=100000`` asks for more examples than the suite has.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

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
def only(kind: type[Exception], named: str) -> Iterator[None]:
    """Nothing is raised but this, and it names that."""
    try:
        yield
    except kind as error:
        said = str(error)
    else:
        return
    assert named in said
    assert max(map(len, said.splitlines())) < 2000


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
    with only(RecipeError, "r.yaml"):
        written("r.yaml", text, load_recipe)


@fuzz
@given(st.sampled_from(WORDS), SOUP)
def test_overrides(key: str, value: str) -> None:
    with only(RecipeError, key):
        load_recipe("embedded", [override(f"{key}={value}")])


@fuzz
@given(
    st.sampled_from([".yaml", ".md", ".json", ".txt"]),
    SOUP | SPELLED | CONSTITUTIONS,
)
def test_constitutions(kind: str, text: str) -> None:
    with only(DataError, "/c"):
        written(f"c{kind}", text, from_file)


@pytest.mark.parametrize("reader", [lambda p: load_prompts(str(p)), load_labelled])
@fuzz
@given(
    kind=st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".txt"]),
    text=SOUP | SPELLED | LINES,
)
def test_rows(reader: Callable[[Path], object], kind: str, text: str) -> None:
    with only(DataError, "p."):
        written(f"p{kind}", text, reader)


@fuzz
@given(
    st.sampled_from([Judgement, Proposal]),
    SOUP | SPELLED | REPLIES,
)
def test_replies(shape: Any, text: str) -> None:
    with only(Unusable, ""):
        read(text, "xmark", shape)
