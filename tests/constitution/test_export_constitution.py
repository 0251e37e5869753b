"""A constitution survives its exports, a person's list becomes one, and what is wrong in a file is named with
its line.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iteralign.constitution.export import from_file, to_json, to_markdown, to_yaml
from iteralign.errors import DataError
from iteralign.records.iteralign import Constitution, Principle

WRITERS = {"md": to_markdown, "yaml": to_yaml, "json": to_json}

nasty = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.text(
        st.sampled_from(
            "-*+#>|`_[](){}<>!\\&;:'\"~$1.) \t\n\r\0\x07\x1b\x7f\x85\u2028\u202e\ufeff\U000e0041é中😀"
        ),
        max_size=40,
    ),
    st.sampled_from(
        [
            "- a",
            "1. b",
            "<!-- principle {} -->",
            "<!--",
            "-->",
            "---",
            "&amp;",
            "&#10;",
            "\\&#10;",
            "yes",
            "null",
            "0",
            "# x",
            "```",
            "a\\",
            " x ",
        ]
    ),
)
principle = st.builds(
    Principle,
    text=nasty,
    category=st.none() | nasty,
    evidence=st.lists(nasty, max_size=3).map(tuple),
    born=st.integers(0, 99),
    status=st.sampled_from(["active", "rejected", "merged"]),
    parents=st.lists(nasty, max_size=2).map(tuple),
)
constitutions = st.builds(
    Constitution,
    version=st.integers(0, 99),
    principles=st.lists(principle, max_size=5, unique_by=lambda p: p.id).map(tuple),
    parent=st.none() | nasty,
)


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(constitution=constitutions)
def test_an_export_reads_back_as_the_same_record(
    tmp_path: Path, kind: str, constitution: Constitution
) -> None:
    path = tmp_path / f"constitution.{kind}"
    path.write_text(WRITERS[kind](constitution), encoding="utf-8")
    assert from_file(path) == constitution


@pytest.mark.parametrize("kind", WRITERS)
@given(constitution=constitutions)
@settings(max_examples=60, deadline=None)
def test_an_export_holds_no_character_that_a_terminal_obeys(kind: str, constitution: Constitution) -> None:
    text = WRITERS[kind](constitution)
    assert all(c == "\n" or c.isprintable() for c in text)


def example() -> Constitution:
    return Constitution(
        version=2,
        parent="constitution-before",
        principles=(
            Principle(
                text="Protect people's money: decline to help with deceit.",
                category="fraud",
                evidence=("response-1", "response-2"),
                born=1,
            ),
            Principle(
                text="Treat every group of people as equals.",
                category="hate",
                evidence=("response-3",),
                born=2,
                status="merged",
            ),
        ),
    )


def put(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_markdown_shows_a_reader_where_each_principle_comes_from() -> None:
    text = to_markdown(example())
    assert "1. Protect people's money: decline to help with deceit." in text
    assert "*fraud; 2 failing answers; from iteration 1*" in text
    assert "*hate; 1 failing answer; from iteration 2; merged*" in text


@pytest.mark.parametrize("kind", WRITERS)
def test_a_reworded_principle_keeps_its_evidence_and_names_its_old_wording(tmp_path: Path, kind: str) -> None:
    before = example()
    after = from_file(
        put(
            tmp_path,
            f"c.{kind}",
            WRITERS[kind](before).replace("decline to help with deceit", "help honestly or not at all"),
        )
    )
    reworded = after.principles[0]
    assert reworded.text == "Protect people's money: help honestly or not at all."
    assert reworded.evidence == ("response-1", "response-2")
    assert reworded.parents == (before.principles[0].id,)
    assert (after.version, after.parent) == (3, before.id)


PLAIN = {
    "bullets.md": (
        "# Ours\n\nWhat we hold to:\n\n- Be kind to\n  *everyone* you meet.\n- Say what is true &amp; say "
        "it plainly.\n\nThat is all.\n"
    ),
    "stars.markdown": "* Be kind to *everyone* you meet.\r\n* Say what is true & say it plainly.\r\n",
    "numbers.txt": (
        "<!-- draft\n- not this one\n-->\n  1. Be kind to *everyone* you meet.\n  2. Say what is true & say "
        "it plainly.\n"
    ),
    "list.yaml": "- Be kind to *everyone* you meet.\n- >\n  Say what is true\n  & say it plainly.\n",
    "mapping.yml": (
        "principles:\n  - text: Be kind to *everyone* you meet.\n  - Say what is true & say it plainly.\n"
    ),
    "list.json": '["Be kind to *everyone* you meet.", "Say what is true & say it plainly."]',
    "mapping.json": (
        '\ufeff{"principles": [{"text": "Be kind to *everyone* you meet."}, "Say what is true & say it '
        'plainly."]}'
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_persons_list_is_a_constitution(tmp_path: Path, name: str) -> None:
    found = from_file(put(tmp_path, name, PLAIN[name]))
    assert [p.text for p in found.principles] == [
        "Be kind to *everyone* you meet.",
        "Say what is true & say it plainly.",
    ]
    assert all((p.born, p.evidence, p.status) == (0, (), "active") for p in found.principles)
    assert (found.version, found.parent) == (0, None)


WRONG = {
    "syntax.json": ('["a",\n "b",\n]', ["line 3", "not JSON"]),
    "syntax.yaml": ("- a\n- b: [\n", ["line 3", "not YAML"]),
    "control.yaml": ("- a\n- b\x07\n", ["line 2", "\\x07"]),
    "kind.json": (
        '{"principles":\n [\n  "Be kind.",\n  {"text": 7}\n ]\n}',
        ["line 4", "principles[1].text = 7", "a number found"],
    ),
    "kind.yaml": ("- Be kind.\n- yes\n", ["line 2", "principles[1]", "a yes/no value found"]),
    "field.yaml": (
        "- text: Be kind.\n  categroy: hate\n",
        ["line 2", "principles[0].categroy", "no such field", "category"],
    ),
    "missing.json": ('[\n {"category": "hate"}]', ["line 2", "principles[0].text", "missing"]),
    "status.yaml": (
        "principles:\n- text: Be kind.\n  status: retired\n",
        ["line 3", "principles[0].status = 'retired'", "'active'"],
    ),
    "negative.json": ('{"version": -1, "principles": ["Be kind."]}', ["line 1", "version = -1"]),
    "empty.json": ("[]", ["no principle in it"]),
    "scalar.yaml": ("just words\n", ["a text found", "principles"]),
    "nothing.yaml": ("", ["nothing found"]),
    "prose.md": ("We are kind.\n", ["no principle found", "'- '"]),
    "nested.md": ("- Be kind.\n  - And fair.\n", ["line 2", "a bullet inside a bullet"]),
    "blank.md": ("- Be kind.\n-\n", ["line 2", "principles[1].text", "empty"]),
    "repeat.md": ("- Be kind.\n- Be fair.\n- Be  kind.\n", ["line 3", "repeats principles[0]"]),
    "bell.json": ('["Be kind.\\u0007"]', ["line 1", "control character", "\\x07"]),
    "half.json": (
        '["Be kind.",\n"Be \\ud800 fair."]',
        ["line 2", "principles[1].text", "half a surrogate pair"],
    ),
    "damaged.md": ('- Be kind. <!-- note -->\n  <!-- principle {"born": } -->\n', ["line 2", "damaged"]),
    "list.csv": ("Be kind.", [".csv", ".md"]),
    "deep.json": ("[" * 100_000, ["deep"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_file_line_and_field(tmp_path: Path, name: str) -> None:
    text, told = WRONG[name]
    with pytest.raises(DataError) as error:
        from_file(put(tmp_path, name, text))
    for part in [name, *told]:
        assert part in str(error.value)


def test_several_errors_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        from_file(put(tmp_path, "c.yaml", "- 1\n- Be kind.\n- 2\n"))
    assert "line 1" in str(error.value)
    assert "line 3" in str(error.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        from_file(tmp_path / "none.json")
    (tmp_path / "latin.md").write_bytes(b"- caf\xe9\n")
    with pytest.raises(DataError, match="not UTF-8 text"):
        from_file(tmp_path / "latin.md")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["md", "yaml", "json"]),
    text=nasty | st.recursive(st.none() | st.booleans() | st.integers() | nasty, st.lists).map(json.dumps),
)
def test_any_file_is_read_or_refused_with_a_data_error(tmp_path: Path, kind: str, text: str) -> None:
    with contextlib.suppress(DataError):  # any other error would be a defect
        from_file(put(tmp_path, f"c.{kind}", text))
