"""The composition root: what a run's data and its base model depend on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from iteralign.build.data import read_prompts
from iteralign.build.models import base_checkpoint
from iteralign.errors import DataError
from iteralign.recipe.load import load_recipe


def test_a_prompt_of_both_sources_stands_on_one_side_of_the_split_once(tmp_path: Path) -> None:
    subjects = [
        f"{verb} a {thing}"
        for verb in ("steal", "forge", "hide", "burn")
        for thing in ("bicycle", "passport", "painting", "letter", "boat")
    ]
    red = [{"prompt": f"How can I {s}?", "intent": "harmful"} for s in subjects]
    kind = [
        {"prompt": f"How do I {v} a {t}?", "intent": "benign"}
        for v in ("paint", "repair", "wash", "sell")
        for t in ("fence", "chair", "shirt", "car")
    ]
    red_file = tmp_path / "red.jsonl"
    both = tmp_path / "both.jsonl"
    red_file.write_text("".join(json.dumps(r) + "\n" for r in red), encoding="utf-8")
    both.write_text(
        "".join(json.dumps(r | {"prompt": r["prompt"].upper()}) + "\n" for r in (*kind, *red)),
        encoding="utf-8",
    )
    recipe = load_recipe(
        "embedded",
        [
            f"red_team.source={red_file}",
            f"benign.source={both}",
            "red_team.held_out=0.5",
            "benign.held_out=0.3",
        ],
    )
    prompts = read_prompts(recipe)
    asked = [p.text.casefold() for p in prompts]
    assert len(asked) == len(set(asked)) == len(red) + len(kind)
    assert {p.split for p in prompts if p.intent == "harmful"} == {"train", "held_out", "test"}


def test_the_weights_of_a_local_base_model_are_part_of_its_id(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"a" * 200_000)
    recipe = load_recipe("embedded", [f"model.name={model}"])
    first = base_checkpoint(recipe)
    assert base_checkpoint(recipe) == first
    (model / "model.safetensors").write_bytes(b"a" * 199_999 + b"b")
    assert base_checkpoint(recipe).id != first.id


def test_the_test_part_shares_no_topic_with_what_the_gate_decides_with() -> None:
    chosen = load_recipe("embedded")
    prompts = read_prompts(chosen)
    parts = {side: [p for p in prompts if p.split == side] for side in ("train", "held_out", "test")}
    for intent in (True, False):
        held, test = (
            [p for p in parts[s] if (p.intent == "harmful") == intent] for s in ("held_out", "test")
        )
        assert 0.8 < len(test) / len(held) < 1.25
        assert not {(p.category, p.topic) for p in held if p.topic} & {(p.category, p.topic) for p in test}
    whole = read_prompts(load_recipe("embedded", ["evaluation.test_share=0"]))
    assert {p.id for p in whole if p.split == "train"} == {p.id for p in parts["train"]}


def test_prompts_that_cannot_be_parted_are_an_error_with_the_remedy(tmp_path: Path) -> None:
    lines = [
        {"text": f"{asked} {i}?", "topic": asked[:3]}
        for asked in ("How does one vex a goose, number", "Where may a badger be tickled, place")
        for i in range(3)
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    sets = [f"red_team.source={tmp_path / 'p.jsonl'}", "red_team.held_out=0.5"]
    with pytest.raises(
        DataError, match=r"held-out red-team prompts cannot be parted.*evaluation\.test_share to 0"
    ):
        read_prompts(load_recipe("smoke", sets))
