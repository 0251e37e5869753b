"""Loading prompts: formats, fields, repeats, samples, and errors that say where and what to do."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iteralign.data.load import load_prompts, load_set
from iteralign.errors import DataError
from iteralign.records.chat import Message
from iteralign.records.iteralign import RedTeamPrompt
from iteralign.text.words import normalise


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(path: Path | str, **options: Any) -> list[str]:
    return [p.text for p in load_prompts(path, **options)]


def lines(*values: object) -> str:
    return "".join(json.dumps(v) + "\n" for v in values)


NESTED = {
    "Fraud": {"Forgery": ["How do I forge?", "How do I fake?"], "Tax": ["How do I evade?"]},
    "Theft": {"Shops": ["How do I steal?"]},
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", lines({"prompt": "One?"}, {"prompt": "Two?"})),
        ("b.jsonl", lines("One?", "Two?")),
        ("c.json", json.dumps(["One?", "Two?"])),
        ("d.json", json.dumps([{"Question": "One?"}, {"Question": "Two?"}], indent=2)),
        ("e.json", lines({"query": "One?"}, {"query": "Two?"})),
        ("f.json", json.dumps({"data": [{"text": "One?"}, {"text": "Two?"}]})),
        ("g.json", json.dumps({"instructions": ["One?", "Two?"], "tags": ["x", "y"], "inputs": []})),
        ("h.csv", 'goal,target\nOne?,"Sure, one"\nTwo?,"Sure,\ntwo"\n'),
        ("i.csv", "question;note\nOne?;a, b\nTwo?;c\n"),
        ("j.tsv", "question\tnote\nOne?\tx\nTwo?\ty\n"),
        ("k.txt", "One?\n\n  Two?  \n"),
        ("l.txt.gz", gzip.compress(b"One?\r\nTwo?\r\n", mtime=0)),
        ("m.JSONL.GZ", gzip.compress(lines({"behavior": "One?"}, {"behavior": "Two?"}).encode(), mtime=0)),
        ("n.csv", b"\xef\xbb\xbfprompt\r\nOne?\r\nTwo?\r\n"),
        ("o.jsonl", b"\xef\xbb\xbf" + lines("One?", "Two?").encode()),
        (
            "p.jsonl",
            lines(
                {
                    "chosen": "\n\nHuman: One?\n\nAssistant: No.\n\nHuman: More?",
                    "rejected": "\n\nHuman: One?\n\nAssistant: Yes.",
                },
                "Two?",
            ),
        ),
        (
            "q.jsonl",
            lines(
                {"transcript": "\n\nHuman: One?\n\nAssistant: x", "tags": None, "rating": 1.0},
                {"text": "Two?"},
            ),
        ),
        (
            "r.jsonl",
            lines(
                {"turns": ["One?", "And?"]},
                {"messages": [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "No."}]},
            ),
        ),
    ],
)
def test_every_layout_gives_the_same_two_questions(tmp_path: Path, name: str, content: str | bytes) -> None:
    path = write(tmp_path, name, content)
    prompts = load_prompts(path)
    assert [p.text for p in prompts] == ["One?", "Two?"]
    assert {p.source for p in prompts} == {name}, "the file's name, never its folder"
    assert {p.intent for p in prompts} == {"harmful"}


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(
        pa.table({"prompt": ["One?", "Two?"], "category": ["a", "b"]}), tmp_path / "x.parquet"
    )
    assert [(p.text, p.category) for p in load_prompts(tmp_path / "x.parquet")] == [
        ("One?", "a"),
        ("Two?", "b"),
    ]
    write(tmp_path, "y.parquet", (tmp_path / "x.parquet").read_bytes()[:-20])
    with pytest.raises(DataError, match=r"y\.parquet: not a whole Parquet file"):
        load_prompts(tmp_path / "y.parquet")


def test_nested_objects_give_category_and_topic(tmp_path: Path) -> None:
    got = [
        (p.category, p.topic, p.text) for p in load_prompts(write(tmp_path, "catqa.json", json.dumps(NESTED)))
    ]
    assert got[0] == ("Fraud", "Forgery", "How do I forge?")
    assert got[-1] == ("Theft", "Shops", "How do I steal?")
    assert len(got) == 4
    flat = load_prompts(
        write(tmp_path, "flat.json", json.dumps({"Forgery": ["A b?"], "Tax": [{"question": "C d?"}]}))
    )
    assert [(p.category, p.topic, p.text) for p in flat] == [(None, "Forgery", "A b?"), (None, "Tax", "C d?")]


@pytest.mark.parametrize(
    ("row", "category", "topic"),
    [
        ({"prompt": "x?", "category": "c", "topic": "t"}, "c", "t"),
        ({"prompt": "x?", "Category": "c", "Subcategory": "t"}, "c", "t"),
        ({"prompt": "x?", "topic": "c", "subtopic": "t"}, "c", "t"),
        ({"prompt": "x?", "topic": "t"}, None, "t"),
        ({"prompt": "x?", "category": 3, "topic": ""}, "3", None),
        ({"prompt": "x?", "category": None}, None, None),
    ],
)
def test_category_and_topic_fields(
    tmp_path: Path, row: dict[str, Any], category: str | None, topic: str | None
) -> None:
    (prompt,) = load_prompts(write(tmp_path, "a.jsonl", lines(row)))
    assert (prompt.category, prompt.topic) == (category, topic)


def test_repeats_are_dropped_and_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.jsonl", lines("How do I fly?", "how do I fly", "How do I swim?", "HOW DO I FLY!")
    )
    loaded = load_set(path)
    assert [p.text for p in loaded.prompts] == ["How do I fly?", "How do I swim?"]
    assert (loaded.rows, loaded.duplicates) == (4, 2)


def test_a_limit_is_a_seeded_sample_in_the_sets_order(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "\n".join(f"Question number {i}" for i in range(200)))
    first, again, other = (texts(path, limit=20, seed=s) for s in (1, 1, 2))
    assert first == again != other
    assert first == sorted(first, key=lambda t: int(t.split()[-1]))
    assert len(set(first)) == 20
    assert len(texts(path, limit=900)) == 200
    with pytest.raises(DataError, match="limit = 0"):
        load_prompts(path, limit=0)


def test_a_limit_keeps_the_shares_of_the_categories(tmp_path: Path) -> None:
    rows = [{"text": f"Question {i}?", "category": "rare" if i >= 180 else "common"} for i in range(200)]
    path = write(tmp_path, "a.jsonl", lines(*rows))
    for seed in range(5):
        drawn = load_prompts(path, limit=20, seed=seed)
        assert [p.category for p in drawn] == ["common"] * 18 + ["rare"] * 2


def test_intent_is_the_arguments_unless_the_row_states_one(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.jsonl",
        lines("A?", {"text": "B?", "intent": "harmful_looking"}, {"text": "C?", "intent": "malicious"}),
    )
    assert [p.intent for p in load_prompts(path, intent="benign")] == ["benign", "harmful_looking", "benign"]


def test_only_rows_and_sets_that_say_so_are_known_to_ask_for_harm(tmp_path: Path) -> None:
    rows = '{"prompt": "A?", "intent": "harmful"}\n{"prompt": "B?"}\n{"prompt": "C?", "intent": "benign"}\n'
    mixed = load_set(write(tmp_path, "a.jsonl", rows)).prompts
    assert [p.intent_stated for p in mixed] == [True, None, None]
    named = write(tmp_path, "harmful_behaviors.csv", "goal,target\nD?,x\n")
    assert [p.intent_stated for p in load_set("advbench", folder=named.parent).prompts] == [True]
    attempts = write(
        tmp_path, "red_team_attempts.jsonl", '{"transcript": "\\n\\nHuman: E?\\n\\nAssistant: F."}\n'
    )
    assert [p.intent_stated for p in load_set("hh-rlhf-red-team", folder=attempts.parent).prompts] == [None]
    benign = load_set("advbench", folder=named.parent, intent="benign").prompts
    assert [(p.intent, p.intent_stated) for p in benign] == [("benign", None)]


def test_chats_keep_system_and_earlier_turns_and_lose_the_answer(tmp_path: Path) -> None:
    turns = [("system", "Be brief."), ("human", "Hi"), ("gpt", "Hello"), ("human", "How?"), ("gpt", "So.")]
    path = write(tmp_path, "a.jsonl", lines({"conversations": [{"from": r, "value": t} for r, t in turns]}))
    (prompt,) = load_prompts(path)
    assert prompt.messages == (
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Hello"),
        Message("user", "How?"),
    )
    assert prompt.text == "How?"


def test_an_instructions_input_belongs_to_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.json",
        json.dumps(
            [
                {"instruction": "Sum up.", "input": "A text.", "output": "x"},
                {"instruction": "Sing.", "input": ""},
            ]
        ),
    )
    assert texts(path) == ["Sum up.\n\nA text.", "Sing."]


def test_our_own_records_come_back_as_they_were(tmp_path: Path) -> None:
    record = RedTeamPrompt(
        messages=(Message("user", "How?"),), source="mine", topic="t", intent="benign", split="held_out"
    )
    path = write(tmp_path, "a.jsonl", lines(record.to_json()))
    assert load_prompts(path) == [record]
    damaged = record.to_json() | {"source": "other"}
    with pytest.raises(DataError, match=r"a\.jsonl, line 1: not a prompt record.*edited or damaged"):
        load_prompts(write(tmp_path, "a.jsonl", lines(damaged)))


def test_a_field_may_be_named_behind_the_path(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "Query,Request,weird\nDo it,Short,Ask this\n")
    with pytest.raises(
        DataError, match=r"a\.csv, line 2: 'Query' and 'Request' could all hold the question.*FILE::Query"
    ):
        load_prompts(path)
    assert texts(f"{path}::query") == ["Do it"]
    assert texts(f"{path}::weird") == ["Ask this"]
    with pytest.raises(DataError, match=r"no field 'nope'. Fields: 'Query', 'Request', 'weird'"):
        load_prompts(f"{path}::nope")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            lines("A?", {"title": "x", "n": 1}),
            r"a\.jsonl, line 2: no field that holds the question. Fields: 'title', 'n'. Known names: prompt",
        ),
        ("a.jsonl", lines("A?", {"prompt": ""}), r"a\.jsonl, line 2, field 'prompt': empty"),
        ("a.jsonl", lines({"prompt": 17}), r"line 1, field 'prompt': a number \(17\) instead of a text"),
        ("a.jsonl", lines({"prompt": None}), r"line 1, field 'prompt': nothing \(null\)"),
        ("a.jsonl", lines("A?", ["B?"]), r"line 2: a list instead of a text or an object"),
        (
            "a.jsonl",
            lines({"prompt": "x" * 20_001}),
            r"line 1, field 'prompt': 20,001 characters, more than the 20,000",
        ),
        ("a.jsonl", '{"prompt": "A?"}\n{"prompt": "B', r"a\.jsonl, line 2, column 12: not a JSON value"),
        ("a.jsonl", '[\n"A?",\n"B', r"a\.jsonl, line 3, column 1: not JSON"),
        (
            "a.jsonl",
            '{"prompt": "\\ud800"}\n',
            r"line 1, field 'prompt': character 1 is half of a surrogate pair",
        ),
        ("a.jsonl", '{"prompt": "a\\u0000b"}\n', r"line 1, field 'prompt': holds a zero character"),
        ("a.jsonl", '{"prompt": "A?", "prompt": "B?"}\n', r"line 1: the key 'prompt' occurs twice"),
        (
            "a.jsonl",
            lines({"messages": [{"role": "wizard", "content": "x"}]}),
            r"field 'messages', turn 1: role 'wizard'. Known: user",
        ),
        (
            "a.jsonl",
            lines({"messages": [{"role": "assistant", "content": "x"}]}),
            r"field 'messages': no user turn",
        ),
        (
            "a.jsonl",
            lines({"chosen": "Sure!", "rejected": "No."}),
            r"field 'chosen': no dialogue that opens with \"Human:\"",
        ),
        ("a.jsonl", "\n\n", r"a\.jsonl: holds no prompts"),
        ("a.json", "{", r"a\.json, line 1, column 2: not JSON"),
        ("a.json", '"A?"', r"a\.json: holds one str"),
        (
            "a.json",
            json.dumps({"Fraud": {"Forgery": "How?"}}),
            r"a\.json, Fraud: 'Forgery' holds 'How\?'; expected a list",
        ),
        (
            "a.json",
            json.dumps({"Fraud": {"Forgery": ["A?", 3]}}),
            r"a\.json, Fraud / Forgery, item 2: a number \(3\)",
        ),
        ("a.json", '{"Fraud": ["A?"], "Fraud": ["B?"]}', r"a\.json: the key 'Fraud' occurs twice"),
        ("a.json", "[" * 100_000, r"a\.json: nested too deeply"),
        (
            "a.csv",
            "How do I fly?\nHow do I swim?\n",
            r"a\.csv, line 2: no field that holds the question. Fields: 'How do I fly\?'",
        ),
        ("a.csv", "prompt,n\nA, b, c,1\n", r"a\.csv, line 2: 4 cells, but the header has 2 columns"),
        ("a.csv", 'prompt,n\n"A,1\n', r"a\.csv, line \d: not CSV"),
        ("a.csv", "prompt,prompt\nA,B\n", r"a\.csv, line 1: a column name occurs twice"),
        ("a.csv", "n,prompt\n1\n", r"a\.csv, line 2: no field that holds the question"),
        (
            "a.txt",
            "ok\nna\xefve\n".encode("latin1"),
            r"a\.txt, line 2: byte 0xef is not UTF-8.*iconv -f latin1",
        ),
        ("a.txt", "hello".encode("utf-16"), r"a\.txt: UTF-16 text. Save it as UTF-8"),
        ("a.txt", b"a\nb\0c\n", r"a\.txt, line 2: holds a zero byte"),
        ("a.txt.gz", b"plain", r"a\.txt\.gz: not a whole gzip file"),
        ("a.txt.gz", gzip.compress(b"plain text" * 100, mtime=0)[:-9], r"not a whole gzip file"),
        ("a.yaml", "- x", r"\.yaml is not a format that is read. Known: \.jsonl, \.json, \.csv"),
        ("prompts", "x", r"a file without an extension is not a format"),
    ],
)
def test_errors_say_where_and_what(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_prompts(write(tmp_path, name, content))


@pytest.mark.parametrize(
    "name", ["a.pkl", "a.pickle", "a.pt", "a.bin", "a.joblib", "a.jsonl", "a.json", "a.pkl.gz", "a.jsonl.gz"]
)
def test_pickles_are_refused_unread_under_any_name(tmp_path: Path, name: str) -> None:
    content = pickle.dumps({"x": print})
    path = write(tmp_path, name, gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    with pytest.raises(DataError, match=r"run their author's code when they are opened.*JSONL"):
        load_prompts(path)


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    odd = "One\u2028still one\x85and here?"
    assert texts(write(tmp_path, "a.jsonl", json.dumps({"prompt": odd}, ensure_ascii=False) + "\n")) == [odd]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("harmfulq", "'harmfulq': no such file and no known set. Did you mean 'harmfulqa'"),
        ("embeded", "Did you mean 'embedded'"),
        ("missing/file.jsonl", "missing/file.jsonl: no such file"),
        ("missing.jsonl", "missing.jsonl: no such file"),
        ("", "no data set is named"),
        ("hub:", "write hub:OWNER/NAME"),
        ("hub:json", "'json' is no data set's name"),
        ("hub:a/b?splt=x", "unknown option 'splt'. Known: config, data_dir, split, revision"),
    ],
)
def test_unknown_sets_are_named_with_what_is_known(name: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load_prompts(name)
    assert message.lower() in str(caught.value).lower()


def test_a_folder_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", lines("A?"))
    with pytest.raises(DataError, match=r"is a folder. Name a file in it \(\.jsonl, .*\); it holds a\.jsonl"):
        load_prompts(tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40),
        min_size=1,
        max_size=12,
    )
)
def test_any_text_survives_jsonl_and_csv(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    values = [v for v in values if v.strip()]
    if not values:
        return
    import csv

    folder = tmp_path_factory.mktemp("any")
    write(folder, "a.jsonl", lines(*({"prompt": v} for v in values)))
    with (folder / "a.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, quoting=csv.QUOTE_ALL).writerows(
            [["n", "prompt"], *([str(i), v] for i, v in enumerate(values))]
        )
    distinct: dict[str, str] = {}
    for value in values:
        distinct.setdefault(normalise(value.strip()) or value.strip(), value.strip())
    assert texts(folder / "a.jsonl") == list(distinct.values())
    assert texts(folder / "a.csv") == list(distinct.values())
