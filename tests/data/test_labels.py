"""Files that people have labelled, in the layouts they are published in; the real ones where they stand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from iteralign.data.columns import parse_columns
from iteralign.data.labels import SAID, load_labelled, load_refusals
from iteralign.errors import DataError

SHARED = next(
    (p / "shared" / "data" for p in Path(__file__).resolve().parents if (p / "shared" / "data").is_dir()),
    None,
)


def read(
    tmp_path: Path, rows: list[dict[str, object]], name: str = "labels.json"
) -> list[tuple[str, str, str | None, bool]]:
    (tmp_path / name).write_text(json.dumps(rows))
    return [
        (e.prompt.text, e.response.text, e.prompt.category, bad) for e, bad in load_labelled(tmp_path / name)
    ]


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (
            {"context": "hi", "response": "go away", "category": "Offending User", "label": "Unsafe"},
            ("hi", "go away", "Offending User", True),
        ),
        ({"context": "hi", "response": "", "category": "X", "label": "Safe"}, ("hi", "", "X", False)),
        (
            {"question": "q", "answer": "a", "label": 1, "hazard_cate_llamaguard3": "S1"},
            ("q", "a", "S1", True),
        ),
        ({"prompt": "some text", "prompt_label": "unharmful"}, (SAID, "some text", None, False)),
        (
            {"prompt": "Q: Is it so?\nA: It is.\nTrue:", "completion": " no"},
            ("Is it so?", "It is.", None, True),
        ),
        (
            {"prompt": "q", "response": "a", "improper": True, "category": " theft \n"},
            ("q", "a", "theft", True),
        ),
        (
            {"question": "q", "m_response": "a", "m_harmful": "1.0", "risk_area": "r", "types_of_harm": "t"},
            ("q", "a", "t", True),
        ),
        (
            {"prompt": "q", "response": "a", "category": {"x": False, "theft": True}, "is_safe": False},
            ("q", "a", "theft", True),
        ),
        (
            {"prompt": "q", "response": "a", "category": {"x": False}, "is_safe": "True"},
            ("q", "a", None, False),
        ),
        (
            {"prompt": "q", "adversarial": True, "response": "a", "response_harm_label": "harmful"},
            ("q", "a", None, True),
        ),
        (
            {"goal": "g", "prompt": "p", "response": "a", "human1": 0, "human_majority": 1},
            ("g", "a", None, True),
        ),
        (
            {"type": "contrast_x", "prompt": "q", "completion": "a", "final_label": "1_full_compliance"},
            ("q", "a", None, True),
        ),
        (
            {"type": "definitions", "prompt": "q", "completion": "a", "final_label": "3_partial_refusal"},
            ("q", "a", None, False),
        ),
        ({"user_input": "t", "model_output": "a", "toxicity": 1}, (SAID, "t", None, True)),
    ],
)
def test_a_layout_is_read_with_its_category(
    tmp_path: Path, row: dict[str, object], wanted: tuple[str, str, str | None, bool]
) -> None:
    assert read(tmp_path, [row]) == [wanted]


def test_a_sample_is_seeded_and_a_packed_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "l.jsonl.gz"
    lines = [{"prompt": f"q{i}", "response": "a", "improper": i % 3 == 0} for i in range(50)]
    file.write_bytes(gzip.compress("\n".join(json.dumps(x) for x in lines).encode()))
    some = load_labelled(file, limit=10, seed=1)
    assert some == load_labelled(file, limit=10, seed=1)
    assert some != load_labelled(file, limit=10, seed=2)
    assert len({e.prompt.text for e, _ in some}) == 10
    assert len(load_labelled(file, limit=99)) == 50


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"prompt": "q", "response": "a", "response_label": "perhaps"},
            r"item 1, field 'response_label': label 'perhaps' is unknown",
        ),
        ({"prompt": "q", "response": "a"}, r"item 1: fields 'prompt', 'response'\. Needed"),
        ({"prompt": "no question", "completion": "yes"}, "item 1: fields 'prompt', 'completion'"),
        ({"prompt": "q", "response": None, "label": 1}, "item 1: fields"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, [row])


@pytest.mark.parametrize(
    ("file", "n", "bad", "categories"),
    [
        ("harmbench_responses/harmbench_responses_602.jsonl", 602, 273, 0),
        ("beavertails/beavertails_test_3021.jsonl", 3019, 1732, 0),
        (
            "pku_saferlhf/saferlhf_test_2000.jsonl",
            1654,
            829,
            0,
        ),  # 1,682 distinct pairs, 28 of them with both labels
        ("jailjudge/JAILJUDGEmini.csv", 994, 315, 4),
        ("do_not_answer/responses_human_labels_even_ids.csv", 2820, 92, 12),
        ("diasafety/test.json", 1095, 501, 5),
        ("toxicchat/toxicchat_test_2853.jsonl", 2803, 354, 0),
        ("aegis/aegis_test_359.jsonl", 356, 231, 0),
        ("openai_moderation/openai_moderation_1680.jsonl", 1670, 517, 0),
        ("truthfulqa/finetune_truth.jsonl.gz", 18284, 10400, 0),
    ],
)
def test_the_published_sets_are_read_whole(file: str, n: int, bad: int, categories: int) -> None:
    if SHARED is None:
        pytest.skip("no folder shared/data beside the checkout: the published sets are not shipped")
    found = load_labelled(SHARED / file)
    named = {e.prompt.category for e, _ in found} - {None}
    assert (len(found), sum(label for _, label in found), len(named)) == (n, bad, categories)


def test_a_pair_with_both_labels_is_left_out_whatever_its_categories_and_none_counts_twice(
    tmp_path: Path,
) -> None:
    rows: list[dict[str, object]] = [
        {"prompt": "q", "response": "a", "label": "safe", "category": "none"},
        {"prompt": "q", "response": "a", "label": "unsafe", "category": "violence"},
        {"prompt": "q2", "response": "b", "label": "safe", "category": "x"},
        {"prompt": "q2", "response": "b", "label": "safe", "category": "y"},
    ]
    assert read(tmp_path, rows) == [("q2", "b", "x", False)]
    with pytest.raises(DataError, match="each of its 1 answer carries both labels"):
        read(tmp_path, rows[:2])


def test_each_answer_of_a_pair_has_its_own_label(tmp_path: Path) -> None:
    row = {
        "prompt": "q",
        "response_0": "a",
        "response_1": "b",
        "is_response_0_safe": False,
        "is_response_1_safe": True,
        "response_0_harm_category": {"Theft": True},
    }
    assert read(tmp_path, [row]) == [("q", "a", "Theft", True), ("q", "b", None, False)]


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    rows = [
        {"prompt": "q", "response": "a", "response_harm_label": "harmful"},
        {"prompt": "r", "response": None, "response_harm_label": None, "prompt_harm_label": "harmful"},
    ]
    assert read(tmp_path, rows) == [("q", "a", None, True)]


def test_columns_name_the_label(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("goal,prompt,target_response,human_majority,Gold\ng,p,a,1,no\n")
    columns = {"prompt": "goal", "response": "target_response", "label": "gold"}
    ((exchange, bad),) = load_labelled(path, columns=columns)
    assert (exchange.prompt.text, exchange.response.text, bad) == ("g", "a", False)
    with pytest.raises(DataError, match=r"--columns prompt=ask,response=FIELD,label=FIELD"):
        read(tmp_path, [{"ask": "q"}])


@pytest.mark.parametrize(
    ("field", "proper", "improper"),
    [
        ("is_safe", True, False),
        ("Safe", 1, 0),
        ("is_response_0_safe", True, False),
        ("isHarmless", "yes", "no"),
        ("judge.is-proper", "True", "False"),
        ("is_not_harmful", True, False),
        ("not_safe", False, True),
        ("is_unsafe", False, True),
        ("is_safe", "harmless", "harmful"),
        ("safe", "safe", "unsafe"),
        ("gold", 0, 1),
    ],
)
def test_a_named_label_keeps_the_sense_of_its_field(
    tmp_path: Path, field: str, proper: object, improper: object
) -> None:
    path = tmp_path / "l.json"
    rows = [{"ask": "q", "say": "good", field: proper}, {"ask": "q", "say": "bad", field: improper}]
    path.write_text(json.dumps(rows))
    columns = {"prompt": "ask", "response": "say", "label": field}
    assert {e.response.text: bad for e, bad in load_labelled(path, columns=columns)} == {
        "good": False,
        "bad": True,
    }


def test_of_a_dialogue_the_last_answer_is_labelled(tmp_path: Path) -> None:
    row = {"prompt": "q", "response": "\n\nHuman: q\n\nAssistant: a", "improper": True}
    assert read(tmp_path, [row]) == [("q", "a", None, True)]


def test_the_columns_that_a_message_suggests_give_the_right_labels(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_text(json.dumps([{"the question": "q", "my answer": "a", "safety": "x", "safe": True}]))
    with pytest.raises(DataError) as told:
        load_labelled(path)
    suggested = told.value.args[0].split("--columns ")[1].split(", with")[0].replace("'", "")
    assert suggested == "prompt=the question,response=my answer,label=safe"
    assert [bad for _, bad in load_labelled(path, columns=parse_columns(suggested))] == [False]


def test_refusals_are_read_where_people_labelled_them(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    rows = [
        {"prompt": "q", "completion": "no", "final_label": "2_full_refusal"},
        {"prompt": "q", "completion": "well", "final_label": "3_partial_refusal"},
        {"prompt": "q", "response": "yes", "response_refusal_label": "compliance"},
    ]
    path.write_text(json.dumps(rows))
    assert [(e.response.text, declines) for e, declines in load_refusals(path)] == [
        ("no", True),
        ("yes", False),
    ]
