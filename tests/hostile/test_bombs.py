"""Files that are made to take all time and memory: each ends soon, small, in one message."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from confined import Ended, confined, is_one_message
from hostile import test_json, test_model_folders, test_run_databases, test_yaml

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
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.bombs) for n in CASES]
)
def test_a_bomb_ends_soon_and_small(name: str, tmp_path: Path, finished: Path) -> None:
    code, made = CASES[name]
    done = confined(*made(tmp_path, finished))
    assert done.code == code, done.said
    assert is_one_message(done.said), done.said
    assert done.seconds < SECONDS
    assert done.megabytes - bare().megabytes < MEGABYTES


def config(**values: object) -> Callable[[Path], object]:
    return lambda folder: test_model_folders.edit(folder / "config.json", **values)


def template(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "chat_template.jinja").write_text(test_model_folders.TEMPLATES[name])


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def endless(folder: Path) -> None:
    with (folder / "tokenizer.json").open("wb") as file:
        file.truncate(1 << 40)


def pattern(folder: Path) -> None:
    split = {"type": "Split", "pattern": {"Regex": "(\\w+\\s?)+$"}, "behavior": "Isolated", "invert": False}
    test_model_folders.edit(folder / "tokenizer.json", pre_tokenizer=split)


FOLDERS: dict[str, Callable[[Path], object]] = {
    "a billion layers": config(num_hidden_layers=10**9),
    "a vocabulary of a billion": config(vocab_size=10**9),
    "a deep configuration": text("config.json", '{"a":' * 10**5),
    "a deep tokenizer": text("tokenizer.json", '{"a":' * 10**5),
    "a long number": text("tokenizer_config.json", '{"model_max_length": ' + "9" * 10**6 + "}"),
    "a tokenizer without end": endless,
    "a pattern that goes many ways": pattern,
    **{
        f"template: {n}": template(n)
        for n in test_model_folders.TEMPLATES
        if n
        in (
            *(
                "a range without end",
                "loops inside loops",
                "texts that double",
                "replacements",
                "filler text",
            ),
            *("JSON with an indent", "a macro without end", "macros that double", "parentheses"),
        )
    },
}


def asked(folder: Path, tiny: Path, spoil: Callable[[Path], object]) -> tuple[Path, Ended]:
    """What a command takes that asks a spoilt model."""
    model = Path(shutil.copytree(tiny, folder / "model"))
    spoil(model)
    (folder / "prompts.txt").write_text("Why?\n")
    command = ("red-team", "--model", model, "--red-team", folder / "prompts.txt")
    return model, confined(*command, "--out", folder / "out.jsonl")


@pytest.fixture(scope="module")
def plain(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The same command, which imports the same libraries, and ends at a template that cannot be read."""
    return asked(tmp_path_factory.mktemp("plain"), tiny, template("bad syntax"))[1]


@pytest.mark.bombs
@pytest.mark.parametrize("name", FOLDERS)
def test_a_bomb_in_a_model_folder_ends_soon_and_small(
    name: str, tmp_path: Path, tiny: Path, plain: Ended
) -> None:
    model, done = asked(tmp_path, tiny, FOLDERS[name])
    assert (done.code, plain.code) == (7, 7), done.said
    assert is_one_message(done.said, *([] if name.startswith("template") else [model])), done.said
    assert done.seconds - plain.seconds < SECONDS
    assert done.megabytes - plain.megabytes < MEGABYTES
