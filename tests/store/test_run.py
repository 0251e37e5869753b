"""A run directory from outside: what may start or go on where, who may write, and what is left to read."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iteralign.errors import RunLocked, RunMismatch, StoreError
from iteralign.records.chat import Message
from iteralign.records.iteralign import Principle, RedTeamPrompt
from iteralign.store.keys import key_of
from iteralign.store.run import Run
from remembering import each, once

SETTINGS: dict[str, Any] = {
    "seed": 0,
    "stop": {"iterations": 3, "target_harm": 0.1},
    "training": {"epochs": 2, "learning_rate": 1.0, "extra": {}},
    "budget": None,
}
RECIPE = "seed: 0  # as written\n"


def start(directory: Path, settings: dict[str, Any] | None = None) -> Run:
    return Run.create(directory, settings or SETTINGS, RECIPE)


def python(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


# ---- starting


def test_a_new_run_has_the_files_that_the_docs_name(tmp_path: Path) -> None:
    with start(tmp_path / "deep" / "run") as run:
        assert run.settings == SETTINGS
        assert {p.name for p in run.directory.iterdir()} >= {"run.sqlite", "recipe.yaml", "run.lock"}
        assert (run.directory / "recipe.yaml").read_text() == RECIPE


@pytest.mark.parametrize("name", ["notes.txt", "recipe.yaml"])
def test_a_directory_with_other_things_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(
        StoreError, match=rf"is not empty and holds no run \(it holds {name}\): choose another directory"
    ):
        start(tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {name: "mine"}


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(StoreError, match="Not a directory"):
        start(tmp_path / "run")
    with pytest.raises(StoreError, match="is no directory: name a run's directory"):
        Run.open(tmp_path / "run")


@pytest.mark.parametrize(
    "left",
    [
        ["run.lock"],
        ["run.lock", ".run.sqlite.new"],
        [".recipe.yaml.new", ".run.sqlite.new", "run.lock"],
        ["recipe.yaml", ".run.sqlite.new"],
    ],
)
def test_a_start_that_was_killed_can_be_repeated(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).write_text("half")
    with start(tmp_path) as run:
        assert run.settings == SETTINGS
    assert (tmp_path / "recipe.yaml").read_text() == RECIPE


@pytest.mark.parametrize("readonly", [False, True])
def test_opening_what_is_no_run_says_how_to_start_one(tmp_path: Path, readonly: bool) -> None:
    with pytest.raises(
        StoreError,
        match=r"holds no run \(run.sqlite is missing\): name a run's directory, or start one there with",
    ):
        Run.open(tmp_path, readonly=readonly)
    assert list(tmp_path.iterdir()) == []


# ---- settings


def test_the_same_settings_go_on(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        once(run.scope("s"), "a", int, lambda: 1)
    with start(tmp_path, {**SETTINGS, "training": {"epochs": 2, "learning_rate": 1, "extra": {}}}) as run:
        assert run.read(int, "s", "a") == [1]


def test_other_settings_are_refused_with_every_difference(tmp_path: Path) -> None:
    start(tmp_path).close()
    other = {
        "seed": True,
        "stop": {"iterations": 4, "target_harm": 0.1},
        "training": {"epochs": 2, "learning_rate": 1.0},
        "budget": None,
        "new": "x",
    }
    with pytest.raises(RunMismatch) as caught:
        start(tmp_path, other)
    text = str(caught.value)
    for line in (
        "seed: 0 -> true",
        "stop.iterations: 3 -> 4",
        "training.extra: {} -> (absent)",
        'new: (absent) -> "x"',
    ):
        assert f"\n  {line}" in text
    assert "target_harm" not in text
    assert "iteralign resume" in text
    start(tmp_path).close()  # the refused one let the lock go


@pytest.mark.parametrize("changes", [{"stop": {"iterations": 5}}, {"stop.iterations": 5}])
def test_the_stop_rule_may_change_and_the_change_is_kept(tmp_path: Path, changes: dict[str, Any]) -> None:
    start(tmp_path).close()
    with Run.open(tmp_path, changes=changes) as run:
        assert run.settings == {**SETTINGS, "stop": {"iterations": 5, "target_harm": 0.1}}
    with Run.open(tmp_path, changes=changes) as run:
        assert run.settings["stop"]["iterations"] == 5
        (event,) = run.events("settings")  # asking for what is so already changes nothing
        assert event.fields == {"changes": {"stop.iterations": "3 -> 5"}}


def test_an_unset_budget_may_be_set(tmp_path: Path) -> None:
    start(tmp_path).close()
    with Run.open(tmp_path, changes={"budget": {"calls": 100}}) as run:
        assert run.settings["budget"] == {"calls": 100}


def test_what_fits_and_where_it_runs_may_change(tmp_path: Path) -> None:
    settings = {"model": {"device": "cpu", "max_context": None}, "engrave": {"training": {"max_length": 9}}}
    Run.create(tmp_path / "run", settings, RECIPE).close()
    changes = {"model.device": "cuda", "model.max_context": 512, "engrave.training.max_length": 99}
    with Run.open(tmp_path / "run", changes=changes) as run:
        assert run.settings["engrave"]["training"]["max_length"] == 99
        assert run.settings["model"] == {"device": "cuda", "max_context": 512}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"training": {"epochs": 9}, "stop": {"iterations": 9}},
            "evaluation.lm_eval_code and training.max_length may change when a run is resumed, not:\n"
            "  training.epochs: 2 -> 9",
        ),
        ({"stop": 3}, "not:\n  stop: (absent) -> 3"),
        ({"stop": {"iteration": 9}}, "have no stop.iteration"),
        ({"seeds": 1}, "seeds: (absent) -> 1"),
    ],
)
def test_nothing_else_may_change(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    start(tmp_path).close()
    with pytest.raises(RunMismatch) as caught:
        Run.open(tmp_path, changes=changes)
    assert message in str(caught.value)
    with Run.open(tmp_path) as run:
        assert run.settings == SETTINGS
        assert run.events() == []


@pytest.mark.parametrize("how", ["edited", "removed"])
def test_a_recipe_that_was_touched_is_refused_but_can_still_be_read(tmp_path: Path, how: str) -> None:
    start(tmp_path).close()
    (tmp_path / "recipe.yaml").write_text("seed: 1\n") if how == "edited" else (
        tmp_path / "recipe.yaml"
    ).unlink()
    for attempt in (lambda: Run.open(tmp_path), lambda: start(tmp_path)):
        with pytest.raises(
            RunMismatch, match=r"recipe.yaml was changed or removed after the run started.*put the file back"
        ):
            attempt()
    Run.open(tmp_path, readonly=True).close()
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    Run.open(tmp_path).close()


# ---- one writer

HOLD = """
import sys; from pathlib import Path; from iteralign.store.run import Run
run = Run.open(Path(sys.argv[1])); run.scope('s').once('held', int, lambda: 1)
print('held', flush=True); sys.stdin.readline()
run.scope('s').once('more', int, lambda: 2); print('more', flush=True); sys.stdin.readline()
"""


def test_a_second_process_is_refused_by_name_readers_are_not_and_a_kill_frees_the_run(tmp_path: Path) -> None:
    start(tmp_path).close()
    holder = python(HOLD, tmp_path, stdin=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == "held\n", holder.stderr and holder.stderr.read()
        for attempt in (lambda: Run.open(tmp_path), lambda: start(tmp_path)):
            with pytest.raises(
                RunLocked,
                match=rf"run {tmp_path} is in use by process {holder.pid} on .+ "
                r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: wait",
            ):
                attempt()
        with Run.open(tmp_path, readonly=True) as reader:
            assert reader.read(int, "s", "held") == [1]
            assert reader.read(int, "s", "more") == []
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "more\n"
            assert reader.read(int, "s", "more") == [2]
    finally:
        holder.kill()
        holder.communicate()
    with Run.open(tmp_path) as run:
        assert run.read(int, "s", "more") == [2]


def test_two_writers_in_one_process_are_refused_too(tmp_path: Path) -> None:
    with start(tmp_path), pytest.raises(RunLocked, match=f"process {os.getpid()} on"):
        Run.open(tmp_path)
    Run.open(tmp_path).close()


FORK = """
import os, sys, time; from pathlib import Path; from iteralign.store.run import Run
run = Run.open(Path(sys.argv[1])); child = os.fork()
if child == 0: print(os.getpid(), flush=True)
time.sleep(60)
"""


def test_a_forked_worker_that_outlives_its_killed_parent_does_not_keep_the_run_locked(tmp_path: Path) -> None:
    start(tmp_path).close()
    parent = python(FORK, tmp_path)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    try:
        with pytest.raises(RunLocked, match=f"process {parent.pid} "):
            Run.open(tmp_path)
        parent.kill()
        parent.wait()
        Run.open(tmp_path).close()
    finally:
        os.kill(worker, signal.SIGKILL)
        parent.kill()
        parent.communicate()


def test_a_reader_reads_and_cannot_write(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        once(run.scope("s"), "a", int, lambda: 1)
    told: list[str] = []
    with Run.open(tmp_path, readonly=True) as run:
        run.listen(lambda event: told.append(event.kind))
        assert once(run.scope("s"), "a", int, lambda: pytest.fail("asked")) == 1
        run.event("warning", text="only told")
        with pytest.raises(
            StoreError, match=r"step s/b is not finished, and .* was opened for reading only: resume the run"
        ):
            once(run.scope("s"), "b", int, lambda: pytest.fail("computed what cannot be stored"))
        assert run.events("warning") == []
    assert told == ["step", "warning"]


def test_a_closed_run_says_so(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.close()
    run.close()
    with pytest.raises(StoreError, match="was closed: open the run again"):
        run.events()


# ---- other versions


def test_a_newer_schema_is_refused_with_the_remedy(tmp_path: Path) -> None:
    start(tmp_path).close()
    with sqlite3.connect(tmp_path / "run.sqlite") as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    db.close()
    for readonly in (True, False):
        with pytest.raises(
            StoreError,
            match=r"was written by a newer iteralign \(schema 99; this one reads up to 4\): upgrade it",
        ):
            Run.open(tmp_path, readonly=readonly)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "run.sqlite") as db:
        db.execute("CREATE TABLE songs (title TEXT)")
    db.close()
    with pytest.raises(StoreError, match="holds the table 'songs', which no run has"):
        Run.open(tmp_path)


# ---- what is left to read


def fill(run: Run) -> None:
    prompts = [
        RedTeamPrompt(messages=(Message("user", f"why {i}?\u2028\x1b"),), source="t") for i in range(3)
    ]
    once(run.scope("iteration-0001"), "prompts", list[RedTeamPrompt], lambda: prompts)
    each(run.scope("iteration-0001"), "again", RedTeamPrompt, prompts, lambda part: list(part))
    once(run.scope("iteration-0001"), "propose", list[Principle], lambda: [Principle(text="Be kind.")])
    once(run.scope("run"), "count", int, lambda: 3)


def test_exports_are_one_jsonl_file_per_kind_and_can_be_repeated(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        fill(run)
        files = run.export()
        assert [str(p.relative_to(tmp_path)) for p in files] == [
            "exports/int.jsonl",
            "exports/principle.jsonl",
            "exports/red_team_prompt.jsonl",
        ]
        lines = [
            json.loads(line)
            for line in (tmp_path / "exports" / "red_team_prompt.jsonl").read_text().split("\n")[:-1]
        ]
        assert [(r.pop("scope"), r.pop("step")) for r in lines] == [("iteration-0001", "prompts")] * 3 + [
            ("iteration-0001", "again")
        ] * 3
        assert [RedTeamPrompt.from_json(r) for r in lines[:3]] == run.read(
            list[RedTeamPrompt], "iteration-0001", "prompts"
        )[0]
        before = {p: p.read_bytes() for p in files}
        assert {p: p.read_bytes() for p in run.export()} == before
    assert {p.name for p in (tmp_path / "exports").iterdir()} == {p.name for p in files}


def test_the_digest_is_of_the_records_not_of_times_or_places(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        with start(tmp_path / name) as run:
            fill(run)
            digests.append(run.digest())
    with start(tmp_path / "a") as run:
        fill(run)
        run.event("warning", text="another event")
        digests.append(run.digest())
        shutil.copytree(tmp_path / "a", tmp_path / "copy", ignore=shutil.ignore_patterns("run.lock"))
    with Run.open(tmp_path / "copy", readonly=True) as run:
        digests.append(run.digest())
    assert len(set(digests)) == 1
    with start(tmp_path / "b") as run:
        once(run.scope("run"), "more", int, lambda: 1)
        assert run.digest() != digests[0]


def test_events_have_a_time_an_order_and_a_kind(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        run.event("run", state="started")
        run.event("iteration", index=1)
    with start(tmp_path) as run:
        run.event("run", state="finished")
        assert [(e.seq, e.kind) for e in run.events()] == [(1, "run"), (2, "iteration"), (3, "run")]
        assert [e.fields for e in run.events("run")] == [{"state": "started"}, {"state": "finished"}]
        times = [e.time for e in run.events()]
        assert times == sorted(times)


# ---- a directory that may not be written


def as_another_user(action: Callable[[], object]) -> str:
    """What an action says, done by a user that may not write here (root may write anywhere)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            said = repr(action())
        except BaseException as error:  # noqa: BLE001 - the parent reads what it was
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def open_folder() -> Any:
    """A folder that every user can enter."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("state", ["closed", "killed", "killed, index lost"])
def test_a_directory_that_may_not_be_written_can_be_read_whatever_state_it_is_in(
    open_folder: Path, state: str
) -> None:
    run = open_folder / "run"
    with start(run) as opened:
        once(opened.scope("s"), "a", int, lambda: 1)
    if state != "closed":
        killed = python(HOLD, run, stdin=subprocess.PIPE)
        assert killed.stdout is not None
        assert killed.stdout.readline() == "held\n"
        killed.kill()
        killed.communicate()
        assert (run / "run.sqlite-wal").stat().st_size
    if state == "killed, index lost":
        (run / "run.sqlite-shm").unlink()
    before = {p.name for p in run.iterdir()}
    run.chmod(0o555)

    def look() -> list[list[int]]:
        with Run.open(run, readonly=True) as reader:
            return [reader.read(int, "s", name) for name in ("a", "held")]

    assert as_another_user(look) == ("[[1], []]" if state == "closed" else "[[1], [1]]")
    assert {p.name for p in run.iterdir()} == before
    for file in run.iterdir():
        file.chmod(0o444)
    assert "StoreError" in (said := as_another_user(lambda: Run.open(run)))
    assert "Permission denied: it cannot be written: make it writable and resume" in said
    assert "everything that was finished is kept" in said
    assert "StoreError" in (said := as_another_user(lambda: start(run / "new")))
    assert "Permission denied" in said


def test_a_key_that_came_later_takes_its_default_in_an_older_run(tmp_path: Path) -> None:
    start(tmp_path).close()

    def complete(old: dict[str, Any]) -> dict[str, Any]:
        return {"later": 1, **old}

    Run.create(tmp_path, {**SETTINGS, "later": 1}, RECIPE, complete).close()
    with pytest.raises(RunMismatch, match="later: 1 -> 2"):
        Run.create(tmp_path, {**SETTINGS, "later": 2}, RECIPE, complete)


def test_a_parameter_that_none_switches_off_leaves_keys_as_they_are() -> None:
    def before(a: int) -> int:
        return a

    def after(a: int, more: int | None = None) -> int:
        return a + (more or 0)

    assert key_of(before, (1,), {}) == key_of(after, (1,), {}) != key_of(after, (1, 0), {})
