"""What the training stages of Self-Align alone learn from a user's own rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.build import standalone_self_align
from iteralign.build.standalone_self_align import stage_answer, stage_clone, stage_engrave, stage_extend
from iteralign.recipe.load import load_recipe
from iteralign.recipe.self_align import SelfAlignRecipe
from iteralign.records.iteralign import TrainingExample
from iteralign.records.self_align import Instruction

DIALOGUE = [
    {"role": "user", "content": "Name a river."},
    {"role": "assistant", "content": "The Elbe."},
    {"role": "user", "content": "Another."},
    {"role": "assistant", "content": "The Rhine."},
]


def turns(example: TrainingExample) -> list[tuple[str, str]]:
    return [(m.role, m.text) for m in example.messages]


@pytest.mark.parametrize("stage", [stage_engrave, stage_clone])
@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (
            {"instruction": "Translate.", "input": "Hallo", "answer": "Hello", "prompt": "p"},
            [("user", "Translate.\n\nHallo"), ("assistant", "Hello")],
        ),
        ({"messages": DIALOGUE}, [(t["role"], t["content"]) for t in DIALOGUE]),
        (
            {"system_prompt": "Be brief.", "prompt": "Hi?", "response": "Yes?"},
            [("system", "Be brief."), ("user", "Hi?"), ("assistant", "Yes?")],
        ),
    ],
)
def test_all_that_an_answer_was_given_to_is_learnt_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Any, row: dict[str, Any], wanted: list[Any]
) -> None:
    learnt: list[TrainingExample] = []

    def train(
        recipe: object, examples: Sequence[TrainingExample], out: Path, listen: object
    ) -> dict[str, Any]:
        learnt.extend(e for e in examples if e.source != "identity")
        return {}

    monkeypatch.setattr(standalone_self_align, "train", train)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(row) + "\n")
    stage(load_recipe("smoke-self-align", kind=SelfAlignRecipe), rows, tmp_path / "out")
    (example,) = learnt
    assert turns(example)[-len(wanted) :] == wanted
    assert [role for role, _ in turns(example)].count("system") <= 1


@pytest.mark.parametrize(("mode", "said"), [("apart", ["ok"]), ("keep", ["<think>why</think>ok"] * 2)])
def test_thoughts_in_users_rows_are_not_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, said: list[str]
) -> None:
    learnt: list[str] = []

    def train(
        recipe: object, examples: Sequence[TrainingExample], out: Path, listen: object
    ) -> dict[str, Any]:
        learnt.extend(e.messages[-1].text for e in examples if e.source != "identity")
        return {}

    monkeypatch.setattr(standalone_self_align, "train", train)
    rows = tmp_path / "rows.jsonl"
    texts = ["<think>why</think>ok", "<think>why</think>ok" if mode == "keep" else "<think>never done"]
    rows.write_text("".join(json.dumps({"instruction": "Hi?", "answer": text}) + "\n" for text in texts))
    recipe = load_recipe("smoke-self-align", [f"model.thoughts={mode}"], kind=SelfAlignRecipe)
    stage_engrave(recipe, rows, tmp_path / "out")
    assert learnt == said


@pytest.mark.parametrize("stage", [stage_answer, stage_extend])
def test_it_is_said_that_only_the_last_question_of_a_dialogue_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Any
) -> None:
    asked: list[str] = []
    said: list[str] = []

    def answered(recipe: object, items: Iterator[Instruction], *_: object) -> dict[str, Any]:
        asked.extend(i.text for i in items)
        return {}

    monkeypatch.setattr(standalone_self_align, "_answered", answered)
    monkeypatch.setattr(standalone_self_align, "log", said.append)
    rows = tmp_path / "rows.jsonl"
    recipe = load_recipe("smoke-self-align", kind=SelfAlignRecipe)
    rows.write_text(f"{json.dumps({'messages': DIALOGUE[:3]})}\n{json.dumps({'text': 'A?'})}\n")
    stage(recipe, rows, tmp_path / "out")
    assert asked == ["Another.", "A?"]
    assert ["1 request of several turns: only the last question" in line for line in said] == [True]
    rows.write_text(json.dumps({"text": "A?"}) + "\n")
    stage(recipe, rows, tmp_path / "out")
    assert len(said) == 1
