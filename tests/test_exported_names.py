"""The public names are a promise: adding one is a decision, losing one breaks users."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import iteralign


def test_the_public_names() -> None:
    assert sorted(iteralign.__all__) == [
        "IterAlignError",
        "Recipe",
        "SelfAlignRecipe",
        "__version__",
        "align",
        "evaluate",
        "load_run",
        "self_align",
    ]


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("iteralign", "IterAlignError Recipe SelfAlignRecipe align evaluate load_run self_align"),
        ("iteralign.recipe", "Recipe SelfAlignRecipe changes headlines load_recipe parse shipped"),
        ("iteralign.store", "Event Run Scope"),
        (
            "iteralign.records",
            "Chat Checkpoint Completion Constitution Decision Estimate EvalReport Exchange Failure GateTest "
            "IterationRecord Judged Message Principle RedTeamPrompt Response Revision RunResult "
            "SamplingParams Score Screening TrainingExample Verdict canonical content_hash from_json to_json",
        ),
    ],
)
def test_what_users_import_is_the_thing_of_that_name(folder: str, names: str) -> None:
    module = import_module(folder)
    for name in names.split():
        assert name in module.__all__
        assert hasattr(module, name)


def test_an_error_of_a_run_is_caught_by_the_public_name() -> None:
    with pytest.raises(iteralign.IterAlignError, match="no-such-recipe"):
        iteralign.align("no-such-recipe")


def test_the_package_is_imported_without_what_its_names_need() -> None:
    code = "import sys, iteralign; print([m for m in sys.modules if m.startswith('iteralign.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="public names: IterAlignError, Recipe"):
        iteralign.alignn  # noqa: B018


def test_the_public_names_are_listed() -> None:
    assert set(iteralign.__all__) <= set(dir(iteralign))
