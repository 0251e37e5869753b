"""docs/cli.md says what the command line does: every command, every exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
import yaml

from iteralign import errors
from iteralign.cli.main import app
from iteralign.cli.options import BROKEN_PIPE
from iteralign.recipe.iteralign import Recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(group: Any, path: str = "iteralign") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_every_command_is_documented_and_takes_json() -> None:
    for name, command in commands(typer.main.get_command(app)):
        group, _, leaf = name.rpartition(" ")
        assert f"`{name}" in PAGE or (f"`{group} " in PAGE and f"`{leaf}`" in PAGE), name
        assert any("--json" in p.opts for p in command.params), name


def test_every_option_says_what_it_does() -> None:
    for name, command in commands(typer.main.get_command(app)):
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_the_exit_codes_are_those_of_the_errors() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, flags=re.MULTILINE))
    documented = {code for code in rows if code not in {"0", "1", str(BROKEN_PIPE)}}
    classes = [
        c
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, errors.IterAlignError) and c is not errors.IterAlignError
    ]
    assert documented == {str(c.exit_code) for c in classes}
    for kind in classes:
        if issubclass(kind, errors.EngineError) and kind is not errors.EngineError:
            continue
        assert f"`{kind.__name__}`" in rows[str(kind.exit_code)] or kind is errors.EngineError


def test_recipes_on_the_pages_of_engines_are_recipes() -> None:
    found = []
    for page in ("vllm.md", "cluster.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for block in re.findall(r"^```yaml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
            given = yaml.safe_load(block)
            if "apiVersion" not in given:
                found.append(Recipe.model_validate(given))
    assert {r.model.engine for r in found} == {"hf", "vllm", "ray"}
    assert any(r.oracle.engine == "vllm" for r in found)
