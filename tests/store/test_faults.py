"""What machines do to a run: kills at any moment, full disks, directories that go away, files that rot.
Nothing stored is lost.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from iteralign.errors import StoreError
from iteralign.store.run import Run
from patience import PATIENCE
from remembering import keep, once

# A small run: slow steps of every sort, each batch of which is paid for (a line in a file) before its results
# are stored.
PROGRAM = """
import json, os, sys, time
from pathlib import Path
from iteralign.records.chat import Message
from iteralign.records.iteralign import Checkpoint, RedTeamPrompt
from iteralign.store.run import Run

def pay(what):
    with open(sys.argv[2], "a") as file:
        file.write(what + "\\n")
    time.sleep(0.004)

def asked(i):
    return [RedTeamPrompt(messages=(Message("user", f"i{i}q{n}"),), source="t") for n in range(20)]

def judge(part, oracle):
    pay(" ".join(p.text for p in part))
    return [RedTeamPrompt(messages=p.messages, source="judged") for p in part]

def size(checkpoint, run):
    return len(os.listdir(run.locate(checkpoint)))

def train(out, examples):
    pay("train")
    (out / "model.safetensors").write_text("w" * 1000)
    time.sleep(0.01)
    (out / "config.json").write_text("{}")
    return Checkpoint(path=str(out), parent="base")

print("ready", flush=True)
with Run.create(Path(sys.argv[1]), {"seed": 0}, "seed: 0\\n") as run:
    for i in range(3):
        scope = run.scope(f"iteration-{i}")
        prompts = scope.once("prompts", list[RedTeamPrompt], asked, i)
        judged = scope.each("judge", RedTeamPrompt, judge, prompts, "oracle-1", chunk=4)
        checkpoint = run.checkpoint(f"iteration-{i}", train, [j.id for j in judged])
        run.fingerprint = "run"
        scope.once("size", int, size, checkpoint, run)
        if i == 1:
            run.discard(checkpoint)
    run.export()
    print(run.digest(), flush=True)
