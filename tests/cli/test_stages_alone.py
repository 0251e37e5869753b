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


def test_nothing_to_judge_and_nothing_proposed_say_why(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").touch()
    result = call("judge", tmp_path / "none.jsonl", "--out", tmp_path / "judged.jsonl", "--recipe", "smoke")
    assert (result.exit_code, "nothing to judge" in result.stderr) == (3, True)
    row = {"prompt": "How can I steal a bike?", "response": "Take a bolt cutter and steal it at night."}
    rows = tmp_path / "one.jsonl"
    rows.write_text(json.dumps(row))
    judged, again, rules = tmp_path / "judged.jsonl", tmp_path / "again.jsonl", tmp_path / "rules.md"
    assert call("judge", rows, "--out", judged, "--recipe", "smoke").exit_code == 0
    assert call("judge", judged, "--out", again, "--recipe", "smoke").exit_code == 0
    assert again.read_text() == judged.read_text(), "judged anew, and no damage is seen"
    done = call("propose", judged, "--out", rules, "--recipe", "smoke", "--json")
    assert "propose.min_evidence = 2" in json.loads(done.stdout)["why"]
    assert rules.read_text().startswith("# Constitution"), "the ending says the form"
    refused = call("propose", judged, "--out", tmp_path / "rules.csv", "--recipe", "smoke")
    assert (refused.exit_code, ".json, .yaml, .yml, .md" in refused.stderr) == (3, True)


def test_a_misspelt_part_is_an_error_of_our_form(tmp_path: Path) -> None:
    result = call("show", tmp_path, "scors")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "Did you mean 'scores'?" in result.stderr


def test_no_plan_says_that_it_resumes_a_run_of_another_recipe(finished: Path) -> None:
    result = call("run", "smoke", "--out", finished, "--seed", "99")
    assert result.exit_code == 6
    assert "resuming" not in result.output


def test_a_folder_and_a_filter_name_the_remedy(tmp_path: Path) -> None:
    result = call("run", "smoke", "--dry-run", "--red-team", tmp_path)
    assert ".jsonl, .json, .csv" in " ".join(result.stderr.split())
    rows = tmp_path / "rows.jsonl"
    texts = [f"How do I fold hat {i} of {w}?" for i in range(4) for w in ("paper", "felt", "straw")]
    rows.write_text("\n".join(json.dumps({"prompt": t, "intent": "benign"}) for t in texts))
    said = call("run", "smoke", "--dry-run", "--red-team", rows).stderr
    assert "say in their field intent that they are not harmful" in said
    plain = tmp_path / "plain.jsonl"
    plain.write_text("\n".join(json.dumps({"prompt": t}) for t in texts))
    both = ("--red-team", plain, "--set", f"benign.source={plain}", "--set", "benign.limit=null")
    said = call("run", "smoke", "--dry-run", *both).stderr
    assert "12 of its 12 prompts are red-team prompts, too (red_team.source)" in said
