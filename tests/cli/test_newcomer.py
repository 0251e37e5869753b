"""A newcomer's first hour: what is missing, mistaken or unknown is told in one message with its remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from iteralign import align, evaluate, load_run
from iteralign.build.run import start
from iteralign.cli.main import app
from iteralign.data import away
from iteralign.recipe.iteralign import Recipe
from iteralign.report.step_words import place_words, scope_words
from iteralign.store.run import Event
from patience import PATIENCE

UNINSTALLED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["iteralign", *{arguments!r}]
from iteralign.cli.main import main
main()
"""
TRAIN = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "huggingface_hub", "tokenizers")


def call(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def without(names: Sequence[str], arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    program = UNINSTALLED.format(names=set(names), arguments=list(map(str, arguments)))
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "smoke", "--out", "new"],
        ["self-align", "--out", "new"],
        ["self-align", "instruct", "--out", "new"],
        ["evaluate", "--tasks", "harm", "--out", "new"],
        ["red-team", "--out", "new"],
        ["finetune", "rows.jsonl", "--out", "new"],
        ["oracle", "check"],
        ["resume", "old"],
    ],
    ids=" ".join,
)
def test_without_the_extra_one_line_says_what_to_install(
    arguments: list[str], tmp_path: Path, finished: Path
) -> None:
    row = {
        "prompt": [{"role": "user", "content": "a"}],
        "completion": [{"role": "assistant", "content": "b"}],
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (tmp_path / "old").symlink_to(finished)
    done = without(TRAIN, arguments, tmp_path)
    assert done.returncode == 7, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith("not installed: pip install 'iteralign[train]'")
    assert not (tmp_path / "new").exists()
    assert done.stdout == ""


@pytest.mark.parametrize(
    "wrong",
    [
        ["run", "smoke", "--model", "owner/mistyped"],
        ["run", "smoke", "--model", "no/such/folder"],
        ["run", "smoke", "--set", "oracle.kind=local", "--set", "oracle.model=owner/mistyped"],
        ["self-align", "smoke-self-align", "--model", "owner/mistyped"],
    ],
    ids=lambda words: " ".join(words[1:]),
)
def test_a_run_of_a_mistyped_model_leaves_no_directory(
    wrong: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise OSError("no such model")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", nobody)
    monkeypatch.setattr("iteralign.engines.weights._cached", lambda place: None)
    out, mine = tmp_path / "run", tmp_path / "mine"
    mine.mkdir()
    for place in (out, mine):
        said = call(*wrong, "--out", place, code=7).stderr
        assert wrong[-1].removeprefix("oracle.model=") in said
    assert not out.exists()
    assert not any(mine.iterdir())


def test_what_a_library_lacks_later_is_one_line_too(tmp_path: Path) -> None:
    done = without(["lm_eval"], ["evaluate", "--tasks", "lm-eval:hellaswag", "--out", "new"], tmp_path)
    assert done.returncode == 7, done.stderr
    assert done.stderr.splitlines()[-1].endswith("pip install 'iteralign[eval]'")


def test_a_run_without_an_accepted_candidate_has_no_model_but_its_base(
    scripted: Recipe, tmp_path: Path
) -> None:
    made = scripted.model_dump()
    made["training"]["min_lessons"] = 900
    start(Recipe.model_validate(made), tmp_path / "run")
    refused = call("export", tmp_path / "run", "model", code=4).output
    assert "no candidate of" in refused
    assert "export the base with --base" in refused
    told = call("export", tmp_path / "run", "model", "--base", "--out", tmp_path / "base", "--json")
    assert json.loads(told.stdout) == {"path": str(tmp_path / "base")}
    assert (tmp_path / "base" / "model.safetensors").is_file()
    assert "it goes with model" in call("export", tmp_path / "run", "examples", "--base", code=2).output


def test_a_plan_takes_the_options_of_a_run_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["--model", "some/model", "--red-team", "embedded", "--seed", "7"]
    for command in (["recipe", "check", "smoke"], ["run", "smoke", "--dry-run"]):
        told = call(*command, *given).stdout
        assert "recipe smoke, seed 7" in told
        assert "model some/model" in told
    assert "recipe smoke-self-align" in call("self-align", "smoke-self-align", "--dry-run").stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("recipe", "choice", "left_out"),
    [
        ("huggingface", "oracle.kind=embedded", "oracle.model"),
        ("self-align-7b", "oracle.kind=embedded", "oracle.model"),
        ("own.yaml", "model.engine=hf", "model.base_url"),
        ("own.yaml", "oracle.kind=chat", "oracle.jurors"),
    ],
)
def test_keys_of_a_recipe_that_a_choice_does_not_use_are_left_out(
    recipe: str, choice: str, left_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(
        "model: {name: m, engine: server, base_url: 'http://localhost:1/v1'}\n"
        "oracle: {kind: jury, model: m, jurors: {a: {model: x}, b: {model: y}}}\n"
    )
    monkeypatch.setattr("iteralign.recipe.load.log", caplog.records.append)
    told = call("recipe", "show", recipe, "--set", choice).stdout
    key, _, value = choice.partition("=")
    assert f"  {key.partition('.')[2]}: {value}\n" in told
    assert left_out in caplog.records[0]
    own = call("recipe", "show", recipe, "--set", choice, "--set", f"{left_out}=http://x/v1", code=2)
    assert "Traceback" not in own.output


BAD = {
    "empty.jsonl": b"",
    "list.json": b"[]",
    "object.jsonl": b'{"a": 1}\n',
    "number.jsonl": b"7\n",
    "text.jsonl": b"abc\n",
    "latin.jsonl": b'{"prompt": "\xff\xfe"}\n',
    "null.jsonl": b'{"prompt": null, "response": null}\n',
    "nested.json": b'{"prompt": {"a": [1, {"b": 2}]}}',
}
READERS = (
    ("run", "smoke", "--out", "new", "--red-team"),
    ("judge", "--out", "new.jsonl"),
    ("propose", "--out", "new.json"),
    ("finetune", "--out", "new"),
    ("oracle", "check", "--labels"),
    ("evaluate", "--out", "new", "--tasks", "hhh", "--lm-eval", "tasks", "--data"),
    ("recipe", "check"),
    ("status",),
    ("resume",),
    ("export", "--out", "x"),
)


@pytest.mark.parametrize("reader", READERS, ids=" ".join)
@pytest.mark.parametrize("name", [*BAD, "folder", "absent.jsonl"])
def test_a_file_that_is_none_is_told_in_words(
    reader: tuple[str, ...], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file, content in BAD.items():
        (tmp_path / file).write_bytes(content)
    (tmp_path / "folder").mkdir()
    file = f"hhh={name}" if reader[-1] == "--data" else name
    more = ["model"] if reader[0] == "export" else []
    options = [reader[0], file, *more, *reader[1:]] if reader[0] == "export" else [*reader, file]
    result = CliRunner().invoke(app, options)
    if name == "empty.jsonl" and reader[0] == "recipe":
        return  # a recipe of defaults alone
    assert result.exit_code in (2, 3, 4), (result.output, result.exception)
    assert "pydantic" not in result.output
    assert "Traceback" not in result.output
    assert "[type=" not in result.output
    assert "error" in result.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    told = call("run", "smoke", "--out", tmp_path / "locked" / "run", code=4).output
    assert "Permission denied" in told


@pytest.mark.parametrize(
    "trouble", [PermissionError(13, "Permission denied", "/x/y"), OSError(28, "No space left")]
)
def test_what_the_system_says_of_a_file_is_one_line(
    trouble: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr("iteralign.api.load_run", fails)
    told = call("status", "somewhere", code=4).output
    assert told.startswith(f"error: {'/x/y: ' if trouble.filename else ''}{trouble.strerror}: check the path")


def test_shells_complete_commands_and_recipes() -> None:
    environment = os.environ | {"COMP_WORDS": "iteralign run pap", "COMP_CWORD": "2"}
    environment["_ITERALIGN_COMPLETE"] = "complete_bash"
    code = "import sys; sys.argv = ['iteralign']; from iteralign.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=PATIENCE
    )
    assert "paper-llama2-7b-harmfulqa" in done.stdout.splitlines()


def test_the_report_ends_with_the_next_two_commands(scripted: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "a run"
    start(scripted, run)
    assert call("resume", run).stdout.splitlines()[-3:] == [
        "Next",
        f"  iteralign show '{run}' scores",
        f"  iteralign export '{run}' model",
    ]


def test_nothing_internal_is_shown(finished: Path) -> None:
    with load_run(finished) as run:
        steps = [(e.fields["scope"], e.fields["name"]) for e in run.events("step")]
    told = " ".join([*(place_words(*s) for s in steps), *(scope_words(s) for s, _ in steps)])
    assert "iteration 2, oracle checks the revisions" in told
    assert not [w for w in ("checkpoint-", "_", "screen-", "iteration-") if w in told]
    pages = [call("status", finished).stdout, call("show", finished, "left-out").stdout]
    assert "checkpoint-" not in "".join(pages)


def test_the_hub_is_asked_once_where_it_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("datasets")
    asked: list[str] = []

    def refused(self: object, name: str, timeout: float) -> None:
        asked.append(name)
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(hub.HfApi, "dataset_info", refused)
    monkeypatch.setenv("ITERALIGN_DATA", "")
    told = call("recipe", "check", "smoke", "--red-team", "hub:nobody/nothing-of-that-name", code=3).output
    assert "the hub cannot be reached, and it is not in the cache: Name or service not known" in told
    assert "ITERALIGN_DATA" in told
    assert asked == ["nobody/nothing-of-that-name"]
    with away.cache_alone_where_away("a/b") as reasons:
        assert reasons == ["Name or service not known"]


def test_task_files_for_lm_eval_hold_the_sample_that_was_asked_for(tmp_path: Path) -> None:
    rows = [
        {"subset": s, "input": f"{s} {n}?", "chosen": f"yes {n}", "rejected": f"no {n}"}
        for s in ("honest", "harmless")
        for n in range(10)
    ]
    (tmp_path / "hhh.jsonl").write_text("\n".join(map(json.dumps, rows)))
    tasks = ["--tasks", "hhh-likelihood", "--data", f"hhh-likelihood={tmp_path / 'hhh.jsonl'}"]
    for seed in (0, 1):
        call("evaluate", "--lm-eval", tmp_path / str(seed), *tasks, "--limit", "4", "--seed", str(seed))
    found = [(tmp_path / str(s) / "iteralign_hhh_likelihood.jsonl").read_text() for s in (0, 1)]
    prompts = [json.loads(line)["prompt"] for line in found[0].splitlines()]
    assert sorted(p.split()[0] for p in prompts) == ["harmless", "harmless", "honest", "honest"]
    assert found[0] != found[1]


def test_python_takes_a_folder_overrides_as_a_mapping_and_a_listener(
    scripted: Recipe, tmp_path: Path
) -> None:
    rows = [
        {"subset": "honest", "input": f"q {n}?", "chosen": f"a {n}", "rejected": f"b {n}"} for n in range(3)
    ]
    (tmp_path / "hhh.jsonl").write_text("\n".join(map(json.dumps, rows)))
    heard: list[Event] = []
    (told,) = evaluate(
        tasks="hhh",
        out=tmp_path / "e",
        data=str(tmp_path),
        overrides={"model.threads": 1, "seed": 3},
        listen=heard.append,
    )
    assert told["n"] == 3
    assert "step" in {event.kind for event in heard}
    with load_run(tmp_path / "e") as run:
        assert run.settings["seed"] == 3
    given = {"stop": {"iterations": 1}, "red_team.prompts_per_iteration": 12}
    result = align("embedded", tmp_path / "r", overrides=given)
    assert result.stop_reason == "the iteration is done"


def test_a_stage_never_replaces_the_file_that_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"prompt": "q", "response": "a"}\n')
    result = CliRunner().invoke(app, ["judge", "rows.jsonl", "--out", str(tmp_path / "rows.jsonl")])
    assert result.exit_code == 3
    assert "name another file" in result.output
    assert Path("rows.jsonl").read_text() == '{"prompt": "q", "response": "a"}\n'
