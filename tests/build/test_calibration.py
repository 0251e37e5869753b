"""What an oracle is measured on: the answers of people's labelled rows, without their thoughts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from iteralign.build import calibration
from iteralign.build.calibration import check_oracle
from iteralign.recipe.load import load_recipe
from iteralign.records.iteralign import Exchange, Verdict


class Hears:
    """An oracle that remembers what it was shown, and finds everything proper."""

    name = "hears"
    version = "1"

    def __init__(self) -> None:
        self.shown: list[str] = []

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        self.shown += [e.response.text for e in exchanges]
        return [
            Verdict(response_id=e.response.id, label="proper", oracle="hears", template="1")
            for e in exchanges
        ]


@pytest.mark.parametrize(("mode", "shown", "unjudged"), [("apart", {"No."}, 1), ("keep", None, 0)])
def test_the_label_is_of_the_answer_and_not_of_its_thought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, shown: set[str] | None, unjudged: int
) -> None:
    texts = ["<think>Take a bolt cutter.</think>No.", "<think>Take a bolt"]
    rows = [{"prompt": "How?", "response": text, "improper": False} for text in texts]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("\n".join(map(json.dumps, rows)))
    oracle = Hears()
    monkeypatch.setattr(calibration, "oracle", lambda recipe: oracle)
    recipe = load_recipe("smoke", [f"model.thoughts={mode}"])
    (found,) = check_oracle(recipe, labels).values()
    assert set(oracle.shown) == (shown or set(texts))
    assert found["n"] == 2
    assert round(found["unjudged"]["value"] * 2) == unjudged
