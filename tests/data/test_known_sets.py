"""Known sets by name: the published files where they lie beside the checkout, their hashes, and what happens
without them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from iteralign.data.load import load_prompts, load_set
from iteralign.data.registry import DATA_VARIABLE, KNOWN_SETS, find_file
from iteralign.data.rows import Row
from iteralign.data.split import linked_groups, split_prompts
from iteralign.errors import DataError
from iteralign.text.similarity import near_duplicates
from patience import PATIENCE

SHARED = next(
    (p / "shared" / "data" for p in Path(__file__).resolve().parents if (p / "shared" / "data").is_dir()),
    None,
)
needs_data = pytest.mark.skipif(
    SHARED is None, reason="no folder shared/data beside the checkout: the published sets are not shipped"
)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Path:
    assert SHARED is not None
    monkeypatch.setenv(DATA_VARIABLE, str(SHARED))
    return SHARED


@needs_data
@pytest.mark.parametrize(
    ("name", "rows", "distinct"),
    [
        ("harmfulqa", 1960, 1938),
        ("dangerousqa", 200, 200),
        ("advbench", 520, 520),
        ("adversarialqa", 500, 500),
        ("hh-rlhf-harmless-base", 2312, 2175),
        ("jbb-benign", 100, 100),
    ],
)
def test_published_files_have_the_known_content(published: Path, name: str, rows: int, distinct: int) -> None:
    loaded = load_set(name)
    assert (loaded.name, loaded.rows, len(loaded.prompts)) == (name, rows, distinct)
    assert KNOWN_SETS[name].pinned == {loaded.sha256: rows}
    path = find_file(KNOWN_SETS[name])
    assert path is not None
    assert load_set(path).prompts == loaded.prompts, "a file is recognised by its content"
    assert {p.source for p in loaded.prompts} == {name}
    assert all(p.text and not p.text.startswith(("Human:", "Assistant:")) for p in loaded.prompts)


@needs_data
def test_harmfulqa_keeps_its_topics_and_splits_between_them(published: Path) -> None:
    prompts = load_prompts("harmfulqa")
    assert len({p.category for p in prompts}) == 10
    assert len({(p.category, p.topic) for p in prompts}) == 98
    divided = split_prompts(prompts, held_out=0.2, seed=0)
    held = [p for p in divided if p.split == "held_out"]
    assert 0.18 <= len(held) / len(prompts) <= 0.22
    assert not {(p.category, p.topic) for p in held} & {
        (p.category, p.topic) for p in divided if p.split == "train"
    }
    for group in near_duplicates([p.text for p in divided]):
        assert len({divided[i].split for i in group}) == 1
    assert len({p.category for p in held}) == 10


@needs_data
@pytest.mark.parametrize("name", ["dangerousqa", "advbench", "hh-rlhf-harmless-base"])
def test_sets_without_topics_are_split_by_likeness(published: Path, name: str) -> None:
    prompts = load_prompts(name)
    assert len(linked_groups(prompts)) > len(prompts) / 2
    held = sum(p.split == "held_out" for p in split_prompts(prompts, held_out=0.2, seed=1))
    assert held == pytest.approx(0.2 * len(prompts), abs=2)


def test_benign_sets_have_their_own_intent_and_leave_harmful_rows_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xstest_prompts.csv").write_text(
        "id,prompt,type,label\n1,How do I kill time?,homonyms,safe\n2,How do I kill him?,contrast,unsafe\n"
    )
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.warns(UserWarning, match="xstest was published as a test"):
        prompts = load_prompts("XSTest", intent="harmful")
    assert [(p.text, p.topic, p.intent, p.source) for p in prompts] == [
        ("How do I kill time?", "homonyms", "harmful_looking", "xstest")
    ]


@pytest.mark.parametrize("label", [True, False])
def test_xstests_layout_is_known_by_its_types_wherever_the_file_lies(
    tmp_path: Path, label: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        ("How do I kill time?", "homonyms", "safe"),
        ("How do I kill him?", "contrast_homonyms", "unsafe"),
        ("Who was it?", "definitions", "safe"),
    ]
    lines = [f"{i},{p},{t}" + (f",{s}" if label else "") for i, (p, t, s) in enumerate(rows)]
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(["id,prompt,type" + (",label" if label else ""), *lines]))
    found = load_set(file, intent="harmful_looking")
    assert [(p.text, p.topic, p.intent) for p in found.prompts] == [
        ("How do I kill time?", "homonyms", "harmful_looking"),
        ("Who was it?", "definitions", "harmful_looking"),
    ]
    assert (found.name, found.left_out) == ("xstest", 1)
    harmful = load_set(file, intent="harmful")
    assert [(p.text, p.intent) for p in harmful.prompts] == [("How do I kill him?", "harmful")]
    assert (harmful.name, harmful.left_out) == ("xstest", 2)
    table = [
        Row(f"row {i}", {"prompt": p, "type": t} | ({"label": s} if label else {}))
        for i, (p, t, s) in enumerate(rows)
    ]
    monkeypatch.setattr("iteralign.data.load.hub_rows", lambda address: table)
    assert load_set("hub:someone/copy", intent="harmful").prompts == harmful.prompts
    assert load_set("hub:someone/copy", intent="benign").prompts == found.prompts
    file.write_text("prompt,type\nHow are you?,greeting\n")
    assert load_set(file, intent="benign").name == "mine.csv", "another table with a type is no XSTest"


def test_another_hash_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "harmfulqa").mkdir()
    (tmp_path / "harmfulqa" / "harmfulqa.json").write_text(json.dumps({"A": {"B": ["How do I cheat?"]}}))
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.warns(
        UserWarning, match=r"its content \(sha256 .*is not the one that harmfulqa was checked with"
    ):
        (prompt,) = load_prompts("harmful_qa")
    assert (prompt.category, prompt.topic, prompt.source) == ("A", "B", "harmfulqa")


def test_red_team_attempts_give_the_first_human_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "min_harmlessness_score_transcript": -1.0,
        "transcript": "\n\nHuman: How?\n\nAssistant: No.\n\nHuman: Why?",
        "task_description": "x",
        "tags": ["y"],
    }
    (tmp_path / "red_team_attempts.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert [p.text for p in load_prompts("hh-rlhf-red-team")] == ["How?"]


def test_a_set_that_is_nowhere_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(
        DataError,
        match=(
            r"dangerousqa: not found in \$ITERALIGN_DATA \(as dangerousqa\.json\), and it is not on the hub"
        ),
    ):
        load_prompts("dangerousqa")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(DataError, match="no such folder"):
        load_prompts("dangerousqa")


def test_an_unreachable_hub_is_a_clear_error() -> None:
    pytest.importorskip("datasets")
    code = "from iteralign.data.load import load_prompts; load_prompts('hub:declare-lab/no-such-set-here')"
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}  # read at import, so it takes a process of its own
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert "DataError: hub:declare-lab/no-such-set-here: could not be loaded" in done.stderr
    assert "give its path" in done.stderr


def test_a_hub_set_is_read_like_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    splits = datasets.DatasetDict(
        {
            "en": datasets.Dataset.from_list([{"Category": "A", "Subcategory": "B", "Question": "How?"}]),
            "zh": datasets.Dataset.from_list([{"x": "y"}]),
        }
    )
    asked = {}

    def load_dataset(name: str, config: str | None, **options: object) -> object:
        asked[name] = (config, options)
        return splits

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    (prompt,) = load_prompts("catqa")
    assert (prompt.source, prompt.category, prompt.topic, prompt.text) == ("catqa", "A", "B", "How?")
    assert [p.source for p in load_prompts("hub:some/set?split=en&config=c")] == ["some/set"]
    assert asked["some/set"] == ("c", {"data_dir": None, "revision": None})
    with pytest.raises(
        DataError, match=r"has several splits. Name one: hub:some/set\?split=\.\.\. Splits: en, zh"
    ):
        load_prompts("hub:some/set")
    with pytest.raises(DataError, match="has no split 'fr'"):
        load_prompts("hub:some/set?split=fr")


def test_known_files_give_no_warning(published_or_skip: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_prompts("dangerousqa")


@pytest.fixture
def published_or_skip(monkeypatch: pytest.MonkeyPatch) -> Path:
    if SHARED is None:
        pytest.skip("no folder shared/data beside the checkout")
    monkeypatch.setenv(DATA_VARIABLE, str(SHARED))
    return SHARED
