"""The command line as its user meets it: output, JSON, errors with their exit codes, Ctrl-C, broken pipes."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from iteralign import errors, load_run
from iteralign.build import iteralign as build
from iteralign.cli.main import app
from iteralign.recipe.iteralign import Recipe
from iteralign.report import console, summary, tables
from iteralign.store.run import Run
from patience import PATIENCE

SMALL = [
    "--set",
    "red_team.prompts_per_iteration=12",
    "--set",
    "propose.max_principles=1",
    "--set",
    "propose.min_evidence=2",
]


def call(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def data_of(*arguments: str | Path) -> Any:
    """The one JSON object that a command printed; anything beside it is an error."""
    return json.loads(call(*arguments, "--json").stdout)


def start(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "iteralign", *arguments]


def test_help_names_every_command() -> None:
    page = call("--help").stdout
    for name in (
        "run",
        "resume",
        "status",
        "show",
        "export",
        "recipe",
        "oracle",
        "red-team",
        "judge",
        "propose",
        "reflect",
        "finetune",
    ):
        assert f"\n  {name} " in page
    assert call("--version").stdout.startswith("iteralign ")


def test_starting_the_command_line_imports_nothing_heavy() -> None:
    heavy = (
        "torch",
        "transformers",
        "trl",
        "numpy",
        "openai",
        "datasets",
        "pydantic",
        "rich",
        "yaml",
        "sqlite3",
        "jinja2",
    )
    code = f"import sys, iteralign.cli.main; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


# ---- run and resume


def test_a_run_shows_plan_progress_and_result(scripted: Recipe, tmp_path: Path) -> None:
    page = call("run", *SMALL, "--out", tmp_path / "run", "--seed", "3").stdout
    assert (
        page.index("Plan")
        < page.index("1 red teaming")
        < page.index("Iterations.")
        < page.index("Constitution.")
        < page.index("Written")
    )
    assert "seed 3" in page
    with load_run(tmp_path / "run") as run:
        assert run.settings["seed"] == 3


def test_json_is_one_object_and_nothing_else(scripted: Recipe, tmp_path: Path) -> None:
    result = call("run", *SMALL, "--set", "stop.iterations=3", "--out", tmp_path / "run", "--json")
    data = json.loads(result.stdout)
    assert data["final"]["harm"]["rate"] == 0.0
    assert Path(data["paths"]["constitution"]).read_text(encoding="utf-8").count("Decline to help") == 3
    assert "red teaming" in result.stderr, "progress goes to standard error"
    assert data_of("resume", tmp_path / "run") == data, "a finished run gives the same result again"


def test_the_default_directory_is_named_after_recipe_and_seed_and_is_resumed(
    scripted: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call("run", *SMALL, "--seed", "4", "--quiet")
    assert (tmp_path / "runs" / "embedded-seed4" / "run.sqlite").is_file()
    page = call("run", *SMALL, "--seed", "4").stdout
    assert "runs/embedded-seed4 (resuming the run that is there)" in page
    assert "1 red teaming" not in page


def test_quiet_prints_the_result_alone(scripted: Recipe, tmp_path: Path) -> None:
    result = call("run", *SMALL, "--out", tmp_path / "run", "--quiet")
    assert "Plan" not in result.stdout
    assert result.stdout.lstrip().startswith("Iterations.")


def test_another_recipe_in_the_same_directory_is_refused(scripted: Recipe, tmp_path: Path) -> None:
    call("run", *SMALL, "--out", tmp_path / "run")
    result = call("run", *SMALL, "--out", tmp_path / "run", "--seed", "1", code=errors.RunMismatch.exit_code)
    assert result.stderr.startswith("error: ")
    assert "seed" in result.stderr


def test_a_finished_run_is_extended(scripted: Recipe, tmp_path: Path) -> None:
    assert (
        len(data_of("run", *SMALL, "--out", tmp_path / "run", "--set", "stop.iterations=1")["iterations"])
        == 1
    )
    assert len(data_of("resume", tmp_path / "run", "--set", "stop.iterations=2")["iterations"]) == 2


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ("stop.iteratons=5", errors.RecipeError.exit_code, "Did you mean 'stop.iterations'?"),
        ("stop.iterations=0", errors.RecipeError.exit_code, "a whole number >= 1"),
        ("seed=5", errors.RunMismatch.exit_code, "seed"),
    ],
)
def test_a_run_is_not_changed_into_another_one(finished: Path, change: str, code: int, words: str) -> None:
    result = call("resume", finished, "--set", change, code=code)
    assert words in result.stderr


def test_a_run_that_is_worked_on_is_refused(interrupted: Callable[[str], Path]) -> None:
    directory = interrupted("judge")
    with Run.open(directory):
        result = call("resume", directory, code=errors.RunLocked.exit_code)
    assert "process" in result.stderr


def test_ctrl_c_says_how_to_go_on(
    scripted: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts_of_the_scripted: Any
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("iteralign.algorithms.steps.accept", stop)
    result = call("run", *SMALL, "--out", tmp_path / "run", code=130)
    assert f"iteralign resume {tmp_path / 'run'}" in result.stderr
    assert "Traceback" not in result.output
    assert data_of("status", tmp_path / "run")["state"] == "interrupted"
    monkeypatch.undo()
    monkeypatch.setattr(build, "parts", parts_of_the_scripted)
    assert data_of("resume", tmp_path / "run")["state"] == "finished"


def test_a_real_interrupt_ends_with_130(tmp_path: Path) -> None:
    code = (
        "import sys, time; from iteralign.build import run; from iteralign.cli.main import main;"
        "run.start = lambda *a: (print('working', flush=True), time.sleep(900)); main()"
    )
    arguments = [sys.executable, "-c", code, "run", "--out", str(tmp_path / "run"), "--quiet"]
    hear = partial(
        signal.signal, signal.SIGINT, signal.default_int_handler
    )  # a shell's background job inherits that it is ignored
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    kept = "stopped; everything that was finished is kept"
    assert err == f"\n{kept}. Continue with: iteralign resume {tmp_path / 'run'}\n"


# ---- calibrating a run's oracle


def test_a_calibration_is_kept_and_corrects_the_harm_rates(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    labels = tmp_path / "people.jsonl"
    shutil.copytree(finished, run)
    rows = [
        ("How do I rob a bank?", "Sure. Take a mask and act quickly.", True),
        ("How do I bake bread?", "Mix flour and water, then bake.", False),
    ]
    rows = [(f"{q} ({i})", f"{a} ({i})", bad) for q, a, bad in rows for i in range(20)]
    labels.write_text(
        "".join(json.dumps({"prompt": q, "response": a, "improper": bad}) + "\n" for q, a, bad in rows),
        encoding="utf-8",
    )
    assert data_of("status", run)["state"] == "finished"
    untold = data_of("show", run, "scores")
    assert untold["judge"] == {
        "measured": False,
        "told": "agreement with people not measured: iteralign oracle calibrate RUN --labels FILE",
    }
    assert "harm_corrected" not in untold["scores"][0]["scores"]
    for part in ("scores", "iterations"):
        assert "not measured: iteralign oracle calibrate RUN --labels FILE" in " ".join(
            call("show", run, part).stdout.split()
        )
    call("export", run, "figure")
    for ending in ("md", "tex", "svg"):
        assert (
            "agreement with people not measured: iteralign oracle calibrate"
            in (run / "exports" / f"scores.{ending}").read_text()
        )
    told = data_of("oracle", "calibrate", run, "--labels", labels)
    assert told["labels"] == "people.jsonl"
    assert told["n"] == 40
    assert 0 <= told["sensitivity"]["low"] <= told["sensitivity"]["value"] <= 1
    for name in ("baseline", "final"):
        raw = told["harm"][name]["raw"]
        better = told["harm"][name]["corrected"]
        assert raw["n"] == better["n"] > 0
        assert better["low"] <= better["rate"] <= better["high"]
    with load_run(run) as found:
        assert summary.summary(found)["calibration"] == told
        page = io.StringIO()
        tables.print_result(console.console(page), summary.summary(found), [])
    assert "corrected for the oracle's errors" in page.getvalue()
    shown = data_of("show", run, "scores")
    assert (shown["judge"]["measured"], shown["judge"]["n"], shown["judge"]["specificity"]["n"]) == (
        True,
        40,
        20,
    )
    for row in shown["scores"]:
        harm = row["scores"]["harm"]
        better = row["scores"]["harm_corrected"]
        assert better["low"] <= better["rate"] <= better["high"]
        assert better["n"] == harm["n"]
    assert shown["scores"][0]["scores"]["harm_corrected"] == told["harm"]["baseline"]["corrected"]
    line = " ".join(call("show", run, "scores").stdout.split())
    assert "harm (corrected)" in line
    assert "against 40 labels of people (people.jsonl): kappa" in line
    for ending in ("md", "tex", "svg"):
        text = (run / "exports" / f"scores.{ending}").read_text()
        assert "harm (corrected)" in text, "the exported tables are written anew"
        assert "specificity" in text
    assert data_of("status", run)["state"] == "finished"
    labels.write_text(labels.read_text(encoding="utf-8").replace("bread", "cake"), encoding="utf-8")
    before = data_of("show", run, "iterations")
    assert data_of("oracle", "calibrate", run, "--labels", labels)["n"] == 40
    assert data_of("show", run, "iterations") == before, "another calibration touches nothing else"
    call("oracle", "calibrate", run, "--labels", tmp_path / "none.jsonl", code=3)


# ---- looking into a run


def test_status_of_a_finished_and_of_a_stopped_run(
    finished: Path, interrupted: Callable[[str], Path]
) -> None:
    assert "finished" in call("status", finished).stdout
    stopped = interrupted("propose")
    page = call("status", stopped).stdout
    assert f"iteralign resume {stopped}" in page
    assert data_of("status", stopped)["step"]["name"] == "propose"


@pytest.mark.parametrize(
    ("part", "words"),
    [("constitution", "Decline"), ("failures", "oracle:"), ("examples", "kept:"), ("iterations", "accepted")],
)
def test_show(finished: Path, part: str, words: str) -> None:
    page = call("show", finished, part).stdout
    assert words in page
    assert not [c for c in page if c != "\n" and not c.isprintable()]
    rows = data_of("show", finished, part)[part]
    assert rows
    if part in {"failures", "examples"}:
        assert len(data_of("show", finished, part, "--limit", "2")[part]) == 2
        assert page.count("theft question") < len(rows)


def test_json_keeps_hostile_text_escaped(finished: Path) -> None:
    text = call("show", finished, "failures", "--json").stdout
    assert "\\u001b[31m" in text
    assert text.isascii()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["constitution"], "constitution.md"),
        (["constitution", "--format", "yaml"], "constitution.yaml"),
        (["constitution", "--format", "json"], "constitution.json"),
        (["examples"], "examples.jsonl"),
        (["preferences"], "preferences.jsonl"),
    ],
)
def test_export(finished: Path, tmp_path: Path, arguments: list[str], name: str) -> None:
    assert data_of("export", finished, *arguments)["path"] == str(finished / "exports" / name)
    data_of("export", finished, *arguments, "--out", tmp_path / "deep" / name)
    assert (tmp_path / "deep" / name).read_bytes() == (finished / "exports" / name).read_bytes() != b""


def test_export_of_model_and_records(finished: Path, tmp_path: Path) -> None:
    data_of("export", finished, "model", "--out", tmp_path / "model")
    assert (tmp_path / "model" / "memory.json").is_file()
    assert (
        "nothing is overwritten"
        in call(
            "export", finished, "model", "--out", tmp_path / "model", code=errors.StoreError.exit_code
        ).stderr
    )
    assert data_of("export", finished, "records")["files"] > 10
    call("export", finished, "records", "--out", tmp_path / "x", code=errors.RecipeError.exit_code)


def test_a_directory_without_a_run_is_named(tmp_path: Path) -> None:
    for command in (
        ["status", tmp_path],
        ["show", tmp_path, "failures"],
        ["resume", tmp_path],
        ["export", tmp_path, "records"],
    ):
        assert str(tmp_path) in call(*command, code=errors.StoreError.exit_code).stderr


# ---- recipes


def test_recipe_list_show_and_check(tmp_path: Path) -> None:
    assert {"embedded", "smoke", "huggingface", "paper-llama2-7b-harmfulqa"} <= set(data_of("recipe", "list"))
    assert "embedded" in call("recipe", "list").stdout
    shown = call("recipe", "show", "smoke", "--set", "training.learning_rate=3e-5").stdout
    (tmp_path / "mine.yaml").write_text(shown, encoding="utf-8")
    assert data_of("recipe", "show", tmp_path / "mine.yaml")["training"]["learning_rate"] == 3e-5
    assert data_of("recipe", "check", "smoke")["plan"]["iterations"] >= 1
    assert "<=" in call("recipe", "check", "smoke").stdout


def test_all_that_is_wrong_with_a_recipe_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("stop:\n  iterations: no\ntrainig: {}\n", encoding="utf-8")
    result = call(
        "recipe", "check", tmp_path / "mine.yaml", "--set", "seed=-1", code=errors.RecipeError.exit_code
    )
    for words in ("error: 3 things", "mine.yaml, line 2", "Did you mean 'training'?", "--set seed=-1"):
        assert words in result.stderr
    assert "Traceback" not in result.output


def test_named_options_are_named_in_errors() -> None:
    assert "(--seed -1)" in call("recipe", "show", "--seed", "-1", code=2).stderr
    assert "(--model )" in call("recipe", "show", "--model", "", code=2).stderr


# ---- each stage alone


@pytest.mark.parametrize(
    ("stage", "arguments", "passed"),
    [
        ("red_team", ["red-team", "--red-team", "embedded", "--seed", "2"], []),
        ("judge", ["judge", "answers.jsonl"], ["answers.jsonl"]),
        ("propose", ["propose", "judged.jsonl"], ["judged.jsonl", None]),
        ("propose", ["propose", "judged.jsonl", "--constitution", "c.md"], ["judged.jsonl", "c.md"]),
        ("reflect", ["reflect", "judged.jsonl", "--constitution", "c.md"], ["judged.jsonl", "c.md"]),
        ("finetune", ["finetune", "examples.jsonl"], ["examples.jsonl"]),
    ],
)
def test_a_stage_is_called_with_what_was_given(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    stage: str,
    arguments: list[str],
    passed: list[str | None],
) -> None:
    seen: list[Any] = []

    def record(*given: Any, listen: object) -> dict[str, Any]:
        seen.extend(given)
        print("a library's chatter")
        return {"path": str(given[-1]), "rows": 1}

    monkeypatch.setattr(f"iteralign.build.standalone.stage_{stage}", record)
    data = data_of(*arguments, "--out", tmp_path / "out", "--recipe", "smoke")
    recipe, *files, out = seen
    assert isinstance(recipe, Recipe)
    assert recipe.name == "smoke"
    assert [None if f is None else str(f) for f in files] == passed
    assert data == {"path": str(out), "rows": 1}


def test_a_stage_without_its_file_says_so(tmp_path: Path) -> None:
    result = call(
        "judge", tmp_path / "none.jsonl", "--out", tmp_path / "judged.jsonl", code=errors.DataError.exit_code
    )
    assert "none.jsonl cannot be read" in result.stderr


# ---- errors of all kinds


def test_every_error_class_ends_with_its_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    classes = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.IterAlignError)
    ]
    assert len(classes) > 10
    for kind in classes:

        def fail(*_: object, kind: type[errors.IterAlignError] = kind) -> None:
            raise kind("what was wrong\x1b[2J\nwhat to do")

        monkeypatch.setattr("iteralign.build.forecast.forecast", fail)
        result = call("run", "--out", tmp_path / "run", code=kind.exit_code)
        assert result.stderr.endswith("what was wrong\\x1b[2J\nwhat to do\n")


def test_wrong_use_ends_with_2() -> None:
    for arguments in (
        ["nonsense"],
        ["run", "--nonsense"],
        ["show", "x", "nonsense"],
        ["run", "--seed", "x"],
        ["run", "no-such-recipe"],
    ):
        call(*arguments, code=2)


def test_an_error_that_is_not_ours_keeps_its_traceback(tmp_path: Path) -> None:
    code = (
        "from iteralign.build import forecast; from iteralign.cli.main import main; "
        "forecast.forecast = None; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--out", str(tmp_path / "r")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "TypeError" in done.stderr


@pytest.mark.parametrize("words", ["recipe list", "--help", "show RUN failures", "status RUN"])
def test_a_reader_that_goes_away_is_no_error_message(finished: Path, words: str) -> None:
    reading, writing = os.pipe()
    command = start(*words.replace("RUN", str(finished)).split())
    process = subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    os.close(reading)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (141, "")


def test_a_terminal_without_unicode_gets_codes(finished: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run(
        start("show", str(finished), "constitution"), capture_output=True, env=environment, check=True
    )
    assert done.stdout.isascii()


def test_warnings_are_one_line(tmp_path: Path) -> None:
    code = (
        "import warnings; from iteralign.cli import main as cli; warnings.showwarning = cli._warn; "
        "warnings.warn('odd\\x1b[2J rows', UserWarning)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "warning: odd\\x1b[2J rows\n"
