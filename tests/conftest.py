"""A scripted world for tests that need a whole run.

Its model learns by heart, its oracle knows three kinds of harm. The model's improper answers are hostile to
terminals: escape sequences, markup and characters that reorder a line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from iteralign.algorithms.state import Parts
from iteralign.build import iteralign as build
from iteralign.build.run import start
from iteralign.evals.harm import Harm
from iteralign.evals.over_refusal import OverRefusal
from iteralign.recipe.iteralign import Recipe
from iteralign.store.run import Run
from patience import pauses  # noqa: F401  (a fixture)
from scripted_run import (
    KindOracle,
    benign_of,
    prompts_of,
    scripted_parts,
    scripted_recipe,
)
from scripted_server import serve  # noqa: F401  (a fixture)
from tiny_model import tiny  # noqa: F401  (a fixture)

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

UNTRACED = ("hostile", "training/test_saved.py", "engines/hf/test_proof.py")
"""What runs again, beside much else, lines that other tests run: coverage doubles the time of Python code."""
LIBRARIES = (
    "datasets",
    "peft",
    "torch",
    "transformers.models.llama.modeling_llama",
    "trl.trainer.sft_trainer",
)
MANY = 200
"""Modules: so many new ones are a library."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Coverage does not watch the import of libraries: it takes twice as long."""
    tracer = sys.gettrace()
    if tracer is None:
        return
    sys.settrace(None)
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    sys.settrace(tracer)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage is measured on the first case of each test: the others run mostly the same lines."""
    seen: set[str] = set()
    tests = Path(__file__).parent
    for item in items:
        name, _, _ = item.nodeid.partition("[")
        place = item.path.relative_to(tests).as_posix()
        if name in seen or place.startswith(UNTRACED):
            item.add_marker("no_cover")
        seen.add(name)


@pytest.fixture(scope="session")
def _modules() -> dict[str, int]:
    return {"frozen": 0}


@pytest.fixture(autouse=True)
def _frozen(_modules: dict[str, int]) -> None:
    """The garbage collector leaves out what libraries made: 0.4 s each time, and six times in a training."""
    if len(sys.modules) > _modules["frozen"] + MANY:
        gc.collect()
        gc.freeze()
        _modules["frozen"] = len(sys.modules)


@pytest.fixture(autouse=True)
def _usual_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are as wide as by default: pytest's parallel workers have a width of their own."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user confirmed on this machine is no part of a test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.delenv("ITERALIGN_ALLOW_HOSTS", raising=False)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Makes ``build`` compose scripted parts; gives a recipe that goes with them."""
    monkeypatch.setattr(build, "parts", scripted_parts)
    return scripted_recipe()


def parts_with_a_test(run: Run, recipe: Recipe) -> Parts:
    """The scripted parts, with fifteen red-team and nine benign prompts that are asked only at the end."""
    params = recipe.evaluation.sampling.params(recipe.seed)
    judge = KindOracle()
    tests = [Harm(prompts_of("test", 5), judge, params), OverRefusal(benign_of("test", 9), judge, params)]
    return dataclasses.replace(scripted_parts(run, recipe), tests=tests)


@pytest.fixture
def with_a_test_part(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """As ``scripted``, with a test part."""
    monkeypatch.setattr(build, "parts", parts_with_a_test)
    return scripted_recipe()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished scripted run; to be read only."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "parts", scripted_parts)
        start(scripted_recipe(), directory)
    return directory


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes the directory of a run whose process was stopped when it was about to take a step."""

    def make(step: str) -> Path:
        def stop(event: object) -> None:
            if getattr(event, "fields", {}).get("name") == step:
                raise KeyboardInterrupt

        monkeypatch.setattr(build, "parts", scripted_parts)
        with pytest.raises(KeyboardInterrupt):
            start(scripted_recipe(), tmp_path / "run", stop)
        return tmp_path / "run"

    return make


@pytest.fixture
def parts_of_the_scripted() -> Any:
    """What composes the scripted world, to put it back after a test's own ``monkeypatch.undo()``."""
    return scripted_parts
