"""What the contracts in pyproject.toml cannot hold: what stays light, and how long a file may be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parent.parent / "src" / "iteralign"
FILES = sorted(SRC.rglob("*.py"))
HEAVY = "torch transformers trl peft datasets accelerate vllm ray openai"


def test_importing_every_module_loads_no_heavy_library() -> None:
    modules = [
        ".".join(p.relative_to(SRC.parent).with_suffix("").parts) for p in FILES if p.stem != "__main__"
    ]
    code = f"import sys, importlib; [importlib.import_module(m) for m in {modules!r}]; print([m for m in {HEAVY!r}.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_file_is_longer_than_400_lines() -> None:
    long = {
        str(p.relative_to(SRC)): n
        for p in FILES
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long, f"split them by what they are about: {long}"
