"""Stages alone as their user meets them: how far they are, and what is kept of one that is stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from iteralign.build.standalone import stage_judge
from iteralign.cli.main import app
from iteralign.recipe.load import load_recipe
from iteralign.store.run import Event


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def rows_of(path: Path, count: int) -> Path:
    rows = [{"prompt": f"How do I fold hat {i}?", "response": "Like a sheet."} for i in range(count)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_stage_says_how_far_it_is(tmp_path: Path) -> None:
    heard: list[Event] = []
    rows = rows_of(tmp_path / "rows.jsonl", 5)
    recipe = load_recipe("smoke", ["oracle.batch=2"])
    assert stage_judge(recipe, rows, tmp_path / "judged.jsonl", listen=heard.append)["rows"] == 5
    told = [(e.fields["state"], e.fields["done"], e.fields["total"]) for e in heard]
    assert told == [("started", 0, 5), ("progress", 2, 5), ("progress", 4, 5), ("done", 5, 5)]


def test_progress_goes_to_standard_error(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "rows.jsonl", 2)
    result = call("judge", rows, "--out", tmp_path / "judged.jsonl", "--recipe", "smoke", "--json")
    assert json.loads(result.stdout)["rows"] == 2
    assert "2 oracle evaluation" in result.stderr


def test_a_stage_that_is_stopped_says_that_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(tmp_path / "rows.jsonl", 2)
    monkeypatch.setattr("iteralign.build.standalone.verdicts_on", interrupt)
    result = call("judge", rows, "--out", tmp_path / "judged.jsonl", "--recipe", "smoke")
    assert result.exit_code == 130
    assert "nothing is kept" in result.stderr
    assert not (tmp_path / "judged.jsonl").exists()


def test_a_training_that_is_stopped_does_not_stand_in_the_way_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(tmp_path / "rows.jsonl", 2)
    command = ("finetune", rows, "--out", tmp_path / "model", "--recipe", "smoke")
    with monkeypatch.context() as patch:
        patch.setattr("iteralign.training.sft.write_probe", interrupt)
        result = call(*command)
        assert result.exit_code == 130, result.output
        assert not (tmp_path / "model").exists()
    assert call(*command).exit_code == 0
