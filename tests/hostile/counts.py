"""The table of this suite for docs/security.md: what each file attacks, and how many cases it has.

    python tests/hostile/counts.py

writes it anew. Kinds are the first sentences of the files' docstrings.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PAGE = ROOT / "docs" / "security.md"
HEAD = "| file of `tests/hostile/` | what it tries | cases |\n|---|---|---|\n"


def kinds() -> dict[str, str]:
    """Each file of the suite with the first sentence of its docstring."""
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.name] = re.split(r"(?<=[.])\s", " ".join(said.split()))[0].rstrip(".")
    return found


def counts() -> Counter[str]:
    """How many cases each file has, as pytest collects them."""
    command = [sys.executable, "-m", "pytest", str(HERE), "--collect-only", "-qq", "-p", "no:cacheprovider"]
    command += ["-m", "slow or not slow", "-o", "addopts="]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    lines = re.findall(r"(\w+\.py)(?:::.*|: (\d+))$", done.stdout, re.MULTILINE)
    found: Counter[str] = Counter()
    for name, number in lines:
        found[name] += int(number or 1)
    return found


def rows(page: str) -> dict[str, tuple[str, int]]:
    """The rows of the table that a page has: file, kind, cases."""
    lines = re.findall(r"^\| `(test_\w+\.py)` \| (.*) \| (\d+) \|$", page, re.MULTILINE)
    return {name: (kind, int(number)) for name, kind, number in lines}


def main() -> None:
    """Write the table into the page."""
    number = counts()
    table = HEAD + "".join(f"| `{name}` | {kind} | {number[name]} |\n" for name, kind in kinds().items())
    table += f"| all | | {number.total()} |\n"
    page = PAGE.read_text(encoding="utf-8")
    before, _, after = page.partition(HEAD)
    rest = re.sub(r"\A(?:\|.*\n)+", "", after)
    PAGE.write_text(before + table + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
