"""Files that are made to take all time and memory: each ends soon, small, in one message."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from confined import Ended, confined, is_one_message
from hostile import test_json, test_run_databases, test_yaml

SECONDS = 5
MEGABYTES = 500


@cache
def bare() -> Ended:
    """What the command line takes for nothing."""
    return confined("--version")


def recipe(name: str) -> Callable[[Path, Path], tuple[str | Path, ...]]:
    def made(folder: Path, finished: Path) -> tuple[str | Path, ...]:
        path = folder / "file.yaml"
        path.write_text(test_yaml.BOMBS[name])
        return "recipe", "check", path

    return made


def records(name: str) -> Callable[[Path, Path], tuple[str | Path, ...]]:
    def made(folder: Path, finished: Path) -> tuple[str | Path, ...]:
        path = folder / "file.jsonl"
        path.write_text(test_json.BOMBS[name])
        return "judge", path, "--out", folder / "out.jsonl"

    return made


def constitution(name: str) -> Callable[[Path, Path], tuple[str | Path, ...]]:
    def made(folder: Path, finished: Path) -> tuple[str | Path, ...]:
        path = folder / "file.yaml"
        path.write_text(test_yaml.BOMBS[name].replace("a:", "principles:", 1))
        return "run", "--out", folder / "out", "--set", f"constitution={path}"

    return made


def database(name: str) -> Callable[[Path, Path], tuple[str | Path, ...]]:
    def made(folder: Path, finished: Path) -> tuple[str | Path, ...]:
        run = Path(shutil.copytree(finished, folder / "file.run"))
        with sqlite3.connect(run / "run.sqlite") as db:
            db.executescript(test_run_databases.SCHEMAS[name])
        db.close()
        return "status", run

    return made


CASES: dict[str, tuple[int, Callable[[Path, Path], tuple[str | Path, ...]]]] = {
    **{f"recipe: {n}": (2, recipe(n)) for n in test_yaml.BOMBS},
    **{f"records: {n}": (3, records(n)) for n in test_json.BOMBS},
    **{f"run: {n}": (4, database(n)) for n in test_run_databases.SCHEMAS if "never" in n or "huge" in n},
    **{f"constitution: {n}": (3, constitution(n)) for n in list(test_yaml.BOMBS)[:3]},
}
QUICK = ("recipe: lists of aliases", "run: a view that never ends")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_a_bomb_ends_soon_and_small(name: str, tmp_path: Path, finished: Path) -> None:
    code, made = CASES[name]
    done = confined(*made(tmp_path, finished))
    assert done.code == code, done.said
    assert is_one_message(done.said), done.said
    assert done.seconds < SECONDS
    assert done.megabytes - bare().megabytes < MEGABYTES
