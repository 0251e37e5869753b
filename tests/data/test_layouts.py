"""Layouts that sets are published in: companion fields, chats in parts, arrays, archives, columns by name."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pytest

from iteralign.data.answered import to_answered
from iteralign.data.columns import parse_columns, remedy, with_columns
from iteralign.data.files import read_rows
from iteralign.data.hub import hub_rows
from iteralign.data.load import load_prompts, load_set
from iteralign.data.rows import Row
from iteralign.errors import DataError
from iteralign.records.chat import Message


def lines(*values: object) -> str:
    return "".join(json.dumps(v) + "\n" for v in values)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def asked(tmp_path: Path, row: dict[str, Any]) -> str:
    (prompt,) = load_prompts(write(tmp_path, "a.jsonl", lines(row)))
    return "\n".join(f"{m.role}: {m.text}" for m in prompt.messages)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"Behavior": "Sum it up", "ContextString": "A text."}, "user: A text.\n\n---\n\nSum it up"),
        ({"Behavior": "Sum it up", "ContextString": ""}, "user: Sum it up"),
        ({"context": "Two meet.", "question": "Who was it?"}, "user: Two meet.\n\nWho was it?"),
        ({"instruction": "Say", "input": "it", "context": "C"}, "user: C\n\nSay\n\nit"),
        ({"system_prompt": "Be kind.", "question": "What?"}, "system: Be kind.\nuser: What?"),
        (
            {"system": "Be kind.", "conversations": [{"from": "human", "value": "What?"}]},
            "system: Be kind.\nuser: What?",
        ),
        ({"system": "gpt-4", "question": "What?"}, "user: What?"),
        ({"category": "c", "source": "s", "forbidden_prompt": "What?"}, "user: What?"),
        ({"Goal": "Do it", "Target": "Sure", "Behavior": "Doing"}, "user: Do it"),
        ({"goal": "do it", "prompt": "Pretend, and do it"}, "user: Pretend, and do it"),
        ({"vanilla": "What?", "adversarial": "", "data_type": "x"}, "user: What?"),
        ({"vanilla": "What?", "adversarial": "Pretend: what?"}, "user: Pretend: what?"),
        ({"prompt": "What?", "adversarial": True}, "user: What?"),
        ({"prompt": {"text": "What?", "toxicity": 0.1}}, "user: What?"),
        (
            {
                "prompt": "What?",
                "messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "So."}],
            },
            "user: What?",
        ),
        (
            {"conversation": [{"input": "Hi", "output": "Ho"}, {"input": "What?", "output": "So"}]},
            "user: Hi\nassistant: Ho\nuser: What?",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "Wh"}, {"type": "text", "text": "at?"}],
                    }
                ]
            },
            "user: What?",
        ),
        ({"prompt": [{"type": "text", "text": "What?"}]}, "user: What?"),
    ],
)
def test_what_belongs_to_a_question_is_asked_with_it(
    tmp_path: Path, row: dict[str, Any], wanted: str
) -> None:
    assert asked(tmp_path, row) == wanted


def test_turns_of_tools_are_skipped_and_counted(tmp_path: Path) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    chat = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Let me see."},
        call,
        {"role": "tool", "content": "12"},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "12."}],
        },
        {"role": "user", "content": "And?"},
    ]
    found = load_set(write(tmp_path, "a.jsonl", lines({"messages": chat})))
    assert [(m.role, m.text) for m in found.prompts[0].messages] == [
        ("user", "Hi"),
        ("assistant", "Let me see.\n\n12."),
        ("user", "And?"),
    ]
    assert found.skipped == 2
    assert "2 turns of tools were skipped" in found.warnings[0]


def test_a_picture_is_no_text(tmp_path: Path) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "What?"}]
    with pytest.raises(DataError, match=r"line 1, field 'messages', turn 1: a part of the type 'image_url'"):
        asked(tmp_path, {"messages": [{"role": "user", "content": parts}]})


ROWS = [{"prompt": "One?"}, {"prompt": "Two?"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", json.dumps(ROWS)),
        ("a.jsonl", json.dumps(ROWS, indent=1)),
        ("a.jsonl", "\n".join(json.dumps(r, indent=1) for r in ROWS)),
        ("a.jsonl", json.dumps({"data": ROWS}, indent=1)),
        ("a.jsonl.gz", gzip.compress(json.dumps(ROWS, indent=1).encode(), mtime=0)),
        ("a.jsonl", gzip.compress(lines(*ROWS).encode(), mtime=0)),
        ("a.jsonl.bz2", bz2.compress(lines(*ROWS).encode())),
        ("a.csv.xz", lzma.compress(b"prompt\nOne?\nTwo?\n")),
        ("a.json", json.dumps([[{"role": "user", "content": "One?"}], [{"from": "human", "value": "Two?"}]])),
    ],
)
def test_arrays_and_archives_give_their_rows(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert [p.text for p in load_prompts(write(tmp_path, name, content))] == ["One?", "Two?"]


def test_an_archive_of_one_file_is_read_and_others_name_the_command(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.jsonl", lines(*ROWS))
    assert [p.text for p in load_prompts(path)] == ["One?", "Two?"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other.csv", "x")
    with pytest.raises(DataError, match=r"an archive of 2 files \(inner.jsonl, other.csv\)"):
        load_prompts(path)
    with pytest.raises(DataError, match=r"Unpack it first: zstd -d a.jsonl.zst"):
        load_prompts(write(tmp_path, "a.jsonl.zst", b"x"))


def test_columns_name_fields_and_reach_into_them(tmp_path: Path) -> None:
    row = {"q": {"turns": [{"said": "What?"}]}, "prompt": "wrong", "about": "C", "Risk": "r"}
    path = write(tmp_path, "a.jsonl", lines(row))
    columns = parse_columns("prompt=q.turns.0.said, context=about,category=risk")
    (prompt,) = load_prompts(path, columns=columns)
    assert (prompt.text, prompt.category) == ("C\n\nWhat?", "r")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("prompt=nope", r"no field 'nope', which prompt=nope names. Fields: 'title', 'body'"),
        ("promt=title", r"'promt' is nothing that a column can hold. Did you mean 'prompt'\?"),
        ("prompt", r"'prompt' is not NAME=FIELD"),
        ("prompt=a,prompt=b", "named twice"),
    ],
)
def test_wrong_columns_are_told_with_the_files_own(tmp_path: Path, columns: str, message: str) -> None:
    path = write(tmp_path, "a.jsonl", lines({"title": "x", "body": "y"}))
    with pytest.raises(DataError, match=message):
        load_prompts(path, columns=parse_columns(columns))


def test_a_missing_field_names_the_remedy_with_the_files_own_fields(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--columns prompt=title, with your own of 'title', 'n'"):
        load_prompts(write(tmp_path, "a.jsonl", lines({"title": "x", "n": 1})))


@pytest.mark.parametrize(
    ("row", "prompt", "answer"),
    [
        ({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}, "Q", "A"),
        ({"prompt": "Q", "completion": "A"}, "Q", "A"),
        (
            {
                "prompt": [{"role": "user", "content": "Q"}],
                "completion": [{"role": "assistant", "content": "A"}],
            },
            "Q",
            "A",
        ),
        (
            {
                "prompt": "Q",
                "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
            },
            "Q",
            "A",
        ),
        (
            {
                "conversations": [
                    {"from": "human", "value": "Q"},
                    {"from": "gpt", "value": "A"},
                    {"from": "human", "value": "?"},
                ]
            },
            "Q",
            "A",
        ),
        ({"instruction": "Q", "input": "more", "output": "A"}, "Q\n\nmore", "A"),
        ({"question": "Q", "answer": "A"}, "Q", "A"),
        ({"prompt": "Q", "response": [{"type": "text", "text": "A"}]}, "Q", "A"),
    ],
)
def test_rows_with_an_answer(row: dict[str, Any], prompt: str, answer: str) -> None:
    found = to_answered(Row("here", row), "s")
    assert (found.prompt.text, found.answer) == (prompt, answer)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"text": "Q and A"},
            "a text alone does not say what is asked.*--columns prompt=text,response=FIELD",
        ),
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, "--columns response=chosen"),
        ({"messages": [{"role": "user", "content": "Q"}]}, "no turn of the assistant"),
    ],
)
def test_rows_without_an_answer_say_what_to_do(row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_answered(Row("here", row), "s")


def test_a_dialogue_keeps_its_turns_before_the_last_answer() -> None:
    text = "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: Q\n\nAssistant: A"
    found = to_answered(Row("here", {"messages": text}), "s")
    assert found.prompt.messages == (Message("user", "Hi"), Message("assistant", "Ho"), Message("user", "Q"))
    assert found.answer == "A"


def test_a_hub_sets_field_may_be_named_and_a_script_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "owner" / "plain"
    folder.mkdir(parents=True)
    write(folder, "train.jsonl", lines({"query": "One?", "request": "Two?"}))
    for address in ("hub:owner/plain::request", "hub:owner/plain?split=train::request"):
        assert [p.text for p in load_prompts(address)] == ["Two?"]
    scripted = tmp_path / "owner" / "scripted"
    scripted.mkdir()
    write(scripted, "scripted.py", "x = 1\n")
    with pytest.raises(DataError, match=r"no code of a set is run here.*revision=refs/convert/parquet"):
        hub_rows("owner/scripted")


def test_a_broken_array_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl, line 3, column \d+: not JSON"):
        read_rows(write(tmp_path, "a.jsonl", '[\n{"prompt": "One?"},\n{"prompt": "Tw'))


_TOLD = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "good"}]
_ASKED = Message("user", "q")


@pytest.mark.parametrize(
    ("row", "columns", "turns"),
    [
        pytest.param(
            {"prompt": "q ", "chosen": _TOLD, "rejected": _TOLD}, "response=chosen", (_ASKED,), id="chosen"
        ),
        pytest.param(
            {"prompt": _TOLD[:1], "completion": _TOLD}, "", (_ASKED,), id="completion repeats the prompt"
        ),
        pytest.param(
            {
                "prompt": [*_TOLD, {"role": "user", "content": "r"}],
                "answer": [{"role": "user", "content": "r"}, {"role": "assistant", "content": "good"}],
            },
            "",
            (_ASKED, Message("assistant", "good"), Message("user", "r")),
            id="only the last turn again",
        ),
        pytest.param(
            {"prompt": "q", "system_prompt": "s", "completion": _TOLD},
            "",
            (Message("system", "s"), _ASKED),
            id="the prompt has a system turn",
        ),
        pytest.param(
            {"prompt": "q", "completion": [{"role": "system", "content": "s"}, *_TOLD]},
            "",
            (Message("system", "s"), _ASKED),
            id="the answer's chat has a system turn",
        ),
        pytest.param(
            {"chosen": "\n\nHuman: q\n\nAssistant: good", "rejected": "\n\nHuman: q\n\nAssistant: bad"},
            "response=chosen",
            (_ASKED,),
            id="hh-rlhf",
        ),
        pytest.param(
            {
                "prompt": "q",
                "completion": [
                    {"role": "assistant", "content": "a"},
                    {"role": "user", "content": "r"},
                    _TOLD[1],
                ],
            },
            "",
            (_ASKED, Message("assistant", "a"), Message("user", "r")),
            id="the chat goes on",
        ),
    ],
)
def test_an_answer_that_brings_its_question_does_not_ask_it_twice(
    row: dict[str, Any], columns: str, turns: tuple[Message, ...]
) -> None:
    (named,) = with_columns([Row("here", row)], parse_columns(columns) if columns else None, "here")
    found = to_answered(named, "s")
    assert (found.prompt.messages, found.answer) == (turns, "good")


def test_an_answer_that_only_looks_like_a_dialogue_stays_whole() -> None:
    row = {"prompt": "What are you?", "response": "Human: a kind of ape."}
    assert to_answered(Row("here", row), "s").answer == "Human: a kind of ape."


@pytest.mark.parametrize(
    ("row", "wanted", "proposed"),
    [
        ({"Nr": "1", "Frage": "Wie?"}, ["prompt"], "prompt=Frage"),
        ({"Nr": "1"}, ["prompt"], "prompt=FIELD"),
        ({"behavior": "Do it.", "label": "maybe"}, ["label"], "label=FIELD"),
        ({"behavior": "Do it.", "n": 3}, ["response"], "response=FIELD"),
        (
            {"ask": "How?", "said": "So.", "is_harmful": True},
            ["prompt", "label"],
            "prompt=ask,label=is_harmful",
        ),
        ({"prompt": "How?", "said": "So.", "verdict": "unsafe"}, ["label"], "label=verdict"),
        ({"prompt": "How?", "said": "So.", "stars": 4}, ["label"], "label=FIELD"),
        ({"chosen": "A.", "x": "B."}, ["subset", "chosen", "rejected"], "subset=FIELD,rejected=FIELD"),
    ],
)
def test_columns_are_proposed_only_where_name_or_content_fits(
    row: dict[str, object], wanted: list[str], proposed: str
) -> None:
    said = remedy(row, wanted)
    assert f"--columns {proposed}, with your own of" in said
    assert all(repr(field) in said for field in row)


def test_misspelt_fields_and_addresses_are_guessed(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("bad_ask,n\nHow?,1\n")
    with pytest.raises(DataError, match=r"no field 'bad_aks'.*Did you mean 'bad_ask'"):
        load_prompts(rows, columns={"prompt": "bad_aks"})
    with pytest.raises(DataError, match="Did you mean 'hub:rows'"):
        load_prompts("hbu:rows")
