"""What the contracts in pyproject.toml cannot hold.

What stays light, how long a file may be, and whether docs/architecture.md is true.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "iteralign"
FILES = sorted(SRC.rglob("*.py"))
HEAVY = "torch transformers trl peft datasets accelerate vllm ray openai"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_importing_every_module_loads_no_heavy_library() -> None:
    modules = [
        ".".join(p.relative_to(SRC.parent).with_suffix("").parts) for p in FILES if p.stem != "__main__"
    ]
    code = (
        f"import sys, importlib; [importlib.import_module(m) for m in {modules!r}]; "
        f"print([m for m in {HEAVY!r}.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_file_is_longer_than_400_lines() -> None:
    long = {
        str(p.relative_to(SRC)): n
        for p in FILES
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long, f"split them by what they are about: {long}"


def test_the_drawing_has_the_floors_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = [c["layers"] for c in contracts["contracts"] if c["type"] == "layers"]
    drawn = PAGE.split("src/iteralign/\n", 1)[1].split("```", 1)[0].splitlines()
    assert [re.split(r"\s{2,}", line.strip())[0] for line in drawn] == layers
    there = {p.stem for p in SRC.glob("*.py")} | {p.parent.name for p in SRC.glob("*/__init__.py")}
    assert {name for line in layers for name in line.split(" | ")} == there - {"__init__", "recipes"}


def test_what_the_page_names_is_there() -> None:
    named = [n for n in re.findall(r"`([\w./]+/[\w./]*)`", PAGE) if "NAME" not in n]
    assert len(named) > 30
    assert not [n for n in named if not (ROOT / n).exists() and not (SRC / n).exists()]
    for module in re.findall(r"python -m (iteralign\.[\w.]+)", PAGE):
        assert find_spec(module), module
    for path in re.findall(r"(?:pytest|python) ((?:tests|benchmarks)/[\w./]+)", PAGE):
        assert (ROOT / path).is_file(), path


def test_no_test_asserts_how_long_something_takes() -> None:
    """A busy machine is no failure: speed is measured in ``benchmarks/``."""
    clock = re.compile(r"assert [^#\n]*(monotonic|perf_counter|process_time|time\.time)\(\) - [a-z]+ *[<>]")
    limit = re.compile(r"(communicate|subprocess\.run|wait)\([^)]*timeout=\d")
    tests = Path(__file__).parent.rglob("test_*.py")
    texts = {p.name: p.read_text(encoding="utf-8") for p in tests if "peers" not in p.parts}
    assert not [name for name, text in texts.items() if clock.search(text) or limit.search(text)]