"""


def program(directory: Path, paid: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(directory), str(paid)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def test_kills_at_any_moment_change_nothing_but_what_was_in_flight(tmp_path: Path) -> None:
    started = time.monotonic()
    said, errors = program(tmp_path / "whole", tmp_path / "whole.txt").communicate()
    assert said, errors
    whole = time.monotonic() - started
    rng = random.Random(7)
    kills = 0
    for _ in range(40):
        process = program(tmp_path / "killed", tmp_path / "paid.txt")
        try:
            again, errors = process.communicate(
                timeout=rng.uniform(0.0, whole / 4) if kills < 12 else PATIENCE
            )
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
    else:
        pytest.fail("never ended")
    assert again == said, errors
    assert kills >= 4
    paid = (tmp_path / "paid.txt").read_text().splitlines()
    assert set(paid) == set((tmp_path / "whole.txt").read_text().splitlines())
    # "train" is paid once an iteration, and a kill loses at most the batch in flight
    assert len(paid) <= len(set(paid)) + 2 + kills
    assert sorted(p.name for p in (tmp_path / "killed" / "checkpoints").iterdir()) == [
        "iteration-0",
        "iteration-2",
    ]


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes: to whoever writes it, the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def start(directory: Path) -> Run:
    return Run.create(directory, {"seed": 0}, "seed: 0\n")


def test_a_disk_that_is_full_is_said_and_the_run_goes_on_when_it_is_not(tmp_path: Path) -> None:
    with start(tmp_path / "run") as run:
        once(run.scope("s"), "small", str, lambda: "x")
        with files_up_to(200_000):
            for attempt in range(2):
                with pytest.raises(
                    StoreError,
                    match=r"run\.sqlite: .*(full|disk I/O error).*then? resume|free some space and resume",
                ) as caught:
                    once(run.scope("s"), "large", str, lambda: "y" * 1_000_000)
                assert "everything that was finished is kept" in str(caught.value), attempt
        assert run.read(str, "s", "small") == ["x"]
        assert run.read(str, "s", "large") == []
        once(run.scope("s"), "large", str, lambda: "z" * 1_000_000)  # the same process may go on too
    with start(tmp_path / "run") as run:
        assert once(run.scope("s"), "large", str, lambda: pytest.fail("asked again")) == "z" * 1_000_000


def test_a_disk_that_is_full_while_a_checkpoint_or_an_export_is_written(tmp_path: Path) -> None:
    from iteralign.records.iteralign import Checkpoint

    def train(out: Path) -> Checkpoint:
        (out / "model.safetensors").write_bytes(b"w" * 1_000_000)
        return Checkpoint(path="x")

    with start(tmp_path / "run") as run:
        once(run.scope("s"), "large", str, lambda: "y" * 500_000)
    with start(tmp_path / "run") as run:
        with files_up_to(200_000):
            with pytest.raises(
                StoreError, match=r"File too large.*the disk is full: free some space and resume"
            ):
                run.export()
            with pytest.raises(
                StoreError, match=r"File too large.*the disk is full: free some space and resume"
            ):
                keep(run, "x", train)
        assert [p.name for p in run.export()] == ["str.jsonl"]
        assert run.locate(keep(run, "x", train))


def test_a_run_cannot_start_on_a_full_disk_and_can_later(tmp_path: Path) -> None:
    with files_up_to(10_000), pytest.raises(StoreError, match="everything that was finished is kept"):
        start(tmp_path / "run")
    start(tmp_path / "run").close()


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_a_directory_that_goes_away_is_noticed_at_once(tmp_path: Path, how: str) -> None:
    with start(tmp_path / "run") as run:
        once(run.scope("s"), "a", int, lambda: 1)
        (tmp_path / "run").rename(tmp_path / "moved")
        if how == "deleted":
            shutil.rmtree(tmp_path / "moved")
        if how == "replaced":
            start(tmp_path / "run").close()
        with pytest.raises(
            StoreError,
            match=r"run.sqlite was moved, replaced or deleted while the run was open: put it back and resume",
        ):
            once(run.scope("s"), "b", int, lambda: 2)
    if how == "moved":
        with start(tmp_path / "moved") as run:
            assert run.read(int, "s", "a") == [1]


def rot(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "another file":
        content[:] = b"this is no database, it is a letter\n" * 400
    elif how == "truncated":
        del content[len(content) // 2 :]
    elif how == "empty":
        content.clear()
    elif how == "scribbled":
        content[4096:] = random.Random(1).randbytes(len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["another file", "truncated", "empty", "scribbled"])
@pytest.mark.parametrize("readonly", [True, False])
def test_a_rotten_database_is_said_and_left_as_it_is(tmp_path: Path, how: str, readonly: bool) -> None:
    with start(tmp_path / "run") as run:
        for i in range(40):
            once(run.scope(f"s{i}"), "a", str, lambda: "x" * 3000)
    rot(tmp_path / "run" / "run.sqlite", how)
    before = (tmp_path / "run" / "run.sqlite").read_bytes()

    def read_all() -> None:
        with Run.open(tmp_path / "run", readonly=readonly) as opened:
            for scope in opened.scopes():
                opened.read(str, scope, "a")
            opened.digest()

    with pytest.raises(
        StoreError,
        match=r"run\.sqlite.*: "
        r"(the file is damaged: put a copy of it back|it is no database of this iteralign)",
    ):
        read_all()
    assert (tmp_path / "run" / "run.sqlite").read_bytes() == before


def test_a_killed_run_can_be_read_before_it_is_resumed(tmp_path: Path) -> None:
    process = program(tmp_path / "run", tmp_path / "paid.txt")
    while not (tmp_path / "paid.txt").exists() or len((tmp_path / "paid.txt").read_text().splitlines()) < 4:
        time.sleep(0.002)
    process.kill()
    process.communicate()
    with Run.open(tmp_path / "run", readonly=True) as run:
        assert "iteration-0" in run.scopes()
        assert run.events("step")
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
