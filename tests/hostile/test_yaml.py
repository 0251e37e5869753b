"""YAML from others: recipes, overrides, constitutions, lists of rules. Bombs and nonsense are one message."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from confined import SHOWN, confined, is_one_message, shows_little
from iteralign.cli.main import app
from iteralign.constitution.export import from_file
from iteralign.data.self_align_texts import read_exemplars, read_rules
from iteralign.errors import DataError, RecipeError
from iteralign.recipe.load import load_recipe
from iteralign.recipe.self_align import SelfAlignRecipe


def laughs(levels: int, width: int = 10, key: str = "a") -> str:
    """Aliases of lists of aliases: ``width ** levels`` values."""
    lines = [f"{key}0: &{key}0 [{', '.join(['x'] * width)}]"]
    for n in range(1, levels):
        lines.append(f"{key}{n}: &{key}{n} [{', '.join([f'*{key}{n - 1}'] * width)}]")
    return "\n".join(lines)


def merges(levels: int) -> str:
    lines = ["a0: &a0 {k: v, l: w}"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}")
    return "\n".join(lines)


BOMBS = {
    "lists of aliases": laughs(9),
    "many aliases of one": "a: &a [" + "1, " * 999 + "1]\nb: [" + "*a, " * 999 + "*a]",
    "merged mappings": merges(9),
    "an alias in itself": "a: &a [*a, *a]",
    "a mapping in itself": "a: &a\n  b: *a",
    "deep lists": "a: " + "[" * 50_000,
    "deep closed lists": "a: " + "[" * 2000 + "]" * 2000,
    "deep mappings": "a: " + "{a: " * 20_000,
    "deep blocks": "\n".join(" " * n + "a:" for n in range(1500)),
    "deep sequences": "- " * 20_000 + "1",
    "a number of 5,000 digits": "seed: " + "9" * 5000,
    "a number of a million digits": "seed: " + "9" * 10**6,
    "a negative one": "seed: -" + "9" * 5000,
    "a float of 5,000 digits": "seed: 1." + "9" * 5000,
    "60,000 values": "a: [" + "1," * 60_000 + "1]",
}
NONSENSE = {
    "a tag of Python": "a: !!python/object/apply:os.system [id]",
    "a tag of nobody": "a: !nobody x",
    "a long tag": "a: !" + "x" * 10_000 + " 1",
    "an int of letters": "a: !!int abc",
    "an empty int": "a: !!int ''",
    "a float of letters": "a: !!float abc",
    "a bool of letters": "a: !!bool maybe",
    "an impossible timestamp": "a: !!timestamp 2026-13-45",
    "a timestamp of letters": "a: !!timestamp then",
    "a year of zero": "a: !!timestamp 0000-01-01",
    "an impossible hour": "a: !!timestamp 2026-01-01 99:99:99",
    "bad base64": "a: !!binary '***'",
    "a set of a list": "a: !!set [1]",
    "pairs of a text": "a: !!pairs x",
    "an ordered map of a text": "a: !!omap [x]",
    "a mapping as a text": "a: !!str {b: 1}",
    "a list as a mapping": "a: !!map [1]",
    "a merge of a text": "a: {<<: x}",
    "an unknown alias": "a: *" + "b" * 5000,
    "a key that is a list": "a: {[1, 2]: 3}",
    "two documents": "a: 1\n---\nb: 2",
    "a zero byte": "a: \x00",
    "an escape sequence": "a: \x1b[31m",
    "a tab": "a:\n\t- b",
    "an open quote": "a: '" + "x" * 5000,
    "an unknown directive": "%YAML 9.9\n---\na: 1",
    "a handle of nobody": "a: !x!y 1",
    "a broken escape": 'a: "\\q"',
    "half a surrogate pair": 'name: "\\ud800"',
}
ALL = BOMBS | NONSENSE


@pytest.mark.parametrize("text", ALL.values(), ids=ALL.keys())
def test_a_recipe_is_refused_with_file_and_one_message(text: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    done = CliRunner().invoke(app, ["recipe", "check", str(path)])
    assert done.exit_code == 2
    assert is_one_message(done.stderr, path) or "things are wrong" in done.stderr


LINES = {"lists of aliases": 5, "a mapping in itself": 2, "deep lists": 1, "a zero byte": 1, "a tab": 2}


@pytest.mark.parametrize(("name", "line"), LINES.items())
def test_the_line_is_named(name: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(ALL[name])
    with pytest.raises(RecipeError, match=rf"recipe\.yaml, line {line}: "):
        load_recipe(path)


SETS = {
    "a number of 5,000 digits": "seed=" + "9" * 5000,
    "digits of an unknown key": "a=" + "9" * 5000,
    "a deep list": "stop.iterations=" + "[" * 5000,
    "a deep mapping": "stop=" + "{a: " * 5000,
    "an alias in itself": "stop={a: &a [*a ]}",
    "a tag": "stop={a: !!python/name:os.system x}",
    "an impossible date": "stop={a: !!timestamp 2026-13-45}",
    "infinity": "training.learning_rate=.inf",
    "no number": "training.learning_rate=.nan",
    "beyond a float": "training.learning_rate=1e999",
    "a deep key": "a." * 20_000 + "b=1",
    "dots": "." * 5000 + "=1",
    "a zero byte in quotes": "seed='\x00'",
    "an open quote": "name='" + "x" * 5000,
    "half a surrogate pair": "name=\ud800",
    "half a pair in a list": 'red_team.source="\\ud800"',
    "a list that ends early": "name=[1]]",
    "an int of letters": "stop={a: !!int x}",
}


@pytest.mark.parametrize("text", SETS.values(), ids=SETS.keys())
def test_an_override_is_refused_with_one_message(text: str) -> None:
    done = CliRunner().invoke(app, ["recipe", "check", "embedded", "--set", text])
    assert done.exit_code == 2
    assert is_one_message(done.stderr, "--set") or "things are wrong" in done.stderr
    assert shows_little(done.stderr, text)


@pytest.mark.parametrize("key", ["oracle.base_url", "model.base_url", "oracle.proposer_url"])
def test_a_long_value_that_a_check_quotes_is_cut(key: str) -> None:
    value = "q w" * 400
    done = CliRunner().invoke(app, ["recipe", "check", "huggingface", "--set", f"{key}={value}"])
    assert done.exit_code == 2
    assert key in done.stderr
    assert shows_little(done.stderr, value)


@pytest.mark.parametrize("text", ALL.values(), ids=ALL.keys())
def test_a_constitution_is_refused_with_file_and_one_message(text: str, tmp_path: Path) -> None:
    path = tmp_path / "constitution.yaml"
    path.write_bytes(text.replace("a:", "principles:", 1).encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError) as told:
        from_file(path)
    said = str(told.value)
    assert all(str(path) in line for line in said.splitlines())
    assert shows_little(said, text)
    assert max(map(len, said.splitlines())) < SHOWN + 200 + len(str(path))


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("read", [read_rules, read_exemplars])
def test_a_list_of_rules_is_refused(text: str, read: object, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"rules\.yaml"):
        read(path)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["lists of aliases", "merged mappings", "deep lists", "60,000 values"])
def test_a_bomb_takes_neither_time_nor_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(BOMBS[name])
    done = confined("recipe", "check", path)
    assert done.code == 2
    assert done.megabytes < 500
    assert is_one_message(done.said, path)


def test_a_file_that_never_ends_is_no_recipe_and_no_constitution(tmp_path: Path) -> None:
    for name in ("recipe.yaml", "constitution.yaml"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(1 << 40)
    with pytest.raises(RecipeError, match="larger than 1 MiB"):
        load_recipe(tmp_path / "recipe.yaml")
    with pytest.raises(DataError, match="larger than 16 MiB"):
        from_file(tmp_path / "constitution.yaml")


def test_honest_aliases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("method: self-align\nengrave: {training: &t {epochs: 2}}\nclone: {training: *t}\n")
    recipe = load_recipe(path, kind=SelfAlignRecipe)
    assert (recipe.engrave.training.epochs, recipe.clone.training.epochs) == (2, 2)


@pytest.mark.parametrize(
    "text",
    ["{k}: 1\n", "oracle: {{{k}: 1}}\n", "{k}: 1\n{k}: 2\n", "seed: {k}\n", "name: '{k}'\n", "oracle: {k}\n"],
)
def test_a_long_word_is_not_repeated(text: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text.format(k="a-" * 400))
    with pytest.raises(RecipeError) as told:
        load_recipe(path)
    assert shows_little(str(told.value), "a-" * 400)
