"""The floors of the house: who may import whom, what stays light, and how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "iteralign"
FILES = sorted(SRC.rglob("*.py"))
HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "accelerate", "vllm", "ray", "openai"}
CONCRETE = {"engines", "oracles", "training", "evals", "organism", "constitution", "report"}
FLOORS = [
    {"errors", "stats", "canonical", "log"},
    {"records", "records_pairs", "records_align"},
    {"ledger"},
    {"similarity", "protocols", "near_duplicates", "text_filters"},
    {"prompts"},
    {"exchanges", "choices"},
    {"data"},
    {"chat_format", "chat_rows"},
    {"weights"},
    {"recipe", "recipe_sections", "recipe_yaml", "recipe_messages", "recipes", "recipe_self_align"},
    {"store", "store_schema", "store_lock", "store_checkpoints", "store_steps", "store_database", "store_create", "store_calls"},
    CONCRETE,
    {"stages"},
    {"algorithms"},
    {"build_oracle"},
    {"evaluations", "evaluations_lm_eval", "evaluation_tasks"},
    {"build"},
    {"build_self_align", "self_align_words"},
    {"measuring"},
    {"standalone", "standalone_self_align", "api"},
    {"__init__"},
    {"cli", "cli_options", "cli_run", "cli_stages", "cli_show", "cli_evaluate", "cli_self_align", "__main__"},
]


def place(path: Path) -> str:
    relative = path.relative_to(SRC)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """Modules that a file imports, and whether at its top level (type-checking blocks do not count)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(n) for n in tree.body}
    guarded = {id(x) for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test) for x in ast.walk(n)}
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            found += [(a.name, id(node) in top) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "iteralign" else [node.module]
            found += [(n, id(node) in top) for n in names]
    return found


def ours(path: Path) -> list[str]:
    return [n.split(".")[1] for n, _ in imports(path) if n.startswith("iteralign.")]


def floor(name: str) -> int:
    for level, rooms in enumerate(FLOORS):
        if name in rooms:
            return level
    raise AssertionError(f"{name} stands on no floor: give it one in tests/test_layers.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_a_file_imports_only_from_floors_below_its_own(path: Path) -> None:
    here = place(path)
    for there in ours(path):
        if here == "__init__":
            continue
        if there != here:
            assert floor(there) <= floor(here), f"{path.relative_to(SRC)} imports {there}, which stands above it"


@pytest.mark.parametrize("room", ["stages", "engines", "oracles", "evals"])
def test_siblings_do_not_know_each_other(room: str) -> None:
    for path in (SRC / room).glob("*.py"):
        for name, _ in imports(path):
            if name.startswith(f"iteralign.{room}."):
                other, own = name.split(".")[2], path.stem
                family = own.split("_")[0] if own.split("_")[0] in {"hf", "embedded", "train", "openai", "chat"} else own
                assert other.startswith(family) or own == "train_embedded", f"{path.name} imports its sibling {other}"


def test_stages_know_only_records_and_seams() -> None:
    allowed = {
        "records",
        "records_pairs",
        "records_align",
        "near_duplicates",
        "text_filters",
        "protocols",
        "prompts",
        "stats",
        "errors",
        "similarity",
        "exchanges",
    }
    for path in (SRC / "stages").glob("*.py"):
        assert set(ours(path)) <= allowed, f"{path.name} imports {set(ours(path)) - allowed}"


def test_only_the_composition_root_names_concrete_classes() -> None:
    exempt = {
        "build",
        "build_oracle",
        "build_self_align",
        "standalone_self_align",
        "cli_self_align",
        "measuring",
        "evaluations",
        "evaluations_lm_eval",
        "cli_evaluate",
        "standalone",
        "cli",
        "cli_run",
        "cli_stages",
        "cli_show",
    }
    for path in FILES:
        here = place(path)
        if here in exempt or here in CONCRETE:
            continue
        assert not (set(ours(path)) & {"engines", "oracles", "training", "evals", "organism"}), f"{path.relative_to(SRC)} names a concrete class"


def test_the_embedded_oracle_does_not_know_the_organism() -> None:
    for path in (SRC / "oracles").glob("*.py"):
        if path.stem == "train_embedded":
            continue
        assert "organism" not in ours(path), f"{path.name}: the embedded oracle judges text, it must not know the organism"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    for name, at_top in imports(path):
        if name.split(".")[0] in HEAVY:
            assert not at_top, f"{path.relative_to(SRC)} imports {name} at its top: import it where it is used"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_a_file_is_short_and_opens_with_its_job(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400, f"{path.relative_to(SRC)} is too long: split it"
    assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(SRC)} does not say what it does"


def test_the_command_line_starts_without_heavy_libraries() -> None:
    code = "import sys, iteralign.cli; print([m for m in ('torch', 'transformers', 'trl', 'numpy', 'openai', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
